/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign text as an error message shows it: in single quotes, on one line, of bounded length.
 *
 * A path or an option may be 100 KiB long or hold escape sequences for the terminal. Control
 * characters and what is no UTF-8 become '?', so JSON can carry the message; long text loses its
 * middle, so that the end of a path and the reason behind it are still there. Characters are not cut
 * in two.
 *
 *	return err_errno(e, -errno, "cannot open kernel %s", quote(path).text);
 *
 * The result is a value: its text lives to the end of the full expression (C17, 6.2.4).
 */
#pragma once

#include <stddef.h>

enum { QUOTE_BYTES = 160 }; /* two fit in one message */

struct quoted {
	char text[QUOTE_BYTES];
};

struct quoted quote(const char *text);

/* The same for the first @len bytes of @text, which hold no NUL. */
struct quoted quote_part(const char *text, size_t len);
