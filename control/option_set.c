/* SPDX-License-Identifier: Apache-2.0 */
/* Setters of options: see option_set.h. */
#include "control/option_set.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "base/quote.h"
#include "control/values.h"

#define MAX_API_BYTES GIB

enum { MAX_TIMEOUT_S = 86400 };

static void *member(struct options *o, const struct option_spec *spec)
{
	return (char *)o + spec->offset;
}

int option_set_path(struct options *o, const struct option_spec *spec, const char *value,
		    struct err *e)
{
	int r = value_path(spec->name, value, e);

	return r < 0 ? r : settings_set_text(member(o, spec), value, e);
}

int option_set_borrowed(struct options *o, const struct option_spec *spec, const char *value,
			struct err *e)
{
	const char **text = member(o, spec);
	int r = value_path(spec->name, value, e);

	if (r < 0)
		return r;
	*text = value;
	return 0;
}

int option_set_allow(struct options *o, const struct option_spec *spec, const char *value,
		     struct err *e)
{
	const size_t len = strlen(value);
	const bool is_read_only = len > 3 && strcmp(value + len - 3, ",ro") == 0;
	int r = value_path(spec->name, value, e);

	if (r < 0)
		return r;
	if (o->nr_allowed == ALLOWED_PATHS_MAX)
		return err_set(e, -EINVAL, "%s: at most %d can be given", spec->name,
			       ALLOWED_PATHS_MAX);
	o->allowed[o->nr_allowed].path = strndup(value, is_read_only ? len - 3 : len);
	if (!o->allowed[o->nr_allowed].path)
		return err_set(e, -ENOMEM, "out of memory");
	o->allowed[o->nr_allowed++].is_read_only = is_read_only;
	return 0;
}

int option_set_cmdline(struct options *o, const struct option_spec *spec, const char *value,
		       struct err *e)
{
	int r = value_cmdline(spec->name, value, e);

	return r < 0 ? r : settings_set_text(member(o, spec), value, e);
}

int option_set_choice(struct options *o, const struct option_spec *spec, const char *value,
		      struct err *e)
{
	unsigned *number = member(o, spec); /* what gcc and clang make of our enums */
	int choice = value_choice(spec->name, value, spec->choices, e);

	static_assert(sizeof(enum hugepages) == sizeof(unsigned), "enums are unsigned");
	if (choice < 0)
		return choice;
	*number = (unsigned)choice;
	return 0;
}

int option_set_number(struct options *o, const struct option_spec *spec, const char *value,
		      struct err *e)
{
	return value_number(spec->name, value, 0, UINT64_MAX, member(o, spec), e);
}

int option_set_bytes(struct options *o, const struct option_spec *spec, const char *value,
		     struct err *e)
{
	return value_number(spec->name, value, 1, MAX_API_BYTES, member(o, spec), e);
}

/* Takes over @drive on success. */
static int add_drive(struct settings *s, const struct option_spec *spec, struct drive_value *drive,
		     struct err *e)
{
	int r;

	if (settings_find_drive(s, drive->id))
		return err_set(e, -EINVAL,
			       "%s %s: the id '%s' belongs to another drive; give an unused "
			       "one with ',id='",
			       spec->name, quote(drive->path).text, drive->id);
	r = settings_put_drive(s, drive);
	if (r == -EEXIST)
		return err_set(e, -EINVAL,
			       "%s %s: the configuration file has a root drive already, '%s'",
			       spec->name, quote(drive->path).text, s->drives[0].id);
	if (r < 0)
		return err_set(e, -EINVAL,
			       "%s %s: too many drives; at most %zu fit, the root drive included",
			       spec->name, quote(drive->path).text, ARRAY_LEN(s->drives));
	return 0;
}

int option_set_rootfs(struct options *o, const struct option_spec *spec, const char *value,
		      struct err *e)
{
	struct drive_value drive = { 0 };
	int r = drive_value_parse(spec->name, value, true, &drive, e);

	if (r < 0)
		return r;
	snprintf(drive.id, sizeof(drive.id), "rootfs");
	r = add_drive(&o->settings, spec, &drive, e);
	drive_value_release(&drive);
	return r;
}

int option_set_drive(struct options *o, const struct option_spec *spec, const char *value,
		     struct err *e)
{
	struct drive_value drive = { 0 };
	bool has_root = o->settings.nr_drives > 0 && o->settings.drives[0].is_root;
	int r = drive_value_parse(spec->name, value, false, &drive, e);

	if (r < 0)
		return r;
	if (drive.id[0] == '\0')
		snprintf(drive.id, sizeof(drive.id), "drive%zu",
			 o->settings.nr_drives - has_root + 1);
	r = add_drive(&o->settings, spec, &drive, e);
	drive_value_release(&drive);
	return r;
}

int option_set_memory(struct options *o, const struct option_spec *spec, const char *value,
		      struct err *e)
{
	return value_memory(spec->name, value, &o->settings.memory_bytes, e);
}

int option_set_cpus(struct options *o, const struct option_spec *spec, const char *value,
		    struct err *e)
{
	uint64_t count;
	int r = value_number(spec->name, value, 1, VALUE_CPUS_MAX, &count, e);

