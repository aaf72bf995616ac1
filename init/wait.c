/* SPDX-License-Identifier: Apache-2.0 */
/* Short sleeps and deadlines on the monotonic clock. */
#include "init/wait.h"

#include <time.h>

int64_t now_ms(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void wait_ms(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	/* Signals are blocked in PID 1, so nothing cuts this short. */
	nanosleep(&t, NULL);
}
