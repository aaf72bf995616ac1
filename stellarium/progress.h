/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A progress bar on standard error, for work that takes more than a second, with rate and time left:
 *
 *	import debian  43% [========>           ] 870 MiB of 2.0 GiB, 640 MiB/s, 0:02 left
 *
 * There is none when standard error is no terminal. It is drawn at most ten times a second, by
 * whichever thread calls, and is gone at the end.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool is_on;
	const char *what; /* borrowed */
	double start_s;

	pthread_mutex_t lock; /* of what follows */
	bool is_drawn;
	double drawn_s;
	double measured_s; /* when the rate was last taken, */
	uint64_t measured; /* at how many bytes */
	double rate; /* bytes a second, of the last seconds more than of those before */
};

void progress_begin(struct progress *p, const char *what, bool is_quiet);

/* For work_control: @opaque is the progress. Thread: any. */
void progress_update(void *opaque, uint64_t done, uint64_t total);

/* Takes it from the screen. Returns the seconds since the begin. */
double progress_end(struct progress *p);
