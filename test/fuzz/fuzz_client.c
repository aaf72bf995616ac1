/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of whatever listens at an API socket. An answer that is whole stays the same answer
 * whatever came before its end: no part of it is taken for a whole one.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/client.h"
#include "control/vm_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_answer answer = { 0 };
	struct vm_state state = { .word = "" };
	/* A copy of the exact size, so that a byte too many is seen. */
	char *text = malloc(size ? size : 1);
	int r;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	r = client_parse(text, size, &answer);
	REQUIRE(r <= 1);
	if (r == 1) {
		REQUIRE(answer.status >= 100 && answer.status <= 599);
		REQUIRE(answer.len < size && answer.body[answer.len] == '\0');
		if (vm_state_read(&answer, &state, NULL) == 0)
			REQUIRE(state.word[0] >= ' ' && strlen(state.word) < sizeof(state.word));
		client_answer_release(&answer);
		for (size_t len = size < 64 ? 0 : size - 64; len < size; len++)
			REQUIRE(client_parse(text, len, &answer) != 1);
	} else {
		REQUIRE(answer.body == NULL);
	}
	free(text);
	return 0;
}
