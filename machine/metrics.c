/* SPDX-License-Identifier: Apache-2.0 */
/* The page of counters: see metrics.h. */
#include "machine/metrics.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

enum { MICROS_PER_S = 1000000, NANOS_PER_MICRO = 1000 };

int metrics_map(struct machine_metrics **out, int fd, struct err *e)
{
	void *map = mmap(NULL, sizeof(**out), PROT_READ | PROT_WRITE,
			 fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);

	if (map == MAP_FAILED)
		return err_errno(e, -errno, "cannot map the page of counters");
	*out = map;
	return 0;
}

void metrics_unmap(struct machine_metrics *metrics)
{
	if (metrics)
		munmap(metrics, sizeof(*metrics));
}

uint64_t metrics_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * MICROS_PER_S + (uint64_t)now.tv_nsec / NANOS_PER_MICRO;
}

void metrics_reach(struct machine_metrics *metrics, enum boot_phase phase)
{
	metric_set(&metrics->boot_us[phase], metrics_now_us());
}
