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
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/bytes.h"

#define VCPU (1u << JAIL_THREAD_VCPU)
#define LOOP (1u << JAIL_THREAD_LOOP)
#define IO (1u << JAIL_THREAD_IO)
#define CONTROL (1u << JAIL_THREAD_CONTROL)
#define DEVICES (LOOP | IO)
#define MACHINE (VCPU | LOOP | IO)
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

enum { KICK = 34 }; /* SIGRTMIN, which glibc computes at run time */

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
	{ "futex", MACHINE, 0, FUTEX_DOES(FUTEX_WAIT), "wait for a lock or a condition" },
	{ "futex", MACHINE, 0, FUTEX_DOES(FUTEX_WAKE), "wake who waits for it" },
	{ "futex", MACHINE, 0, FUTEX_DOES(FUTEX_WAIT_BITSET), "wait for a thread's end" },
	{ "clock_gettime", ALL, 0, { { 0 } }, "rare: time, on hosts whose clock needs the kernel" },
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

	/* the end */
	{ "rt_sigprocmask", VCPU | IO, 0, { { 0 } }, "a thread ends" },
	{ "madvise", VCPU | IO, 0, { ARG(2, EXACTLY, MADV_DONTNEED) }, "its stack goes" },
	{ "exit", VCPU | IO, 0, { { 0 } }, "it has ended" },
	{ "exit_group", LOOP | CONTROL, 0, { { 0 } }, "the process ends" },
};

const struct jail_syscall *jail_policy(size_t *nr)
{
	*nr = ARRAY_LEN(table);
	return table;
}

const char *jail_thread_name(enum jail_thread thread)
{
	static const char *const names[JAIL_THREADS] = {
		[JAIL_THREAD_VCPU] = "vcpu",
		[JAIL_THREAD_LOOP] = "loop",
		[JAIL_THREAD_IO] = "io",
		[JAIL_THREAD_CONTROL] = "control",
	};

	return names[thread];
}
