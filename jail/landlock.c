/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: see landlock.h. */
#include "jail/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Newer than the kernel headers this may be built with (Linux 6.1 has ABI 2). */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* ABI 3 */
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0) /* ABI 4 */
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) /* ABI 6 */
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

/* struct landlock_ruleset_attr of ABI 6; older kernels take a shorter one, or zeroes behind it. */
struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

static const uint64_t fs_abi_1 = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

static const uint64_t read_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

static const uint64_t write_access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
				     LANDLOCK_ACCESS_FS_REMOVE_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
				     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
				     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_IOCTL_DEV;

/* What may be said of a file that is no folder. */
static const uint64_t file_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				    LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV;

int jail_landlock_abi(void)
{
	const long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

const char *jail_landlock_missing(int abi)
{
	static const char *const missing[JAIL_LANDLOCK_BEST_ABI] = {
		[0] = "all of it (Linux 5.13, with landlock among the kernel's lsm=)",
		[1] = "renaming across folders (Linux 5.19), truncate (6.2), TCP (6.7), ioctl of "
		      "devices (6.10), signals and abstract sockets (6.12)",
		[2] = "truncate (Linux 6.2), TCP (6.7), ioctl of devices (6.10), signals and "
		      "abstract sockets (6.12)",
		[3] = "TCP (Linux 6.7), ioctl of devices (6.10), signals and abstract sockets "
		      "(6.12)",
		[4] = "ioctl of devices (Linux 6.10), signals and abstract sockets (6.12)",
		[5] = "signals and abstract sockets (Linux 6.12)",
	};

	return abi < JAIL_LANDLOCK_BEST_ABI ? missing[abi < 0 ? 0 : abi] : NULL;
}

/* All that version @abi can forbid. */
static struct ruleset everything(int abi)
{
	struct ruleset set = { .handled_access_fs = fs_abi_1 };

	if (abi >= 2)
		set.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		set.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 4)
		set.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP |
					 LANDLOCK_ACCESS_NET_CONNECT_TCP;
	if (abi >= 5)
		set.handled_access_fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	if (abi >= 6)
		set.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	return set;
}

static int add_rule(int ruleset_fd, const struct jail_path_rule *rule, uint64_t handled,
		    struct err *e)
{
	auto_fd int fd = open(rule->path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr attr = { .parent_fd = fd, .allowed_access = read_access };
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot allow '%s'", rule->path);
	if (rule->access != JAIL_ACCESS_READ)
		attr.allowed_access |= write_access;
	if (rule->access == JAIL_ACCESS_MOVE)
		attr.allowed_access |= LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_MAKE_SYM;
	attr.allowed_access &= handled;
	if (!S_ISDIR(st.st_mode))
		attr.allowed_access &= file_access;
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
		return err_errno(e, -errno, "cannot allow '%s'", rule->path);
	return 0;
}

int jail_landlock(const struct jail_landlock_plan *plan, struct err *e)
{
	const int abi = jail_landlock_abi();
	struct ruleset set = everything(abi);
	int r = 0;

	if (abi == 0)
		return err_set(e, -ENOSYS, "this kernel has no Landlock");
	if (!plan->is_scoped)
		set.scoped = 0;
	auto_fd int fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make a Landlock ruleset");
	for (uint32_t i = 0; r == 0 && i < plan->nr_rules; i++)
		r = add_rule(fd, &plan->rules[i], set.handled_access_fs, e);
	if (r < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_errno(e, -errno, "cannot apply the Landlock ruleset");
	return 0;
}
