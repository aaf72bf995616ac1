/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: `jailer [option...] [-- argument...]`, Firecracker's, and --cleanup.
 *
 * One const table says what options there are. Parsing, --help, the manual page and the shell
 * completion (tools/gen-jailer-docs.c) come from it. An option is written `--name value` or
 * `--name=value`; what is behind "--" is for the program and not looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"
#include "jail/cgroup.h"

enum { JAILER_NAME_MAX = 200 }; /* of a program */

enum jailer_action {
	JAILER_RUN,
	JAILER_CLEANUP,
	JAILER_HELP,
	JAILER_VERSION,
};

/* Texts are borrowed from argv; NULL: not given. */
struct jailer_options {
	enum jailer_action action;
	const char *id; /* 1 to 64 letters, digits and hyphens */
	const char *program_path; /* --exec-file */
	const char *program_name; /* its last part: of the folder, the copy and the pid file */
	const char *base_path;
	const char *netns_path;
	uid_t uid;
	gid_t gid;
	bool is_daemon;
	bool has_pid_namespace;
	int cgroup_version;
	const char *parent_cgroup;
	struct cgroup_setting settings[CGROUP_SETTINGS_MAX];
	size_t nr_settings;
	bool has_fsize;
	uint64_t fsize;
	bool has_no_file;
	uint64_t no_file;
	char *const *arguments; /* of the program */
	size_t nr_arguments;
};

struct jailer_option;
typedef int jailer_setter(struct jailer_options *o, const struct jailer_option *option,
			  const char *value, struct err *e);

struct jailer_option {
	const char *name;
	const char *arg; /* what the value is; NULL: none is taken */
	const char *help; /* for --help: no full stop */
	const char *details; /* for the manual: plain sentences */
	bool is_repeatable;
	bool is_required; /* of a run */
	bool is_path; /* the shell completes a file's name */
	const char *const *choices; /* that the shell offers; NULL at the end */
	jailer_setter *set;
};

extern const struct jailer_option jailer_option_table[];
extern const size_t jailer_option_count;

/* 0, or -EINVAL with @e filled. Opens no file and prints nothing. */
int jailer_options_parse(int argc, char *const argv[], struct jailer_options *out, struct err *e);

void jailer_help(FILE *to);
void jailer_version(FILE *to);
