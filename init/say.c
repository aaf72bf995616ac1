/* SPDX-License-Identifier: Apache-2.0 */
/* Prints one line at a time on the console. */
#include "init/say.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_debug; /* the log sink's one switch: written by main, before anything is said */

void say_set_debug(bool is_on)
{
	is_debug = is_on;
}

void say_line(bool is_detail, const char *format, ...)
{
	char line[512] = "volt-init: ";
	size_t len = strlen(line);
	size_t room = sizeof(line) - len - 1; /* one byte is kept for the line end */
	va_list args;
	ssize_t sent;
	int n;

	if (is_detail && !is_debug)
		return;
	va_start(args, format);
	n = vsnprintf(line + len, room, format, args);
	va_end(args);
	if (n < 0)
		return;
	len += (size_t)n < room ? (size_t)n : room - 1;
	line[len++] = '\n';
	sent = write(STDERR_FILENO, line, len);
	(void)sent; /* if this fails, nobody can be told */
}
