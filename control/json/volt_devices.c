/* SPDX-License-Identifier: Apache-2.0 */
/* Volt's configuration form: devices but disks, and logs: see config_file.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/quote.h"
#include "control/json/fc_parts.h"
#include "control/json/volt.h"
#include "control/values.h"

const char *const volt_log_level_names[] = {
	[LOGGER_OFF] = "off",
	[LOGGER_ERROR] = "error",
	[LOGGER_WARN] = "warn",
	[LOGGER_INFO] = "info",
	[LOGGER_DEBUG] = "debug",
	[LOGGER_TRACE] = "trace",
	NULL,
};

const char *const volt_log_format_names[] = {
	[LOGGER_TEXT] = "text",
	[LOGGER_JSON] = "json",
	NULL,
};

/* A section is read into its struct by a table, then checked. */
static int read_section(const struct json_node *node, const struct json_field *fields, size_t nr,
			const char *name, void *out, struct err *e)
{
	const struct json_shape shape = {
		.name = name,
		.fields = fields,
		.nr = nr,
		.has_suggestions = true,
	};

	return json_read(node, &shape, out, NULL, e);
}

struct net_body {
	const char *id;
	const char *tap;
	const char *mac;
	uint16_t mtu;
	struct rate_limiter_config rx_limit;
	struct rate_limiter_config tx_limit;
};

static const struct json_field net_fields[] = {
	{ "id", JSON_FIELD_TEXT, true, offsetof(struct net_body, id), NULL, NULL },
	{ "tap", JSON_FIELD_TEXT, true, offsetof(struct net_body, tap), NULL, NULL },
	{ "mac", JSON_FIELD_TEXT, false, offsetof(struct net_body, mac), NULL, NULL },
	{ "mtu", JSON_FIELD_U16, false, offsetof(struct net_body, mtu), NULL, NULL },
	{ "rx_bw", JSON_FIELD_CUSTOM, false, offsetof(struct net_body, rx_limit.bandwidth), NULL,
	  volt_bytes_read },
	{ "rx_ops", JSON_FIELD_CUSTOM, false, offsetof(struct net_body, rx_limit.ops), NULL,
	  volt_ops_read },
	{ "tx_bw", JSON_FIELD_CUSTOM, false, offsetof(struct net_body, tx_limit.bandwidth), NULL,
	  volt_bytes_read },
	{ "tx_ops", JSON_FIELD_CUSTOM, false, offsetof(struct net_body, tx_limit.ops), NULL,
	  volt_ops_read },
};

/* RFC 791, section 3.2: what every link can carry. */
enum { MTU_MIN = 68 };

static int check_net(struct settings *s, const struct net_body *b, struct net_value *net,
		     struct err *e)
{
	if (!value_is_id(b->id, strlen(b->id)) || settings_find_net(s, b->id))
		return err_set(e, -EINVAL,
			       "network id %s: give an unused one of 1 to %d letters, digits, '_' "
			       "or '-'",
			       quote(b->id).text, WIRE_ID_BYTES - 1);
	if (!fc_is_host_dev_name(b->tap))
		return err_set(e, -EINVAL, "tap %s: no name of an interface", quote(b->tap).text);
	if (b->mac && !fc_mac_parse(b->mac, net->mac))
		return err_set(e, -EINVAL, "mac %s: give six bytes such as 06:00:ac:10:00:02",
			       quote(b->mac).text);
	if (b->mtu > 0 && b->mtu < MTU_MIN)
		return err_set(e, -EINVAL, "mtu %u: give a number from %d to %d",
			       (unsigned int)b->mtu, MTU_MIN, UINT16_MAX);
	return 0;
}

static int read_net(const struct json_node *node, struct settings *s, struct err *e)
{
	struct net_value net = { 0 };
	struct net_body b = { 0 };
	int r = read_section(node, net_fields, ARRAY_LEN(net_fields), "network", &b, e);

	if (r < 0)
		return r;
	r = check_net(s, &b, &net, e);
	if (r < 0)
		return json_blame(node, r, e);
	net.has_mac = b.mac;
	net.mtu = b.mtu;
	net.rx_limit = b.rx_limit;
	net.tx_limit = b.tx_limit;
	r = settings_set_text(&net.id, b.id, e);
	if (r == 0)
		r = settings_set_text(&net.host_dev_name, b.tap, e);
	if (r == 0)
		r = settings_put_net(s, &net);
	net_value_release(&net);
	return r;
}

