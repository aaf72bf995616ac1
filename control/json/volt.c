/* SPDX-License-Identifier: Apache-2.0 */
/* Volt's configuration form: the machine and what it boots: see config_file.h. */
#include "control/json/volt.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/quote.h"
#include "control/cpu_template.h"
#include "control/json/config_file.h"
#include "control/json/fc_parts.h"
#include "control/values.h"

enum { NUMBER_BYTES = 24 };

/* JSON_FIELD_WORD writes 32 bits. */
static_assert(sizeof(enum hugepages) == sizeof(uint32_t), "enums are read as words");
static_assert(sizeof(enum boot_protocol) == sizeof(uint32_t), "enums are read as words");
static_assert(sizeof(enum kernel_decompress) == sizeof(uint32_t), "enums are read as words");

const char *const volt_hugepages_names[] = {
	[HUGEPAGES_AUTO] = "auto",
	[HUGEPAGES_OFF] = "off",
	[HUGEPAGES_THP] = "thp",
	[HUGEPAGES_2M] = "2m",
	NULL,
};

const char *const volt_boot_protocol_names[] = {
	[BOOT_PROTOCOL_AUTO] = "auto",
	[BOOT_PROTOCOL_PVH] = "pvh",
	[BOOT_PROTOCOL_LINUX64] = "linux64",
	NULL,
};

const char *const volt_kernel_decompress_names[] = {
	[KERNEL_DECOMPRESS_AUTO] = "auto",
	[KERNEL_DECOMPRESS_GUEST] = "guest",
	[KERNEL_DECOMPRESS_HOST] = "host",
	NULL,
};

const char *volt_key(const struct json_node *member)
{
	size_t at = 0;
	const char *name;
	json_t *value;

	if (!member->parent || !json_is_object(member->parent->value))
		return "value";
	json_object_foreach(member->parent->value, name, value)
	{
		if (at++ == member->at)
			return name;
	}
	return "value";
}

int volt_path_read(const struct json_node *node, void *out, struct err *e)
{
	const char *text = NULL;
	int r = json_read_value(node, JSON_FIELD_TEXT, NULL, &text, e);

	if (r < 0)
		return r;
	r = value_path(volt_key(node), text, e);
	return r < 0 ? json_blame(node, r, e) : settings_set_text(out, text, e);
}

static int cmdline_read(const struct json_node *node, void *out, struct err *e)
{
	const char *text = NULL;
	int r = json_read_value(node, JSON_FIELD_TEXT, NULL, &text, e);

	if (r < 0)
		return r;
	r = value_cmdline(volt_key(node), text, e);
	return r < 0 ? json_blame(node, r, e) : settings_set_text(out, text, e);
}

/* A number as the text that the command line would have, or text as it is. */
static int scalar_read(const struct json_node *node, const char *unit, char number[NUMBER_BYTES],
		       const char **text, struct err *e)
{
	uint64_t value = 0;
	int r;

	*text = number;
	if (json_is_string(node->value))
		return json_read_value(node, JSON_FIELD_TEXT, NULL, text, e);
	if (!json_is_number(node->value))
		return json_refuse_type(node, "a number or a string", e);
	r = json_read_value(node, JSON_FIELD_U64, NULL, &value, e);
	snprintf(number, NUMBER_BYTES, "%" PRIu64 "%s", value, unit);
	return r;
}

