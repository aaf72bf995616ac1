/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read them. Results are values: they live to the end of the full expression. */
#pragma once

#include <stdint.h>

enum { TEXT_BYTES = 32 };

struct text {
	char text[TEXT_BYTES];
};

/* "0 B", "512 B", "1.5 KiB", "23 GiB": three digits are enough. */
struct text text_size(uint64_t bytes);

/* The same a second, "1.5 GiB/s"; "-" when no time has passed. */
struct text text_rate(uint64_t bytes, double seconds);

/* "0:07", "12:34", "3:00:00" */
struct text text_clock(uint64_t seconds);

/* Local time, "2026-11-30 14:05". */
struct text text_time(uint64_t seconds);

/* UTC for JSON, "2026-11-30T13:05:00Z". */
struct text text_utc(uint64_t seconds);

/* Of the monotonic clock. */
double text_now_s(void);
