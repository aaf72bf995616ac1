/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volt-vmm: runs one microVM, or tells one that runs what to do.
 *
 * The program is two processes. This one, control, reads the command line, opens every file and
 * talks to the user; it never sees guest memory. The other one, machine (machine/main.c), runs the
 * guest and has nothing but the descriptors it is given. Both are this binary.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <jansson.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "control/cmd.h"
#include "control/exit_status.h"
#include "control/logger.h"
#include "control/options.h"
#include "control/verb.h"
#include "control/wire.h"

/* What Jansson would do when it first makes an object, by opening a device. */
static void seed_json(void)
{
	size_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		json_object_seed(seed | 1);
}

static int refuse(const struct options *o, const struct err *e)
{
	log_error("%s", e->msg);
	if (e->code == -EINVAL && o->is_firecracker)
		return EXIT_STATUS_FIRECRACKER_USAGE;
	if (e->code != -EINVAL && e->code != -EBADMSG)
		return EXIT_STATUS_ERROR;
	return o->is_firecracker ? exit_status_for_firecracker(EXIT_STATUS_USAGE)
				 : EXIT_STATUS_USAGE;
}

static int act(struct options *o)
{
	int status;

	switch (o->action) {
	case OPTIONS_HELP:
		options_help(o, stdout);
		return cmd_finish(EXIT_STATUS_OK);
	case OPTIONS_VERSION:
		options_version(o, stdout);
		return cmd_finish(EXIT_STATUS_OK);
	case OPTIONS_SNAPSHOT_VERSION:
		options_snapshot_version(stdout);
		return cmd_finish(EXIT_STATUS_OK);
	case OPTIONS_RUN:
		break;
	}
	logger_open(o->log_level);
	status = o->verb->run(o);
	return o->is_firecracker ? exit_status_for_firecracker(status) : status;
}

int main(int argc, char *argv[])
{
	struct options options;
	struct err e = { 0 };
	int status;

	if (argc > 0 && strcmp(argv[0], WIRE_MACHINE_ARGV0) == 0)
		return machine_main();
	logger_open(LOG_LEVEL_WARN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file beyond RLIMIT_FSIZE is an error value */
	seed_json();
	if (file_open_standard_streams() < 0)
		return EXIT_STATUS_ERROR;
	if (options_parse(argc, argv, &options, &e) < 0)
		return refuse(&options, &e);
	status = act(&options);
	options_release(&options);
	return status;
}
