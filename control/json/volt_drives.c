/* SPDX-License-Identifier: Apache-2.0 */
/* Volt's configuration form: disks and pmem devices: see config_file.h. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/quote.h"
#include "control/json/fc_parts.h"
#include "control/json/volt.h"
#include "control/values.h"

/* The words of --drive, as fields. */
struct drive_body {
	const char *path;
	const char *id;
	bool is_read_only;
	uint32_t engine; /* of drive_engine_names */
	uint32_t cache; /* of drive_cache_names */
	bool is_direct;
	uint32_t queue_count;
	const char *iothread;
	bool has_lock;
	struct rate_limiter_config limit;
	bool has_discard;
	const char *partuuid;
};

#define FIELD(name, kind, member)                                                  \
	{                                                                          \
		name, kind, false, offsetof(struct drive_body, member), NULL, NULL \
	}

static const struct json_field drive_fields[] = {
	{ "path", JSON_FIELD_TEXT, true, offsetof(struct drive_body, path), NULL, NULL },
	FIELD("id", JSON_FIELD_TEXT, id),
	FIELD("ro", JSON_FIELD_BOOL, is_read_only),
	{ "engine", JSON_FIELD_WORD, false, offsetof(struct drive_body, engine), drive_engine_names,
	  NULL },
	{ "cache", JSON_FIELD_WORD, false, offsetof(struct drive_body, cache), drive_cache_names,
	  NULL },
	FIELD("direct", JSON_FIELD_BOOL, is_direct),
	FIELD("queues", JSON_FIELD_U32, queue_count),
	FIELD("iothread", JSON_FIELD_TEXT, iothread),
	FIELD("lock", JSON_FIELD_BOOL, has_lock),
	{ "bw", JSON_FIELD_CUSTOM, false, offsetof(struct drive_body, limit.bandwidth), NULL,
	  volt_bytes_read },
	{ "ops", JSON_FIELD_CUSTOM, false, offsetof(struct drive_body, limit.ops), NULL,
	  volt_ops_read },
	FIELD("discard", JSON_FIELD_BOOL, has_discard),
	FIELD("partuuid", JSON_FIELD_TEXT, partuuid), /* of the root drive: the last */
};

static int check_drive(struct settings *s, const struct drive_body *b, struct err *e)
{
	const int r = value_path("path", b->path, e);

	if (r < 0)
		return r;
	if (!value_is_id(b->id, strlen(b->id)) || settings_find_drive(s, b->id))
		return err_set(e, -EINVAL,
			       "drive id %s: give an unused one of 1 to %d letters, digits, '_' "
			       "or '-'",
			       quote(b->id).text, WIRE_ID_BYTES - 1);
	if (b->queue_count < 1 || b->queue_count > WIRE_MAX_QUEUES)
		return err_set(e, -EINVAL, "queues %" PRIu32 ": give a number from 1 to %d",
			       b->queue_count, WIRE_MAX_QUEUES);
	if (b->iothread && (!value_is_id(b->iothread, strlen(b->iothread)) ||
			    strlen(b->iothread) >= WIRE_IOTHREAD_BYTES))
		return err_set(e, -EINVAL,
			       "iothread %s: a thread's name has 1 to %d letters, digits, '_' or "
			       "'-'",
			       quote(b->iothread).text, WIRE_IOTHREAD_BYTES - 1);
	if (b->partuuid && !fc_is_partuuid(b->partuuid))
		return err_set(e, -EINVAL, "partuuid %s: give a partition's UUID",
			       quote(b->partuuid).text);
	return 0;
}

static int put_drive(struct settings *s, const struct drive_body *b, bool is_root, struct err *e)
{
	struct drive_value drive;
	int r;

	drive_value_init(&drive);
	drive.is_root = is_root;
	drive.is_read_only = b->is_read_only;
	drive.is_direct = b->is_direct;
	drive.has_no_lock = !b->has_lock;
	drive.engine = (enum block_engine)b->engine;
	drive.cache = (enum block_cache)b->cache;
	drive.queue_count = b->queue_count;
	drive.limit = b->limit;
	drive.has_discard = b->has_discard;
	snprintf(drive.id, sizeof(drive.id), "%s", b->id);
	if (b->iothread)
		snprintf(drive.iothread, sizeof(drive.iothread), "%s", b->iothread);
	r = settings_set_text(&drive.path, b->path, e);
	if (r == 0)
		r = settings_set_text(&drive.partuuid, b->partuuid, e);
	if (r == 0 && settings_put_drive(s, &drive) < 0)
		r = err_set(e, -EINVAL, "too many drives; at most %zu fit, the root included",
			    ARRAY_LEN(s->drives));
	drive_value_release(&drive);
	return r;
}

