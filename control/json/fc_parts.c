/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limiters, ids and prefixes of Firecracker's API: see fc_parts.h. */
#include "control/json/fc_parts.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static const struct json_field bucket_fields[] = {
	{ "size", JSON_FIELD_U64, true, offsetof(struct token_bucket_config, size), NULL, NULL },
	{ "one_time_burst", JSON_FIELD_U64, false,
	  offsetof(struct token_bucket_config, one_time_burst), NULL, NULL },
	{ "refill_time", JSON_FIELD_U64, true, offsetof(struct token_bucket_config, refill_ms),
	  NULL, NULL },
};

static const struct json_shape bucket_shape = {
	.name = "TokenBucketConfig",
	.fields = bucket_fields,
	.nr = ARRAY_LEN(bucket_fields),
	.allows_unknown = true,
};

int fc_bucket_read(const struct json_node *node, void *out, struct err *e)
{
	struct token_bucket_config bucket = { 0 };
	const int r = json_read(node, &bucket_shape, &bucket, NULL, e);

	if (r < 0)
		return r;
	/* Either of them as 0 means no limit. */
	if (bucket.size == 0 || bucket.refill_ms == 0)
		bucket = (struct token_bucket_config){ 0 };
	memcpy(out, &bucket, sizeof(bucket));
	return 0;
}

enum { LIMIT_BANDWIDTH, LIMIT_OPS };

static const struct json_field limit_fields[] = {
	[LIMIT_BANDWIDTH] = { "bandwidth", JSON_FIELD_CUSTOM, false,
			      offsetof(struct rate_limiter_config, bandwidth), NULL,
			      fc_bucket_read },
	[LIMIT_OPS] = { "ops", JSON_FIELD_CUSTOM, false, offsetof(struct rate_limiter_config, ops),
			NULL, fc_bucket_read },
};

static const struct json_shape limit_shape = {
	.name = "RateLimiterConfig",
	.fields = limit_fields,
	.nr = ARRAY_LEN(limit_fields),
};

int fc_limit_read(const struct json_node *node, void *out, struct err *e)
{
	struct rate_limiter_config limit = { 0 };
	const int r = json_read(node, &limit_shape, &limit, NULL, e);

	if (r < 0)
		return r;
	memcpy(out, &limit, sizeof(limit));
	return 0;
}

int fc_limit_patch_read(const struct json_node *node, void *out, struct err *e)
{
	struct fc_limit_patch patch = { 0 };
	uint64_t given = 0;
	const int r = json_read(node, &limit_shape, &patch.limit, &given, e);

	if (r < 0)
		return r;
	patch.has_bandwidth = given & 1u << LIMIT_BANDWIDTH;
	patch.has_ops = given & 1u << LIMIT_OPS;
	memcpy(out, &patch, sizeof(patch));
	return 0;
}

/* Numbers above 2^63-1, which jansson cannot hold, are shown as the largest that it can. */
static json_t *number_get(uint64_t number)
{
	return json_integer((json_int_t)min_u64(number, INT64_MAX));
}

json_t *fc_bucket_get(const struct token_bucket_config *bucket)
{
	if (bucket->size == 0)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "size", number_get(bucket->size), "one_time_burst",
			 bucket->one_time_burst > 0 ? number_get(bucket->one_time_burst)
						    : json_null(),
			 "refill_time", number_get(bucket->refill_ms));
}

json_t *fc_limit_get(const struct rate_limiter_config *limit)
{
	if (limit->bandwidth.size == 0 && limit->ops.size == 0)
		return json_null();
	return json_pack("{s:o, s:o}", "bandwidth", fc_bucket_get(&limit->bandwidth), "ops",
			 fc_bucket_get(&limit->ops));
}

int fc_refuse_errno(struct err *e, const char *message, const char *path)
{
	const int number = errno;

	if (path)
		return err_set(e, FC_REFUSED, "%s: %m (os error %d) %s", message, number,
			       quote(path).text);
	return err_set(e, FC_REFUSED, "%s: %m (os error %d)", message, number);
}

int fc_match_id(const struct fc_request *r, const char *body_id, struct err *e)
{
	if (!r->path_id || strcmp(r->path_id, body_id) == 0)
		return 0;
	return err_set(e, -EBADR, "The id from the path does not match the id from the body!");
}

int fc_check_id(const char *id, struct err *e)
{
	const size_t len = strlen(id);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)id[i] < 0x20 || id[i] == 0x7f)
			return err_set(e, FC_REFUSED, "The id %s holds a control character.",
				       quote(id).text);
	}
	if (len == 0)
		return err_set(e, FC_REFUSED, "The ID cannot be empty.");
	if (len >= WIRE_ID_BYTES)
		return err_set(e, FC_REFUSED, "The id %s is longer than %d bytes.", quote(id).text,
			       WIRE_ID_BYTES - 1);
	return 0;
}

struct fc_shown fc_shown(const char *text)
{
	const struct quoted q = quote(text);
	struct fc_shown shown = { .text = "" };

	memcpy(shown.text, q.text + 1, strlen(q.text) - 2);
	return shown;
}

static int hex_digit(char ch)
{
	const char *digits = "0123456789abcdef";
	const char *at = ch ? strchr(digits, ch >= 'A' && ch <= 'F' ? ch + 32 : ch) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool fc_mac_parse(const char *text, uint8_t mac[static SETTINGS_MAC_BYTES])
{
	for (size_t i = 0; i < SETTINGS_MAC_BYTES; i++) {
		const int high = hex_digit(text[0]);
		const int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || text[2] != (i + 1 < SETTINGS_MAC_BYTES ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
		text += 3;
	}
	return true;
}

const char *fc_mac_print(const uint8_t mac[static SETTINGS_MAC_BYTES],
			 char text[static FC_MAC_BYTES])
{
	snprintf(text, FC_MAC_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return text;
}

const char *fc_prefix(fc_change *change)
{
	static const struct {
		fc_change *change;
		const char *prefix;
	} table[] = {
		{ fc_machine_put, "Machine config error: " },
		{ fc_machine_patch, "Machine config error: " },
		{ fc_boot_put, "Boot source error: " },
		{ fc_cpu_put, "Configure CPU error: " },
		{ fc_drive_put, "Drive config error: " },
		{ fc_net_put, "Network config error: " },
		{ fc_pmem_put, "Pmem config error: " },
		{ fc_vsock_put, "Vsock config error: " },
		{ fc_balloon_put, "Balloon config error: " },
		{ fc_balloon_patch, "Balloon update error: " },
		{ fc_balloon_stats_patch, "Balloon update error: " },
		{ fc_entropy_put, "Entropy config error: " },
		{ fc_serial_put, "Serial config error: " },
		{ fc_memory_put, "Memory hotplug config error: " },
		{ fc_logger_put, "Logger error: " },
		{ fc_metrics_put, "Metrics error: " },
		{ fc_mmds_put, "MMMDS config error: " }, /* sic */
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].change == change)
			return table[i].prefix;
	}
	return "";
}
