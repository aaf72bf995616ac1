/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jailer: runs a virtual machine monitor in a folder of its own, as a user of its own, with the
 * command line, the folders and the steps of Firecracker's jailer.
 *
 * All that can be found wrong is found before anything is made, and what was made is taken back when
 * a later step fails. Nothing below the base folder is trusted: see jail/path.h and home.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/quote.h"
#include "jail/cgroup.h"
#include "jailer/cleanup.h"
#include "jailer/devices.h"
#include "jailer/home.h"
#include "jailer/launch.h"
#include "jailer/options.h"
#include "jailer/program.h"
#include "jailer/root.h"
#include "jailer/undo.h"

/* Of everything: Firecracker's jailer has no other. */
enum { STATUS_FAILED = 1 };

struct run {
	const struct jailer_options *options;
	struct program program;
	struct cgroup_spec cgroup_spec;
	struct cgroup cgroup;
	int netns; /* -1: none */
	int null; /* -1: not needed */
	struct home home;
	struct launch launch;
	struct undo undo;
};

/* The caller's environment and open files are none of the program's. */
static int forget_caller(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -errno;
	}
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return -errno;
	return clearenv() == 0 ? 0 : -ENOMEM;
}

/* The path may lead over links: /var/run is one. */
static int open_netns(const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return err_errno(e, -errno, "cannot open --netns %s", quote(path).text);
	if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return err_set(e, -EINVAL, "--netns %s is no network namespace", quote(path).text);
	return take_fd(&fd);
}

/* Opens what is needed from outside the jail. Makes nothing. */
static int open_inputs(struct run *run, struct err *e)
{
	const struct jailer_options *o = run->options;
	int r = program_open(&run->program, o->program_path, e);

	if (r == 0)
		r = home_check_base(o->base_path, e);
	if (r == 0 && o->netns_path) {
		run->netns = open_netns(o->netns_path, e);
		r = run->netns < 0 ? run->netns : 0;
	}
	if (r == 0 && o->is_daemon) {
		run->null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (run->null < 0)
			r = err_errno(e, -errno, "cannot open /dev/null");
	}
	run->cgroup_spec = (struct cgroup_spec){ .version = o->cgroup_version,
						 .parent = o->parent_cgroup,
						 .name = o->id,
						 .settings = o->settings,
						 .nr_settings = o->nr_settings };
	return r == 0 ? cgroup_open(&run->cgroup, &run->cgroup_spec, e) : r;
}

/* The folder on the host and the copy of the program in it. */
static int make_home(struct run *run, struct err *e)
{
	const struct jailer_options *o = run->options;
	int r = home_make(&run->home, o->base_path, o->program_name, o->id, &run->undo, e);

	if (r == 0)
		r = program_copy(&run->program, run->home.root, o->program_name, e);
	if (r == 0 && undo_note(&run->undo, run->home.root, o->program_name, UNDO_FILE) < 0)
		r = err_set(e, -ENOSPC, "too much to take back");
	return r == 0 ? program_check_place(&run->program, run->home.root, e) : r;
}

static int join_netns(const struct run *run, struct err *e)
{
	if (run->netns >= 0 && setns(run->netns, CLONE_NEWNET) < 0)
		return err_errno(e, -errno, "cannot join --netns %s",
				 quote(run->options->netns_path).text);
	return 0;
}

static int enter_cgroup(struct run *run, struct err *e)
{
	int r;

	if (run->options->nr_settings == 0)
		return run->options->cgroup_version == CGROUP_V2
			       ? cgroup_enter_parent(&run->cgroup, e)
			       : 0;
	r = cgroup_make(&run->cgroup, e);
	return r == 0 ? cgroup_enter(&run->cgroup, e) : r;
}

/* What the program finds in its root, and the root itself. */
static int enter_jail(struct run *run, struct err *e)
{
	const struct jailer_options *o = run->options;
	struct home *home = &run->home;
	int r = root_mount(&home->root, &run->undo, e);

	if (r == 0)
		r = home_make_folders(home, &run->undo, e);
	if (r == 0)
		r = devices_make(home, o->uid, o->gid, &run->undo, e);
	if (r == 0)
		r = home_give(home, o->program_name, o->uid, o->gid, e);
	return r == 0 ? root_enter(home->root, e) : r;
}

static int run_steps(struct run *run, struct err *e)
{
	const struct jailer_options *o = run->options;
	int r = open_inputs(run, e);

	if (r == 0)
		r = root_own_mounts(o->uid, o->gid, &run->launch.is_rootless, e);
	if (r == 0)
		r = make_home(run, e);
	if (r == 0)
		r = join_netns(run, e);
	if (r == 0)
		r = enter_cgroup(run, e);
	if (r == 0)
		r = enter_jail(run, e);
	if (r == 0) {
		run->launch.options = o;
		run->launch.root = run->home.root;
		run->launch.null = run->null;
		r = launch(&run->launch, e);
	}
	return r;
}

/* Returns only on failure, with nothing left behind. */
static int run_program(struct run *run, struct err *e)
{
	sigset_t all;
	int r;

	/* Who interrupts us gets no half of a jail either. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &run->launch.signals);
	r = run_steps(run, e);
	undo_all(&run->undo);
	cgroup_undo(&run->cgroup);
	sigprocmask(SIG_SETMASK, &run->launch.signals, NULL);
	return r;
}

static int fail(const struct err *e)
{
	fprintf(stderr, "jailer: %s\n", e->msg);
	return STATUS_FAILED;
}

static int finish(void)
{
	return fflush(stdout) == 0 ? EXIT_SUCCESS : STATUS_FAILED;
}

int main(int argc, char *argv[])
{
	static struct jailer_options options;
	static struct run run;
	struct err e = { 0 };

	run = (struct run){ .options = &options, .program.fd = -1, .netns = -1, .null = -1 };
	run.launch.start_us = launch_clock_us(CLOCK_MONOTONIC);
	run.launch.start_cpu_us = launch_clock_us(CLOCK_PROCESS_CPUTIME_ID);
	if (forget_caller() < 0)
		return STATUS_FAILED;
	if (jailer_options_parse(argc, argv, &options, &e) < 0)
		return fail(&e);
	switch (options.action) {
	case JAILER_HELP:
		jailer_help(stdout);
		return finish();
	case JAILER_VERSION:
		jailer_version(stdout);
		return finish();
	case JAILER_CLEANUP:
		return cleanup(&options, &e) < 0 ? fail(&e) : EXIT_SUCCESS;
	case JAILER_RUN:
		break;
	}
	run_program(&run, &e);
	return fail(&e);
}