	if (r < 0)
		return r;
	o->settings.cpu_count = (uint32_t)count;
	return 0;
}

int option_set_cpu_affinity(struct options *o, const struct option_spec *spec, const char *value,
			    struct err *e)
{
	int nr = value_cpu_list(spec->name, value, o->settings.affinity,
				ARRAY_LEN(o->settings.affinity), e);

	if (nr < 0)
		return nr;
	o->settings.nr_affinity = (uint32_t)nr;
	return 0;
}

int option_set_sandbox_missing(struct options *o, const struct option_spec *spec, const char *value,
			       struct err *e)
{
	return value_layers(spec->name, value, &o->settings.allowed_missing, e);
}

int option_set_console(struct options *o, const struct option_spec *spec, const char *value,
		       struct err *e)
{
	struct console_value console = { .limit = o->settings.console.limit };
	int r = value_console(spec->name, value, &console, e);

	if (r < 0)
		return r;
	free(o->settings.console.path); /* a configuration file's */
	o->settings.console = console;
	return 0;
}

int option_set_no_acpi(struct options *o, const struct option_spec *spec, const char *value,
		       struct err *e)
{
	(void)spec;
	(void)value;
	(void)e;
	o->settings.has_acpi = false;
	return 0;
}

int option_set_id(struct options *o, const struct option_spec *spec, const char *value,
		  struct err *e)
{
	const size_t len = strlen(value);

	/* As Firecracker's: a name for files, for sockets and for log lines. */
	if (len == 0 || len >= sizeof(o->id) || !value_is_id(value, len) || strchr(value, '_'))
		return err_set(e, -EINVAL, "%s %s: an id has 1 to %zu letters, digits or hyphens",
			       spec->name, quote(value).text, sizeof(o->id) - 1);
	memcpy(o->id, value, len + 1);
	return 0;
}

int option_set_timeout(struct options *o, const struct option_spec *spec, const char *value,
		       struct err *e)
{
	return value_number(spec->name, value, 0, MAX_TIMEOUT_S, &o->timeout_s, e);
}

int option_set_help(struct options *o, const struct option_spec *spec, const char *value,
		    struct err *e)
{
	(void)spec;
	(void)value;
	(void)e;
	o->action = OPTIONS_HELP;
	return 0;
}

int option_set_version(struct options *o, const struct option_spec *spec, const char *value,
		       struct err *e)
{
	(void)spec;
	(void)value;
	(void)e;
	o->action = OPTIONS_VERSION;
	return 0;
}

int option_set_snapshot_version(struct options *o, const struct option_spec *spec,
				const char *value, struct err *e)
{
	(void)spec;
	(void)value;
	(void)e;
	o->action = OPTIONS_SNAPSHOT_VERSION;
	return 0;
}

int option_set_logger_path(struct options *o, const struct option_spec *spec, const char *value,
			   struct err *e)
{
	o->settings.logger.is_present = true;
	return option_set_path(o, spec, value, e);
}

int option_set_logger_format(struct options *o, const struct option_spec *spec, const char *value,
			     struct err *e)
{
	o->settings.logger.is_present = true;
	return option_set_choice(o, spec, value, e);
}

/* The words of PUT /logger, in any case. */
int option_set_logger_level(struct options *o, const struct option_spec *spec, const char *value,
			    struct err *e)
{
	static const struct {
		const char *word;
		enum logger_level level;
	} words[] = {
		{ "off", LOGGER_OFF },	    { "error", LOGGER_ERROR }, { "warn", LOGGER_WARN },
		{ "info", LOGGER_INFO },    { "debug", LOGGER_DEBUG }, { "trace", LOGGER_TRACE },
		{ "warning", LOGGER_WARN },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(words[i].word, value) != 0)
			continue;
		o->settings.logger.is_present = true;
		o->settings.logger.has_level = true;
		o->settings.logger.level = words[i].level;
		return 0;
	}
	return err_set(e, -EBADMSG, "%s %s: not one of off, error, warn, info, debug, trace",
		       spec->name, quote(value).text);
}

int option_set_logger_module(struct options *o, const struct option_spec *spec, const char *value,
			     struct err *e)
{
	o->settings.logger.is_present = true;
	return option_set_path(o, spec, value, e);
}

int option_set_show_level(struct options *o, const struct option_spec *spec, const char *value,
			  struct err *e)
{
	(void)spec;
	(void)value;
	(void)e;
	o->settings.logger.is_present = true;
	o->settings.logger.has_level_shown = true;
	return 0;
}

int option_set_show_origin(struct options *o, const struct option_spec *spec, const char *value,
			   struct err *e)
{
	(void)spec;
	(void)value;
	(void)e;
	o->settings.logger.is_present = true;
	o->settings.logger.has_origin_shown = true;
	return 0;
}

int option_set_unavailable(struct options *o, const struct option_spec *spec, const char *value,
			   struct err *e)
{
	(void)o;
	(void)value;
	return err_set(e, -EINVAL, "%s: this version has no %s", spec->name, spec->help);
}
