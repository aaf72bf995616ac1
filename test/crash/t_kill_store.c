/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight processes at work on one store, killed at random: writers, readers and gc (kill.h). What a
 * writer was told is done must be there, what it had begun may be, and nothing else; a reader never
 * sees an image that is not whole; the dead hold up nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "test/crash/content.h"
#include "test/crash/kill.h"
#include "test/crash/store_story.h"

enum {
	NAME_BYTES = 32,
	CLEAN_EVERY = 16, /* rounds: then gc runs, and nothing may be left over */
	CLEAN_BITS = CLEAN_EVERY - 1,
};

static const struct story story = { .name = "kill", .codec = "lz4" };

static void name_of(char name[static NAME_BYTES], unsigned worker, unsigned number)
{
	snprintf(name, NAME_BYTES, "worker-%u/%u", worker, number);
}

static int setup(const char *dir, const void *opaque, struct err *e)
{
	(void)opaque;
	return story_init(dir, &story, e);
}

/* --- workers --------------------------------------------------------------------------------- */

/* Imports, tags or removes one of the worker's names. */
static int write_once(struct store *s, struct kill_ledger *l, unsigned worker, uint64_t h,
		      struct err *e)
{
	const unsigned to = h % KILL_NAMES;
	const unsigned from = (h >> 8) % KILL_NAMES;
	const unsigned number = 1 + (h >> 16) % 100000;
	const uint64_t source = l->entries[worker][from].done;
	char name[NAME_BYTES];
	char other[NAME_BYTES];
	int r;

	name_of(name, worker, to);
	name_of(other, worker, from);
	switch (h >> 40 & 7) {
	case 0:
		kill_begin(l, worker, to, KILL_NONE);
		r = store_remove(s, name, e);
		r = r == -ENOENT ? 0 : r;
		break;
	case 1:
		if (source == KILL_NONE || from == to)
			return 0;
		kill_begin(l, worker, to, source);
		r = store_tag(s, other, name, true, e);
		break;
	default:
		kill_begin(l, worker, to, number);
		r = story_import(s, name, number, e);
		break;
	}
	kill_end(l, worker, to, r == 0);
	return r;
}

static int write_work(const char *dir, struct kill_ledger *l, unsigned worker, uint64_t seed,
		      const void *opaque, struct err *e)
{
	struct store *s;
	int r = story_open(&s, dir, &story, 0, STORE_READ_WRITE, e);

	(void)opaque;
	if (r < 0)
		return r;
	for (uint64_t i = 0; !l->must_stop && r == 0; i++)
		r = write_once(s, l, worker, crash_mix(seed, i) >> 2, e);
	store_close(s);
	return r;
}

/* Reads what others write: it may be gone, but not in part. */
static int read_work(const char *dir, struct kill_ledger *l, unsigned worker, uint64_t seed,
		     const void *opaque, struct err *e)
{
	struct store *s;
	int r = story_open(&s, dir, &story, 0, STORE_READ_ONLY, e);

	(void)worker;
	(void)opaque;
	if (r < 0)
		return r;
	for (uint64_t i = 0; !l->must_stop && r == 0; i++) {
		const uint64_t h = crash_mix(seed, i) >> 2;
		char name[NAME_BYTES];
		unsigned number;

		name_of(name, h % KILL_WORKERS, (h >> 8) % KILL_NAMES);
		r = story_identify(s, name, &number, e);
		r = r == -ENOENT ? 0 : r;
	}
	store_close(s);
	return r;
}

static int gc_work(const char *dir, struct kill_ledger *l, unsigned worker, uint64_t seed,
		   const void *opaque, struct err *e)
{
	struct store *s;
	int r = story_open(&s, dir, &story, 0, STORE_READ_WRITE, e);

	(void)worker;
	(void)seed;
	(void)opaque;
	if (r < 0)
		return r;
	while (!l->must_stop && r == 0) {
		r = story_gc(s, e);
		r = r == -EBUSY ? 0 : r; /* another one runs */
	}
	store_close(s);
	return r;
}

/* --- check ----------------------------------------------------------------------------------- */

static int check_names(struct store *s, struct kill_ledger *l, struct err *e)
{
	char name[NAME_BYTES];

	for (unsigned i = 0; i < KILL_WORKERS * KILL_NAMES; i++) {
		unsigned number = KILL_NONE;
		int r;

		name_of(name, i / KILL_NAMES, i % KILL_NAMES);
		r = story_identify(s, name, &number, e);
		if (r < 0 && r != -ENOENT)
			return r;
		if (!kill_accept(l, i / KILL_NAMES, i % KILL_NAMES, number))
			return err_set(e, -EINVAL, "'%s' is image %u, which nobody was told", name,
				       number);
	}
	return 0;
}

static int check(const char *dir, struct kill_ledger *l, uint64_t seed, const void *opaque,
		 struct err *e)
{
	const bool is_clean = (seed >> 8 & CLEAN_BITS) == 0;
	struct store *s;
	int r = story_open(&s, dir, &story, 0, STORE_READ_WRITE, e);

	(void)opaque;
	if (r < 0)
		return r;
	r = check_names(s, l, e);
	if (r == 0 && is_clean)
		r = story_gc(s, e);
	store_close(s);
	return r < 0 ? r : story_fsck(dir, &story, 0, is_clean, e);
}

/* Usage: t_kill_store [ROUNDS [SEED]]; see kill_options_init() for the environment. */
int main(int argc, char **argv)
{
	static const struct kill_plan plan = {
		.name = "store",
		.setup = setup,
		.work = { write_work, write_work, write_work, write_work, read_work, read_work,
			  gc_work, gc_work },
		.check = check,
	};
	struct kill_options o;

	kill_options_init(&o, 1000);
	if (argc > 1)
		o.rounds = (unsigned)strtoul(argv[1], NULL, 0);
	if (argc > 2)
		o.seed = strtoull(argv[2], NULL, 0);
	return kill_run(&plan, &o).failures ? 1 : 0;
}
