/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options: see option_set.h. */
#include "jailer/option_set.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/quote.h"
#include "jail/path.h"

int jailer_set_id(struct jailer_options *o, const struct jailer_option *option, const char *value,
		  struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	const size_t len = strlen(value);

	if (len < 1 || len > 64 || strspn(value, allowed) != len)
		return err_set(e, -EINVAL, "%s %s: 1 to 64 letters, digits and hyphens are allowed",
			       option->name, quote(value).text);
	o->id = value;
	return 0;
}

static int set_text(const char **to, const struct jailer_option *option, const char *value,
		    struct err *e)
{
	if (!*value)
		return err_set(e, -EINVAL, "%s is empty: %s %s", option->name, option->name,
			       option->arg);
	*to = value;
	return 0;
}

int jailer_set_program(struct jailer_options *o, const struct jailer_option *option,
		       const char *value, struct err *e)
{
	const char *slash = strrchr(value, '/');
	const char *name = slash ? slash + 1 : value;

	if (!path_is_name(name) || strlen(name) > JAILER_NAME_MAX)
		return err_set(e, -EINVAL, "%s %s: this does not end in a file's name",
			       option->name, quote(value).text);
	o->program_path = value;
	o->program_name = name;
	return 0;
}

/* The last number means "leave it as it is" to the kernel. */
static int set_user(uint32_t *to, const struct jailer_option *option, const char *value,
		    struct err *e)
{
	uint64_t number;

	if (parse_u64(value, &number) < 0 || number >= UINT32_MAX)
		return err_set(e, -EINVAL, "%s %s: a number from 0 to 4294967294 is needed",
			       option->name, quote(value).text);
	*to = (uint32_t)number;
	return 0;
}

int jailer_set_uid(struct jailer_options *o, const struct jailer_option *option, const char *value,
		   struct err *e)
{
	return set_user(&o->uid, option, value, e);
}

int jailer_set_gid(struct jailer_options *o, const struct jailer_option *option, const char *value,
		   struct err *e)
{
	return set_user(&o->gid, option, value, e);
}

int jailer_set_base(struct jailer_options *o, const struct jailer_option *option, const char *value,
		    struct err *e)
{
	return set_text(&o->base_path, option, value, e);
}

int jailer_set_netns(struct jailer_options *o, const struct jailer_option *option,
		     const char *value, struct err *e)
{
	return set_text(&o->netns_path, option, value, e);
}

int jailer_set_daemon(struct jailer_options *o, const struct jailer_option *option,
		      const char *value, struct err *e)
{
	(void)option, (void)value, (void)e;
	o->is_daemon = true;
	return 0;
}

int jailer_set_pid_namespace(struct jailer_options *o, const struct jailer_option *option,
			     const char *value, struct err *e)
{
	(void)option, (void)value, (void)e;
	o->has_pid_namespace = true;
	return 0;
}

int jailer_set_cgroup(struct jailer_options *o, const struct jailer_option *option,
		      const char *value, struct err *e)
{
	struct err why = { 0 };
	int r;

	if (o->nr_settings == CGROUP_SETTINGS_MAX)
		return err_set(e, -EINVAL, "%s is given more than %d times", option->name,
			       CGROUP_SETTINGS_MAX);
	r = cgroup_setting_parse(value, &o->settings[o->nr_settings], &why);
	if (r < 0)
		return err_set(e, r, "%s: %.400s", option->name, why.msg);
	o->nr_settings++;
	return 0;
}

int jailer_set_cgroup_version(struct jailer_options *o, const struct jailer_option *option,
			      const char *value, struct err *e)
{
	if (strcmp(value, "1") == 0)
		o->cgroup_version = CGROUP_V1;
	else if (strcmp(value, "2") == 0)
		o->cgroup_version = CGROUP_V2;
	else
		return err_set(e, -EINVAL, "%s %s: there are 1 and 2", option->name,
			       quote(value).text);
	return 0;
}

int jailer_set_parent_cgroup(struct jailer_options *o, const struct jailer_option *option,
			     const char *value, struct err *e)
{
	if (!cgroup_is_parent(value))
		return err_set(e, -EINVAL,
			       "%s %s: a path of plain names from the mount point is needed, for "
			       "example vms/mine",
			       option->name, quote(value).text);
	o->parent_cgroup = value;
	return 0;
}

static bool take_limit(const char *name, const char *value, bool *is_set, uint64_t *limit)
{
	const size_t len = strlen(name);
	uint64_t number;

	if (strncmp(value, name, len) != 0 || value[len] != '=' ||
	    parse_u64(value + len + 1, &number) < 0)
		return false;
	*limit = number;
	*is_set = true;
	return true;
}

int jailer_set_limit(struct jailer_options *o, const struct jailer_option *option,
		     const char *value, struct err *e)
{
	if (take_limit("fsize", value, &o->has_fsize, &o->fsize) ||
	    take_limit("no-file", value, &o->has_no_file, &o->no_file))
		return 0;
	return err_set(e, -EINVAL, "%s %s: there are fsize=BYTES and no-file=NUMBER", option->name,
		       quote(value).text);
}

int jailer_set_cleanup(struct jailer_options *o, const struct jailer_option *option,
		       const char *value, struct err *e)
{
	(void)option, (void)value, (void)e;
	o->action = JAILER_CLEANUP;
	return 0;
}

int jailer_set_version(struct jailer_options *o, const struct jailer_option *option,
		       const char *value, struct err *e)
{
	(void)option, (void)value, (void)e;
	o->action = JAILER_VERSION;
	return 0;
}

int jailer_set_help(struct jailer_options *o, const struct jailer_option *option, const char *value,
		    struct err *e)
{
	(void)option, (void)value, (void)e;
	o->action = JAILER_HELP;
	return 0;
}
