/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: `volt-vmm [VERB] [option...] [operand...]`.
 *
 * Const tables say what verbs (verb.h) and options (base/option.h) there are. Parsing, --help, the
 * manual page and the shell completion (tools/gen-docs.c) all come from them, so that they cannot
 * disagree: an option is added by adding a row (option_vm.c and its like) and, if none of
 * option_set.h fits, its setter. Values are checked as they are read; files are not opened here
 * (see control/config.h), but for --config-file. What the command line says counts more than what a
 * configuration file says, wherever --config-file stands.
 *
 * Called by the name firecracker (or one that starts so), the program knows no verbs, and its
 * defaults, exit statuses and --version are Firecracker's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/option.h"
#include "control/confine.h"
#include "control/instance.h"
#include "control/settings.h"

struct verb;

enum options_action {
	OPTIONS_RUN, /* what the verb does */
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_SNAPSHOT_VERSION,
};

/* Texts that are not in `settings` are borrowed from argv; NULL means "not given". */
struct options {
	enum options_action action;
	const struct verb *verb; /* NULL: help about all of those whose first word is `topic` */
	const char *topic;
	bool is_firecracker; /* the name that the program was called by */
	enum log_level log_level;
	char *const *operands;
	int nr_operands;

	/* of a run */
	struct settings settings; /* owned */
	char id[INSTANCE_ID_BYTES]; /* "": not given */
	const char *config_path;
	const char *api_path;
	bool has_no_api;
	uint64_t max_body_bytes; /* of a request to the API */
	uint64_t max_mmds_bytes; /* 0: the same */
	const char *metadata_path;
	const char *pid_path;
	bool has_no_seccomp;
	bool has_boot_timer;
	struct allowed_path allowed[ALLOWED_PATHS_MAX]; /* by --allow */
	size_t nr_allowed;
	struct launcher_times launcher;

	/* of the other verbs */
	bool is_json;
	bool is_forced;
	bool is_firecracker_form;
	uint64_t timeout_s;
};

/* What a virtual machine is made of, and what this program does around it. */
extern const struct option_group option_group_vm, option_group_program, option_group_sandbox;
extern const struct option_group option_group_firecracker;

/* Of the verbs that ask a running virtual machine, and of those that print lists. */
extern const struct option_group option_group_client, option_group_shutdown, option_group_list;
extern const struct option_group option_group_config_show, option_group_help, option_group_version;

enum {
	OPTIONS_TIMEOUT_S = 60, /* of shutdown, without --timeout */
	OPTIONS_BODY_BYTES = 51200, /* without --http-api-max-payload-size; Firecracker's */
};

/*
 * Fills @out from the command line. --help, --version and the like end the parsing and set
 * @out->action. Returns 0, or with @e filled and @out empty but for `is_firecracker`:
 *
 *	-EINVAL		the command line is wrong
 *	-EBADMSG	what --config-file or --level says is wrong
 *	others		the configuration file cannot be read; out of memory
 *
 * Prints nothing.
 */
int options_parse(int argc, char *const argv[], struct options *out, struct err *e);

/* Accepts a zeroed object, and may be called twice. */
void options_release(struct options *o);

/* Prints the --help text that @o asks for: at most 24 lines of 80 columns. */
void options_help(const struct options *o, FILE *to);

/* Prints "volt-vmm v1.2.3": tools of others read the second word of the first line. */
void options_version(const struct options *o, FILE *to);

/* Prints "v11.0.0", as Firecracker does. */
void options_snapshot_version(FILE *to);
