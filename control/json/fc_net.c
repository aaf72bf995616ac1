/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's /network-interfaces and /mmds/config: see fc.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/json/fc_parts.h"

enum { MTU_MIN = 68 }; /* RFC 791, section 3.2 */

struct mac {
	uint8_t bytes[SETTINGS_MAC_BYTES];
};

struct net_body {
	const char *id;
	const char *host_dev_name;
	struct mac mac;
	uint16_t mtu;
	struct rate_limiter_config rx_limit;
	struct rate_limiter_config tx_limit;
};

enum { HAS_ID, HAS_HOST_DEV, HAS_MAC, HAS_MTU, HAS_RX, HAS_TX };

static int mac_read(const struct json_node *node, void *out, struct err *e)
{
	const char *text = NULL;
	struct mac mac;

	if (json_read_value(node, JSON_FIELD_TEXT, NULL, &text, e) < 0)
		return -EBADMSG;
	if (!fc_mac_parse(text, mac.bytes))
		return json_refuse(node, e, "The provided MAC address is invalid.");
	memcpy(out, &mac, sizeof(mac));
	return 0;
}

static const struct json_field net_fields[] = {
	[HAS_ID] = { "iface_id", JSON_FIELD_TEXT, true, offsetof(struct net_body, id), NULL, NULL },
	[HAS_HOST_DEV] = { "host_dev_name", JSON_FIELD_TEXT, true,
			   offsetof(struct net_body, host_dev_name), NULL, NULL },
	[HAS_MAC] = { "guest_mac", JSON_FIELD_CUSTOM, false, offsetof(struct net_body, mac), NULL,
		      mac_read },
	[HAS_MTU] = { "mtu", JSON_FIELD_U16, false, offsetof(struct net_body, mtu), NULL, NULL },
	[HAS_RX] = { "rx_rate_limiter", JSON_FIELD_CUSTOM, false,
		     offsetof(struct net_body, rx_limit), NULL, fc_limit_read },
	[HAS_TX] = { "tx_rate_limiter", JSON_FIELD_CUSTOM, false,
		     offsetof(struct net_body, tx_limit), NULL, fc_limit_read },
};

static const struct json_shape net_shape = { "NetworkInterfaceConfig", net_fields,
					     ARRAY_LEN(net_fields), false, false };

static int match_id(const struct fc_request *r, const char *id, struct err *e)
{
	if (!r->path_id || strcmp(r->path_id, id) == 0)
		return 0;
	return err_set(e, -EBADR,
		       "The id from the path [%s] does not match the id from the body [%s]!",
		       fc_shown(r->path_id).text, fc_shown(id).text);
}

bool fc_is_host_dev_name(const char *name)
{
	const size_t len = strlen(name);

	return len > 0 && len < IFNAMSIZ && strcspn(name, "/: \t\r\n\v\f") == len;
}

static int check_net(const struct settings *s, const struct net_body *b, uint64_t given,
		     struct err *e)
{
	const int r = fc_check_id(b->id, e);

	if (r < 0)
		return r;
	if (!fc_is_host_dev_name(b->host_dev_name))
		return err_set(e, FC_REFUSED,
			       "Could not create the network device: %s is no name of an "
			       "interface.",
			       quote(b->host_dev_name).text);
	if (given & 1u << HAS_MTU && b->mtu < MTU_MIN)
		return err_set(e, FC_REFUSED,
			       "Could not create the network device: the MTU %u is below %d.",
			       (unsigned int)b->mtu, MTU_MIN);
	for (size_t i = 0; given & 1u << HAS_MAC && i < s->nr_nets; i++) {
		char text[FC_MAC_BYTES];

		if (s->nets[i].has_mac && strcmp(s->nets[i].id, b->id) != 0 &&
		    memcmp(s->nets[i].mac, b->mac.bytes, SETTINGS_MAC_BYTES) == 0)
			return err_set(e, FC_REFUSED, "The MAC address is already in use: %s",
				       fc_mac_print(b->mac.bytes, text));
	}
	return 0;
}