static int read_nets(const struct json_node *node, struct settings *s, struct err *e)
{
	const int nr = json_read_list(node, SETTINGS_MAX_NETS, e);

	for (int i = 0; i < nr; i++) {
		const struct json_node item = json_item(node, (size_t)i);
		const int r = read_net(&item, s, e);

		if (r < 0)
			return r;
	}
	return nr < 0 ? nr : 0;
}

struct vsock_body {
	uint32_t cid;
	const char *socket;
};

static int read_vsock(const struct json_node *node, struct settings *s, struct err *e)
{
	static const struct json_field fields[] = {
		{ "cid", JSON_FIELD_U32, true, offsetof(struct vsock_body, cid), NULL, NULL },
		{ "socket", JSON_FIELD_TEXT, true, offsetof(struct vsock_body, socket), NULL,
		  NULL },
	};
	struct vsock_body b = { 0 };
	int r = read_section(node, fields, ARRAY_LEN(fields), "vsock", &b, e);

	if (r < 0)
		return r;
	r = fc_vsock_set(s, b.cid, b.socket, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

static const struct json_field balloon_fields[] = {
	{ "amount", JSON_FIELD_CUSTOM, true, offsetof(struct balloon_value, amount_mib), NULL,
	  volt_mib_read },
	{ "deflate_on_oom", JSON_FIELD_BOOL, false,
	  offsetof(struct balloon_value, has_deflate_on_oom), NULL, NULL },
	{ "stats_interval", JSON_FIELD_U16, false, offsetof(struct balloon_value, stats_interval_s),
	  NULL, NULL },
	{ "free_page_hinting", JSON_FIELD_BOOL, false, offsetof(struct balloon_value, has_hinting),
	  NULL, NULL },
	{ "free_page_reporting", JSON_FIELD_BOOL, false,
	  offsetof(struct balloon_value, has_reporting), NULL, NULL },
};

static int read_balloon(const struct json_node *node, struct settings *s, struct err *e)
{
	int r = read_section(node, balloon_fields, ARRAY_LEN(balloon_fields), "balloon",
			     &s->balloon, e);

	if (r < 0)
		return r;
	s->balloon.is_present = true;
	r = fc_balloon_check(s, s->balloon.amount_mib, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

static int read_entropy(const struct json_node *node, struct settings *s, struct err *e)
{
	static const struct json_field fields[] = {
		{ "bw", JSON_FIELD_CUSTOM, false, offsetof(struct entropy_value, limit.bandwidth),
		  NULL, volt_bytes_read },
		{ "ops", JSON_FIELD_CUSTOM, false, offsetof(struct entropy_value, limit.ops), NULL,
		  volt_ops_read },
	};

	s->entropy.is_present = true;
	return read_section(node, fields, ARRAY_LEN(fields), "entropy", &s->entropy, e);
}

static int read_memory_hotplug(const struct json_node *node, struct settings *s, struct err *e)
{
	static const struct json_field fields[] = {
		{ "total", JSON_FIELD_CUSTOM, true,
		  offsetof(struct memory_hotplug_value, total_mib), NULL, volt_mib_read },
		{ "block", JSON_FIELD_CUSTOM, false,
		  offsetof(struct memory_hotplug_value, block_mib), NULL, volt_mib_read },
		{ "slot", JSON_FIELD_CUSTOM, false, offsetof(struct memory_hotplug_value, slot_mib),
		  NULL, volt_mib_read },
	};
	struct memory_hotplug_value b = { .block_mib = 2, .slot_mib = 128 };
	struct fc_memory m;
	int r = read_section(node, fields, ARRAY_LEN(fields), "memory_hotplug", &b, e);

	if (r < 0)
		return r;
	m = (struct fc_memory){ b.total_mib, b.block_mib, b.slot_mib };
	r = fc_memory_set(s, &m, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

struct mmds_body {
	uint32_t version;
	struct fc_ids ids;
	const char *address;
	bool has_imds_compat;
};

static const struct json_field mmds_fields[] = {
	{ "version", JSON_FIELD_U32, false, offsetof(struct mmds_body, version), NULL, NULL },
	{ "networks", JSON_FIELD_CUSTOM, true, offsetof(struct mmds_body, ids), NULL, fc_ids_read },
	{ "address", JSON_FIELD_TEXT, false, offsetof(struct mmds_body, address), NULL, NULL },
	{ "imds_compat", JSON_FIELD_BOOL, false, offsetof(struct mmds_body, has_imds_compat), NULL,
	  NULL },
};

static int set_mmds(struct settings *s, const struct mmds_body *b, struct err *e)
{
	struct mmds_value *mmds = &s->mmds;

	if (b->version != 1 && b->version != 2)
		return err_set(e, -EINVAL, "version %u: give 1 or 2", (unsigned int)b->version);
	if (inet_pton(AF_INET, b->address, mmds->ipv4) != 1 || !fc_is_link_local(mmds->ipv4))
		return err_set(e, -EINVAL,
			       "address %s: give one from 169.254.1.0 to "
			       "169.254.254.255",
			       quote(b->address).text);
	mmds->is_present = true;
	mmds->is_v2 = b->version == 2;
	mmds->has_imds_compat = b->has_imds_compat;
	return fc_mmds_set(s, &b->ids, e);
}

static int read_mmds(const struct json_node *node, struct settings *s, struct err *e)
{
	struct mmds_body b = { .version = 2, .address = "169.254.169.254" };
	int r = read_section(node, mmds_fields, ARRAY_LEN(mmds_fields), "mmds", &b, e);

	if (r < 0)
		return r;
	r = set_mmds(s, &b, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

static const struct json_field logger_fields[] = {
	{ "path", JSON_FIELD_CUSTOM, false, offsetof(struct logger_value, path), NULL,
	  volt_path_read },
	{ "level", JSON_FIELD_WORD, false, offsetof(struct logger_value, level),
	  volt_log_level_names, NULL },
	{ "format", JSON_FIELD_WORD, false, offsetof(struct logger_value, format),
	  volt_log_format_names, NULL },
	{ "show_level", JSON_FIELD_BOOL, false, offsetof(struct logger_value, has_level_shown),
	  NULL, NULL },
	{ "show_origin", JSON_FIELD_BOOL, false, offsetof(struct logger_value, has_origin_shown),
	  NULL, NULL },
	{ "module", JSON_FIELD_CUSTOM, false, offsetof(struct logger_value, module), NULL,
	  volt_path_read },
};

static int read_logger(const struct json_node *node, struct settings *s, struct err *e)
{
	const struct json_node level = json_member(node, "level");

	s->logger.is_present = true;
	s->logger.has_level = !json_is_absent(&level);
	return read_section(node, logger_fields, ARRAY_LEN(logger_fields), "logger", &s->logger, e);
}

struct metrics_body {
	const char *path;
	bool has_instance_id;
	json_t *properties; /* borrowed */
};

static int read_metrics(const struct json_node *node, struct settings *s, struct err *e)
{
	static const struct json_field fields[] = {
		{ "path", JSON_FIELD_TEXT, true, offsetof(struct metrics_body, path), NULL, NULL },
		{ "show_id", JSON_FIELD_BOOL, false, offsetof(struct metrics_body, has_instance_id),
		  NULL, NULL },
		{ "properties", JSON_FIELD_CUSTOM, false, offsetof(struct metrics_body, properties),
		  NULL, fc_properties_read },
	};
	struct metrics_body b = { 0 };
	int r = read_section(node, fields, ARRAY_LEN(fields), "metrics", &b, e);

	if (r < 0)
		return r;
	s->metrics.has_instance_id = b.has_instance_id;
	r = fc_metrics_set(s, b.path, b.properties, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

int volt_devices_read(const struct json_node *body, struct settings *s, struct err *e)
{
	static const struct {
		const char *name;
		int (*read)(const struct json_node *node, struct settings *s, struct err *e);
	} sections[] = {
		{ "networks", read_nets },
		{ "vsock", read_vsock },
		{ "balloon", read_balloon },
		{ "entropy", read_entropy },
		{ "memory_hotplug", read_memory_hotplug },
		{ "mmds", read_mmds },
		{ "logger", read_logger },
		{ "metrics", read_metrics },
	};

	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		const struct json_node node = json_member(body, sections[i].name);
		const int r = json_is_absent(&node) ? 0 : sections[i].read(&node, s, e);

		if (r < 0)
			return r;
	}
	return 0;
}
