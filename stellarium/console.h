/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on standard error: "stellarium: ..." and "stellarium: warning: ...", a line each. */
#pragma once

#include <stdbool.h>

/* Makes standard error the sink of the log (base/log.h). Before there are threads. */
void console_open(void);

/* Whether standard error is a terminal whose cursor can be moved. */
bool console_is_terminal(void);
