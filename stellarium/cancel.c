/* SPDX-License-Identifier: Apache-2.0 */
/* Being told to stop: see cancel.h. */
#include "stellarium/cancel.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* A signal handler gets nothing to hang these on. Written by it alone. */
static atomic_bool is_cancelled;
static atomic_int signal_number;

static void on_signal(int number)
{
	atomic_store(&signal_number, number);
	atomic_store(&is_cancelled, true);
}

void cancel_start(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	/* One of them does not interrupt the handler of another. */
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		struct sigaction before;

		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

const atomic_bool *cancel_flag(void)
{
	return &is_cancelled;
}

int cancel_signal(void)
{
	return atomic_load(&signal_number);
}
