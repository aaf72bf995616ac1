/* SPDX-License-Identifier: Apache-2.0 */
/* Text from the machine process: see machine_words.h. */
#include "control/machine_words.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/wire.h"

enum { LAST_WORDS_READS = 64 };

static const char process_name[] = "machine";

void machine_sanitize(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

void machine_log_event(struct vm_event *event)
{
	const struct log_site site = {
		.level = event->level <= LOG_LEVEL_DEBUG ? event->level : LOG_LEVEL_DEBUG,
		.line = event->line,
		.file = event->file,
		.process = process_name,
	};

	machine_sanitize(event->file, sizeof(event->file));
	log_write(&site, "%s", event->text);
}

/* At most a line's worth. Returns as read(2). */
static ssize_t log_some(int fd)
{
	const struct log_site site = {
		.level = LOG_LEVEL_ERROR,
		.line = __LINE__,
		.file = __FILE__,
		.process = process_name,
	};
	char text[LOG_LINE_BYTES];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return n;
	text[n] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		machine_sanitize(line, strlen(line) + 1);
		log_write(&site, "%s", line);
	}
	return n;
}

bool machine_log_stderr(int fd)
{
	const ssize_t n = log_some(fd);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void machine_log_last_words(int fd)
{
	for (int i = 0; i < LAST_WORDS_READS && log_some(fd) > 0; i++)
		;
}