int fc_net_put(struct fc_request *r, struct err *e)
{
	struct net_value net = { 0 };
	struct net_body b = { 0 };
	uint64_t given = 0;
	int err = json_read(&r->body, &net_shape, &b, &given, e);

	if (err == 0)
		err = match_id(r, b.id, e);
	if (err == 0)
		err = check_net(r->settings, &b, given, e);
	if (err < 0)
		return err;
	net.has_mac = given & 1u << HAS_MAC;
	memcpy(net.mac, b.mac.bytes, sizeof(net.mac));
	net.mtu = b.mtu;
	net.rx_limit = b.rx_limit;
	net.tx_limit = b.tx_limit;
	err = settings_set_text(&net.id, b.id, e);
	if (err == 0)
		err = settings_set_text(&net.host_dev_name, b.host_dev_name, e);
	if (err == 0 && settings_put_net(r->settings, &net) < 0)
		err = err_set(e, FC_REFUSED, "Too many network interfaces: at most %d fit.",
			      SETTINGS_MAX_NETS);
	net_value_release(&net);
	return err;
}

static const struct json_field patch_fields[] = {
	{ "iface_id", JSON_FIELD_TEXT, true, offsetof(struct fc_net_patch, id), NULL, NULL },
	{ "rx_rate_limiter", JSON_FIELD_CUSTOM, false, offsetof(struct fc_net_patch, rx_limit),
	  NULL, fc_limit_patch_read },
	{ "tx_rate_limiter", JSON_FIELD_CUSTOM, false, offsetof(struct fc_net_patch, tx_limit),
	  NULL, fc_limit_patch_read },
};

static const struct json_shape patch_shape = { "NetworkInterfaceUpdateConfig", patch_fields,
					       ARRAY_LEN(patch_fields), false, false };

int fc_net_patch(const struct fc_request *r, struct fc_net_patch *out, struct err *e)
{
	int err;

	*out = (struct fc_net_patch){ 0 };
	err = json_read(&r->body, &patch_shape, out, NULL, e);
	return err < 0 ? err : match_id(r, out->id, e);
}

json_t *fc_nets_get(const struct settings *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->nr_nets; i++) {
		const struct net_value *n = &s->nets[i];
		char mac[FC_MAC_BYTES];

		fc_mac_print(n->mac, mac);
		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:s?, s:o, s:o, s:o}", "iface_id",
						json_text_new(n->id), "host_dev_name",
						json_text_new(n->host_dev_name), "guest_mac",
						n->has_mac ? mac : NULL, "mtu",
						n->mtu > 0 ? json_integer(n->mtu) : json_null(),
						"rx_rate_limiter", fc_limit_get(&n->rx_limit),
						"tx_rate_limiter", fc_limit_get(&n->tx_limit)));
	}
	return list;
}

static const char *const version_names[] = { "V1", "V2", NULL };

struct address {
	uint8_t bytes[4];
};

struct mmds_body {
	uint32_t version; /* of version_names */
	struct fc_ids ids;
	struct address address;
	bool has_imds_compat;
};

int fc_ids_read(const struct json_node *node, void *out, struct err *e)
{
	struct fc_ids *ids = out;
	const int nr = json_read_list(node, ARRAY_LEN(ids->ids), e);

	for (int i = 0; i < nr; i++) {
		const struct json_node item = json_item(node, (size_t)i);

		if (json_read_value(&item, JSON_FIELD_TEXT, NULL, &ids->ids[i], e) < 0)
			return -EBADMSG;
	}
	ids->nr = nr > 0 ? (size_t)nr : 0;
	return nr < 0 ? nr : 0;
}

static int address_read(const struct json_node *node, void *out, struct err *e)
{
	const char *text = NULL;

	if (json_read_value(node, JSON_FIELD_TEXT, NULL, &text, e) < 0)
		return -EBADMSG;
	if (inet_pton(AF_INET, text, out) != 1)
		return json_refuse(node, e, "invalid IPv4 address syntax");
	return 0;
}

