/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines. Library code calls log_warn() and friends; a program decides once, at its start, where
 * lines go (log_set_sink). The sink is the only mutable global of the project.
 *
 * Each of those calls is a place of its own, struct log_site, a constant: sinks limit how often one
 * place may speak (log_limit.h), because a guest that can bring about one line can bring about
 * millions. What answers a person's request, and only that, uses log_info_always().
 *
 * Thread: any. A line is built on the stack, cut at LOG_LINE_BYTES, and handed to the sink whole.
 */
#pragma once

#include <stdbool.h>

enum { LOG_LINE_BYTES = 768 };

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Where a line comes from. Two calls of log_warn() have two of them. */
struct log_site {
	enum log_level level;
	bool is_unlimited;
	unsigned int line;
	const char *file; /* __FILE__: log_site_file() has it from the root of the sources */
	const char *process; /* a constant: who said it, if not this process; NULL otherwise */
};

typedef void (*log_sink_fn)(void *opaque, const struct log_site *site, const char *line);

/* Lines above @max_level are dropped before they are formatted. Call before starting threads. */
void log_set_sink(log_sink_fn fn, void *opaque, enum log_level max_level);

/* What log_set_sink() was told. */
enum log_level log_max_level(void);

/* "error", "warning", "info", "debug" */
const char *log_level_name(enum log_level level);

/* "machine/vcpu.c", wherever the program was built. Borrowed from @site. */
const char *log_site_file(const struct log_site *site);

/* @site is borrowed during the call; its address is what a limit knows it by. */
void log_write(const struct log_site *site, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define LOG_AT(site_level, unlimited, ...)                                                  \
	do {                                                                                \
		static const struct log_site log_site_here = { .level = (site_level),       \
							       .is_unlimited = (unlimited), \
							       .line = __LINE__,            \
							       .file = __FILE__ };          \
		log_write(&log_site_here, __VA_ARGS__);                                     \
	} while (0)

#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, false, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_LEVEL_WARN, false, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, false, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, false, __VA_ARGS__)
#define log_info_always(...) LOG_AT(LOG_LEVEL_INFO, true, __VA_ARGS__)
