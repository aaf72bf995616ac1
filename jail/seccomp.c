/* SPDX-License-Identifier: Apache-2.0 */
/* System call filters: see seccomp.h. */
#include "jail/seccomp.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "jail/seccomp_filters.h"

enum { OPS_MAX = 512 };

static const struct {
	const struct sock_filter *ops;
	size_t nr;
} filters[JAIL_THREADS] = {
	[JAIL_THREAD_VCPU] = { filter_vcpu, ARRAY_LEN(filter_vcpu) },
	[JAIL_THREAD_LOOP] = { filter_loop, ARRAY_LEN(filter_loop) },
	[JAIL_THREAD_IO] = { filter_io, ARRAY_LEN(filter_io) },
	[JAIL_THREAD_CONTROL] = { filter_control, ARRAY_LEN(filter_control) },
	[JAIL_THREAD_STORE] = { filter_store, ARRAY_LEN(filter_store) },
	[JAIL_THREAD_FSCK] = { filter_fsck, ARRAY_LEN(filter_fsck) },
};

static_assert(ARRAY_LEN(filter_vcpu) <= OPS_MAX && ARRAY_LEN(filter_loop) <= OPS_MAX &&
		      ARRAY_LEN(filter_io) <= OPS_MAX && ARRAY_LEN(filter_control) <= OPS_MAX &&
		      ARRAY_LEN(filter_store) <= OPS_MAX && ARRAY_LEN(filter_fsck) <= OPS_MAX,
	      "a filter fits the copy that reports");

static int load(const struct sock_filter *ops, size_t nr, unsigned int flags)
{
	const struct sock_fprog program = { .len = (unsigned short)nr,
					    .filter = (struct sock_filter *)(uintptr_t)ops };
	const long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);

	return r < 0 ? -errno : (int)r;
}

/* The same filter, but for what ends the process, which is reported instead. */
static int load_reporting(enum jail_thread thread)
{
	struct sock_filter ops[OPS_MAX];
	const size_t nr = filters[thread].nr;

	memcpy(ops, filters[thread].ops, nr * sizeof(ops[0]));
	for (size_t i = 0; i < nr; i++) {
		if (ops[i].code == (BPF_RET | BPF_K) && ops[i].k == SECCOMP_RET_KILL_PROCESS)
			ops[i].k = SECCOMP_RET_USER_NOTIF;
	}
	return load(ops, nr, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

int jail_filter(enum jail_thread thread, int *listener_fd, struct err *e)
{
	int r = -ENOSYS;

	if (listener_fd) {
		r = load_reporting(thread);
		*listener_fd = r < 0 ? -1 : r;
	}
	/* Before Linux 5.0, or where a container's own watcher has taken the only place there is. */
	if (r < 0)
		r = load(filters[thread].ops, filters[thread].nr, 0);
	if (r < 0)
		return err_errno(e, r, "cannot filter system calls");
	return 0;
}

int jail_filter_custom(const void *program, size_t bytes, struct err *e)
{
	const size_t nr = bytes / sizeof(struct sock_filter);
	int r = -EINVAL;

	if (bytes % sizeof(struct sock_filter) == 0 && nr > 0 && nr <= BPF_MAXINSNS)
		r = load(program, nr, 0);
	if (r == -EINVAL)
		return err_set(e, r,
			       "the seccomp filter is no BPF program (struct sock_filter, 8 "
			       "bytes each, at most 4096 of them)");
	if (r < 0)
		return err_errno(e, r, "cannot apply the seccomp filter");
	return 0;
}

static void name_call(int number, uint32_t arch, char *name, size_t size)
{
	const char *at = syscall_names;
	int len;

	for (int i = 0; i < number && *at; i++)
		at += strcspn(at, ",") + 1;
	len = (int)strcspn(at, ",");
	if (arch != AUDIT_ARCH_X86_64 || number < 0 || len == 0)
		snprintf(name, size, "%d of ABI %#x", number, arch);
	else
		snprintf(name, size, "%.*s", len, at);
}

/*
 * 0 when there is a report to read. Where there is none, old kernels (6.1) wait for one, even when
 * all threads have gone.
 */
static int check_report(int listener_fd)
{
	struct pollfd p = { .fd = listener_fd, .events = POLLIN };

	if (poll(&p, 1, 0) < 0)
		return -errno;
	if (p.revents & POLLIN)
		return 0;
	return p.revents & (POLLHUP | POLLERR) ? -ENOENT : -EAGAIN;
}

int jail_read_report(int listener_fd, struct jail_report *report)
{
	const int r = check_report(listener_fd);
	struct seccomp_notif_sizes sizes;
	auto_free struct seccomp_notif *notif = NULL;

	if (r < 0)
		return r;
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -errno;
	/* A newer kernel may write more than this was built for. */
	notif = calloc(1,
		       sizes.seccomp_notif > sizeof(*notif) ? sizes.seccomp_notif : sizeof(*notif));
	if (!notif)
		return -ENOMEM;
	if (ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_RECV, notif) < 0)
		return -errno;
	*report = (struct jail_report){ .pid = (int)notif->pid, .number = notif->data.nr };
	memcpy(report->arguments, notif->data.args, sizeof(report->arguments));
	name_call(notif->data.nr, notif->data.arch, report->name, sizeof(report->name));
	return 0;
}
