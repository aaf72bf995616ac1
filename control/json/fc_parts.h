/* SPDX-License-Identifier: Apache-2.0 */
/* What several resources of Firecracker's API are made of: see fc.h. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/quote.h"
#include "control/json/fc.h"

/* The code of refusals with a prefix of the resource. */
enum { FC_REFUSED = -EINVAL };

/* For .read of JSON_FIELD_CUSTOM: struct rate_limiter_config, or fc_limit_patch, or one bucket. */
int fc_limit_read(const struct json_node *node, void *out, struct err *e);
int fc_limit_patch_read(const struct json_node *node, void *out, struct err *e);
int fc_bucket_read(const struct json_node *node, void *out, struct err *e);

/* As Firecracker prints them; null where there is no limit. */
json_t *fc_limit_get(const struct rate_limiter_config *limit);
json_t *fc_bucket_get(const struct token_bucket_config *bucket);

/* "MESSAGE: No such file or directory (os error 2)" for errno as it is. Returns FC_REFUSED. */
int fc_refuse_errno(struct err *e, const char *message, const char *path);

/* -EBADR when the id of the URI is another than @body_id. */
int fc_match_id(const struct fc_request *r, const char *body_id, struct err *e);

/* An id of 1 to 64 bytes without control characters, or FC_REFUSED. */
int fc_check_id(const char *id, struct err *e);

/* Foreign text in a message: on one line, of bounded length, without quotes. */
struct fc_shown {
	char text[QUOTE_BYTES];
};

struct fc_shown fc_shown(const char *text);

enum { FC_MAC_BYTES = 18 }; /* "aa:bb:cc:dd:ee:ff" */

/* Whether @text is six bytes in hexadecimal with colons between them. */
bool fc_mac_parse(const char *text, uint8_t mac[static SETTINGS_MAC_BYTES]);

/* Writes it to @text, and returns that. */
const char *fc_mac_print(const uint8_t mac[static SETTINGS_MAC_BYTES],
			 char text[static FC_MAC_BYTES]);

/* Whether Linux takes it for an interface (dev_valid_name()). */
bool fc_is_host_dev_name(const char *name);

enum { FC_PARTUUID_MAX = 64 };

/* Whether @text may follow root=PARTUUID= on a kernel command line. */
bool fc_is_partuuid(const char *text);

bool fc_is_link_local(const uint8_t address[static 4]);

/* The ids of interfaces that may reach the metadata service; borrowed from the document. */
struct fc_ids {
	const char *ids[SETTINGS_MAX_NETS];
	size_t nr;
};

/* For .read of JSON_FIELD_CUSTOM. */
int fc_ids_read(const struct json_node *node, void *out, struct err *e);

/* Puts copies into the settings, or FC_REFUSED for an id that no interface has. */
int fc_mmds_set(struct settings *s, const struct fc_ids *ids, struct err *e);

/* Checked and put into the settings, or FC_REFUSED. */
int fc_vsock_set(struct settings *s, uint32_t guest_cid, const char *uds_path, struct err *e);
int fc_balloon_check(const struct settings *s, uint64_t amount_mib, struct err *e);

struct fc_memory {
	uint64_t total_mib;
	uint64_t block_mib;
	uint64_t slot_mib;
};

int fc_memory_set(struct settings *s, const struct fc_memory *m, struct err *e);

/* A map of strings, for .read of JSON_FIELD_CUSTOM: fills a json_t *, borrowed from the document. */
int fc_properties_read(const struct json_node *node, void *out, struct err *e);

/* @properties may be NULL. */
int fc_metrics_set(struct settings *s, const char *path, json_t *properties, struct err *e);

/* The sections of GET /vm/config. */
json_t *fc_boot_get(const struct settings *s);
json_t *fc_cpu_get(const struct settings *s);
json_t *fc_drives_get(const struct settings *s);
json_t *fc_nets_get(const struct settings *s);
json_t *fc_pmems_get(const struct settings *s);
json_t *fc_vsock_get(const struct settings *s);
json_t *fc_entropy_get(const struct settings *s);
json_t *fc_logger_get(const struct settings *s);
json_t *fc_metrics_get(const struct settings *s);
json_t *fc_mmds_get(const struct settings *s);
json_t *fc_memory_config_get(const struct settings *s);

/* A template as JSON. */
json_t *fc_template_get(const struct cpu_template *t);
