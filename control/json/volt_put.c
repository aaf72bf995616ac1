/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and logs in Volt's configuration form, from the settings: see config_file.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "control/json/fc_parts.h"
#include "control/json/volt.h"

struct member {
	const char *name;
	json_t *value; /* taken over; NULL: no memory */
};

/* An object of members, without those that are null. */
static json_t *object_new(const struct member *members, size_t nr)
{
	json_t *json = json_object();
	int r = 0;

	for (size_t i = 0; i < nr; i++)
		r |= volt_put(json, members[i].name, members[i].value);
	if (r == 0)
		return json;
	json_decref(json);
	return NULL;
}

/* True, or nothing. */
static json_t *flag_new(bool is_set)
{
	return is_set ? json_true() : json_null();
}

static json_t *mib_new(uint32_t mib)
{
	char text[sizeof("4294967295M")];

	snprintf(text, sizeof(text), "%" PRIu32 "M", mib);
	return json_string(text);
}

static json_t *drive_new(const struct drive_value *d)
{
	const struct member members[] = {
		{ "path", json_text_new(d->path) },
		{ "id", json_text_new(d->id) },
		{ "ro", json_boolean(d->is_read_only) },
		{ "engine", json_string(drive_engine_names[d->engine]) },
		{ "cache", json_string(drive_cache_names[d->cache]) },
		{ "direct", json_boolean(d->is_direct) },
		{ "queues", json_integer((json_int_t)d->queue_count) },
		{ "iothread", json_text_new(d->iothread[0] ? d->iothread : NULL) },
		{ "lock", json_boolean(!d->has_no_lock) },
		{ "bw", volt_bucket_new(&d->limit.bandwidth) },
		{ "ops", volt_bucket_new(&d->limit.ops) },
		{ "discard", flag_new(d->has_discard) },
		{ "partuuid", json_text_new(d->is_root ? d->partuuid : NULL) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *rootfs_new(const struct settings *s)
{
	return s->nr_drives > 0 && s->drives[0].is_root ? drive_new(&s->drives[0]) : json_null();
}

static json_t *drives_new(const struct settings *s)
{
	const size_t first = s->nr_drives > 0 && s->drives[0].is_root;
	json_t *list = json_array();

	for (size_t i = first; i < s->nr_drives; i++)
		json_array_append_new(list, drive_new(&s->drives[i]));
	return list;
}

static json_t *net_new(const struct net_value *n)
{
	char mac[FC_MAC_BYTES];
	const struct member members[] = {
		{ "id", json_text_new(n->id) },
		{ "tap", json_text_new(n->host_dev_name) },
		{ "mac", json_text_new(n->has_mac ? fc_mac_print(n->mac, mac) : NULL) },
		{ "mtu", n->mtu > 0 ? json_integer(n->mtu) : json_null() },
		{ "rx_bw", volt_bucket_new(&n->rx_limit.bandwidth) },
		{ "rx_ops", volt_bucket_new(&n->rx_limit.ops) },
		{ "tx_bw", volt_bucket_new(&n->tx_limit.bandwidth) },
		{ "tx_ops", volt_bucket_new(&n->tx_limit.ops) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *nets_new(const struct settings *s)
{
	json_t *list = s->nr_nets > 0 ? json_array() : json_null();

	for (size_t i = 0; i < s->nr_nets; i++)
		json_array_append_new(list, net_new(&s->nets[i]));
	return list;
}

static json_t *pmem_new(const struct pmem_value *p)
{
	const struct member members[] = {
		{ "id", json_text_new(p->id) },
		{ "path", json_text_new(p->path) },
		{ "root", json_boolean(p->is_root) },
		{ "ro", json_boolean(p->is_read_only) },
		{ "bw", volt_bucket_new(&p->limit.bandwidth) },
		{ "ops", volt_bucket_new(&p->limit.ops) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *pmems_new(const struct settings *s)
{
	json_t *list = s->nr_pmems > 0 ? json_array() : json_null();

	for (size_t i = 0; i < s->nr_pmems; i++)
		json_array_append_new(list, pmem_new(&s->pmems[i]));
	return list;
}

static json_t *vsock_new(const struct vsock_value *v)
{
	const struct member members[] = {
		{ "cid", json_integer((json_int_t)v->guest_cid) },
		{ "socket", json_text_new(v->uds_path) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *balloon_new(const struct balloon_value *b)
{
	const struct member members[] = {
		{ "amount", mib_new(b->amount_mib) },
		{ "deflate_on_oom", json_boolean(b->has_deflate_on_oom) },
		{ "stats_interval", json_integer(b->stats_interval_s) },
		{ "free_page_hinting", json_boolean(b->has_hinting) },
		{ "free_page_reporting", json_boolean(b->has_reporting) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *entropy_new(const struct entropy_value *v)
{
	const struct member members[] = {
		{ "bw", volt_bucket_new(&v->limit.bandwidth) },
		{ "ops", volt_bucket_new(&v->limit.ops) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *memory_hotplug_new(const struct memory_hotplug_value *m)
{
	const struct member members[] = {
		{ "total", mib_new(m->total_mib) },
		{ "block", mib_new(m->block_mib) },
		{ "slot", mib_new(m->slot_mib) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *mmds_new(const struct mmds_value *m)
{
	char address[INET_ADDRSTRLEN] = "";
	json_t *networks = json_array();

	inet_ntop(AF_INET, m->ipv4, address, sizeof(address));
	for (size_t i = 0; i < m->nr_net_ids; i++)
		json_array_append_new(networks, json_text_new(m->net_ids[i]));
	const struct member members[] = {
		{ "version", json_integer(m->is_v2 ? 2 : 1) },
		{ "networks", networks },
		{ "address", json_string(address) },
		{ "imds_compat", json_boolean(m->has_imds_compat) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *logger_new(const struct logger_value *l)
{
	const char *level = l->has_level ? volt_log_level_names[l->level] : NULL;
	const struct member members[] = {
		{ "path", json_text_new(l->path) },
		{ "level", json_text_new(level) },
		{ "format", json_string(volt_log_format_names[l->format]) },
		{ "show_level", json_boolean(l->has_level_shown) },
		{ "show_origin", json_boolean(l->has_origin_shown) },
		{ "module", json_text_new(l->module) },
	};

	return object_new(members, ARRAY_LEN(members));
}

static json_t *metrics_new(const struct metrics_value *m)
{
	const struct member members[] = {
		{ "path", json_text_new(m->path) },
		{ "show_id", json_boolean(m->has_instance_id) },
		{ "properties", m->properties ? json_loads(m->properties, 0, NULL) : json_null() },
	};

	return object_new(members, ARRAY_LEN(members));
}

int volt_devices_put(json_t *json, const struct settings *s)
{
	const bool has_vsock = s->vsock.guest_cid != 0;
	const bool has_hotplug = s->memory_hotplug.total_mib != 0;
	const struct member members[] = {
		{ "rootfs", rootfs_new(s) },
		{ "drives", drives_new(s) },
		{ "networks", nets_new(s) },
		{ "pmems", pmems_new(s) },
		{ "vsock", has_vsock ? vsock_new(&s->vsock) : json_null() },
		{ "balloon", s->balloon.is_present ? balloon_new(&s->balloon) : json_null() },
		{ "entropy", s->entropy.is_present ? entropy_new(&s->entropy) : json_null() },
		{ "memory_hotplug",
		  has_hotplug ? memory_hotplug_new(&s->memory_hotplug) : json_null() },
		{ "mmds", s->mmds.is_present ? mmds_new(&s->mmds) : json_null() },
		{ "logger", s->logger.is_present ? logger_new(&s->logger) : json_null() },
		{ "metrics", s->metrics.path ? metrics_new(&s->metrics) : json_null() },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		r |= volt_put(json, members[i].name, members[i].value);
	return r;
}
