/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of Firecracker's API, the first byte says which: an error with a message that an API can
 * send and settings as they were, or settings that can be shown.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/json/fc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void check_result(int r, const struct err *e)
{
	json_t *message;

	if (r == 0)
		return;
	message = json_string(e->msg);
	require(r == -EBADMSG || r == -EINVAL || r == -EBADR, "known result");
	require(e->msg[0] != '\0' && message, "a message of UTF-8");
	json_decref(message);
}

static int read_drive_patch(struct fc_request *r, struct err *e)
{
	struct fc_drive_patch patch;

	return fc_drive_patch(r, &patch, e);
}

static int read_net_patch(struct fc_request *r, struct err *e)
{
	struct fc_net_patch patch;

	return fc_net_patch(r, &patch, e);
}

static int read_pmem_patch(struct fc_request *r, struct err *e)
{
	struct fc_pmem_patch patch;

	return fc_pmem_patch(r, &patch, e);
}

static int read_memory_patch(struct fc_request *r, struct err *e)
{
	uint32_t requested;

	return fc_memory_patch(r, &requested, e);
}

static int read_hinting(struct fc_request *r, struct err *e)
{
	bool acknowledges;

	return fc_hinting_start(r, &acknowledges, e);
}

static int read_action(struct fc_request *r, struct err *e)
{
	enum fc_action action;

	return fc_action(&r->body, &action, e);
}

static int read_vm(struct fc_request *r, struct err *e)
{
	bool is_paused;

	return fc_vm_state(&r->body, &is_paused, e);
}

static int read_create(struct fc_request *r, struct err *e)
{
	struct fc_snapshot_create create;

	return fc_snapshot_create(&r->body, &create, e);
}

static int read_load(struct fc_request *r, struct err *e)
{
	struct fc_snapshot_load load;
	bool is_deprecated;

	return fc_snapshot_load(&r->body, &load, &is_deprecated, e);
}

/* In the order of 'A', 'B' and so on. */
static fc_change *const changes[] = {
	fc_machine_put,
	fc_boot_put,
	fc_cpu_put,
	fc_drive_put,
	fc_net_put,
	fc_pmem_put,
	fc_vsock_put,
	fc_balloon_put,
	fc_entropy_put,
	fc_serial_put,
	fc_memory_put,
	fc_logger_put,
	fc_metrics_put,
	fc_mmds_put,
	fc_machine_patch,
	fc_balloon_patch,
	fc_balloon_stats_patch,
	read_drive_patch,
	read_net_patch,
	read_pmem_patch,
	read_memory_patch,
	read_hinting,
	read_action,
	read_vm,
	read_create,
	read_load,
};

/* Something for a PATCH and for the metadata service to refer to. */
static void fill(struct settings *s)
{
	struct net_value net = { .id = strdup("eth0"), .host_dev_name = strdup("tap0") };

	settings_init(s);
	require(settings_put_net(s, &net) == 0, "set-up");
	s->balloon.is_present = true;
	s->memory_hotplug = (struct memory_hotplug_value){ 1024, 2, 128 };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fc_request request = { .path_id = NULL };
	struct settings s;
	struct json_doc doc;
	struct err e = { 0 };
	json_t *before, *after;
	int r;

	if (size == 0)
		return 0;
	fill(&s);
	request.settings = &s;
	before = settings_to_fc(&s);
	r = json_doc_parse(&doc, (const char *)data + 1, size - 1, &e);
	if (r == 0) {
		request.body = json_doc_root(&doc);
		r = changes[(uint8_t)(data[0] - 'A') % ARRAY_LEN(changes)](&request, &e);
	}
	json_doc_release(&doc); /* the settings keep nothing of it */
	check_result(r, &e);
	after = settings_to_fc(&s);
	require(after, "can be shown");
	require(r == 0 || json_equal(before, after), "unchanged by what is refused");
	json_decref(before);
	json_decref(after);
	settings_release(&s);
	return 0;
}
