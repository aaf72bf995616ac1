/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about configurations, and what all verbs share: see cmd.h. */
#include "control/cmd.h"

#include <errno.h>
#include <stdio.h>

#include <jansson.h>

#include "base/log.h"
#include "control/exit_status.h"
#include "control/json/config_file.h"
#include "control/json/fc.h"
#include "control/options.h"

int cmd_fail(const struct err *e)
{
	log_error("%s", e->msg);
	return e->code == -EBADMSG ? EXIT_STATUS_USAGE : EXIT_STATUS_ERROR;
}

int cmd_finish(int status)
{
	bool is_bad = ferror(stdout) != 0;
	struct err e = { 0 };

	if (fflush(stdout) == 0 && !is_bad)
		return status;
	err_errno(&e, errno ? -errno : -EIO, "cannot write the output");
	return cmd_fail(&e);
}

int cmd_finish_json(json_t *json, int status)
{
	struct err e = { 0 };

	if (!json) {
		err_set(&e, -ENOMEM, "out of memory");
		return cmd_fail(&e);
	}
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return cmd_finish(status);
}

static int print_check(const char *message)
{
	json_t *json = message ? json_pack("{s:b, s:s}", "ok", 0, "error", message)
			       : json_pack("{s:b}", "ok", 1);

	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return cmd_finish(message ? EXIT_STATUS_USAGE : EXIT_STATUS_OK);
}

int cmd_config_check(struct options *o)
{
	struct settings settings;
	struct err e = { 0 };
	int r;

	settings_init(&settings);
	r = config_file_load(o->operands[0], &settings, &e);
	settings_release(&settings);
	/* What cannot be read is no wrong configuration. */
	if (r < 0 && r != -EBADMSG && r != -EINVAL)
		return cmd_fail(&e);
	if (o->is_json)
		return print_check(r < 0 ? e.msg : NULL);
	if (r < 0)
		log_error("%s", e.msg);
	return r < 0 ? EXIT_STATUS_USAGE : EXIT_STATUS_OK;
}

int cmd_config_show(struct options *o)
{
	return cmd_finish_json(o->is_firecracker_form ? settings_to_fc(&o->settings)
						      : settings_to_volt(&o->settings),
			       EXIT_STATUS_OK);
}
