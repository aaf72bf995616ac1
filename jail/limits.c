/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits: see limits.h. */
#include "jail/limits.h"

#include <errno.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#define PR_SCHED_CORE_CREATE 1
#endif
enum { SCOPE_THREAD_GROUP = 1 }; /* PR_SCHED_CORE_SCOPE_THREAD_GROUP */

static int lower(int resource, uint64_t value, const char *what, struct err *e)
{
	struct rlimit limit;

	if (getrlimit((unsigned int)resource, &limit) < 0)
		return err_errno(e, -errno, "cannot read the limit of %s", what);
	if (value < limit.rlim_max)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit((unsigned int)resource, &limit) < 0)
		return err_errno(e, -errno, "cannot limit %s", what);
	return 0;
}

int jail_limit(const struct jail_limits *limits, struct err *e)
{
	int r = lower(RLIMIT_CORE, 0, "core dumps", e);

	if (r == 0)
		r = lower(RLIMIT_NOFILE, limits->descriptors, "descriptors", e);
	if (r == 0 && limits->threads > 0)
		r = lower(RLIMIT_NPROC, limits->threads, "threads", e);
	if (r == 0)
		r = lower(RLIMIT_RTPRIO, 0, "real-time priority", e);
	if (r == 0)
		r = lower(RLIMIT_NICE, 0, "priority", e);
	if (r == 0)
		r = lower(RLIMIT_MSGQUEUE, 0, "message queues", e);
	return r;
}

int jail_hide(struct err *e)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(e, -errno, "cannot forbid core dumps");
	return 0;
}

void jail_stop_speculation(void)
{
	/* ENODEV, ENXIO and EPERM say that there is nothing to switch, or that it is off for good. */
	prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_FORCE_DISABLE, 0, 0);
	prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_FORCE_DISABLE, 0, 0);
}

int jail_schedule_apart(struct err *e)
{
	if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, SCOPE_THREAD_GROUP, 0) == 0)
		return 0;
	return err_errno(
		e, -errno,
		"this host cannot keep others off a core (core scheduling needs Linux 5.14 "
		"with CONFIG_SCHED_CORE and a processor with SMT)");
}

static int compare(const void *a, const void *b)
{
	const int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int close_between(int first, int last)
{
	if (first > last)
		return 0;
	return syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0) < 0 ? -errno : 0;
}

int jail_close_all_but(int *keep, size_t nr, struct err *e)
{
	int next = 0, r = 0;

	qsort(keep, nr, sizeof(keep[0]), compare);
	for (size_t i = 0; r == 0 && i < nr; i++) {
		r = close_between(next, keep[i] - 1);
		next = keep[i] >= next ? keep[i] + 1 : next;
	}
	if (r == 0)
		r = close_between(next, INT32_MAX);
	return r < 0 ? err_errno(e, r, "cannot close other descriptors") : 0;
}
