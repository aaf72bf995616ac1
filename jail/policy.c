/* SPDX-License-Identifier: Apache-2.0 */
/* The table of system calls: see policy.h. Each row has its reason; a call without one goes. */
#include "jail/policy.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/bytes.h"

#define VCPU (1u << JAIL_THREAD_VCPU)
#define LOOP (1u << JAIL_THREAD_LOOP)
#define IO (1u << JAIL_THREAD_IO)
#define CONTROL (1u << JAIL_THREAD_CONTROL)
#define STORE (1u << JAIL_THREAD_STORE)
#define FSCK (1u << JAIL_THREAD_FSCK)
#define DEVICES (LOOP | IO)
#define MACHINE (VCPU | LOOP | IO)
#define STELLARIUM (STORE | FSCK)
#define ALL (MACHINE | CONTROL)

#define EXACTLY UINT64_MAX
/* ioctl() requests have 32 bits, whatever a caller's compiler makes of the upper ones. */
#define REQUEST(number)                         \
	{                                       \
		{                               \
			1, UINT32_MAX, (number) \
		}                               \
	}
#define ARG(n, mask, value)          \
	{                            \
		(n), (mask), (value) \
	}
#define FUTEX_DOES(op)             \
	{                          \
		ARG(1, 0x7f, (op)) \
	} /* private or not, and by whatever clock */

enum {
	KICK = 34, /* SIGRTMIN, which glibc computes at run time */
	SETXID = 33, /* glibc's own, by which its threads change user ids */
};

/* What glibc's pthread_create() and fork() ask for. */
#define NEW_THREAD                                                                          \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define NEW_PROCESS (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)

