/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stellarium: keeps images of machines in a content-addressed store (stellar/).
 *
 * One process, one verb. The command line is read, then the key, then files are opened; before the
 * first byte of the store is looked at, the process gives up what it will not need (confine.h).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include <jansson.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "stellarium/cancel.h"
#include "stellarium/cmd.h"
#include "stellarium/console.h"
#include "stellarium/exit_status.h"
#include "stellarium/options.h"

/* What Jansson would do when it first makes an object, by opening a device. */
static void seed_json(void)
{
	size_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		json_object_seed(seed | 1);
}

static int act(struct options *o)
{
	switch (o->action) {
	case OPTIONS_HELP:
		options_help(o, stdout);
		return cmd_finish(EXIT_STATUS_OK);
	case OPTIONS_VERSION:
		options_version(stdout);
		return cmd_finish(EXIT_STATUS_OK);
	case OPTIONS_RUN:
		break;
	}
	cancel_start();
	return o->verb->run(o);
}

int main(int argc, char *argv[])
{
	struct options options;
	struct err e = { 0 };
	int status;

	console_open();
	signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error value, */
	signal(SIGXFSZ, SIG_IGN); /* and so is a file beyond RLIMIT_FSIZE */
	seed_json();
	if (file_open_standard_streams() < 0)
		return EXIT_STATUS_ERROR;
	if (options_parse(argc, argv, &options, &e) < 0) {
		log_error("%s", e.msg);
		return e.code == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_ERROR;
	}
	status = act(&options);
	options_release(&options);
	return status;
}