static const struct json_field mmds_fields[] = {
	{ "version", JSON_FIELD_WORD, false, offsetof(struct mmds_body, version), version_names,
	  NULL },
	{ "network_interfaces", JSON_FIELD_CUSTOM, true, offsetof(struct mmds_body, ids), NULL,
	  fc_ids_read },
	{ "ipv4_address", JSON_FIELD_CUSTOM, false, offsetof(struct mmds_body, address), NULL,
	  address_read },
	{ "imds_compat", JSON_FIELD_BOOL, false, offsetof(struct mmds_body, has_imds_compat), NULL,
	  NULL },
};

static const struct json_shape mmds_shape = { "MmdsConfig", mmds_fields, ARRAY_LEN(mmds_fields),
					      false, false };

/* RFC 3927, section 2.1: all of 169.254/16 but its first and last 256 addresses. */
bool fc_is_link_local(const uint8_t address[static 4])
{
	return address[0] == 169 && address[1] == 254 && address[2] != 0 && address[2] != 255;
}

int fc_mmds_set(struct settings *s, const struct fc_ids *ids, struct err *e)
{
	struct mmds_value *mmds = &s->mmds;
	char *copies[SETTINGS_MAX_NETS] = { NULL };
	int r = 0;

	if (ids->nr == 0)
		return err_set(e, FC_REFUSED,
			       "The list of network interface IDs that allow forwarding MMDS "
			       "requests is empty.");
	for (size_t i = 0; i < ids->nr; i++) {
		if (!settings_find_net(s, ids->ids[i]))
			return err_set(e, FC_REFUSED,
				       "The list of network interface IDs provided contains at "
				       "least one ID that does not correspond to any existing "
				       "network interface.");
	}
	for (size_t i = 0; r == 0 && i < ids->nr; i++)
		r = settings_set_text(&copies[i], ids->ids[i], e);
	for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
		char *unused = copies[i];

		if (r == 0) {
			unused = mmds->net_ids[i];
			mmds->net_ids[i] = copies[i];
		}
		free(unused);
	}
	if (r == 0)
		mmds->nr_net_ids = ids->nr;
	return r;
}

int fc_mmds_put(struct fc_request *r, struct err *e)
{
	struct mmds_body b = { .address = { { 169, 254, 169, 254 } } };
	struct mmds_value *mmds = &r->settings->mmds;
	int err = json_read(&r->body, &mmds_shape, &b, NULL, e);

	if (err == 0 && b.ids.nr > 0 && !fc_is_link_local(b.address.bytes))
		err = err_set(e, FC_REFUSED, "The MMDS IPv4 address is not link local.");
	if (err == 0)
		err = fc_mmds_set(r->settings, &b.ids, e);
	if (err < 0)
		return err;
	mmds->is_present = true;
	mmds->is_v2 = b.version == 1;
	mmds->has_imds_compat = b.has_imds_compat;
	memcpy(mmds->ipv4, b.address.bytes, sizeof(mmds->ipv4));
	r->is_deprecated |= !mmds->is_v2;
	return 0;
}

json_t *fc_mmds_get(const struct settings *s)
{
	const struct mmds_value *mmds = &s->mmds;
	char address[INET_ADDRSTRLEN] = "";
	json_t *ids;

	if (!mmds->is_present)
		return json_null();
	ids = json_array();
	for (size_t i = 0; i < mmds->nr_net_ids; i++)
		json_array_append_new(ids, json_text_new(mmds->net_ids[i]));
	inet_ntop(AF_INET, mmds->ipv4, address, sizeof(address));
	return json_pack("{s:s, s:o, s:s, s:b}", "version", version_names[mmds->is_v2],
			 "network_interfaces", ids, "ipv4_address", address, "imds_compat",
			 (int)mmds->has_imds_compat);
}
