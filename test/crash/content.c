/* SPDX-License-Identifier: Apache-2.0 */
/* What a file holds after a crash, see content.h. */
#include "test/crash/content.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECTOR_BYTES = 512,
	PAGE_BYTES = 4096,
	MEMO_ROOM_FIRST = 1 << 12,
};

/* What becomes of an op that can be lost. */
enum fate {
	FATE_KEPT,
	FATE_LOST,
	FATE_SIZE, /* the file grows, the data is lost */
	FATE_HEAD,
	FATE_TAIL,
	FATE_SUBSET, /* of sectors, by a seed */
};

struct content_memo {
	uint64_t key; /* 0: free */
	uint64_t hash;
};

/* --- numbers --------------------------------------------------------------------------------- */

uint64_t crash_mix(uint64_t a, uint64_t b)
{
	uint64_t x = a ^ (b + 0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return (x ^ x >> 31) + b;
}

uint64_t crash_hash(const void *data, size_t len, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = crash_mix(seed, len);
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = (h ^ word) * 0x9fb21c651e98df25;
		h ^= h >> 32;
	}
	word = 0;
	if (len)
		memcpy(&word, p, len);
	return crash_mix(h, word);
}

/* --- which ops can be lost ------------------------------------------------------------------- */

bool content_is_data(enum crash_op_kind kind)
{
	return kind == CRASH_WRITE || kind == CRASH_TRUNCATE || kind == CRASH_ZERO;
}

/* From the last op to the first: @next_sync holds, of each object, what a sync would do then. */
static void find_durable(struct content *c, uint32_t *next_sync)
{
	const struct crash_log *log = c->log;

	for (size_t i = log->nr_ops; i > 0; i--) {
		const struct crash_op *op = &log->ops[i - 1];
		uint32_t at = next_sync[op->object];

		if (op->kind == CRASH_SYNC) {
			next_sync[op->object] = (uint32_t)i;
		} else if (op->kind == CRASH_SYNC_FAILED) {
			next_sync[op->object] = CRASH_NEVER;
		} else if (op->kind == CRASH_SYNC_ALL) {
			for (size_t o = 0; o < log->nr_objects; o++)
				next_sync[o] = (uint32_t)i;
		} else if (i <= log->nr_initial) {
			at = 0;
		} else if (op->is_durable) {
			at = (uint32_t)i +
			     1; /* with the next op: as the last one it is in flight */
		} else if (op->kind == CRASH_RENAME || op->kind == CRASH_EXCHANGE) {
			at = at < next_sync[op->object2] ? at : next_sync[op->object2];
		}
		c->durable_at[i - 1] = at;
		if (content_is_data(op->kind)) {
			c->next[i - 1] = c->first[op->object];
			c->first[op->object] = (uint32_t)(i - 1);
		}
	}
}

int content_init(struct content *c, const struct crash_log *log)
{
	uint32_t *next_sync = malloc((log->nr_objects + 1) * sizeof(*next_sync));

	*c = (struct content){
		.log = log,
		.durable_at = malloc((log->nr_ops + 1) * sizeof(uint32_t)),
		.first = malloc((log->nr_objects + 1) * sizeof(uint32_t)),
		.next = malloc((log->nr_ops + 1) * sizeof(uint32_t)),
		.memo = calloc(MEMO_ROOM_FIRST, sizeof(struct content_memo)),
		.memo_room = MEMO_ROOM_FIRST,
	};
	if (!next_sync || !c->durable_at || !c->first || !c->next || !c->memo) {
		free(next_sync);
		content_release(c);
		return -ENOMEM;
	}
	memset(next_sync, 0xff, log->nr_objects * sizeof(*next_sync));
	memset(c->first, 0xff, log->nr_objects * sizeof(*c->first));
	find_durable(c, next_sync);
	free(next_sync);
	return 0;
}

void content_release(struct content *c)
{
	free(c->durable_at);
	free(c->first);
	free(c->next);
	free(c->memo);
	free(c->buf);
	*c = (struct content){ 0 };
}

static enum fate random_fate(uint64_t seed, uint32_t op)
{
	uint64_t h = crash_mix(seed, op) >> 8;
	uint64_t keep = 10 + 25 * (seed % 3); /* percent: machines that were quick, or slow */