static int memory_read(const struct json_node *node, void *out, struct err *e)
{
	char number[NUMBER_BYTES];
	const char *text = NULL;
	int r = scalar_read(node, "B", number, &text, e);

	if (r < 0)
		return r;
	r = value_memory(volt_key(node), text, out, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

int volt_mib_read(const struct json_node *node, void *out, struct err *e)
{
	char number[NUMBER_BYTES];
	const char *text = NULL;
	uint64_t bytes;
	uint32_t mib;
	const int r = scalar_read(node, "", number, &text, e);

	if (r < 0)
		return r;
	if (parse_size(text, &bytes) < 0 || bytes % MIB != 0 || bytes / MIB > UINT32_MAX) {
		err_set(e, -EINVAL, "%s %s: give a size of whole MiB, for example 64M",
			volt_key(node), quote(text).text);
		return json_blame(node, -EINVAL, e);
	}
	mib = (uint32_t)(bytes / MIB);
	memcpy(out, &mib, sizeof(mib));
	return 0;
}

static int bucket_read(const struct json_node *node, bool is_bytes, void *out, struct err *e)
{
	char number[NUMBER_BYTES];
	const char *text = NULL;
	const int r = scalar_read(node, "", number, &text, e);

	if (r < 0)
		return r;
	if (drive_value_bucket(text, is_bytes, out) < 0) {
		err_set(e, -EINVAL, "%s %s: give SIZE[:REFILL_MS[:BURST]], each above 0",
			volt_key(node), quote(text).text);
		return json_blame(node, -EINVAL, e);
	}
	return 0;
}

int volt_bytes_read(const struct json_node *node, void *out, struct err *e)
{
	return bucket_read(node, true, out, e);
}

int volt_ops_read(const struct json_node *node, void *out, struct err *e)
{
	return bucket_read(node, false, out, e);
}

static int version_read(const struct json_node *node, void *out, struct err *e)
{
	uint32_t version = 0;
	const int r = json_read_value(node, JSON_FIELD_U32, NULL, &version, e);

	(void)out;
	if (r == 0 && version != VOLT_FORM_VERSION)
		return json_refuse(node, e, "version %" PRIu32 " is not known; write %d", version,
				   VOLT_FORM_VERSION);
	return r;
}

static int cpus_read(const struct json_node *node, void *out, struct err *e)
{
	char number[NUMBER_BYTES];
	uint32_t cpus = 0;
	uint64_t count = 0;
	int r = json_read_value(node, JSON_FIELD_U32, NULL, &cpus, e);

	if (r < 0)
		return r;
	snprintf(number, sizeof(number), "%" PRIu32, cpus);
	r = value_number(volt_key(node), number, 1, VALUE_CPUS_MAX, &count, e);
	memcpy(out, &cpus, sizeof(cpus));
	return r < 0 ? json_blame(node, r, e) : 0;
}

/* Below, @out is all of the settings. */

static int affinity_read(const struct json_node *node, void *out, struct err *e)
{
	struct settings *s = out;
	const char *text = NULL;
	int r = json_read_value(node, JSON_FIELD_TEXT, NULL, &text, e);

	if (r < 0)
		return r;
	r = value_cpu_list(volt_key(node), text, s->affinity, ARRAY_LEN(s->affinity), e);
	if (r < 0)
		return json_blame(node, r, e);
	s->nr_affinity = (uint32_t)r;
	return 0;
}

static int layers_read(const struct json_node *node, void *out, struct err *e)
{
	const char *text = NULL;
	int r = json_read_value(node, JSON_FIELD_TEXT, NULL, &text, e);

	if (r < 0)
		return r;
	r = value_layers(volt_key(node), text, out, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

static int template_read(const struct json_node *node, void *out, struct err *e)
{
	struct fc_request request = { .settings = out, .body = *node };
	struct settings *s = out;

	if (json_is_object(node->value))
		return fc_cpu_put(&request, e);
	return volt_path_read(node, &s->cpu_template, e);
}

static int console_read(const struct json_node *node, void *out, struct err *e)
{
	struct settings *s = out;
	const char *text = NULL;
	int r = json_read_value(node, JSON_FIELD_TEXT, NULL, &text, e);

	if (r < 0)
		return r;
	r = value_console(volt_key(node), text, &s->console, e);
	return r < 0 ? json_blame(node, r, e) : 0;
}

#define PLAIN(name, kind, member)                                                \
	{                                                                        \
		name, kind, false, offsetof(struct settings, member), NULL, NULL \
	}
#define WORDS(name, member, words)                                                           \
	{                                                                                    \
		name, JSON_FIELD_WORD, false, offsetof(struct settings, member), words, NULL \
	}
#define READ(name, member, read)                                                              \
	{                                                                                     \
		name, JSON_FIELD_CUSTOM, false, offsetof(struct settings, member), NULL, read \
	}
#define READ_ALL(name, read)                                  \
	{                                                     \
		name, JSON_FIELD_CUSTOM, false, 0, NULL, read \
	}
#define SECTION(name)                                          \
	{                                                      \
		name, JSON_FIELD_IGNORED, false, 0, NULL, NULL \
	}

static const struct json_field fields[] = {
	{ "version", JSON_FIELD_CUSTOM, true, 0, NULL, version_read },
	READ("memory", memory_bytes, memory_read),
	READ("cpus", cpu_count, cpus_read),
	PLAIN("smt", JSON_FIELD_BOOL, has_smt),
	READ_ALL("cpu_template", template_read),
	READ_ALL("cpu_affinity", affinity_read),
	WORDS("hugepages", hugepages, volt_hugepages_names),
	PLAIN("prefault", JSON_FIELD_BOOL, has_prefault),
	PLAIN("memory_shared", JSON_FIELD_BOOL, is_memory_shared),
	PLAIN("track_dirty_pages", JSON_FIELD_BOOL, has_dirty_log),
	PLAIN("pit", JSON_FIELD_BOOL, has_pit),
	PLAIN("acpi", JSON_FIELD_BOOL, has_acpi),
	READ("kernel", kernel_path, volt_path_read),
	READ("initrd", initrd_path, volt_path_read),
	READ("cmdline", cmdline, cmdline_read),
	READ("cmdline_append", cmdline_append, cmdline_read),
	PLAIN("cmdline_root", JSON_FIELD_BOOL, has_root_appended),
	WORDS("boot_protocol", boot_protocol, volt_boot_protocol_names),
	WORDS("kernel_decompress", kernel_decompress, volt_kernel_decompress_names),
	READ_ALL("console", console_read),
	READ("console_bw", console.limit, volt_bytes_read),
	READ("sandbox_allow_missing", allowed_missing, layers_read),
	PLAIN("core_scheduling", JSON_FIELD_BOOL, is_alone_on_core),
	PLAIN("memory_lock", JSON_FIELD_BOOL, is_memory_locked),
	READ("seccomp_filter", seccomp_path, volt_path_read),
	SECTION("rootfs"),
	SECTION("drives"),
	SECTION("networks"),
	SECTION("pmems"),
	SECTION("vsock"),
	SECTION("balloon"),
	SECTION("entropy"),
	SECTION("memory_hotplug"),
	SECTION("mmds"),
	SECTION("logger"),
	SECTION("metrics"),
};

static const struct json_shape shape = {
	.name = "configuration",
	.fields = fields,
	.nr = ARRAY_LEN(fields),
	.has_suggestions = true,
};

int settings_from_volt(const struct json_node *body, struct settings *s, struct err *e)
{
	struct settings fresh;
	int r;

	settings_init(&fresh);
	r = settings_copy_confinement(&fresh, s, e);
	if (r == 0)
		r = json_read(body, &shape, &fresh, NULL, e);
	if (r == 0)
		r = volt_drives_read(body, &fresh, e);
	if (r == 0)
		r = volt_devices_read(body, &fresh, e);
	if (r < 0) {
		settings_release(&fresh);
		return r;
	}
	settings_release(s);
	*s = fresh;
	return 0;
}

int volt_put(json_t *json, const char *key, json_t *value)
{
	if (json_is_null(value))
		return 0;
	return json_object_set_new(json, key, value) < 0 ? -ENOMEM : 0;
}

json_t *volt_bucket_new(const struct token_bucket_config *bucket)
{
	char text[3 * NUMBER_BYTES];
	int len;

	if (bucket->size == 0 || bucket->refill_ms == 0)
		return json_null();
	len = snprintf(text, sizeof(text), "%" PRIu64 ":%" PRIu64, bucket->size, bucket->refill_ms);
	if (bucket->one_time_burst > 0)
		snprintf(text + len, sizeof(text) - (size_t)len, ":%" PRIu64,
			 bucket->one_time_burst);
	return json_string(text);
}

static json_t *affinity_new(const struct settings *s)
{
	char text[WIRE_MAX_CPUS * sizeof("65535,")] = "";
	size_t used = 0;

	if (s->nr_affinity == 0)
		return json_null();
	for (uint32_t i = 0; i < s->nr_affinity; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i > 0 ? "," : "",
					 (unsigned int)s->affinity[i]);
	return json_string(text);
}

static json_t *layers_new(uint32_t mask)
{
	char text[VALUE_LAYERS_BYTES];

	return mask ? json_string(value_layers_print(mask, text)) : json_null();
}

static json_t *memory_new(uint64_t bytes)
{
	char text[NUMBER_BYTES];

	if (bytes % MIB == 0)
		snprintf(text, sizeof(text), "%" PRIu64 "M", bytes / MIB);
	else
		snprintf(text, sizeof(text), "%" PRIu64 "K", bytes / KIB);
	return json_string(text);
}

static json_t *console_new(const struct console_value *console)
{
	auto_free char *text = NULL;

	switch (console->kind) {
	case CONSOLE_STDIO:
		return json_string("stdio");
	case CONSOLE_NONE:
		return json_string("none");
	case CONSOLE_FILE:
		break;
	}
	return asprintf(&text, "file:%s", console->path) < 0 ? NULL : json_text_new(text);
}

static json_t *template_new(const struct settings *s)
{
	return s->custom_template ? fc_template_get(s->custom_template)
				  : json_text_new(s->cpu_template);
}

json_t *settings_to_volt(const struct settings *s)
{
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "version", json_integer(VOLT_FORM_VERSION) },
		{ "memory", memory_new(s->memory_bytes) },
		{ "cpus", json_integer((json_int_t)s->cpu_count) },
		{ "smt", json_boolean(s->has_smt) },
		{ "cpu_template", template_new(s) },
		{ "cpu_affinity", affinity_new(s) },
		{ "hugepages", json_string(volt_hugepages_names[s->hugepages]) },
		{ "prefault", json_boolean(s->has_prefault) },
		{ "memory_shared", json_boolean(s->is_memory_shared) },
		{ "track_dirty_pages", json_boolean(s->has_dirty_log) },
		{ "pit", json_boolean(s->has_pit) },
		{ "acpi", json_boolean(s->has_acpi) },
		{ "kernel", json_text_new(s->kernel_path) },
		{ "initrd", json_text_new(s->initrd_path) },
		{ "cmdline", json_text_new(s->cmdline) },
		{ "cmdline_append", json_text_new(s->cmdline_append) },
		{ "cmdline_root", json_boolean(s->has_root_appended) },
		{ "boot_protocol", json_string(volt_boot_protocol_names[s->boot_protocol]) },
		{ "kernel_decompress",
		  json_string(volt_kernel_decompress_names[s->kernel_decompress]) },
		{ "console", console_new(&s->console) },
		{ "console_bw", volt_bucket_new(&s->console.limit) },
		{ "sandbox_allow_missing", layers_new(s->allowed_missing) },
		{ "core_scheduling", json_boolean(s->is_alone_on_core) },
		{ "memory_lock", json_boolean(s->is_memory_locked) },
		{ "seccomp_filter", json_text_new(s->seccomp_path) },
	};
	json_t *json = json_object();
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		r |= volt_put(json, members[i].name, members[i].value);
	if (r == 0 && volt_devices_put(json, s) == 0)
		return json;
	json_decref(json);
	return NULL;
}
