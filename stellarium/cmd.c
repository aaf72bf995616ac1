/* SPDX-License-Identifier: Apache-2.0 */
/* What all verbs share: see cmd.h. */
#include "stellarium/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "stellarium/cancel.h"
#include "stellarium/exit_status.h"

struct work_control cmd_work(const struct options *o, struct progress *progress)
{
	return (struct work_control){
		.on_progress = progress_update,
		.opaque = progress,
		.is_cancelled = cancel_flag(),
		.threads = o->threads,
	};
}

int cmd_fail(const struct err *e)
{
	const int number = cancel_signal();

	if (number != 0 && (e->code == -ECANCELED || e->code == -EINTR)) {
		log_error("stopped by SIG%s", sigabbrev_np(number));
		return EXIT_STATUS_SIGNAL + number;
	}
	log_error("%s", e->msg);
	return EXIT_STATUS_ERROR;
}

int cmd_explain_taken(int r, struct err *e)
{
	char said[ERR_MSG_BYTES];

	if (r != -EEXIST)
		return r;
	snprintf(said, sizeof(said), "%s", e->msg);
	return err_set(e, r, "%.480s; --force replaces it", said);
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
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(json);
	return cmd_finish(status);
}
