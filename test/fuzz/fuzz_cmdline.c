/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding to a command line: the argument must be a word of the kernel's part, where a second
 * parser, written after Linux's next_arg(), finds it, and everything else must stay.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/boot/cmdline.h"
#include "machine/x86/layout.h"

enum { FUZZ_MAX_BYTES = 1024 };

static const char added[] = "virtio_mmio.device=4K@0xc0001000:5";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static bool is_white(unsigned char c)
{
	return c != '\0' && strchr("\t\n\v\f\r \xa0", c);
}

/* Cuts the next word off *@rest, in place, as the kernel does: without quotes around it all. */
static char *next_word(char **rest)
{
	char *p = *rest, *word;
	bool was_quoted = *p == '"', in_quote = was_quoted;

	word = p += was_quoted;
	for (; *p && (in_quote || !is_white((unsigned char)*p)); p++)
		in_quote ^= *p == '"';
	*rest = *p ? p + 1 : p;
	if (was_quoted && p > word && p[-1] == '"')
		p[-1] = '\0';
	*p = '\0';
	while (is_white((unsigned char)**rest))
		++*rest;
	return word;
}

/* How often @word is a word of the kernel's part of @line, which is cut up. */
static size_t count_word(char *line, const char *word)
{
	size_t count = 0;

	while (is_white((unsigned char)*line))
		line++;
	while (*line) {
		const char *next = next_word(&line);

		if (!strcmp(next, "--"))
			break;
		count += !strcmp(next, word);
	}
	return count;
}

/* @after is @before with the argument and at most two spaces put in at one place. */
static bool is_insertion(const char *before, const char *after)
{
	size_t extra = strlen(after) - strlen(before);
	size_t same = 0;

	while (before[same] && before[same] == after[same])
		same++;
	/* Take the longest common start back to where the rest fits. */
	for (size_t cut = same + 1; cut-- > 0;)
		if (!strcmp(after + cut + extra, before + cut) && strstr(after + cut, added))
			return extra >= strlen(added) && extra <= strlen(added) + 2;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mem mem;
	static char before[FUZZ_MAX_BYTES], after[FUZZ_MAX_BYTES], cut[FUZZ_MAX_BYTES];
	struct err e = { 0 };
	struct gpa at;
	size_t room, len, count;
	int r;

	if (size < 2 || size > FUZZ_MAX_BYTES - 2)
		return 0;
	if (!mem.mapping)
		require(mem_init(&mem, LAYOUT_HIGH_MEM, &e) == 0, "set-up");
	memcpy(before, data + 1, size - 1);
	before[size - 1] = '\0';
	len = strlen(before);
	room = len + 1 + data[0];
	if (room > sizeof(after))
		room = sizeof(after);
	memcpy(cut, before, len + 1);
	count = count_word(cut, added);
	memcpy(after, before, len + 1);
	r = cmdline_append(after, room, added, &e);
	if (r < 0) {
		require(r == -E2BIG || r == -EINVAL, "known error");
		require(!strcmp(before, after), "line is kept on error");
		require(r != -E2BIG || room - len < sizeof(added) + 2, "line with room is taken");
		require(r != -EINVAL || strchr(before, '"'), "line without quotes is taken");
		return 0;
	}
	require(strlen(after) < room, "room is kept");
	require(is_insertion(before, after), "the rest stays");
	memcpy(cut, after, strlen(after) + 1);
	require(count_word(cut, added) == count + 1, "the kernel finds it");
	require(cmdline_write(&mem, after, FUZZ_MAX_BYTES, &at, &e) == 0, "line is written");
	require(!strcmp(mem_ptr(&mem, at, FUZZ_MAX_BYTES), after), "line is in RAM");
	return 0;
}
