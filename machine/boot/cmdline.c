/* SPDX-License-Identifier: Apache-2.0 */
/* Extends and writes the kernel command line: see cmdline.h. */
#include "machine/boot/cmdline.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/x86/layout.h"

/* As the kernel's isspace(), for which the no-break space of Latin-1 is white space too. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\xa0';
}

/* The end of the word at @at. *@is_closed: its quotes are all closed there. */
static size_t word_end(const char *text, size_t at, bool *is_closed)
{
	bool in_quote = false;

	for (; text[at] && (in_quote || !is_space(text[at])); at++)
		if (text[at] == '"')
			in_quote = !in_quote;
	*is_closed = !in_quote;
	return at;
}

/* Linux takes the quotes around a whole word off, so "--" in quotes separates as well. */
static bool is_separator(const char *word, size_t len)
{
	if (len > 0 && word[0] == '"') {
		word++;
		len--;
		if (len > 0 && word[len - 1] == '"')
			len--;
	}
	return len == 2 && !memcmp(word, "--", 2);
}

/* Where the kernel's part ends: at the word "--" or at the end. False for an open quote before. */
static bool find_kernel_end(const char *text, size_t *end)
{
	size_t at = 0, next;
	bool is_closed = true;

	for (; text[at]; at = next) {
		if (is_space(text[at])) {
			next = at + 1;
			continue;
		}
		next = word_end(text, at, &is_closed);
		if (is_separator(text + at, next - at)) {
			is_closed = true;
			break;
		}
	}
	*end = at;
	return is_closed;
}

int cmdline_append(char *buf, size_t size, const char *more, struct err *e)
{
	size_t len = strlen(buf), more_len = strlen(more), end;
	bool needs_space_before, needs_space_after;
	char *at;

	assert(len < size);
	if (!find_kernel_end(buf, &end))
		return err_set(e, -EINVAL,
			       "the kernel command line has a quote that is never closed, so '%s' "
			       "cannot be added to it; close the quote",
			       more);
	needs_space_before = end > 0 && !is_space(buf[end - 1]);
	needs_space_after = buf[end] != '\0';
	if (more_len + needs_space_before + needs_space_after >= size - len)
		return err_set(
			e, -E2BIG,
			"the kernel command line has %zu bytes, so the %zu of '%s' cannot be "
			"added to it; at most %zu fit",
			len, more_len, more, size - 1);
	at = buf + end;
	memmove(at + needs_space_before + more_len + needs_space_after, at, len - end + 1);
	if (needs_space_before)
		*at++ = ' ';
	memcpy(at, more, more_len);
	if (needs_space_after)
		at[more_len] = ' ';
	return 0;
}

int cmdline_write(const struct mem *mem, const char *cmdline, uint32_t max, struct gpa *at,
		  struct err *e)
{
	size_t len = strlen(cmdline);
	size_t limit = min_u64(max, LAYOUT_CMDLINE_MAX_BYTES - 1);
	int r;

	if (len > limit)
		return err_set(
			e, -E2BIG,
			"the kernel command line has %zu bytes; this kernel takes at most %zu", len,
			limit);
	at->v = LAYOUT_CMDLINE;
	r = mem_write(mem, *at, cmdline, len + 1);
	if (r < 0)
		return err_set(e, r, "guest memory ends before the command line at 0x%x",
			       LAYOUT_CMDLINE);
	return 0;
}
