/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on a virtio-blk device, by what a guest can reach: registers, rings and requests. They
 * are plain C over a port and run in two worlds (port.h) with one table of what must come out.
 *
 * Each attack starts from a device that a good driver has started. Afterwards the device must work:
 * at once when it did not ask for a reset, and in any case after one.
 */
#pragma once

#include <stddef.h>

#include "test/hostile/driver.h"

struct attack {
	const char *name;
	enum outcome expected;
	enum outcome (*run)(struct driver *d, const void *row);
	const void *row; /* of the table that @run knows, or NULL */
};

struct attack_list {
	const struct attack *attacks;
	size_t count;
};

extern const struct attack_list attacks_index; /* available index, heads, next indices */
extern const struct attack_list attacks_table; /* indirect tables */
extern const struct attack_list attacks_edge; /* each edge of RAM, for each thing with an address */
extern const struct attack_list attacks_setup; /* the shape and the place of the queue */
extern const struct attack_list attacks_status; /* status bits and features */
extern const struct attack_list attacks_register; /* registers, at every width and offset */
extern const struct attack_list attacks_storm; /* too much of everything */
extern const struct attack_list attacks_request; /* virtio-blk requests */
extern const struct attack_list attacks_race; /* memory that another CPU rewrites */
extern const struct attack_list attacks_read_only; /* what a read-only disk adds */

enum { ATTACK_LISTS = 9 };

/* All lists in order but the last, which needs a read-only disk. */
extern const struct attack_list *const attack_lists[ATTACK_LISTS];

/*
 * Runs @a on the device behind @d, which may be in any state; leaves it usable. Whatever went wrong
 * around the attack itself is OUTCOME_BROKEN, with a line number in @d.
 */
enum outcome attack_run(struct driver *d, const struct attack *a);

/* A word for @outcome. */
const char *attack_outcome_name(enum outcome outcome);

/* A row of a table within a table: ROW(struct span, 0, 16). */
#define ROW(type, ...) (&(const type){ __VA_ARGS__ })
#define ATTACKS(array)                                    \
	{                                                 \
		array, sizeof(array) / sizeof((array)[0]) \
	}
