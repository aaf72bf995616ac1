/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of the log in the forms that readers of logs know: Firecracker's, and JSON. What is in a
 * line may come from a guest, so control characters never get through, and JSON is valid UTF-8
 * whatever the text was. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/log.h"

enum {
	LOG_FORM_ID_BYTES = 65,
	LOG_FORM_BYTES = 4096, /* PIPE_BUF: a FIFO takes the line whole or not at all */
};

struct log_form {
	bool is_json;
	bool has_level; /* JSON always has it */
	bool has_origin;
	char id[LOG_FORM_ID_BYTES]; /* of the instance */
};

/*
 * Fills @text with @line as said by @site at @now (CLOCK_REALTIME), and a line feed; cuts what is
 * too long. Returns the length, without the NUL behind it.
 */
size_t log_form_line(char text[static LOG_FORM_BYTES], const struct log_form *form,
		     const struct timespec *now, const struct log_site *site, const char *line);
