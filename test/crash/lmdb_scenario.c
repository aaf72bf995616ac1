/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB by itself: see lmdb_scenario.h. */
#include "test/crash/lmdb_scenario.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>

enum {
	KEYS = 40,
	VALUE_BYTES = 700, /* a few to a page, so that a transaction writes several */
	ROUNDS = 6,
	MAP_BYTES = 8 << 20,
};

static int lmdb_error(int r, const char *what, struct err *e)
{
	return r == 0 ? 0 : err_set(e, -EIO, "%s: %s", what, mdb_strerror(r));
}

static int open_database(MDB_env **env, const char *path, unsigned flags, struct err *e)
{
	int r = mdb_env_create(env);

	if (r == 0)
		r = mdb_env_set_mapsize(*env, MAP_BYTES);
	if (r == 0)
		r = mdb_env_open(*env, path, flags, 0644);
	return lmdb_error(r, "open", e);
}

static int put_round(MDB_env *env, int round, struct err *e)
{
	char bytes[VALUE_BYTES];
	MDB_val value = { sizeof(bytes), bytes };
	MDB_txn *txn;
	MDB_dbi dbi;
	int r = mdb_txn_begin(env, NULL, 0, &txn);

	if (r != 0)
		return lmdb_error(r, "begin", e);
	memset(bytes, round, sizeof(bytes));
	r = mdb_dbi_open(txn, NULL, 0, &dbi);
	for (int i = 0; i < KEYS && r == 0; i++) {
		MDB_val key = { sizeof(i), &i };

		r = mdb_put(txn, dbi, &key, &value, 0);
	}
	if (r != 0) {
		mdb_txn_abort(txn);
		return lmdb_error(r, "put", e);
	}
	return lmdb_error(mdb_txn_commit(txn), "commit", e);
}

static int lmdb_setup(const char *path, const void *opaque, struct err *e)
{
	MDB_env *env = NULL;
	int r = open_database(&env, path, 0, e);

	(void)opaque;
	if (r == 0)
		r = put_round(env, 1, e);
	mdb_env_close(env);
	return r;
}

static int lmdb_act(const char *path, const void *opaque, struct err *e)
{
	const unsigned *flags = opaque;
	MDB_env *env = NULL;
	int r = open_database(&env, path, *flags, e);

	for (int round = 2; round <= ROUNDS && r == 0; round++) {
		r = put_round(env, round, e);
		if (r == 0)
			crash_note("%d", round);
	}
	mdb_env_close(env);
	return r;
}

/* The round that all values are of; a negative errno if they are not of one. */
static int round_of(MDB_txn *txn, struct err *e)
{
	MDB_val key, value;
	MDB_cursor *cursor;
	MDB_dbi dbi;
	int nr = 0;
	int round = 0;
	int r = mdb_dbi_open(txn, NULL, 0, &dbi);

	if (r == 0)
		r = mdb_cursor_open(txn, dbi, &cursor);
	if (r != 0)
		return lmdb_error(r, "read", e);
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		const unsigned char *bytes = value.mv_data;

		if (nr++ == 0)
			round = bytes[0];
		for (size_t i = 0; i < value.mv_size; i++) {
			if (bytes[i] != round)
				return err_set(e, -EINVAL, "key %d of round %d has a byte of %d",
					       nr, round, bytes[i]);
		}
	}
	mdb_cursor_close(cursor);
	if (nr != KEYS)
		return err_set(e, -EINVAL, "%d keys of round %d", nr, round);
	return round;
}

static int lmdb_check(const char *path, const struct crash_acks *acks, const void *opaque,
		      struct err *e)
{
	MDB_env *env = NULL;
	MDB_txn *txn;
	int r = open_database(&env, path, 0, e);
	int round;

	(void)opaque;
	if (r < 0)
		return r;
	r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (r != 0)
		return lmdb_error(r, "begin", e);
	round = round_of(txn, e);
	mdb_txn_abort(txn);
	if (round < 0)
		return round;
	if (round < ROUNDS && crash_acked(acks, "%d", round + 1))
		return err_set(e, -EINVAL, "round %d although %d was committed", round, round + 1);
	r = put_round(env, ROUNDS + 1, e);
	mdb_env_close(env);
	return r;
}

struct crash_scenario lmdb_scenario(const unsigned *flags)
{
	return (struct crash_scenario){
		.name = *flags & MDB_NOSYNC ? "lmdb-nosync" : "lmdb",
		.setup = lmdb_setup,
		.act = lmdb_act,
		.check = lmdb_check,
		.opaque = flags,
	};
}
