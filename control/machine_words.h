/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from the machine process on its way to the log. Its guest may have taken it over, so the text
 * must not steer the user's terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct vm_event;

/* Makes @text, of @size bytes, a string on one line without control characters. */
void machine_sanitize(char *text, size_t size);

/* Logs a VM_EVENT_LOG, whose text is sanitized already, as machine's: see log_site.process. */
void machine_log_event(struct vm_event *event);

/*
 * Logs what machine has said on its standard error, @fd, non-blocking: the last words of a C library
 * or a sanitizer. At most a few lines at once. False when nothing more can come.
 */
bool machine_log_stderr(int fd);

/* All that is left, within bounds. */
void machine_log_last_words(int fd);
