/* SPDX-License-Identifier: Apache-2.0 */
/* Copies out of mappings that may fail, see bus_guard.h. */
#include "base/bus_guard.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before; /* set once, before any copy */
static _Thread_local sigjmp_buf back;
static _Thread_local volatile sig_atomic_t is_copying;

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
	if (is_copying) {
		is_copying = false;
		siglongjmp(back, 1);
	}
	/* Not ours: as it would have been. */
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(signal_number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(signal_number);
	} else {
		sigaction(signal_number, &before, NULL); /* the faulting access comes again */
	}
}

static void set_handler(void)
{
	/* SA_NODEFER: after the jump the signal is not left blocked, and no mask need be saved. */
	const struct sigaction action = { .sa_sigaction = on_bus_error,
					  .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	sigaction(SIGBUS, &action, &before);
}

int bus_guard_copy(void *dst, const void *src, size_t len)
{
	pthread_once(&once, set_handler);
	if (sigsetjmp(back, 0) != 0)
		return -EIO;
	is_copying = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memcpy(dst, src, len);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	is_copying = false;
	return 0;
}
