/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's /vsock, /balloon, /entropy and /hotplug/memory: see fc.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "control/json/fc_parts.h"
#include "control/values.h"

enum {
	CID_MIN = 3, /* virtio 1.2, 5.10.4: 0 to 2 are reserved */
	BLOCK_MIN_MIB = 2,
	SLOT_MIN_MIB = 128,
};

struct vsock_body {
	const char *id;
	uint32_t guest_cid;
	const char *uds_path;
};

enum { HAS_VSOCK_ID, HAS_CID, HAS_UDS };

static const struct json_field vsock_fields[] = {
	[HAS_VSOCK_ID] = { "vsock_id", JSON_FIELD_TEXT, false, offsetof(struct vsock_body, id),
			   NULL, NULL },
	[HAS_CID] = { "guest_cid", JSON_FIELD_U32, true, offsetof(struct vsock_body, guest_cid),
		      NULL, NULL },
	[HAS_UDS] = { "uds_path", JSON_FIELD_TEXT, true, offsetof(struct vsock_body, uds_path),
		      NULL, NULL },
};

static const struct json_shape vsock_shape = { "VsockDeviceConfig", vsock_fields,
					       ARRAY_LEN(vsock_fields), false, false };

int fc_vsock_set(struct settings *s, uint32_t guest_cid, const char *uds_path, struct err *e)
{
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	int r;

	if (guest_cid < CID_MIN || guest_cid == UINT32_MAX)
		return err_set(e, FC_REFUSED,
			       "The guest CID is %" PRIu32 "; it must be from %d to %" PRIu32 ".",
			       guest_cid, CID_MIN, UINT32_MAX - 1);
	if (*uds_path == '\0' || strlen(uds_path) > max)
		return err_set(e, FC_REFUSED,
			       "The path of the socket has %zu bytes; it must have 1 to %zu.",
			       strlen(uds_path), max);
	r = settings_set_text(&s->vsock.uds_path, uds_path, e);
	if (r == 0)
		s->vsock.guest_cid = guest_cid;
	return r;
}

int fc_vsock_put(struct fc_request *r, struct err *e)
{
	struct vsock_body b = { 0 };
	uint64_t given = 0;
	int err = json_read(&r->body, &vsock_shape, &b, &given, e);

	if (err == 0)
		err = fc_vsock_set(r->settings, b.guest_cid, b.uds_path, e);
	if (err == 0 && given & 1u << HAS_VSOCK_ID)
		r->is_deprecated = true;
	return err;
}

json_t *fc_vsock_get(const struct settings *s)
{
	if (s->vsock.guest_cid == 0)
		return json_null();
	return json_pack("{s:I, s:o}", "guest_cid", (json_int_t)s->vsock.guest_cid, "uds_path",
			 json_text_new(s->vsock.uds_path));
}

static const struct json_field balloon_fields[] = {
	{ "amount_mib", JSON_FIELD_U32, true, offsetof(struct balloon_value, amount_mib), NULL,
	  NULL },
	{ "deflate_on_oom", JSON_FIELD_BOOL, true,
	  offsetof(struct balloon_value, has_deflate_on_oom), NULL, NULL },
	{ "stats_polling_interval_s", JSON_FIELD_U16, false,
	  offsetof(struct balloon_value, stats_interval_s), NULL, NULL },
	{ "free_page_hinting", JSON_FIELD_BOOL, false, offsetof(struct balloon_value, has_hinting),
	  NULL, NULL },
	{ "free_page_reporting", JSON_FIELD_BOOL, false,
	  offsetof(struct balloon_value, has_reporting), NULL, NULL },
};

static const struct json_shape balloon_shape = { "BalloonDeviceConfig", balloon_fields,
						 ARRAY_LEN(balloon_fields), false, false };

int fc_balloon_check(const struct settings *s, uint64_t amount_mib, struct err *e)
{
	if (amount_mib > s->memory_bytes / MIB)
		return err_set(e, FC_REFUSED, "Amount of pages requested is too large.");
	return 0;
}

int fc_balloon_put(struct fc_request *r, struct err *e)
{
	struct balloon_value balloon = { .is_present = true };
	int err = json_read(&r->body, &balloon_shape, &balloon, NULL, e);

	if (err == 0)
		err = fc_balloon_check(r->settings, balloon.amount_mib, e);
	if (err == 0)
		r->settings->balloon = balloon;
	return err;
}

