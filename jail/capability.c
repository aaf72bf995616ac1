/* SPDX-License-Identifier: Apache-2.0 */
/* User ids and capabilities: see capability.h. */
#include "jail/capability.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 65534, CAPABILITIES_MAX = 64, PID_BYTES = 16, PID_MAX = 1 << 22 };

#define LOCKED_BITS                                                                              \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                         \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

uint32_t jail_own_user(void)
{
	char pid[PID_BYTES] = "";
	uint64_t number;

	/* The process id of the host, even in a process id namespace: the mounts are older. */
	if (readlink("/proc/self", pid, sizeof(pid) - 1) < 0)
		return NOBODY;
	number = strtoul(pid, NULL, 10);
	return number > 0 && number <= PID_MAX ? JAIL_OWN_USERS + (uint32_t)number : NOBODY;
}

int jail_become(uint32_t user, struct err *e)
{
	if (geteuid() != 0)
		return 0;
	/* Raw calls: glibc's have all threads do the same, and there is only this one. */
	if (syscall(SYS_setresgid, user, user, user) < 0) {
		if (errno != EINVAL)
			return err_errno(e, -errno, "cannot give up group 0");
		return user == NOBODY ? 0 : jail_become(NOBODY, e);
	}
	if (syscall(SYS_setgroups, 0, NULL) < 0)
		return err_errno(e, -errno, "cannot give up supplementary groups");
	/* The capabilities stay for what is still to be done, until they are dropped for good. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || syscall(SYS_setresuid, user, user, user) < 0)
		return err_errno(e, -errno, "cannot give up user 0");
	return 0;
}

static int get_sets(struct __user_cap_data_struct data[static _LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int set_sets(const struct __user_cap_data_struct data[static _LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* With CAP_SETPCAP, which set_sets() takes away. Without it there is nothing to be bounded. */
static void drop_bounding_set(void)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (get_sets(data) < 0)
		return;
	/* Permitted is enough: after setresuid() the effective set is empty. */
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	if (set_sets(data) < 0 || prctl(PR_SET_SECUREBITS, LOCKED_BITS) < 0)
		return;
	for (int i = 0; i < CAPABILITIES_MAX; i++) {
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			return;
	}
}

int jail_drop_capabilities(uint64_t keep, struct err *e)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	int r;

	drop_bounding_set();
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot clear ambient capabilities");
	r = get_sets(data);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (r == 0)
		r = set_sets(data);
	if (r < 0)
		return err_errno(e, r, "cannot drop capabilities");
	/* Whatever the bounding set still allows: no program that is executed gets it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot set no_new_privs");
	return 0;
}