static const struct jail_syscall table[] = {
	/* the guest */
	{ "ioctl", VCPU, 0, REQUEST(KVM_RUN), "run the guest" },
	{ "ioctl", VCPU, 0, REQUEST(KVM_GET_REGS), "registers for the log when a vCPU fails" },
	{ "ioctl", VCPU, 0, REQUEST(KVM_GET_SREGS), "the same" },
	{ "rt_sigreturn", VCPU, 0, { { 0 } }, "back from the kick that ends KVM_RUN" },
	{ "ioctl", LOOP, 0, REQUEST(KVM_KVMCLOCK_CTRL), "resume: tell the guest's clock" },
	{ "ioctl", LOOP, 0, REQUEST(KVM_GET_DIRTY_LOG), "--track-dirty-pages: count at a pause" },
	{ "tgkill", LOOP, 0, { ARG(2, EXACTLY, KICK) }, "kick a vCPU: pause and end" },

	/* loops and locks */
	{ "epoll_wait", DEVICES, 0, { { 0 } }, "the event loop" },
	{ "epoll_ctl", DEVICES, 0, { { 0 } }, "watch and forget a descriptor" },
	{ "futex", MACHINE | STELLARIUM, 0, FUTEX_DOES(FUTEX_WAIT),
	  "wait for a lock, a condition" },
	{ "futex", MACHINE | STELLARIUM, 0, FUTEX_DOES(FUTEX_WAKE), "wake who waits for it" },
	{ "futex", MACHINE | STELLARIUM, 0, FUTEX_DOES(FUTEX_WAIT_BITSET), "for a thread's end" },
	{ "clock_gettime",
	  ALL | STELLARIUM,
	  0,
	  { { 0 } },
	  "rare: time, on hosts whose clock needs the kernel" },
	{ "timerfd_settime", DEVICES, 0, { { 0 } }, "rate limits, waits for a driver" },
	{ "restart_syscall", LOOP | CONTROL, 0, { { 0 } }, "rare: a stop in a wait of the end" },
	{ "poll",
	  LOOP,
	  0,
	  { { 0 } },
	  "rare: output that nobody reads, requests in flight, at the end" },
	{ "poll", CONTROL, 0, { { 0 } }, "wait for machine's end" },

	/* descriptors that were opened before, by whom we were started */
	{ "read", ALL, 0, { { 0 } }, "eventfds, timers, the console" },
	{ "write", ALL, 0, { { 0 } }, "eventfds: interrupts and doorbells; the console" },
	{ "sendto",
	  MACHINE,
	  0,
	  { ARG(4, EXACTLY, 0) },
	  "log lines and answers, to our socket only" },
	{ "recvmsg", LOOP, 0, { { 0 } }, "commands, with the descriptor of a new file" },
	{ "close",
	  DEVICES | CONTROL,
	  0,
	  { { 0 } },
	  "a drive's old file, and everything at the end" },

	/* drives */
	{ "preadv2", DEVICES, 0, { { 0 } }, "read a drive" },
	{ "pwritev2", DEVICES, 0, { { 0 } }, "write a drive" },
	{ "fdatasync", DEVICES, 0, { { 0 } }, "flush a drive" },
	{ "fallocate", DEVICES, 0, { { 0 } }, "discard and write zeroes" },
	{ "ioctl", DEVICES, 0, REQUEST(BLKDISCARD), "the same, on a block device" },
	{ "io_uring_enter", DEVICES, 0, { { 0 } }, "start and reap a batch of requests" },
	{ "io_uring_register",
	  DEVICES,
	  0,
	  { ARG(1, EXACTLY, IORING_REGISTER_FILES_UPDATE) },
	  "put a drive's new file in place of the old one" },
	{ "fcntl", DEVICES | CONTROL, 0, { ARG(1, EXACTLY, F_GETFL) }, "examine a new file" },
	{ "fcntl", CONTROL, 0, { ARG(1, EXACTLY, F_SETFL) }, "and make it blocking" },
	{ "fstat", DEVICES, 0, { { 0 } }, "size and kind of a new file" },
	{ "ioctl", DEVICES, 0, REQUEST(BLKGETSIZE64), "the same, of a block device" },
	{ "ioctl", DEVICES, 0, REQUEST(BLKSSZGET), "its block size" },
	{ "ioctl", DEVICES, 0, REQUEST(BLKPBSZGET), "the same" },
	{ "statx", DEVICES, ENOSYS, { { 0 } }, "alignment is found by trying" },
	{ "fstatfs", DEVICES, ENOSYS, { { 0 } }, "a new file is taken to be on a disk" },

	/* memory of our own, which can never be code */
	{ "mmap",
	  DEVICES | CONTROL,
	  0,
	  { ARG(2, PROT_EXEC, 0), ARG(3, MAP_ANONYMOUS, MAP_ANONYMOUS) },
	  "malloc()" },
	{ "munmap", DEVICES | CONTROL, 0, { { 0 } }, "free(), and rings at the end" },
	{ "brk", DEVICES, ENOMEM, { { 0 } }, "malloc() asks mmap() then" },

	/* control: who asks, and what it is asked for */
	{ "accept4", CONTROL, 0, { { 0 } }, "a client of the API" },
	{ "recvfrom", CONTROL, 0, { { 0 } }, "machine's events" },
	{ "sendmsg", CONTROL, 0, { { 0 } }, "commands, with the descriptor of a new file" },
	{ "readv", CONTROL, 0, { { 0 } }, "a request" },
	{ "writev", CONTROL, 0, { { 0 } }, "an answer" },
	{ "shutdown", CONTROL, 0, { { 0 } }, "no more of either" },
	{ "getsockopt", CONTROL, 0, { { 0 } }, "who the client is" },
	{ "ioctl", CONTROL, 0, REQUEST(FIONREAD), "how much of a request has come" },
	{ "ioctl", CONTROL, 0, REQUEST(TCGETS), "the terminal" },
	{ "ioctl", CONTROL, 0, REQUEST(TCSETS), "raw, and as it was" },
	{ "ioctl", CONTROL, 0, REQUEST(SECCOMP_IOCTL_NOTIF_RECV),
	  "rare: which call machine's filter forbade" },
	{ "seccomp",
	  CONTROL,
	  0,
	  { ARG(0, EXACTLY, SECCOMP_GET_NOTIF_SIZES) },
	  "rare: to read that" },
	{ "openat", CONTROL, 0, { { 0 } }, "a drive's new file, in a folder that Landlock allows" },
	{ "newfstatat", CONTROL, 0, { { 0 } }, "examine it" },
	{ "lseek", CONTROL, 0, { { 0 } }, "its size" },
	{ "flock", CONTROL, 0, { { 0 } }, "lock it" },
	{ "fcntl", CONTROL, 0, { ARG(1, EXACTLY, F_DUPFD_CLOEXEC) }, "keep its lock" },
	{ "access", CONTROL, 0, { { 0 } }, "whether a file that a client names is there" },
	{ "faccessat2", CONTROL, 0, { { 0 } }, "why it cannot be opened" },
	{ "readlink", CONTROL, 0, { { 0 } }, "where a path leads" },
	{ "getcwd", CONTROL, 0, { { 0 } }, "the same, of a relative one" },
	{ "clock_nanosleep", CONTROL, 0, { { 0 } }, "wait for a lock" },
	{ "unlink", CONTROL, 0, { { 0 } }, "our socket and pid file" },
	{ "unlinkat", CONTROL, 0, { { 0 } }, "our entry in the list of VMs" },
	{ "socket",
	  CONTROL,
	  0,
	  { ARG(0, EXACTLY, AF_UNIX) },
	  "tell the service manager of the end" },
	{ "sendto", CONTROL, 0, { { 0 } }, "the same" },
	{ "mremap", CONTROL, 0, { { 0 } }, "realloc()" },
	{ "brk", CONTROL, 0, { { 0 } }, "malloc()" },
	{ "kill", CONTROL, 0, { ARG(1, EXACTLY, SIGKILL) }, "end a machine that does not end" },
	{ "tgkill", CONTROL, 0, { ARG(2, EXACTLY, SIGSTOP) }, "stop at Ctrl-Z" },
	{ "pidfd_open", CONTROL, 0, { { 0 } }, "wait for machine's end" },
	{ "wait4", CONTROL, 0, { { 0 } }, "the same" },
	{ "getpid", CONTROL, 0, { { 0 } }, "our own id" },
	{ "gettid", CONTROL, 0, { { 0 } }, "the same" },
	{ "rt_sigaction", CONTROL, 0, { { 0 } }, "give back signals at the end" },
	{ "rt_sigreturn", CONTROL, 0, { { 0 } }, "back from a signal" },

	/* stellarium: the store's files, below a folder that Landlock allows */
	{ "pread64", STELLARIUM, 0, { { 0 } }, "read packs, records, a file that is imported" },
	{ "newfstatat", STELLARIUM, 0, { { 0 } }, "examine them" },
	{ "fstat", STELLARIUM, 0, { { 0 } }, "rare: the same, by later C libraries" },
	{ "openat", STELLARIUM, 0, { { 0 } }, "open and make them" },
	{ "close", STELLARIUM, 0, { { 0 } }, "and close them" },
	{ "pwritev", STELLARIUM, 0, { { 0 } }, "append chunks to a pack" },
	{ "pwrite64", STELLARIUM, 0, { { 0 } }, "write records, pages of the index, an export" },
	{ "read", STELLARIUM, 0, { { 0 } }, "a stream that is imported" },
	{ "write", STELLARIUM, 0, { { 0 } }, "an export to a stream, results, messages, the bar" },
	{ "writev", STELLARIUM, 0, { { 0 } }, "LMDB: several pages of it" },
	{ "poll", STORE, 0, { { 0 } }, "wait for the stream" },
	{ "restart_syscall", STORE, 0, { { 0 } }, "rare: the same, after Ctrl-Z" },
	{ "lseek", STELLARIUM, 0, { { 0 } }, "lengths, and holes of a file" },
	{ "getdents64", STELLARIUM, 0, { { 0 } }, "list folders" },
	{ "faccessat2", STELLARIUM, 0, { { 0 } }, "whether the index may be written" },
	{ "faccessat", STELLARIUM, 0, { { 0 } }, "rare: the same, before Linux 5.8" },
	{ "fstatfs", STELLARIUM, 0, { { 0 } }, "whether it is a read-only disk; LMDB: or ext4" },
	{ "ftruncate", STELLARIUM, 0, { { 0 } }, "an export's length; LMDB: its lock file's" },
	{ "fdatasync", STELLARIUM, 0, { { 0 } }, "bring a pack and the index to the disk" },
	{ "fsync", STELLARIUM, 0, { { 0 } }, "the same, of new names and exports" },
	{ "sync_file_range", STELLARIUM, 0, { { 0 } }, "let a large pack's writing begin" },
	{ "fadvise64", STORE, 0, { { 0 } }, "a file will be read in order" },
	{ "mkdirat", FSCK, 0, { { 0 } }, "quarantine/, and folders that are missing" },
	{ "mkdir", FSCK, 0, { { 0 } }, "the index made anew" },
	{ "renameat", STELLARIUM, 0, { { 0 } }, "a new record takes the place of the old" },
	{ "renameat2", STELLARIUM, 0, { { 0 } }, "the same, but not of one that is there" },
	{ "linkat", STORE, 0, { { 0 } }, "an export gets its name" },
	{ "unlinkat", STELLARIUM, 0, { { 0 } }, "remove names, packs, leases" },
	{ "flock", STELLARIUM, 0, { { 0 } }, "who uses what" },
	{ "fcntl", STELLARIUM, 0, { ARG(1, EXACTLY, F_SETLK) }, "LMDB: the same" },
	{ "fcntl", STELLARIUM, 0, { ARG(1, EXACTLY, F_SETLKW) }, "rare: LMDB waits for it" },
	{ "fcntl", STELLARIUM, 0, { ARG(1, EXACTLY, F_GETLK) }, "rare: LMDB, who has died" },
	{ "fcntl", STELLARIUM, 0, { ARG(1, EXACTLY, F_DUPFD_CLOEXEC) }, "a folder to list" },
	{ "fcntl", STELLARIUM, 0, { ARG(1, EXACTLY, F_GETFL) }, "the same, by the C library" },
	{ "fcntl", STELLARIUM, 0, { ARG(1, EXACTLY, F_SETFD) }, "the same" },
	{ "ioctl", STORE, 0, REQUEST(BLKGETSIZE64), "a block device has room for an export" },
	{ "ioctl", STELLARIUM, 0, REQUEST(TCGETS), "whether an output is a terminal" },
	{ "ioctl", STELLARIUM, 0, REQUEST(TIOCGWINSZ), "how wide the bar may be" },
	{ "uname", STELLARIUM, 0, { { 0 } }, "LMDB: whether that ext4 has a fault" },
	{ "getpid", STELLARIUM, 0, { { 0 } }, "LMDB: who reads" },
	{ "getrandom", STELLARIUM, 0, { { 0 } }, "names, salts and nonces" },
	{ "sched_getaffinity", STELLARIUM, 0, { { 0 } }, "how many processors" },
	{ "sysinfo", STELLARIUM, 0, { { 0 } }, "how much memory to sort and to derive keys with" },

	/* stellarium: memory and threads */
	{ "mmap", STELLARIUM, 0, { ARG(2, PROT_EXEC, 0) }, "malloc(), stacks, the index, packs" },
	{ "mprotect", STELLARIUM, 0, { ARG(2, PROT_EXEC, 0) }, "malloc() and stacks" },
	{ "munmap", STELLARIUM, 0, { { 0 } }, "free(), and what was mapped" },
	{ "mremap", STELLARIUM, 0, { { 0 } }, "rare: realloc() of much" },
	{ "brk", STELLARIUM, 0, { { 0 } }, "malloc()" },
	{ "madvise", STELLARIUM, 0, { ARG(2, EXACTLY, MADV_DONTNEED) }, "free(), a stack goes" },
	{ "madvise", STELLARIUM, 0, { ARG(2, EXACTLY, MADV_RANDOM) }, "LMDB: no reading ahead" },
	{ "madvise",
	  STELLARIUM,
	  0,
	  { ARG(2, EXACTLY, MADV_DONTDUMP) },
	  "keys are in no core dump" },
	{ "mlock", STELLARIUM, 0, { { 0 } }, "nor in swap" },
	{ "clone3", STELLARIUM, ENOSYS, { { 0 } }, "clone() has flags that can be checked" },
	{ "clone", STELLARIUM, 0, { ARG(0, EXACTLY, NEW_THREAD) }, "start a thread" },
	{ "set_robust_list", STELLARIUM, 0, { { 0 } }, "a thread begins" },
	{ "rseq", STELLARIUM, 0, { { 0 } }, "the same" },
	{ "rt_sigprocmask", STELLARIUM, 0, { { 0 } }, "the same, and it ends" },
	{ "rt_sigaction", STORE, 0, { ARG(0, EXACTLY, SETXID) }, "the first thread begins" },
	{ "rt_sigreturn", STELLARIUM, 0, { { 0 } }, "back from Ctrl-C" },
	{ "gettid", STELLARIUM, 0, { { 0 } }, "rare: abort()" },
	{ "tgkill", STELLARIUM, 0, { ARG(2, EXACTLY, SIGABRT) }, "rare: abort()" },

	/* stellarium fsck: a child reads the index, and has a filter of its own (fsck_serve.c) */
	{ "sendto", FSCK, 0, { ARG(4, EXACTLY, 0) }, "ask it" },
	{ "recvfrom", FSCK, 0, { ARG(4, EXACTLY, 0) }, "its answer" },
	{ "setitimer", FSCK, 0, { ARG(0, EXACTLY, ITIMER_PROF) }, "an end to each of its answers" },
	{ "socketpair", FSCK, 0, { ARG(0, EXACTLY, AF_UNIX) }, "for both" },
	{ "clone", FSCK, 0, { ARG(0, EXACTLY, NEW_PROCESS) }, "start it" },
	{ "rt_sigaction", FSCK, 0, { { 0 } }, "its crashes are quiet" },
	{ "prlimit64", FSCK, 0, { ARG(1, EXACTLY, RLIMIT_CORE) }, "and leave no core dump" },
	{ "memfd_create", FSCK, 0, { { 0 } }, "what LMDB says then goes nowhere" },
	{ "dup2", FSCK, 0, { { 0 } }, "the same" },
	{ "close_range", FSCK, 0, { { 0 } }, "it has no file of its parent's" },
	{ "prctl", FSCK, 0, { ARG(0, EXACTLY, PR_SET_PDEATHSIG) }, "it ends with its parent" },
	{ "prctl", FSCK, 0, { ARG(0, EXACTLY, PR_SET_NO_NEW_PRIVS) }, "for its filter" },
	{ "prctl",
	  FSCK,
	  0,
	  { ARG(0, EXACTLY, PR_SET_SECCOMP), ARG(1, EXACTLY, SECCOMP_MODE_FILTER) },
	  "its filter" },
	{ "kill", FSCK, 0, { ARG(1, EXACTLY, SIGKILL) }, "end it" },
	{ "wait4", FSCK, 0, { { 0 } }, "how it ended" },

	/* the end */
	{ "rt_sigprocmask", VCPU | IO, 0, { { 0 } }, "a thread ends" },
	{ "madvise", VCPU | IO, 0, { ARG(2, EXACTLY, MADV_DONTNEED) }, "its stack goes" },
	{ "exit", VCPU | IO | STELLARIUM, 0, { { 0 } }, "it has ended" },
	{ "exit_group", LOOP | CONTROL | STELLARIUM, 0, { { 0 } }, "the process ends" },
};

const struct jail_syscall *jail_policy(size_t *nr)
{
	*nr = ARRAY_LEN(table);
	return table;
}

const char *jail_thread_name(enum jail_thread thread)
{
	static const char *const names[JAIL_THREADS] = {
		[JAIL_THREAD_VCPU] = "vcpu",   [JAIL_THREAD_LOOP] = "loop",
		[JAIL_THREAD_IO] = "io",       [JAIL_THREAD_CONTROL] = "control",
		[JAIL_THREAD_STORE] = "store", [JAIL_THREAD_FSCK] = "fsck",
	};

	return names[thread];
}