	if (h % 100 < keep)
		return FATE_KEPT;
	switch (h / 100 % 8) {
	case 0:
	case 1:
		return FATE_LOST;
	case 2:
		return FATE_SIZE;
	default:
		return FATE_SUBSET;
	}
}

static enum fate fate_of(const struct content *c, uint32_t op, size_t prefix,
			 const struct crash_choice *choice)
{
	bool is_it = op == choice->data_op;

	if (c->durable_at[op] <= prefix)
		return FATE_KEPT;
	switch (choice->data) {
	case DATA_KEPT:
		return FATE_KEPT;
	case DATA_LOST:
		return FATE_LOST;
	case DATA_ZERO:
		return FATE_SIZE;
	case DATA_ONE_LOST:
		return is_it ? FATE_LOST : FATE_KEPT;
	case DATA_ONE_KEPT:
		return is_it ? FATE_KEPT : FATE_LOST;
	case DATA_ONE_HEAD:
		return is_it ? FATE_HEAD : FATE_KEPT;
	case DATA_ONE_TAIL:
		return is_it ? FATE_TAIL : FATE_KEPT;
	case DATA_RANDOM:
		return random_fate(choice->seed, op);
	}
	return FATE_KEPT;
}

/* --- what is there then ---------------------------------------------------------------------- */

static void out_of_memory(void)
{
	fputs("crash: out of memory\n", stderr);
	exit(1);
}

static void set_size(struct content *c, size_t len)
{
	if (len > c->buf_room) {
		uint8_t *p = realloc(c->buf, len * 2);

		if (!p)
			out_of_memory();
		c->buf = p;
		c->buf_room = len * 2;
	}
	if (len > c->buf_len)
		memset(c->buf + c->buf_len, 0, len - c->buf_len);
	c->buf_len = len;
}

static void grow(struct content *c, size_t len)
{
	if (len > c->buf_len)
		set_size(c, len);
}

static void apply_bytes(struct content *c, const struct crash_op *op, uint64_t from, uint64_t to)
{
	grow(c, to);
	memcpy(c->buf + from, op->data + (from - op->offset), to - from);
}

/* Whether sector @i of @nr of a torn write is there. */
static bool has_sector(enum fate fate, uint64_t seed, uint64_t i, uint64_t nr)
{
	if (fate == FATE_HEAD)
		return i < (nr + 1) / 2;
	if (fate == FATE_TAIL)
		return i >= (nr + 1) / 2;
	return crash_mix(seed, i) & 1;
}

static void apply_torn(struct content *c, const struct crash_op *op, enum fate fate, uint64_t seed)
{
	uint64_t sector = fate == FATE_SUBSET && seed & 2 ? PAGE_BYTES : SECTOR_BYTES;
	uint64_t first = op->offset / sector;
	uint64_t end = op->offset + op->len;
	uint64_t nr = (end + sector - 1) / sector - first;

	if (fate == FATE_SUBSET && seed & 1)
		grow(c, end);
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t from = (first + i) * sector;
		uint64_t to = from + sector;

		if (has_sector(fate, seed >> 8, i, nr))
			apply_bytes(c, op, from > op->offset ? from : op->offset,
				    to < end ? to : end);
	}
}

static void apply_zero(struct content *c, const struct crash_op *op)
{
	uint64_t end = op->offset + op->len;

	if (op->is_growing)
		grow(c, end);
	if (end > c->buf_len)
		end = c->buf_len;
	if (op->offset < end)
		memset(c->buf + op->offset, 0, end - op->offset);
}

static void apply(struct content *c, const struct crash_op *op, enum fate fate, uint64_t seed)
{
	bool is_torn = fate == FATE_HEAD || fate == FATE_TAIL || fate == FATE_SUBSET;

	if (fate == FATE_LOST)
		return;
	switch (op->kind) {
	case CRASH_TRUNCATE:
		set_size(c, op->len); /* sizes are not torn */
		break;
	case CRASH_ZERO:
		if (fate == FATE_SIZE && op->is_growing)
			grow(c, op->offset + op->len);
		else if (fate != FATE_SIZE && (!is_torn || seed & 1))
			apply_zero(c, op);
		break;
	case CRASH_WRITE:
		if (fate == FATE_SIZE)
			grow(c, op->offset + op->len);
		else if (is_torn)
			apply_torn(c, op, fate, seed);
		else if (op->len)
			apply_bytes(c, op, op->offset, op->offset + op->len);
		break;
	default:
		break;
	}
}

