/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines on standard error: see stdlog.h. */
#include "control/stdlog.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"

enum { WAIT_MS = 1000 };

/* Belongs to the log sink, the one piece of global state. */
static struct {
	bool is_raw;
	bool is_stalled; /* it took nothing for WAIT_MS */
} standard_error;

bool stdlog_write(const struct log_site *site, const char *line)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	char text[LOG_LINE_BYTES + 64];
	const int len = snprintf(text, sizeof(text), "volt-vmm: %s: %s%s%s%s\n",
				 log_level_name(site->level), site->process ? site->process : "",
				 site->process ? ": " : "", line,
				 standard_error.is_raw ? "\r" : "");

	standard_error.is_stalled = poll(&p, 1, standard_error.is_stalled ? 0 : WAIT_MS) == 0;
	return !standard_error.is_stalled && file_write_full(STDERR_FILENO, text, (size_t)len) == 0;
}

void stdlog_set_raw(bool is_raw)
{
	standard_error.is_raw = is_raw && isatty(STDERR_FILENO);
}
