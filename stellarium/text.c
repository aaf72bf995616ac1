/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read them: see text.h. */
#include "stellarium/text.h"

#include <stdio.h>
#include <time.h>

#include "base/bytes.h"

struct text text_size(uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	struct text t;
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(t.text, sizeof(t.text), "%u B", (unsigned)bytes);
		return t;
	}
	/* 1023.9 would be written as 1024. */
	while (value >= 999.5 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(t.text, sizeof(t.text), "%.*f %s", value < 9.95 ? 1 : 0, value, units[unit]);
	return t;
}

struct text text_rate(uint64_t bytes, double seconds)
{
	struct text t = { "-" };

	if (seconds > 0)
		snprintf(t.text, sizeof(t.text), "%.20s/s",
			 text_size((uint64_t)((double)bytes / seconds)).text);
	return t;
}

struct text text_clock(uint64_t seconds)
{
	const unsigned long long s = seconds;
	struct text t;

	if (s >= 3600)
		snprintf(t.text, sizeof(t.text), "%llu:%02llu:%02llu", s / 3600, s / 60 % 60,
			 s % 60);
	else
		snprintf(t.text, sizeof(t.text), "%llu:%02llu", s / 60, s % 60);
	return t;
}

struct text text_time(uint64_t seconds)
{
	const time_t time = (time_t)seconds;
	struct text t = { "-" };
	struct tm tm;

	/* It may be any number: it is from a file. */
	if (localtime_r(&time, &tm))
		strftime(t.text, sizeof(t.text), "%Y-%m-%d %H:%M", &tm);
	return t;
}

struct text text_utc(uint64_t seconds)
{
	const time_t time = (time_t)seconds;
	struct text t = { "-" };
	struct tm tm;

	if (gmtime_r(&time, &tm))
		strftime(t.text, sizeof(t.text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return t;
}

double text_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
