/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's /serial, /logger and /metrics, and GET /vm/config: see fc.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "control/json/fc_parts.h"
#include "control/values.h"

struct serial_body {
	const char *path;
	struct token_bucket_config limit;
};

static const struct json_field serial_fields[] = {
	{ "serial_out_path", JSON_FIELD_TEXT, false, offsetof(struct serial_body, path), NULL,
	  NULL },
	{ "rate_limiter", JSON_FIELD_CUSTOM, false, offsetof(struct serial_body, limit), NULL,
	  fc_bucket_read },
};

static const struct json_shape serial_shape = { "SerialConfig", serial_fields,
						ARRAY_LEN(serial_fields), false, false };

static int check_path(const char *name, const char *path, struct err *e)
{
	return path ? value_path(name, path, e) : 0;
}

int fc_serial_put(struct fc_request *r, struct err *e)
{
	struct console_value *console = &r->settings->console;
	struct serial_body b = { 0 };
	int err = json_read(&r->body, &serial_shape, &b, NULL, e);

	if (err == 0)
		err = check_path("serial_out_path", b.path, e);
	if (err == 0)
		err = settings_set_text(&console->path, b.path, e);
	if (err < 0)
		return err;
	console->kind = b.path ? CONSOLE_FILE : CONSOLE_STDIO;
	console->limit = b.limit;
	return 0;
}

struct logger_body {
	const char *path;
	enum logger_level level;
	bool has_level_shown;
	bool has_origin_shown;
	const char *module;
};

static const struct {
	const char *name;
	enum logger_level level;
} levels[] = {
	{ "Off", LOGGER_OFF },	   { "Trace", LOGGER_TRACE }, { "Debug", LOGGER_DEBUG },
	{ "Info", LOGGER_INFO },   { "Warn", LOGGER_WARN },   { "Warning", LOGGER_WARN },
	{ "Error", LOGGER_ERROR },
};

static int level_read(const struct json_node *node, void *out, struct err *e)
{
	const char *text = NULL;

	if (json_read_value(node, JSON_FIELD_TEXT, NULL, &text, e) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (strcasecmp(text, levels[i].name) == 0) {
			memcpy(out, &levels[i].level, sizeof(levels[i].level));
			return 0;
		}
	}
	return json_refuse(node, e, "Invalid LevelFilter");
}

static const struct json_field logger_fields[] = {
	{ "log_path", JSON_FIELD_TEXT, false, offsetof(struct logger_body, path), NULL, NULL },
	{ "level", JSON_FIELD_CUSTOM, false, offsetof(struct logger_body, level), NULL,
	  level_read },
	{ "show_level", JSON_FIELD_BOOL, false, offsetof(struct logger_body, has_level_shown), NULL,
	  NULL },
	{ "show_log_origin", JSON_FIELD_BOOL, false, offsetof(struct logger_body, has_origin_shown),
	  NULL, NULL },
	{ "module", JSON_FIELD_TEXT, false, offsetof(struct logger_body, module), NULL, NULL },
};

enum { LOGGER_HAS_PATH = 1 << 0, LOGGER_HAS_LEVEL = 1 << 1, LOGGER_HAS_MODULE = 1 << 4 };

static const struct json_shape logger_shape = { "LoggerConfig", logger_fields,
						ARRAY_LEN(logger_fields), false, false };

/* May come several times; what is not given stays. */
int fc_logger_put(struct fc_request *r, struct err *e)
{
	struct logger_value *logger = &r->settings->logger;
	struct logger_body b = {
		.level = logger->level,
		.has_level_shown = logger->has_level_shown,
		.has_origin_shown = logger->has_origin_shown,
	};
	uint64_t given = 0;
	int err = json_read(&r->body, &logger_shape, &b, &given, e);

	if (err == 0)
		err = check_path("log_path", b.path, e);
	if (err == 0 && given & LOGGER_HAS_PATH)
		err = settings_set_text(&logger->path, b.path, e);
	if (err == 0 && given & LOGGER_HAS_MODULE)
		err = settings_set_text(&logger->module, b.module, e);
	if (err < 0)
		return err;
	logger->is_present = true;
	logger->has_level |= (given & LOGGER_HAS_LEVEL) != 0;
	logger->level = b.level;
	logger->has_level_shown = b.has_level_shown;
	logger->has_origin_shown = b.has_origin_shown;
	return 0;
}

