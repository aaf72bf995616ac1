/* SPDX-License-Identifier: Apache-2.0 */
/* The log sink: see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
	log_sink_fn fn; /* NULL: lines are dropped */
	void *opaque;
	enum log_level max_level;
} sink;

void log_set_sink(log_sink_fn fn, void *opaque, enum log_level max_level)
{
	sink.fn = fn;
	sink.opaque = opaque;
	sink.max_level = max_level;
}

enum log_level log_max_level(void)
{
	return sink.max_level;
}

const char *log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARN:
		return "warning";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "unknown";
}

const char *log_site_file(const struct log_site *site)
{
	/* The compiler was given all sources with the same path to the root in front. */
	const size_t prefix_len = sizeof(__FILE__) - sizeof("base/log.c");

	return strncmp(site->file, __FILE__, prefix_len) == 0 ? site->file + prefix_len
							      : site->file;
}

void log_write(const struct log_site *site, const char *fmt, ...)
{
	char line[LOG_LINE_BYTES];
	va_list ap;

	if (!sink.fn || site->level > sink.max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	sink.fn(sink.opaque, site, line);
}
