/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that may come from anywhere as the inside of a JSON string (RFC 8259, 7), or of the value of
 * a Prometheus label, whose rules it meets as well: `"` and `\` are escaped, control characters
 * become '?', and what is not UTF-8 becomes U+FFFD. Thread: any.
 */
#pragma once

#include <stddef.h>

/* Room for any text of @n bytes with its NUL. */
#define JSON_TEXT_BYTES(n) (3 * (n) + 1)

/* Fills @out, with a NUL; cuts what does not fit, never inside a character. Returns the length. */
size_t json_text(char *out, size_t size, const char *text);