json_t *fc_logger_get(const struct settings *s)
{
	const struct logger_value *l = &s->logger;
	const char *level = "Info";

	if (!l->is_present)
		return json_null();
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (levels[i].level == l->level)
			level = levels[i].name;
	}
	return json_pack("{s:o, s:s, s:b, s:b, s:o}", "log_path", json_text_new(l->path), "level",
			 level, "show_level", (int)l->has_level_shown, "show_log_origin",
			 (int)l->has_origin_shown, "module", json_text_new(l->module));
}

struct metrics_body {
	const char *path;
	bool has_instance_id;
	json_t *properties; /* borrowed */
};

int fc_properties_read(const struct json_node *node, void *out, struct err *e)
{
	struct json_node member = { .doc = node->doc, .parent = node };
	const char *key;

	if (!json_is_object(node->value))
		return json_refuse_type(node, "a map", e);
	json_object_foreach(node->value, key, member.value)
	{
		if (!json_is_string(member.value))
			return json_refuse_type(&member, "a string", e);
		member.at++;
	}
	*(json_t **)out = node->value;
	return 0;
}

static const struct json_field metrics_fields[] = {
	{ "metrics_path", JSON_FIELD_TEXT, true, offsetof(struct metrics_body, path), NULL, NULL },
	{ "emit_id", JSON_FIELD_BOOL, false, offsetof(struct metrics_body, has_instance_id), NULL,
	  NULL },
	{ "properties", JSON_FIELD_CUSTOM, false, offsetof(struct metrics_body, properties), NULL,
	  fc_properties_read },
};

static const struct json_shape metrics_shape = { "MetricsConfig", metrics_fields,
						 ARRAY_LEN(metrics_fields), true, false };

int fc_metrics_set(struct settings *s, const char *path, json_t *properties, struct err *e)
{
	auto_free char *text = NULL;
	int r = value_path("metrics_path", path, e);

	if (r < 0)
		return r;
	if (properties) {
		text = json_dumps(properties, JSON_COMPACT);
		if (!text)
			return err_set(e, -ENOMEM, "out of memory");
	}
	r = settings_set_text(&s->metrics.path, path, e);
	return r < 0 ? r : settings_set_text(&s->metrics.properties, text, e);
}

int fc_metrics_put(struct fc_request *r, struct err *e)
{
	struct metrics_body b = { 0 };
	int err = json_read(&r->body, &metrics_shape, &b, NULL, e);

	if (err == 0)
		err = fc_metrics_set(r->settings, b.path, b.properties, e);
	if (err == 0)
		r->settings->metrics.has_instance_id = b.has_instance_id;
	return err;
}

json_t *fc_metrics_get(const struct settings *s)
{
	const struct metrics_value *m = &s->metrics;
	json_t *properties = m->properties ? json_loads(m->properties, 0, NULL) : NULL;

	if (!m->path)
		return json_null();
	return json_pack("{s:o, s:b, s:o*}", "metrics_path", json_text_new(m->path), "emit_id",
			 (int)m->has_instance_id, "properties", properties);
}

json_t *settings_to_fc(const struct settings *s)
{
	const struct {
		const char *name;
		json_t *value;
	} sections[] = {
		{ "balloon", s->balloon.is_present ? fc_balloon_get(s) : json_null() },
		{ "boot-source", fc_boot_get(s) },
		{ "cpu-config", fc_cpu_get(s) },
		{ "drives", fc_drives_get(s) },
		{ "entropy", fc_entropy_get(s) },
		{ "logger", fc_logger_get(s) },
		{ "machine-config", fc_machine_get(s) },
		{ "memory-hotplug", fc_memory_config_get(s) },
		{ "metrics", fc_metrics_get(s) },
		{ "mmds-config", fc_mmds_get(s) },
		{ "network-interfaces", fc_nets_get(s) },
		{ "pmem", fc_pmems_get(s) },
		{ "vsock", fc_vsock_get(s) },
	};
	json_t *json = json_object();
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		r |= json_object_set_new(json, sections[i].name, sections[i].value);
	if (r == 0)
		return json;
	json_decref(json);
	return NULL;
}
