/* SPDX-License-Identifier: Apache-2.0 */
/*
 * say: the lines volt-init prints on the console.
 *
 * PID 1 has one reader and no caller, so each module says what failed where it knows the object's
 * name, once, and returns -errno; main decides what that means. A boot that works says nothing.
 */
#pragma once

#include <stdbool.h>

/* Turns say_debug on (volt.debug). */
void say_set_debug(bool is_on);

/* Prints "volt-init: ..." and a line end to standard error, in one write; long lines are cut. */
#define say(...) say_line(false, __VA_ARGS__)

/* Likewise, but only with volt.debug. */
#define say_debug(...) say_line(true, __VA_ARGS__)

void say_line(bool is_detail, const char *format, ...) __attribute__((format(printf, 2, 3)));