/* A path, or an object. @id is for a drive that has none of its own. */
static int read_drive(const struct json_node *node, bool is_root, const char *id,
		      struct settings *s, struct err *e)
{
	const struct json_shape shape = {
		.name = "drive",
		.fields = drive_fields,
		.nr = ARRAY_LEN(drive_fields) - !is_root,
		.has_suggestions = true,
	};
	struct drive_body b = { .id = id, .queue_count = 1, .has_lock = true };
	int r;

	if (json_is_string(node->value))
		r = json_read_value(node, JSON_FIELD_TEXT, NULL, &b.path, e);
	else
		r = json_read(node, &shape, &b, NULL, e);
	if (r < 0)
		return r;
	r = check_drive(s, &b, e);
	if (r == 0)
		r = put_drive(s, &b, is_root, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

static int read_drives(const struct json_node *node, struct settings *s, struct err *e)
{
	const int nr = json_read_list(node, ARRAY_LEN(s->drives), e);

	for (int i = 0; i < nr; i++) {
		const struct json_node item = json_item(node, (size_t)i);
		char id[WIRE_ID_BYTES];
		int r;

		snprintf(id, sizeof(id), "drive%d", i + 1);
		r = read_drive(&item, false, id, s, e);
		if (r < 0)
			return r;
	}
	return nr < 0 ? nr : 0;
}

struct pmem_body {
	const char *id;
	const char *path;
	bool is_root;
	bool is_read_only;
	struct rate_limiter_config limit;
};

static const struct json_field pmem_fields[] = {
	{ "id", JSON_FIELD_TEXT, true, offsetof(struct pmem_body, id), NULL, NULL },
	{ "path", JSON_FIELD_TEXT, true, offsetof(struct pmem_body, path), NULL, NULL },
	{ "root", JSON_FIELD_BOOL, false, offsetof(struct pmem_body, is_root), NULL, NULL },
	{ "ro", JSON_FIELD_BOOL, false, offsetof(struct pmem_body, is_read_only), NULL, NULL },
	{ "bw", JSON_FIELD_CUSTOM, false, offsetof(struct pmem_body, limit.bandwidth), NULL,
	  volt_bytes_read },
	{ "ops", JSON_FIELD_CUSTOM, false, offsetof(struct pmem_body, limit.ops), NULL,
	  volt_ops_read },
};

static int check_pmem(struct settings *s, const struct pmem_body *b, struct err *e)
{
	const int r = value_path("path", b->path, e);

	if (r < 0)
		return r;
	if (!value_is_id(b->id, strlen(b->id)) || settings_find_pmem(s, b->id))
		return err_set(e, -EINVAL,
			       "pmem id %s: give an unused one of 1 to %d letters, digits, '_' or "
			       "'-'",
			       quote(b->id).text, WIRE_ID_BYTES - 1);
	if (b->is_root && (settings_root_pmem(s) || (s->nr_drives > 0 && s->drives[0].is_root)))
		return err_set(e, -EINVAL, "pmem %s: there is another root already", b->id);
	return 0;
}

static int read_pmem(const struct json_node *node, struct settings *s, struct err *e)
{
	const struct json_shape shape = {
		.name = "pmem",
		.fields = pmem_fields,
		.nr = ARRAY_LEN(pmem_fields),
		.has_suggestions = true,
	};
	struct pmem_value pmem = { 0 };
	struct pmem_body b = { 0 };
	int r = json_read(node, &shape, &b, NULL, e);

	if (r < 0)
		return r;
	r = check_pmem(s, &b, e);
	if (r < 0)
		return json_blame(node, r, e);
	pmem.is_root = b.is_root;
	pmem.is_read_only = b.is_read_only;
	pmem.limit = b.limit;
	r = settings_set_text(&pmem.id, b.id, e);
	if (r == 0)
		r = settings_set_text(&pmem.path, b.path, e);
	if (r == 0)
		r = settings_put_pmem(s, &pmem);
	pmem_value_release(&pmem);
	return r;
}

static int read_pmems(const struct json_node *node, struct settings *s, struct err *e)
{
	const int nr = json_read_list(node, SETTINGS_MAX_PMEMS, e);

	for (int i = 0; i < nr; i++) {
		const struct json_node item = json_item(node, (size_t)i);
		const int r = read_pmem(&item, s, e);

		if (r < 0)
			return r;
	}
	return nr < 0 ? nr : 0;
}

int volt_drives_read(const struct json_node *body, struct settings *s, struct err *e)
{
	const struct json_node rootfs = json_member(body, "rootfs");
	const struct json_node drives = json_member(body, "drives");
	const struct json_node pmems = json_member(body, "pmems");
	int r = 0;

	if (!json_is_absent(&rootfs))
		r = read_drive(&rootfs, true, "rootfs", s, e);
	if (r == 0 && !json_is_absent(&drives))
		r = read_drives(&drives, s, e);
	if (r == 0 && !json_is_absent(&pmems))
		r = read_pmems(&pmems, s, e);
	return r;
}
