/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's /drives and /pmem: see fc.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/quote.h"
#include "control/json/fc_parts.h"

enum { CACHE_UNSAFE, CACHE_WRITEBACK };

static const char *const cache_names[] = {
	[CACHE_UNSAFE] = "Unsafe",
	[CACHE_WRITEBACK] = "Writeback",
	NULL,
};

enum { ENGINE_ASYNC, ENGINE_SYNC };

static const char *const engine_names[] = {
	[ENGINE_ASYNC] = "Async",
	[ENGINE_SYNC] = "Sync",
	NULL,
};

struct drive_body {
	const char *id;
	const char *partuuid;
	bool is_root;
	uint32_t cache; /* of cache_names */
	bool is_read_only;
	const char *path;
	struct rate_limiter_config limit;
	uint32_t engine; /* of engine_names */
	const char *socket;
	bool has_discard;
};

#define FIELD(name, kind, is_required, member)                                           \
	{                                                                                \
		name, kind, is_required, offsetof(struct drive_body, member), NULL, NULL \
	}

static const struct json_field drive_fields[] = {
	FIELD("drive_id", JSON_FIELD_TEXT, true, id),
	FIELD("partuuid", JSON_FIELD_TEXT, false, partuuid),
	FIELD("is_root_device", JSON_FIELD_BOOL, true, is_root),
	{ "cache_type", JSON_FIELD_WORD, false, offsetof(struct drive_body, cache), cache_names,
	  NULL },
	FIELD("is_read_only", JSON_FIELD_BOOL, false, is_read_only),
	FIELD("path_on_host", JSON_FIELD_TEXT, false, path),
	{ "rate_limiter", JSON_FIELD_CUSTOM, false, offsetof(struct drive_body, limit), NULL,
	  fc_limit_read },
	{ "io_engine", JSON_FIELD_WORD, false, offsetof(struct drive_body, engine), engine_names,
	  NULL },
	FIELD("socket", JSON_FIELD_TEXT, false, socket),
	FIELD("discard", JSON_FIELD_BOOL, false, has_discard),
};

static const struct json_shape drive_shape = { "BlockDeviceConfig", drive_fields,
					       ARRAY_LEN(drive_fields), false, false };

/* It becomes part of the kernel's command line: "6f3c0f5e-01", a UUID, ".../PARTNROFF=1". */
bool fc_is_partuuid(const char *text)
{
	const size_t len = strlen(text);

	return len > 0 && len <= FC_PARTUUID_MAX &&
	       strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_/=") == len;
}

/*
 * Ids in configuration files may be long, as paths are. The end of one is enough to tell it from
 * others; where it is not, it is refused.
 */
static const char *short_id(const struct fc_request *r, const char *id)
{
	const size_t len = strlen(id);

	if (r->path_id || len < WIRE_ID_BYTES)
		return id;
	id += len - (WIRE_ID_BYTES - 1);
	while (((unsigned char)*id & 0xc0) == 0x80) /* not in the middle of a character */
		id++;
	return id;
}

static int check_drive(const struct settings *s, const struct drive_body *b, struct err *e)
{
	if (b->socket)
		return err_set(e, FC_REFUSED,
			       "Drive %s: vhost-user drives (socket) are not supported; give "
			       "path_on_host.",
			       quote(b->id).text);
	if (!b->path)
		return err_set(e, FC_REFUSED,
			       "Unable to create the virtio block device: Invalid block config.");
	if (b->partuuid && !fc_is_partuuid(b->partuuid))
		return err_set(e, FC_REFUSED, "%s is no partition's UUID.",
			       quote(b->partuuid).text);
	if (b->has_discard && (b->is_read_only || b->engine == ENGINE_ASYNC))
		return err_set(e, FC_REFUSED,
			       "Unable to create the virtio block device: discard is for writable "
			       "drives with the Sync engine.");
	if (access(b->path, b->is_read_only ? R_OK : R_OK | W_OK) < 0)
		return fc_refuse_errno(e,
				       "Unable to create the virtio block device: Virtio backend "
				       "error: Error manipulating the backing file",
				       b->path);
	if (b->is_root && settings_root_pmem(s))
		return err_set(e, FC_REFUSED, "A root pmem device already exist");
	return 0;
}

