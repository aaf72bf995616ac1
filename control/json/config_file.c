/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: see config_file.h. */
#include "control/json/config_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "control/json/fc.h"
#include "control/open.h"
#include "control/values.h"

/* A section of Firecracker's form: one body, or a list of them. */
struct section {
	const char *name;
	fc_change *put;
	bool is_list;
	bool is_required;
};

/* A CPU template whole, or the path of its file. */
static int cpu_config_put(struct fc_request *r, struct err *e)
{
	struct settings *s = r->settings;
	const char *path = json_string_value(r->body.value);
	int err;

	if (!path)
		return fc_cpu_put(r, e);
	err = value_path("cpu-config", path, e);
	if (err == 0)
		err = settings_set_text(&s->cpu_template, path, e);
	if (err < 0)
		return err;
	free(s->custom_template);
	s->custom_template = NULL;
	return 0;
}

/* In an order in which each finds what it refers to. */
static const struct section sections[] = {
	{ "logger", fc_logger_put, false, false },
	{ "metrics", fc_metrics_put, false, false },
	{ "machine-config", fc_machine_put, false, false },
	{ "cpu-config", cpu_config_put, false, false },
	{ "boot-source", fc_boot_put, false, true },
	{ "drives", fc_drive_put, true, true },
	{ "network-interfaces", fc_net_put, true, false },
	{ "pmem", fc_pmem_put, true, false },
	{ "vsock", fc_vsock_put, false, false },
	{ "balloon", fc_balloon_put, false, false },
	{ "entropy", fc_entropy_put, false, false },
	{ "memory-hotplug", fc_memory_put, false, false },
	{ "mmds-config", fc_mmds_put, false, false },
};

enum { SECTION_MAX_ITEMS = 64 };

static int put_body(const struct section *section, const struct json_node *body, struct settings *s,
		    struct err *e)
{
	struct fc_request request = { .settings = s, .body = *body };
	struct err why = { 0 };
	const int r = section->put(&request, &why);

	if (r == 0)
		return 0;
	/* The place is in the message already when the body is malformed. */
	err_set(e, r, "%s: %s", section->name, why.msg);
	return r == -EBADMSG ? r : json_blame(body, r, e);
}

static int put_section(const struct section *section, const struct json_node *node,
		       struct settings *s, struct err *e)
{
	int nr;

	if (!section->is_list)
		return put_body(section, node, s, e);
	nr = json_read_list(node, SECTION_MAX_ITEMS, e);
	for (int i = 0; i < nr; i++) {
		const struct json_node item = json_item(node, (size_t)i);
		const int r = put_body(section, &item, s, e);

		if (r < 0)
			return r;
	}
	return nr < 0 ? nr : 0;
}

static int settings_from_fc(const struct json_node *root, struct settings *s, struct err *e)
{
	struct settings fresh;
	int r = 0;

	settings_init(&fresh);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(sections); i++) {
		const struct json_node node = json_member(root, sections[i].name);

		if (!json_is_absent(&node))
			r = put_section(&sections[i], &node, &fresh, e);
		else if (sections[i].is_required)
			r = json_refuse(root, e,
					"missing field `%s` (and no \"version\": 1, which the form "
					"with a `kernel` has)",
					sections[i].name);
	}
	if (r < 0) {
		settings_release(&fresh);
		return r;
	}
	settings_release(s);
	*s = fresh;
	return 0;
}

static int parse_root(const struct json_node *root, struct settings *s, struct err *e)
{
	struct json_node version;

	if (!json_is_object(root->value))
		return json_refuse_type(root, "a configuration, {...}", e);
	version = json_member(root, "version");
	return version.value ? settings_from_volt(root, s, e) : settings_from_fc(root, s, e);
}

int config_file_parse(const char *name, const char *text, size_t len, struct settings *s,
		      struct err *e)
{
	struct err why = { 0 };
	struct json_doc doc;
	int r = json_doc_parse(&doc, text, len, &why);

	if (r == 0) {
		const struct json_node root = json_doc_root(&doc);

		r = parse_root(&root, s, &why);
	}
	json_doc_release(&doc);
	return r < 0 ? err_set(e, r, "configuration file %s: %s", quote(name).text, why.msg) : 0;
}

int config_file_load(const char *path, struct settings *s, struct err *e)
{
	auto_fd int fd = open_image("configuration file", path, e);
	auto_free char *text = NULL;
	ssize_t n;

	if (fd < 0)
		return fd;
	text = malloc(CONFIG_FILE_MAX_BYTES + 1);
	if (!text)
		return err_errno(e, -ENOMEM, "cannot hold configuration file %s", quote(path).text);
	n = file_pread_full(fd, text, CONFIG_FILE_MAX_BYTES + 1, 0);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read configuration file %s", quote(path).text);
	if (n > CONFIG_FILE_MAX_BYTES)
		return err_set(e, -EBADMSG, "configuration file %s has more than %d bytes",
			       quote(path).text, CONFIG_FILE_MAX_BYTES);
	return config_file_parse(path, text, (size_t)n, s, e);
}
