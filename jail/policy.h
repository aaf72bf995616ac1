/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls each kind of thread may use, and why: one table, from which the filters are
 * compiled when the program is built (compile_filters.c), and which the program prints.
 *
 * A call that is not in the table ends the process (seccomp.h). A few are refused with an error
 * instead, because libraries call them and can do without.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum jail_thread {
	JAIL_THREAD_VCPU, /* machine: one per vCPU */
	JAIL_THREAD_LOOP, /* machine: its main thread, with the event loop */
	JAIL_THREAD_IO, /* machine: iothreads */
	JAIL_THREAD_CONTROL, /* control: its only thread */
	JAIL_THREAD_STORE, /* stellarium: all threads */
	JAIL_THREAD_FSCK, /* the same, of its verb fsck, and of the child that reads the index */
	JAIL_THREADS, /* how many kinds */
};

enum { JAIL_CHECKS_MAX = 2 };

/* Holds when (argument & mask) == value. A mask of 0: nothing to check. */
struct jail_check {
	uint32_t argument; /* 0 to 5 */
	uint64_t mask;
	uint64_t value;
};

/* One way of using one system call. There may be several rows for one call. */
struct jail_syscall {
	const char *name;
	uint32_t threads; /* mask of 1u << enum jail_thread */
	int error; /* 0: allowed; an errno: refused with it */
	struct jail_check checks[JAIL_CHECKS_MAX]; /* all have to hold */
	const char *reason; /* "rare: " in front: when, since no test gets there */
};

/* The table; *@nr rows. Calls that are made most often stand first. */
const struct jail_syscall *jail_policy(size_t *nr);

/* "vcpu", "loop", "io", "control", "store", "fsck" */
const char *jail_thread_name(enum jail_thread thread);
