/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's /actions, /vm and /snapshot: see fc.h. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "control/json/fc_parts.h"

int fc_action(const struct json_node *body, enum fc_action *action, struct err *e)
{
	static const char *const names[] = {
		[FC_ACTION_FLUSH_METRICS] = "FlushMetrics",
		[FC_ACTION_START] = "InstanceStart",
		[FC_ACTION_CTRL_ALT_DEL] = "SendCtrlAltDel",
		NULL,
	};
	static const struct json_field field = { "action_type", JSON_FIELD_WORD, true, 0, names,
						 NULL };
	static const struct json_shape shape = { "ActionBody", &field, 1, false, false };
	uint32_t choice = 0;
	const int err = json_read(body, &shape, &choice, NULL, e);

	if (err == 0)
		*action = (enum fc_action)choice;
	return err;
}

int fc_vm_state(const struct json_node *body, bool *is_paused, struct err *e)
{
	static const char *const names[] = { "Paused", "Resumed", NULL };
	static const struct json_field field = { "state", JSON_FIELD_WORD, true, 0, names, NULL };
	static const struct json_shape shape = { "Vm", &field, 1, false, false };
	uint32_t choice = 0;
	const int err = json_read(body, &shape, &choice, NULL, e);

	if (err == 0)
		*is_paused = choice == 0;
	return err;
}

static const char *const snapshot_names[] = { "Diff", "Full", NULL };

enum { SNAPSHOT_DIFF, SNAPSHOT_FULL };

struct create_body {
	uint32_t type; /* of snapshot_names */
	const char *snapshot_path;
	const char *memory_path;
};

static const struct json_field create_fields[] = {
	{ "snapshot_type", JSON_FIELD_WORD, false, offsetof(struct create_body, type),
	  snapshot_names, NULL },
	{ "snapshot_path", JSON_FIELD_TEXT, true, offsetof(struct create_body, snapshot_path), NULL,
	  NULL },
	{ "mem_file_path", JSON_FIELD_TEXT, true, offsetof(struct create_body, memory_path), NULL,
	  NULL },
	/* Of old clients: which format they wanted. */
	{ "version", JSON_FIELD_IGNORED, false, 0, NULL, NULL },
};

static const struct json_shape create_shape = { "CreateSnapshotParams", create_fields,
						ARRAY_LEN(create_fields), false, false };

int fc_snapshot_create(const struct json_node *body, struct fc_snapshot_create *out, struct err *e)
{
	struct create_body b = { .type = SNAPSHOT_FULL };
	const int err = json_read(body, &create_shape, &b, NULL, e);

	if (err < 0)
		return err;
	*out = (struct fc_snapshot_create){
		.is_diff = b.type == SNAPSHOT_DIFF,
		.snapshot_path = b.snapshot_path,
		.memory_path = b.memory_path,
	};
	return 0;
}

enum { BACKEND_FILE, BACKEND_UFFD };

static const char *const backend_names[] = {
	[BACKEND_FILE] = "File",
	[BACKEND_UFFD] = "Uffd",
	NULL,
};

static const char *const load_pages_names[] = {
	[FC_LOAD_PAGES_AS_SAVED] = "Snapshot",
	[FC_LOAD_PAGES_4K] = "None",
	[FC_LOAD_PAGES_THP] = "Transparent",
	[FC_LOAD_PAGES_2M] = "2M",
	NULL,
};

struct backend {
	const char *path;
	uint32_t type; /* of backend_names */
};

struct overrides {
	struct fc_net_override nets[SETTINGS_MAX_NETS];
	size_t nr;
};

struct load_body {
	const char *snapshot_path;
	const char *memory_path;
	struct backend backend;
	bool has_diff_snapshots;
	bool has_dirty_log;
	bool is_resumed;
	struct overrides overrides;
	const char *vsock_path;
	bool has_clock_realtime;
	uint32_t pages; /* of load_pages_names */
};

static int backend_read(const struct json_node *node, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{ "backend_path", JSON_FIELD_TEXT, true, offsetof(struct backend, path), NULL,
		  NULL },
		{ "backend_type", JSON_FIELD_WORD, true, offsetof(struct backend, type),
		  backend_names, NULL },
	};
	static const struct json_shape shape = { "MemBackendConfig", fields, ARRAY_LEN(fields),
						 false, false };

	return json_read(node, &shape, out, NULL, e);
}

static int overrides_read(const struct json_node *node, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{ "iface_id", JSON_FIELD_TEXT, true, offsetof(struct fc_net_override, id), NULL,
		  NULL },
		{ "host_dev_name", JSON_FIELD_TEXT, true,
		  offsetof(struct fc_net_override, host_dev_name), NULL, NULL },
	};
	static const struct json_shape shape = { "NetworkOverride", fields, ARRAY_LEN(fields), true,
						 false };
	struct overrides *o = out;
	const int nr = json_read_list(node, ARRAY_LEN(o->nets), e);

	for (int i = 0; i < nr; i++) {
		const struct json_node item = json_item(node, (size_t)i);

		if (json_read(&item, &shape, &o->nets[i], NULL, e) < 0)
			return -EBADMSG;
	}
	o->nr = nr > 0 ? (size_t)nr : 0;
	return nr < 0 ? nr : 0;
}