static int put_drive(struct settings *s, struct drive_value *drive, struct err *e)
{
	const int r = settings_put_drive(s, drive);

	if (r == -EEXIST)
		return err_set(e, FC_REFUSED, "A root block device already exists!");
	if (r < 0)
		return err_set(e, FC_REFUSED, "Too many drives: at most %zu fit.",
			       ARRAY_LEN(s->drives));
	return 0;
}

int fc_drive_put(struct fc_request *r, struct err *e)
{
	struct drive_body b = { .cache = CACHE_UNSAFE, .engine = ENGINE_SYNC };
	struct drive_value drive;
	const char *id;
	int err = json_read(&r->body, &drive_shape, &b, NULL, e);

	if (err == 0)
		err = fc_match_id(r, b.id, e);
	if (err < 0)
		return err;
	if (b.partuuid && *b.partuuid == '\0')
		b.partuuid = NULL;
	id = short_id(r, b.id);
	err = fc_check_id(id, e);
	if (err == 0 && id != b.id && settings_find_drive(r->settings, id))
		err = err_set(e, FC_REFUSED, "Two drive ids end in %s.", quote(id).text);
	if (err == 0)
		err = check_drive(r->settings, &b, e);
	if (err < 0)
		return err;
	drive_value_init(&drive);
	snprintf(drive.id, sizeof(drive.id), "%s", id);
	drive.is_root = b.is_root;
	drive.is_read_only = b.is_read_only;
	drive.engine = b.engine == ENGINE_ASYNC ? BLOCK_ENGINE_URING : BLOCK_ENGINE_SYNC;
	drive.cache = b.cache == CACHE_UNSAFE ? BLOCK_CACHE_UNSAFE : BLOCK_CACHE_WRITEBACK;
	drive.limit = b.limit;
	drive.has_discard = b.has_discard;
	drive.may_be_empty = true;
	err = settings_set_text(&drive.path, b.path, e);
	if (err == 0)
		err = settings_set_text(&drive.partuuid, b.partuuid, e);
	if (err == 0)
		err = put_drive(r->settings, &drive, e);
	drive_value_release(&drive);
	return err;
}

static const struct json_field patch_fields[] = {
	{ "drive_id", JSON_FIELD_TEXT, true, offsetof(struct fc_drive_patch, id), NULL, NULL },
	{ "path_on_host", JSON_FIELD_TEXT, false, offsetof(struct fc_drive_patch, path), NULL,
	  NULL },
	{ "rate_limiter", JSON_FIELD_CUSTOM, false, offsetof(struct fc_drive_patch, limit), NULL,
	  fc_limit_patch_read },
};

static const struct json_shape patch_shape = { "BlockDeviceUpdateConfig", patch_fields,
					       ARRAY_LEN(patch_fields), false, false };

int fc_drive_patch(const struct fc_request *r, struct fc_drive_patch *out, struct err *e)
{
	int err;

	*out = (struct fc_drive_patch){ 0 };
	err = json_read(&r->body, &patch_shape, out, NULL, e);
	return err < 0 ? err : fc_match_id(r, out->id, e);
}

