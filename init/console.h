/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: where PID 1 speaks, and the terminal it gives to the command.
 *
 * /dev/console cannot be a controlling terminal; the tty behind it can. PID 1 itself leads the
 * session of that tty and the command is its foreground job. If the command led the session, the
 * kernel would hang the tty up when it exits and drop its last lines with it.
 */
#pragma once

#include <stdbool.h>

/* Whether descriptors 0 to 2 are open: the kernel sees to that if it finds a /dev/console. */
bool console_is_open(void);

/* Opens descriptors 0 to 2: the console if there is one, else something that can be open. */
void console_open(void);

/* Takes the tty behind the console as controlling terminal. Returns its descriptor or -errno. */
int console_take(void);

/* Waits until the console has sent what was written to it, at most limit_ms. */
void console_drain(int limit_ms);
