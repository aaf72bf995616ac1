/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of the kernel that machine has no use for: each is surface, and some have been a way out.
 * These need not have two layers against them; the filter is what they are up against.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/traitor/traitor.h"

enum {
	FDS_MAX = 64,
	PAGE_BYTES = 4096,
	PROGRAM_BYTES_MAX = 65536,
	GETPID_OF_I386 = 20,
	X32_BIT = 0x40000000,
	SYSLOG_SIZE = 10,
};

static char *program; /* an ELF file, read before confinement */
static ssize_t program_bytes;

static long try_key(void)
{
	return outcome(
		syscall(SYS_add_key, "user", "volt-traitor", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}

static long try_keyctl(void)
{
	return outcome(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1));
}

static long try_bpf(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 4,
		.max_entries = 1,
	};

	return outcome(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static long try_userfaultfd(void)
{
	return outcome(syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY));
}

static long try_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};

	return outcome(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static long try_personality(void)
{
	return outcome(syscall(SYS_personality, ADDR_NO_RANDOMIZE));
}

/* By every descriptor there is, for /dev/kvm may be one of them. */
static long try_create_vm(void)
{
	long r = -EBADF;

	for (int fd = 3; fd < FDS_MAX && r < 0; fd++)
		r = outcome(syscall(SYS_ioctl, fd, KVM_CREATE_VM, 0));
	return r;
}

static long try_create_vcpu(void)
{
	long r = -EBADF;

	for (int fd = 3; fd < FDS_MAX && r < 0; fd++)
		r = outcome(syscall(SYS_ioctl, fd, KVM_CREATE_VCPU, 9));
	return r;
}

static long try_new_user(void)
{
	const long pid = outcome(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0));

	if (pid == 0)
		syscall(SYS_exit_group, 0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return pid;
}

static long try_new_mounts(void)
{
	return outcome(syscall(SYS_unshare, CLONE_NEWNS));
}

static long try_other_user(void)
{
	return outcome(syscall(SYS_setresuid, 1, 1, 1));
}

static long try_capability(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = 1u << CAP_SYS_ADMIN,
						    .permitted = 1u << CAP_SYS_ADMIN } };

	return outcome(syscall(SYS_capset, &header, data));
}

static long try_dumpable(void)
{
	return outcome(syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static long try_core_limit(void)
{
	const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	return outcome(syscall(SYS_setrlimit, RLIMIT_CORE, &limit));
}

/* No module, but whether it looks at one says whether it would take one. */
static long try_module(void)
{
	const long r = outcome(syscall(SYS_init_module, "no module", 9, ""));

	return r == -ENOEXEC ? 0 : r;
}

static long try_kernel_log(void)
{
	return outcome(syscall(SYS_syslog, SYSLOG_SIZE, NULL, 0));
}

/* --- new processes --------------------------------------------------------------------------- */

/* The child is as confined as we are, and ends with us; so this is no escape yet. */
static long end_child(long pid)
{
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, __WALL);
	return pid;
}

static long try_fork(void)
{
	return end_child(outcome(syscall(SYS_fork)));
}

static long try_clone(void)
{
	return end_child(outcome(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0)));
}

static long try_clone3(void)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = { .exit_signal = SIGCHLD };

	return end_child(outcome(syscall(SYS_clone3, &args, sizeof(args))));
}

/* --- code of its own ------------------------------------------------------------------------- */

static long try_executable_memory(void)
{
	void *map = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? -errno : 0;
}

static long try_mprotect(void)
{
	static char page[2 * PAGE_BYTES];
	const uintptr_t start = ((uintptr_t)page + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);

	return outcome(
		syscall(SYS_mprotect, start, PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC));
}

static bool read_program(void)
{
	const int fd = open(loot_path("executed"), O_RDONLY);

	program = malloc(PROGRAM_BYTES_MAX);
	program_bytes = fd < 0 ? -1 : read(fd, program, PROGRAM_BYTES_MAX);
	if (fd >= 0)
		close(fd);
	return program_bytes > 0;
}

static long try_memfd(void)
{
	static char name[] = "executed";
	char *const argv[] = { name, NULL };
	const int fd = (int)syscall(SYS_memfd_create, "executed", 0);

	if (fd < 0 || write(fd, program, (size_t)program_bytes) != program_bytes)
		return -errno;
	return outcome(syscall(SYS_execveat, fd, "", argv, argv + 1, AT_EMPTY_PATH));
}

/* --- by another door ------------------------------------------------------------------------- */

/* getpid() of the 32-bit ABI: a filter that looks at numbers only takes it for writev(). */
static long try_i386(void)
{
	long r = GETPID_OF_I386;

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return r;
}

/* getpid() of the x32 ABI; most kernels do not have it. */
static long try_x32(void)
{
	return outcome(syscall(X32_BIT | SYS_getpid));
}

const struct escape kernel_escapes[] = {
	{ "add_key", try_key, NULL },
	{ "keyctl", try_keyctl, NULL },
	{ "bpf", try_bpf, NULL },
	{ "userfaultfd", try_userfaultfd, NULL },
	{ "perf_event_open", try_perf, NULL },
	{ "personality", try_personality, NULL },
	{ "kvm-create-vm", try_create_vm, NULL },
	{ "kvm-create-vcpu", try_create_vcpu, NULL },
	{ "new-user-namespace", try_new_user, NULL },
	{ "new-mount-namespace", try_new_mounts, NULL },
	{ "setresuid", try_other_user, NULL },
	{ "capset", try_capability, NULL },
	{ "dumpable-again", try_dumpable, NULL },
	{ "core-dumps-again", try_core_limit, NULL },
	{ "init_module", try_module, NULL },
	{ "kernel-log", try_kernel_log, NULL },
	{ "fork", try_fork, NULL },
	{ "clone", try_clone, NULL },
	{ "clone3", try_clone3, NULL },
	{ "executable-mmap", try_executable_memory, NULL },
	{ "executable-mprotect", try_mprotect, NULL },
	{ "exec-memfd", try_memfd, read_program },
	{ "i386-call", try_i386, NULL },
	{ "x32-call", try_x32, NULL },
	{ 0 },
};
