/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing and help: see options.h. */
#include "jailer/options.h"

#include <errno.h>
#include <string.h>

#include "base/firecracker_version.h"
#include "base/quote.h"

enum { TABLE_MAX = 32 }; /* more than there are rows */

/* Which options have been given: one flag for each row of the table. */
struct seen {
	bool rows[TABLE_MAX];
};

/* The row of @word, which may be "--name=value"; *@at is its number. NULL: there is none. */
static const struct jailer_option *find(const char *word, size_t *at)
{
	const size_t len = strcspn(word, "=");

	for (*at = 0; *at < jailer_option_count; (*at)++) {
		const struct jailer_option *option = &jailer_option_table[*at];

		if (strlen(option->name) == len && memcmp(option->name, word, len) == 0)
			return option;
	}
	return NULL;
}

static int find_value(const struct jailer_option *option, const char *next, const char **value,
		      struct err *e)
{
	if (*value)
		return 0;
	if (!next || strncmp(next, "--", 2) == 0)
		return err_set(e, -EINVAL, "%s needs a value: %s %s", option->name, option->name,
			       option->arg);
	*value = next;
	return 0;
}

/* Takes the option @word, whose value may be @next. Returns how many words it used, or -errno. */
static int parse_option(const char *word, const char *next, struct jailer_options *o,
			struct seen *seen, struct err *e)
{
	const char *equals = strchr(word, '=');
	const char *value = equals ? equals + 1 : NULL;
	size_t at;
	const struct jailer_option *option = find(word, &at);
	int r = 0;

	if (!option)
		return err_set(e, -EINVAL, "unknown option %s; --help lists all", quote(word).text);
	if (seen->rows[at] && !option->is_repeatable)
		return err_set(e, -EINVAL, "%s is given more than once; give it once",
			       option->name);
	seen->rows[at] = true;
	if (option->arg)
		r = find_value(option, next, &value, e);
	else if (value)
		r = err_set(e, -EINVAL, "%s takes no value, but %s is given", option->name,
			    quote(value).text);
	if (r == 0)
		r = option->set(o, option, value, e);
	if (r < 0)
		return r;
	return option->arg && !equals ? 2 : 1;
}

static bool is_needed(const struct jailer_options *o, const struct jailer_option *option)
{
	if (!option->is_required || o->action == JAILER_RUN)
		return option->is_required;
	return strcmp(option->name, "--id") == 0 || strcmp(option->name, "--exec-file") == 0;
}

static int check_whole(const struct jailer_options *o, const struct seen *seen, struct err *e)
{
	for (size_t i = 0; i < jailer_option_count; i++) {
		const struct jailer_option *option = &jailer_option_table[i];

		if (is_needed(o, option) && !seen->rows[i])
			return err_set(e, -EINVAL, "%s is missing: %s %s", option->name,
				       option->name, option->arg);
	}
	if (!cgroup_is_parent(o->parent_cgroup))
		return err_set(e, -EINVAL, "%s cannot name a cgroup; give --parent-cgroup",
			       quote(o->parent_cgroup).text);
	return 0;
}

int jailer_options_parse(int argc, char *const argv[], struct jailer_options *out, struct err *e)
{
	struct seen seen = { 0 };
	int i = 1;

	*out = (struct jailer_options){ .base_path = "/srv/jailer", .cgroup_version = CGROUP_V1 };
	while (i < argc && strcmp(argv[i], "--") != 0) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		int r = strcmp(argv[i], "-h") == 0 ? parse_option("--help", NULL, out, &seen, e)
						   : parse_option(argv[i], next, out, &seen, e);

		if (r < 0)
			return r;
		if (out->action == JAILER_HELP || out->action == JAILER_VERSION)
			return 0;
		i += r;
	}
	out->arguments = i < argc ? argv + i + 1 : argv + argc;
	out->nr_arguments = i < argc ? (size_t)(argc - i - 1) : 0;
	if (!out->parent_cgroup)
		out->parent_cgroup = out->program_name ? out->program_name : "";
	return check_whole(out, &seen, e);
}

void jailer_help(FILE *to)
{
	enum { NAME_COLUMNS = 24 };

	fprintf(to, "usage: jailer --id ID --exec-file PATH --uid UID --gid GID [option...] "
		    "[-- ...]\n"
		    "Runs a virtual machine monitor in a folder of its own: what is behind --.\n");
	for (size_t i = 0; i < jailer_option_count; i++) {
		const struct jailer_option *option = &jailer_option_table[i];
		char name[NAME_COLUMNS + 8];

		snprintf(name, sizeof(name), "%s%s%s", option->name, option->arg ? " " : "",
			 option->arg ? option->arg : "");
		fprintf(to, "  %-*s %s\n", NAME_COLUMNS, name, option->help);
	}
	fprintf(to, "example: jailer --id a --exec-file /usr/bin/firecracker --uid 123 --gid 100"
		    " \\\n         -- --config-file /vm.json\n");
}

void jailer_version(FILE *to)
{
	fprintf(to, "Jailer v%s\n\nvolt-vmm v%s\n", FIRECRACKER_VERSION, VOLT_VERSION);
}
