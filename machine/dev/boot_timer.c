/* SPDX-License-Identifier: Apache-2.0 */
/* The boot timer: see boot_timer.h. */
#include "machine/dev/boot_timer.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

static uint64_t now_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void boot_timer_read(void *dev, uint64_t offset, void *data, uint32_t len)
{
	(void)dev;
	(void)offset;
	memset(data, 0, len);
}

static void boot_timer_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	struct boot_timer *t = dev;
	const uint8_t *bytes = data;
	uint64_t took_us, cpu_us;

	if (offset != 0 || len != 1 || bytes[0] != BOOT_TIMER_BOOTED ||
	    atomic_exchange(&t->is_done, true))
		return;
	took_us = now_us(CLOCK_MONOTONIC) - t->start_us;
	cpu_us = now_us(CLOCK_PROCESS_CPUTIME_ID);
	log_info("Guest-boot-time = %6" PRIu64 " us %" PRIu64 " ms, %6" PRIu64 " CPU us %" PRIu64
		 " CPU ms",
		 took_us, took_us / 1000, cpu_us, cpu_us / 1000);
}

const struct bus_ops boot_timer_bus_ops = { .read = boot_timer_read, .write = boot_timer_write };
