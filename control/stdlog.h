/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain form of the log, on standard error: "volt-vmm: warning: ...". What a person reads at a
 * terminal, as long as nobody has asked for a log of his own (logger.h, which is the only caller).
 *
 * Standard error is the caller's, and is waited for, because its last lines say why the program
 * ended; but for a second only, and not again until it has taken something: the console and the
 * APIs are served by the same thread.
 */
#pragma once

#include <stdbool.h>

#include "base/log.h"

/* False when the line was lost. */
bool stdlog_write(const struct log_site *site, const char *line);

/* On a raw terminal a line needs a carriage return too. */
void stdlog_set_raw(bool is_raw);
