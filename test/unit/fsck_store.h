/* SPDX-License-Identifier: Apache-2.0 */
/* The store that tests of fsck damage: two images, a pack each, and what is expected of fsck then. */
#pragma once

#include <stdint.h>

#include "stellar/index.h"
#include "stellar/pack.h"
#include "test/unit/depot.h"

enum { LEN_A = 300 << 10, LEN_B = 200 << 10 };

extern struct depot rig;
extern uint8_t image_a[LEN_A], image_b[LEN_B];

/* For cmocka: makes the store, puts it back as it was, removes it. */
int fsck_setup(void **state);
int fsck_reset(void **state);
int fsck_teardown(void **state);

/* The saved file of the pack that holds the image 'a' or 'b', its id, its table, an entry of it. */
struct depot_file *pack_of(char image);
struct pack_id id_of(const struct depot_file *pack);
void read_table(const struct depot_file *pack, struct pack_table *t);
struct pack_entry entry_of(const struct depot_file *pack, enum chunk_kind kind);

struct depot_file *root_of(const char *name);

/* Changes the index as its users do: wrongly. */
void change_index(void (*change)(struct index_writer *w, struct err *e));
/* Takes a's pack out but not its chunks, or both: as after a crash between its sync and its entry. */
void drop_pack_row(struct index_writer *w, struct err *e);
void forget_pack(struct index_writer *w, struct err *e);

/* A check finds this and repairs nothing. */
void expect_problem(const char *text);

/* A repair mends all and loses nothing. */
void expect_healed(void);

/* It loses one image and keeps the other; importing it again heals the store. */
void expect_lost(char lost);