/* What a mapped file holds: 0 what it held in the end, 1 zeros, 2 noise. */
static unsigned mapped_kind(const struct crash_choice *choice)
{
	if (choice->data == DATA_RANDOM)
		return choice->seed % 3;
	return choice->data == DATA_LOST || choice->data == DATA_ZERO;
}

/* @c->buf has the size that a mapped file has: now to what it holds. */
static void apply_mapped(struct content *c, const struct crash_object *o,
			 const struct crash_choice *choice)
{
	size_t len = c->buf_len < o->mapped_len ? c->buf_len : o->mapped_len;
	unsigned kind = mapped_kind(choice);

	if (kind == 0 && len)
		memcpy(c->buf, o->mapped, len);
	else if (kind == 1 && c->buf_len)
		memset(c->buf, 0, c->buf_len);
	for (size_t i = 0; kind == 2 && i < c->buf_len; i++)
		c->buf[i] = (uint8_t)crash_mix(choice->seed, i);
}

void content_build(struct content *c, uint32_t object, size_t prefix,
		   const struct crash_choice *choice)
{
	const struct crash_object *o = &c->log->objects[object];

	c->buf_len = 0;
	set_size(c, o->size);
	if (o->size)
		memcpy(c->buf, o->data, o->size);
	for (uint32_t i = c->first[object]; i != CRASH_NONE && i < prefix; i = c->next[i])
		apply(c, &c->log->ops[i], fate_of(c, i, prefix, choice),
		      crash_mix(choice->seed + 1, i));
	if (o->is_mapped && o->mapped_at < prefix)
		apply_mapped(c, o, choice);
}

/* --- and whether it was there before --------------------------------------------------------- */

/* What the content follows from. */
static uint64_t key_of(const struct content *c, uint32_t object, size_t prefix,
		       const struct crash_choice *choice)
{
	uint64_t key = crash_mix(object, 1);

	for (uint32_t i = c->first[object]; i != CRASH_NONE && i < prefix; i = c->next[i]) {
		enum fate fate = fate_of(c, i, prefix, choice);

		key = crash_mix(key, (uint64_t)i << 8 | fate);
		if (fate == FATE_SUBSET)
			key = crash_mix(key, choice->seed);
	}
	return key ? key : 1;
}

static struct content_memo *memo_slot(struct content_memo *memo, size_t room, uint64_t key)
{
	size_t i = key & (room - 1);

	while (memo[i].key && memo[i].key != key)
		i = (i + 1) & (room - 1);
	return &memo[i];
}

static void memo_grow(struct content *c)
{
	size_t room = c->memo_room * 2;
	struct content_memo *memo = calloc(room, sizeof(*memo));

	if (!memo)
		out_of_memory();
	for (size_t i = 0; i < c->memo_room; i++) {
		if (c->memo[i].key)
			*memo_slot(memo, room, c->memo[i].key) = c->memo[i];
	}
	free(c->memo);
	c->memo = memo;
	c->memo_room = room;
}

uint64_t content_hash(struct content *c, uint32_t object, size_t prefix,
		      const struct crash_choice *choice)
{
	const struct crash_object *o = &c->log->objects[object];
	uint64_t key = key_of(c, object, prefix, choice);
	struct content_memo *memo;

	if (o->is_mapped && o->mapped_at < prefix)
		return 1 + mapped_kind(choice);
	memo = memo_slot(c->memo, c->memo_room, key);
	if (memo->key)
		return memo->hash;
	content_build(c, object, prefix, choice);
	memo->key = key;
	memo->hash = crash_hash(c->buf, c->buf_len, 0);
	key = memo->hash;
	if (++c->memo_nr > c->memo_room / 2)
		memo_grow(c);
	return key;
}
