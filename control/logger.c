/* SPDX-License-Identifier: Apache-2.0 */
/* Control's log: see logger.h. */
#include "control/logger.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log_limit.h"
#include "control/line_target.h"
#include "control/log_line.h"
#include "control/stdlog.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };

/* Belongs to the log sink, the one piece of global state. */
static struct {
	pthread_mutex_t lock; /* for what logger_configure() changes */
	bool is_configured; /* false: the plain form */
	bool is_off;
	int fd; /* owned; 0: none was opened, it is standard error */
	char *module; /* owned */
	struct log_form form;
	struct log_limit limit;
	atomic_uint_fast64_t lost;
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Under the lock. */
static bool is_left_out(const struct log_site *site)
{
	return logger.module &&
	       strncmp(log_site_file(site), logger.module, strlen(logger.module)) != 0;
}

static void write_line(void *opaque, const struct log_site *site, const char *line)
{
	char text[LOG_FORM_BYTES];
	struct timespec now;
	bool is_written;

	(void)opaque;
	pthread_mutex_lock(&logger.lock);
	if (logger.is_configured) {
		clock_gettime(CLOCK_REALTIME, &now);
		const size_t len = log_form_line(text, &logger.form, &now, site, line);

		is_written = line_target_write(logger.fd ? logger.fd : STDERR_FILENO, text, len) ==
			     (ssize_t)len;
	} else {
		is_written = stdlog_write(site, line);
	}
	pthread_mutex_unlock(&logger.lock);
	if (!is_written)
		atomic_fetch_add_explicit(&logger.lost, 1, memory_order_relaxed);
}

static void take_line(void *opaque, const struct log_site *site, const char *line)
{
	struct timespec now;
	bool is_unwanted;

	pthread_mutex_lock(&logger.lock);
	is_unwanted = logger.is_off || is_left_out(site);
	pthread_mutex_unlock(&logger.lock);
	if (is_unwanted)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (log_limit_allows(&logger.limit, site,
			     (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS,
			     write_line, opaque))
		write_line(opaque, site, line);
}

void logger_open(enum log_level max_level)
{
	log_set_sink(take_line, NULL, max_level);
}

static enum log_level level_of(enum logger_level level)
{
	switch (level) {
	case LOGGER_OFF:
	case LOGGER_ERROR:
		return LOG_LEVEL_ERROR;
	case LOGGER_WARN:
		return LOG_LEVEL_WARN;
	case LOGGER_INFO:
		return LOG_LEVEL_INFO;
	case LOGGER_DEBUG:
	case LOGGER_TRACE: /* we have nothing below debug */
		return LOG_LEVEL_DEBUG;
	}
	return LOG_LEVEL_DEBUG;
}

/* Under the lock. Takes *@fd and *@module, which may be -1 and NULL. */
static void change(const struct logger_value *value, const char *instance_id, int *fd,
		   char **module)
{
	if (*fd >= 0) {
		if (logger.fd)
			close(logger.fd);
		logger.fd = take_fd(fd);
	}
	if (*module) {
		free(logger.module);
		logger.module = *module;
		*module = NULL;
	}
	logger.is_configured = true;
	logger.is_off = value->has_level && value->level == LOGGER_OFF;
	logger.form.is_json = value->format == LOGGER_JSON;
	logger.form.has_level = value->has_level_shown;
	logger.form.has_origin = value->has_origin_shown;
	snprintf(logger.form.id, sizeof(logger.form.id), "%s", instance_id);
}

int logger_configure(const struct logger_value *value, const char *instance_id, struct err *e)
{
	auto_fd int fd = -1;
	auto_free char *module = NULL;
	enum log_level level;

	if (value->module && !(module = strdup(value->module)))
		return err_set(e, -ENOMEM, "out of memory");
	if (value->path) {
		fd = line_target_open(value->path, "log", e);
		if (fd < 0)
			return fd;
	}
	tzset();
	pthread_mutex_lock(&logger.lock);
	change(value, instance_id, &fd, &module);
	pthread_mutex_unlock(&logger.lock);
	level = level_of(value->level);
	if (!value->has_level && log_max_level() > level)
		level = log_max_level(); /* what the command line asked for stays heard */
	log_set_sink(take_line, NULL, level);
	return 0;
}

void logger_flush(void)
{
	log_limit_flush(&logger.limit, write_line, NULL);
}

struct logger_counts logger_counts(void)
{
	return (struct logger_counts){
		.lost = atomic_load_explicit(&logger.lost, memory_order_relaxed),
		.limited = log_limit_dropped(&logger.limit),
	};
}
