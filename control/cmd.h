/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs do (verb.h): each returns an exit status (exit_status.h). Messages go to the log,
 * results to standard output, and what cannot be written there is an error.
 */
#pragma once

#include <jansson.h>

struct err;
struct options;

/* Runs a virtual machine to its end. Takes the settings. */
int cmd_run(struct options *o);

/* Whether a run could be made of what was given. */
int cmd_run_check(const struct options *o, struct err *e);

/* The running virtual machines of this user. */
int cmd_ps(struct options *o);

/* To one of them, named by the operand or by --api-sock. */
int cmd_pause(struct options *o);
int cmd_resume(struct options *o);
int cmd_state(struct options *o);
int cmd_shutdown(struct options *o);
int cmd_metrics(struct options *o);
int cmd_config_get(struct options *o);

/* Without one. */
int cmd_config_check(struct options *o);
int cmd_config_show(struct options *o);
int cmd_cpu_dump(struct options *o);
int cmd_cpu_baseline(struct options *o);
int cmd_cpu_check(struct options *o);
int cmd_sandbox_explain(struct options *o);

/* Without one, of this host; or of one, named as above. */
int cmd_sandbox_status(struct options *o);

/* Logs @e and returns the status that goes with it: 2 when a file is malformed, else 1. */
int cmd_fail(const struct err *e);

/* Prints @json (NULL: there is no memory for it), which it takes, and finishes. */
int cmd_finish_json(json_t *json, int status);

/* What was printed only counts when all of it has arrived. @status if it has, else 1. */
int cmd_finish(int status);
