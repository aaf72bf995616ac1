/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on standard error: see console.h. */
#include "stellarium/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

bool console_is_terminal(void)
{
	const char *kind = getenv("TERM");

	return isatty(STDERR_FILENO) && kind && strcmp(kind, "dumb") != 0;
}

/* Overwrites the progress bar, should there be one: it comes again by itself. */
static void write_line(void *opaque, const struct log_site *site, const char *line)
{
	char text[LOG_LINE_BYTES + 64];
	const int len = snprintf(text, sizeof(text), "%sstellarium: %s%s\n",
				 console_is_terminal() ? "\r\033[K" : "",
				 site->level == LOG_LEVEL_ERROR ? "" : "warning: ", line);

	(void)opaque;
	/* Where else could one say that this does not work? */
	(void)!file_write_full(STDERR_FILENO, text, (size_t)len);
}

void console_open(void)
{
	log_set_sink(write_line, NULL, LOG_LEVEL_WARN);
}
