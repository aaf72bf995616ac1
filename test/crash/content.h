/* SPDX-License-Identifier: Apache-2.0 */
/* What a file holds after a crash: the data part of the model in replay.h. */
#pragma once

#include "test/crash/replay.h"

#define CRASH_NONE UINT32_MAX
#define CRASH_NEVER UINT32_MAX

struct content {
	const struct crash_log *log; /* borrowed */
	uint32_t *durable_at; /* owned: of each op, the first prefix in which it cannot be lost */
	uint32_t *first; /* owned: of each object, the first op on its data */
	uint32_t *next; /* owned: of each op on data, the next on the same object */
	uint8_t *buf; /* owned: what content_build() made */
	size_t buf_len;
	size_t buf_room;
	struct content_memo *memo; /* owned: hashes of what was built before */
	size_t memo_nr;
	size_t memo_room;
};

int content_init(struct content *c, const struct crash_log *log); /* 0 or -ENOMEM */
void content_release(struct content *c);

/* Makes what @object holds, in @c->buf and @c->buf_len. */
void content_build(struct content *c, uint32_t object, size_t prefix,
		   const struct crash_choice *choice);

/* A number that two contents share only if they are the same; mapped files have three, by kind. */
uint64_t content_hash(struct content *c, uint32_t object, size_t prefix,
		      const struct crash_choice *choice);

bool content_is_data(enum crash_op_kind kind);
uint64_t crash_mix(uint64_t a, uint64_t b);
uint64_t crash_hash(const void *data, size_t len, uint64_t seed);