static int vsock_read(const struct json_node *node, void *out, struct err *e)
{
	static const struct json_field field = { "uds_path", JSON_FIELD_TEXT, true, 0, NULL, NULL };
	static const struct json_shape shape = { "VsockOverride", &field, 1, true, false };

	return json_read(node, &shape, out, NULL, e);
}

enum {
	LOAD_SNAPSHOT,
	LOAD_MEM_FILE,
	LOAD_BACKEND,
	LOAD_DIFF,
	LOAD_DIRTY,
	LOAD_RESUME,
	LOAD_NETS,
	LOAD_VSOCK,
	LOAD_CLOCK,
	LOAD_PAGES,
};

#define FIELD(name, kind, is_required, member, words, read)                              \
	{                                                                                \
		name, kind, is_required, offsetof(struct load_body, member), words, read \
	}

static const struct json_field load_fields[] = {
	[LOAD_SNAPSHOT] = FIELD("snapshot_path", JSON_FIELD_TEXT, true, snapshot_path, NULL, NULL),
	[LOAD_MEM_FILE] = FIELD("mem_file_path", JSON_FIELD_TEXT, false, memory_path, NULL, NULL),
	[LOAD_BACKEND] =
		FIELD("mem_backend", JSON_FIELD_CUSTOM, false, backend, NULL, backend_read),
	[LOAD_DIFF] = FIELD("enable_diff_snapshots", JSON_FIELD_BOOL, false, has_diff_snapshots,
			    NULL, NULL),
	[LOAD_DIRTY] =
		FIELD("track_dirty_pages", JSON_FIELD_BOOL, false, has_dirty_log, NULL, NULL),
	[LOAD_RESUME] = FIELD("resume_vm", JSON_FIELD_BOOL, false, is_resumed, NULL, NULL),
	[LOAD_NETS] = FIELD("network_overrides", JSON_FIELD_CUSTOM, false, overrides, NULL,
			    overrides_read),
	[LOAD_VSOCK] =
		FIELD("vsock_override", JSON_FIELD_CUSTOM, false, vsock_path, NULL, vsock_read),
	[LOAD_CLOCK] =
		FIELD("clock_realtime", JSON_FIELD_BOOL, false, has_clock_realtime, NULL, NULL),
	[LOAD_PAGES] = FIELD("huge_pages", JSON_FIELD_WORD, false, pages, load_pages_names, NULL),
};

static const struct json_shape load_shape = { "LoadSnapshotConfig", load_fields,
					      ARRAY_LEN(load_fields), false, false };

static int check_load(const struct load_body *b, uint64_t given, struct err *e)
{
	const bool has_file = given & 1u << LOAD_MEM_FILE;
	const bool has_backend = given & 1u << LOAD_BACKEND;

	if (!has_file && !has_backend)
		return err_set(
			e, -EBADMSG,
			"missing field: either `mem_backend` or `mem_file_path` is required");
	if (has_file && has_backend)
		return err_set(e, -EBADMSG,
			       "too many fields: either `mem_backend` or `mem_file_path` "
			       "exclusively is required");
	if (b->pages == FC_LOAD_PAGES_2M && (has_file || b->backend.type != BACKEND_UFFD))
		return err_set(e, FC_REFUSED,
			       "Cannot restore hugetlbfs backed snapshot by mapping the memory "
			       "file. Please use uffd.");
	return 0;
}

int fc_snapshot_load(const struct json_node *body, struct fc_snapshot_load *out,
		     bool *is_deprecated, struct err *e)
{
	struct load_body b = { 0 };
	uint64_t given = 0;
	int err = json_read(body, &load_shape, &b, &given, e);

	if (err == 0)
		err = check_load(&b, given, e);
	if (err < 0)
		return err;
	*is_deprecated = given & (1u << LOAD_MEM_FILE | 1u << LOAD_DIFF);
	*out = (struct fc_snapshot_load){
		.snapshot_path = b.snapshot_path,
		.memory_path = b.memory_path ? b.memory_path : b.backend.path,
		.is_uffd = !b.memory_path && b.backend.type == BACKEND_UFFD,
		.has_dirty_log = b.has_dirty_log || b.has_diff_snapshots,
		.is_resumed = b.is_resumed,
		.has_clock_realtime = b.has_clock_realtime,
		.pages = (enum fc_load_pages)b.pages,
		.nr_nets = b.overrides.nr,
		.vsock_path = b.vsock_path,
	};
	memcpy(out->nets, b.overrides.nets, sizeof(out->nets));
	return 0;
}