static int check_balloon(const struct settings *s, struct err *e)
{
	if (!s->balloon.is_present)
		return err_set(e, FC_REFUSED, "No balloon device found.");
	return 0;
}

int fc_balloon_patch(struct fc_request *r, struct err *e)
{
	static const struct json_shape shape = { "BalloonUpdateConfig", balloon_fields, 1, false,
						 false };
	struct balloon_value balloon = r->settings->balloon;
	int err = json_read(&r->body, &shape, &balloon, NULL, e);

	if (err == 0)
		err = check_balloon(r->settings, e);
	if (err == 0)
		err = fc_balloon_check(r->settings, balloon.amount_mib, e);
	if (err == 0)
		r->settings->balloon = balloon;
	return err;
}

int fc_balloon_stats_patch(struct fc_request *r, struct err *e)
{
	static const struct json_field field = {
		"stats_polling_interval_s", JSON_FIELD_U16, true, 0, NULL, NULL
	};
	static const struct json_shape shape = { "BalloonUpdateStatsConfig", &field, 1, false,
						 false };
	struct balloon_value *balloon = &r->settings->balloon;
	uint16_t interval_s = 0;
	int err = json_read(&r->body, &shape, &interval_s, NULL, e);

	if (err == 0)
		err = check_balloon(r->settings, e);
	if (err < 0)
		return err;
	if ((interval_s == 0) != (balloon->stats_interval_s == 0))
		return err_set(e, FC_REFUSED, "Cannot enable/disable the statistics after boot.");
	balloon->stats_interval_s = interval_s;
	return 0;
}

json_t *fc_balloon_get(const struct settings *s)
{
	const struct balloon_value *b = &s->balloon;

	return json_pack("{s:I, s:b, s:I, s:b, s:b}", "amount_mib", (json_int_t)b->amount_mib,
			 "deflate_on_oom", (int)b->has_deflate_on_oom, "stats_polling_interval_s",
			 (json_int_t)b->stats_interval_s, "free_page_hinting", (int)b->has_hinting,
			 "free_page_reporting", (int)b->has_reporting);
}

int fc_hinting_start(const struct fc_request *r, bool *acknowledges, struct err *e)
{
	static const struct json_field field = {
		"acknowledge_on_stop", JSON_FIELD_BOOL, false, 0, NULL, NULL
	};
	static const struct json_shape shape = { "StartHintingCmd", &field, 1, false, false };

	*acknowledges = true;
	return json_is_absent(&r->body) ? 0 : json_read(&r->body, &shape, acknowledges, NULL, e);
}

static const struct json_field entropy_fields[] = {
	{ "rate_limiter", JSON_FIELD_CUSTOM, false, offsetof(struct entropy_value, limit), NULL,
	  fc_limit_read },
};

static const struct json_shape entropy_shape = { "EntropyDeviceConfig", entropy_fields,
						 ARRAY_LEN(entropy_fields), false, false };

int fc_entropy_put(struct fc_request *r, struct err *e)
{
	struct entropy_value entropy = { .is_present = true };
	const int err = json_read(&r->body, &entropy_shape, &entropy, NULL, e);

	if (err == 0)
		r->settings->entropy = entropy;
	return err;
}

json_t *fc_entropy_get(const struct settings *s)
{
	if (!s->entropy.is_present)
		return json_null();
	return json_pack("{s:o}", "rate_limiter", fc_limit_get(&s->entropy.limit));
}

static const struct json_field memory_fields[] = {
	{ "total_size_mib", JSON_FIELD_USIZE, true, offsetof(struct fc_memory, total_mib), NULL,
	  NULL },
	{ "block_size_mib", JSON_FIELD_USIZE, false, offsetof(struct fc_memory, block_mib), NULL,
	  NULL },
	{ "slot_size_mib", JSON_FIELD_USIZE, false, offsetof(struct fc_memory, slot_mib), NULL,
	  NULL },
};

static const struct json_shape memory_shape = { "MemoryHotplugConfig", memory_fields,
						ARRAY_LEN(memory_fields), false, false };

