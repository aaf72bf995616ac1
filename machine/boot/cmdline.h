/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel command line: adding arguments to it, and writing it to the guest.
 *
 * Linux cuts it into words as in lib/cmdline.c, next_arg(): at white space outside double quotes.
 * What follows the word "--" is for init, so an argument for the kernel must come before that
 * word, and must not end up in a quoted value.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "machine/mem.h"

/*
 * Adds @more to the command line in @buf, which has room for @size bytes with the NUL: behind the
 * kernel's last argument, before a "--". Returns 0, -E2BIG when it does not fit, or -EINVAL when a
 * quote of the command line is never closed; @buf is as before then and @e filled.
 */
int cmdline_append(char *buf, size_t size, const char *more, struct err *e);

/*
 * Writes @cmdline at LAYOUT_CMDLINE, which *@at is then. @max is what the kernel takes, in bytes
 * without the NUL (boot_kernel.cmdline_max). Returns 0, or -E2BIG or -EFAULT with @e filled.
 */
int cmdline_write(const struct mem *mem, const char *cmdline, uint32_t max, struct gpa *at,
		  struct err *e);
