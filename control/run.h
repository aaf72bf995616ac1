/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the program around one VM: the event loop, signals, and what must happen in which
 * order at the end.
 *
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT end the VM; a second one does not wait for anything. SIGUSR1
 * pauses and SIGUSR2 resumes it.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct err;
struct instance;

/* How the program goes about it, apart from what the VM is. Texts are borrowed for the call. */
struct run_options {
	const char *api_path; /* where the API listens: a path or "fd:N"; NULL: no API */
	bool is_api_optional; /* nobody asked for it: the VM runs without it if it must */
	bool keeps_api_path; /* the socket's path stays at the end, as Firecracker's does */
	size_t max_body_bytes; /* of a request to the API */
	bool waits_for_client; /* the VM is started by a client of the API, not at once */
	sigset_t signals_before; /* of run_hold_signals() */

	/* Once: the vCPUs run or, if a client is waited for, the API listens. May be NULL. */
	void (*on_ready)(void *opaque);
	/* Once: the vCPUs run. What fails ends the VM. May be NULL. */
	int (*on_running)(void *opaque, struct err *e);
	void *opaque;
};

/*
 * From here on the signals above wait until run_vm() can heed them. Whoever starts a process that has
 * to end before this one calls it first: at once, a signal would end this one alone. @before is what
 * was blocked so far; run_vm() returns to it.
 */
void run_hold_signals(sigset_t *before);

/*
 * Runs the VM that @instance describes to its end. Returns the exit status of the program
 * (exit_status.h). Messages go to the log.
 */
int run_vm(struct instance *instance, const struct run_options *options);
