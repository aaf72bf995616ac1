/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of Volt's configuration form share: see config_file.h and docs/configuration.md.
 * Readers are for .read of JSON_FIELD_CUSTOM; a value that is refused gives -EINVAL, with its place
 * in the message.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "control/json/json.h"
#include "control/settings.h"

enum { VOLT_FORM_VERSION = 1 };

/* The words for enum hugepages and so on; NULL at the end. */
extern const char *const volt_hugepages_names[];
extern const char *const volt_boot_protocol_names[];
extern const char *const volt_kernel_decompress_names[];
extern const char *const volt_log_level_names[];
extern const char *const volt_log_format_names[];

/* The name of a member. */
const char *volt_key(const struct json_node *member);

/* A copy of the path in a char *. */
int volt_path_read(const struct json_node *node, void *out, struct err *e);

/* A limit, "10M:100", in a struct token_bucket_config: of bytes, or of operations. */
int volt_bytes_read(const struct json_node *node, void *out, struct err *e);
int volt_ops_read(const struct json_node *node, void *out, struct err *e);

/* A size of whole MiB, "64M" or bytes, in a uint32_t. */
int volt_mib_read(const struct json_node *node, void *out, struct err *e);

/* The sections of devices, in an order in which each finds what it refers to. */
int volt_devices_read(const struct json_node *body, struct settings *s, struct err *e);
int volt_drives_read(const struct json_node *body, struct settings *s, struct err *e);

/* Adds the members of the sections to @json. 0 or -ENOMEM. */
int volt_devices_put(json_t *json, const struct settings *s);

/* Sets a member, unless @value is null (which is dropped); NULL is lack of memory. 0 or -ENOMEM. */
int volt_put(json_t *json, const char *key, json_t *value);

/* "1048576:1000:64"; null without a limit. */
json_t *volt_bucket_new(const struct token_bucket_config *bucket);