static json_t *drive_get(const struct drive_value *d)
{
	const bool is_async = d->engine != BLOCK_ENGINE_SYNC;
	const bool is_unsafe = d->cache == BLOCK_CACHE_UNSAFE;
	json_t *json = json_pack(
		"{s:o, s:o, s:b, s:s, s:b, s:o, s:o, s:s, s:n}", "drive_id", json_text_new(d->id),
		"partuuid", json_text_new(d->partuuid), "is_root_device", (int)d->is_root,
		"cache_type", cache_names[is_unsafe ? CACHE_UNSAFE : CACHE_WRITEBACK],
		"is_read_only", (int)d->is_read_only, "path_on_host", json_text_new(d->path),
		"rate_limiter", fc_limit_get(&d->limit), "io_engine",
		engine_names[is_async ? ENGINE_ASYNC : ENGINE_SYNC], "socket");

	if (json && d->has_discard && json_object_set_new(json, "discard", json_true()) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *fc_drives_get(const struct settings *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->nr_drives; i++)
		json_array_append_new(list, drive_get(&s->drives[i]));
	return list;
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
	{ "path_on_host", JSON_FIELD_TEXT, true, offsetof(struct pmem_body, path), NULL, NULL },
	{ "root_device", JSON_FIELD_BOOL, false, offsetof(struct pmem_body, is_root), NULL, NULL },
	{ "read_only", JSON_FIELD_BOOL, false, offsetof(struct pmem_body, is_read_only), NULL,
	  NULL },
	{ "rate_limiter", JSON_FIELD_CUSTOM, false, offsetof(struct pmem_body, limit), NULL,
	  fc_limit_read },
};

static const struct json_shape pmem_shape = { "PmemConfig", pmem_fields, ARRAY_LEN(pmem_fields),
					      false, false };

static int check_pmem(struct settings *s, const struct pmem_body *b, struct err *e)
{
	const struct pmem_value *root = settings_root_pmem(s);
	const int r = fc_check_id(b->id, e);

	if (r < 0)
		return r;
	if (b->is_root && s->nr_drives > 0 && s->drives[0].is_root)
		return err_set(e, FC_REFUSED,
			       "Attempt to add pmem as a root device while the root device "
			       "defined as a block device");
	if (b->is_root && root && strcmp(root->id, b->id) != 0)
		return err_set(e, FC_REFUSED, "A root pmem device already exist");
	if (access(b->path, b->is_read_only ? R_OK : R_OK | W_OK) < 0)
		return fc_refuse_errno(e, "Error manipulating the backing file", b->path);
	return 0;
}

int fc_pmem_put(struct fc_request *r, struct err *e)
{
	struct pmem_value pmem = { 0 };
	struct pmem_body b = { 0 };
	int err = json_read(&r->body, &pmem_shape, &b, NULL, e);

	if (err == 0)
		err = fc_match_id(r, b.id, e);
	if (err == 0)
		err = check_pmem(r->settings, &b, e);
	if (err < 0)
		return err;
	pmem.is_root = b.is_root;
	pmem.is_read_only = b.is_read_only;
	pmem.limit = b.limit;
	err = settings_set_text(&pmem.path, b.path, e);
	if (err == 0)
		err = settings_set_text(&pmem.id, b.id, e);
	if (err == 0 && settings_put_pmem(r->settings, &pmem) < 0)
		err = err_set(e, FC_REFUSED, "Too many pmem devices: at most %d fit.",
			      SETTINGS_MAX_PMEMS);
	pmem_value_release(&pmem);
	return err;
}

static const struct json_field pmem_patch_fields[] = {
	{ "id", JSON_FIELD_TEXT, true, offsetof(struct fc_pmem_patch, id), NULL, NULL },
	{ "rate_limiter", JSON_FIELD_CUSTOM, false, offsetof(struct fc_pmem_patch, limit), NULL,
	  fc_limit_patch_read },
};

static const struct json_shape pmem_patch_shape = { "PmemDeviceUpdateConfig", pmem_patch_fields,
						    ARRAY_LEN(pmem_patch_fields), false, false };

int fc_pmem_patch(const struct fc_request *r, struct fc_pmem_patch *out, struct err *e)
{
	int err;

	*out = (struct fc_pmem_patch){ 0 };
	err = json_read(&r->body, &pmem_patch_shape, out, NULL, e);
	return err < 0 ? err : fc_match_id(r, out->id, e);
}

json_t *fc_pmems_get(const struct settings *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->nr_pmems; i++) {
		const struct pmem_value *p = &s->pmems[i];

		json_array_append_new(
			list, json_pack("{s:o, s:o, s:b, s:b, s:o}", "id", json_text_new(p->id),
					"path_on_host", json_text_new(p->path), "root_device",
					(int)p->is_root, "read_only", (int)p->is_read_only,
					"rate_limiter", fc_limit_get(&p->limit)));
	}
	return list;
}
