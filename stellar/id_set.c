/* SPDX-License-Identifier: Apache-2.0 */
/* A set of ids, see id_set.h. */
#include "stellar/id_set.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

static const struct chunk_id zero;

/* The slot that has @id, or the free one where it belongs. There is a free one. */
static struct chunk_id *slot_of(const struct id_set *s, const struct chunk_id *id)
{
	uint64_t hash;
	size_t at;

	memcpy(&hash, id->bytes, sizeof(hash));
	at = (size_t)hash & (s->capacity - 1);
	while (!id_equal(&s->slots[at], &zero) && !id_equal(&s->slots[at], id))
		at = (at + 1) & (s->capacity - 1);
	return &s->slots[at];
}

static int grow(struct id_set *s)
{
	struct id_set grown = { .capacity = s->capacity ? 2 * s->capacity : FIRST_CAPACITY };

	grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->capacity; i++) {
		if (!id_equal(&s->slots[i], &zero))
			*slot_of(&grown, &s->slots[i]) = s->slots[i];
	}
	free(s->slots);
	s->slots = grown.slots;
	s->capacity = grown.capacity;
	return 0;
}

int id_set_add(struct id_set *s, const struct chunk_id *id)
{
	struct chunk_id *slot;

	if (id_equal(id, &zero)) {
		const bool is_new = !s->has_zero;

		s->has_zero = true;
		return is_new;
	}
	if (s->count * 2 >= s->capacity && grow(s) < 0)
		return -ENOMEM;
	slot = slot_of(s, id);
	if (id_equal(slot, id))
		return 0;
	*slot = *id;
	s->count++;
	return 1;
}

bool id_set_has(const struct id_set *s, const struct chunk_id *id)
{
	if (id_equal(id, &zero))
		return s->has_zero;
	return s->capacity > 0 && id_equal(slot_of(s, id), id);
}

void id_set_release(struct id_set *s)
{
	free(s->slots);
	*s = (struct id_set){ 0 };
}