static int check_memory(const struct fc_memory *m, struct err *e)
{
	const uint64_t max_mib = VALUE_MEMORY_MAX_BYTES / MIB;

	if (m->block_mib < BLOCK_MIN_MIB)
		return err_set(e, FC_REFUSED, "Block size must not be lower than %d MiB",
			       BLOCK_MIN_MIB);
	if ((m->block_mib & (m->block_mib - 1)) != 0)
		return err_set(e, FC_REFUSED, "Block size must be a power of 2");
	if (m->slot_mib < SLOT_MIN_MIB)
		return err_set(e, FC_REFUSED, "Slot size must not be lower than %d MiB",
			       SLOT_MIN_MIB);
	if (m->slot_mib % m->block_mib != 0)
		return err_set(e, FC_REFUSED,
			       "Slot size must be a multiple of block size (%" PRIu64 " MiB)",
			       m->block_mib);
	if (m->total_mib < m->slot_mib)
		return err_set(e, FC_REFUSED,
			       "Total size must not be lower than slot size (%" PRIu64 " MiB)",
			       m->slot_mib);
	if (m->total_mib % m->slot_mib != 0)
		return err_set(e, FC_REFUSED,
			       "Total size must be a multiple of slot size (%" PRIu64 " MiB)",
			       m->slot_mib);
	if (m->total_mib > max_mib)
		return err_set(e, FC_REFUSED, "Total size must not be higher than %" PRIu64 " MiB",
			       max_mib);
	return 0;
}

int fc_memory_set(struct settings *s, const struct fc_memory *m, struct err *e)
{
	const int r = check_memory(m, e);

	if (r < 0)
		return r;
	s->memory_hotplug = (struct memory_hotplug_value){
		.total_mib = (uint32_t)m->total_mib,
		.block_mib = (uint32_t)m->block_mib,
		.slot_mib = (uint32_t)m->slot_mib,
	};
	return 0;
}

int fc_memory_put(struct fc_request *r, struct err *e)
{
	struct fc_memory m = { .block_mib = BLOCK_MIN_MIB, .slot_mib = SLOT_MIN_MIB };
	const int err = json_read(&r->body, &memory_shape, &m, NULL, e);

	return err < 0 ? err : fc_memory_set(r->settings, &m, e);
}

int fc_memory_patch(const struct fc_request *r, uint32_t *requested_mib, struct err *e)
{
	static const struct json_field field = {
		"requested_size_mib", JSON_FIELD_USIZE, true, 0, NULL, NULL
	};
	static const struct json_shape shape = { "MemoryHotplugSizeUpdate", &field, 1, false,
						 false };
	const struct memory_hotplug_value *now = &r->settings->memory_hotplug;
	uint64_t requested = 0;
	const int err = json_read(&r->body, &shape, &requested, NULL, e);

	if (err < 0)
		return err;
	if (now->total_mib == 0)
		return err_set(e, FC_REFUSED, "No memory hotplug device found.");
	if (requested > now->total_mib || requested % now->block_mib != 0)
		return err_set(e, FC_REFUSED,
			       "Requested size must be a multiple of block size (%" PRIu32
			       " MiB) and not be higher than total size (%" PRIu32 " MiB)",
			       now->block_mib, now->total_mib);
	*requested_mib = (uint32_t)requested;
	return 0;
}

json_t *fc_memory_config_get(const struct settings *s)
{
	const struct memory_hotplug_value *m = &s->memory_hotplug;

	if (m->total_mib == 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "total_size_mib", (json_int_t)m->total_mib,
			 "block_size_mib", (json_int_t)m->block_mib, "slot_size_mib",
			 (json_int_t)m->slot_mib);
}

json_t *fc_memory_get(const struct settings *s, uint32_t plugged_mib, uint32_t requested_mib)
{
	const struct memory_hotplug_value *m = &s->memory_hotplug;

	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "total_size_mib", (json_int_t)m->total_mib,
			 "block_size_mib", (json_int_t)m->block_mib, "slot_size_mib",
			 (json_int_t)m->slot_mib, "plugged_size_mib", (json_int_t)plugged_mib,
			 "requested_size_mib", (json_int_t)requested_mib);
}
