/* SPDX-License-Identifier: Apache-2.0 */
/* fsck: the store as a whole, its files, and names. Packs, index and images have tests of their own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/abi.h"
#include "stellar/index.h"
#include "stellar/lease.h"
#include "test/unit/fsck_store.h"

/* --- superblock, locks, strange files ------------------------------------------------------ */

static void test_clean(void **state)
{
	(void)state;
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.leftovers, 0);
	assert_int_equal(rig.result.images, 2);
	assert_int_equal(rig.result.packs, 2);
	assert_true(rig.result.chunks > 20);
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(depot_count(&rig, "packs"), 2);
	assert_int_equal(depot_count(&rig, "quarantine"), 0);
}

static void test_superblock(void **state)
{
	(void)state;
	for (unsigned copy = 0; copy < 2; copy++) {
		depot_flip(&rig, "superblock", copy * 2048 * 8 + 777);
		expect_problem("'superblock': one of its two copies is damaged");
		expect_healed();
	}
	depot_write(&rig, "superblock", 4096, "x", 1);
	expect_problem("'superblock'");
	expect_healed();
	depot_flip(&rig, "superblock", 100);
	depot_flip(&rig, "superblock", 2048 * 8 + 100);
	assert_int_equal(depot_check(&rig), -EBADMSG);
	assert_int_equal(depot_repair(&rig), -EBADMSG);
}

/* A repair of another store would put all packs aside: it changes nothing. */
static void test_superblock_of_another_store(void **state)
{
	const struct fsck_options rebuild = { .must_rebuild_index = true };
	const struct depot_file *theirs;
	struct depot other;

	(void)state;
	depot_make(&other, NULL);
	depot_save(&other);
	theirs = depot_find_file(&other, "superblock", "", 0);
	depot_write(&rig, "superblock", 0, theirs->bytes, theirs->len);
	depot_remove(&other);
	expect_problem("belongs to another store");
	assert_int_equal(depot_repair(&rig), -EXDEV);
	assert_true(depot_told(&rig, "2 of 2 packs are of the store"));
	assert_int_equal(depot_fsck(&rig, &rebuild), -EXDEV);
	assert_int_equal(depot_count(&rig, "quarantine"), 0);
	theirs = depot_find_file(&rig, "superblock", "", 0);
	depot_write(&rig, "superblock", 0, theirs->bytes, theirs->len);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_true(depot_has_image(&rig, "a", image_a, LEN_A));
}

static void test_locks(void **state)
{
	char path[512];

	(void)state;
	depot_write(&rig, "gate", 0, "x", 1);
	expect_problem("'gate' of the store is not empty");
	expect_healed();
	depot_path(&rig, "gc", path);
	assert_int_equal(unlink(path), 0);
	assert_true(depot_check(&rig) < 0);
	assert_true(depot_told(&rig, "the store has no file 'gc'"));
	expect_healed();
}

static void test_strange_files(void **state)
{
	static const char *const names[] = { "notes",	 "packs/readme", "index/x",
					     "roots/+x", "roots/-",	 "leases/y" };
	char path[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		depot_write(&rig, names[i], 0, "precious", 8);
		expect_problem("is no");
		expect_healed();
	}
	depot_path(&rig, "quarantine/store/notes", path);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(depot_count(&rig, "quarantine/roots"), 2);
	/* Nothing in quarantine is replaced. */
	depot_write(&rig, "notes", 0, "precious", 8);
	expect_healed();
	assert_int_equal(depot_count(&rig, "quarantine/store"), 2);
	/* A folder where a file should be. */
	depot_path(&rig, "roots/c", path);
	assert_int_equal(mkdir(path, 0777), 0);
	expect_problem("'c' in 'roots' is no file");
	expect_healed();
}

static void test_leftovers(void **state)
{
	static const char lease[] = "leases/0123456789abcdef0123456789abcdef.lease";
	static const char pack[] = "packs/0123456789abcdef0123456789abcdef.pack";

	(void)state;
	depot_write(&rig, "roots/+tmp.a", 0, "half", 4);
	depot_write(&rig, "superblock.new", 0, "half", 4);
	depot_write(&rig, lease, 0, "half", 4);
	depot_write(&rig, pack, 0, "half", 4);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.leftovers, 4);
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(rig.result.leftovers, 0);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.leftovers, 0);
	assert_int_equal(depot_count(&rig, "packs"), 2);
}

static void test_living(void **state)
{
	struct store *s = depot_open(&rig);
	struct lease *lease = NULL;
	struct root root;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_find(s, "a", &lease, &root, &e), 0);
	assert_int_equal(depot_repair(&rig), -EBUSY);
	lease_free(lease);
	store_close(s);
	assert_int_equal(depot_repair(&rig), 0);
}

/* --- roots --------------------------------------------------------------------------------- */

static void test_root_copy(void **state)
{
	(void)state;
	for (unsigned copy = 0; copy < 2; copy++) {
		depot_flip(&rig, "roots/a", copy * 512 * 8 + 200);
		expect_problem("the name of image 'a': one of the two copies");
		expect_healed();
	}
}

static void test_root_lost(void **state)
{
	(void)state;
	depot_flip(&rig, "roots/a", 200);
	depot_flip(&rig, "roots/a", 512 * 8 + 200);
	expect_problem("image 'a' is damaged: its checksum is wrong");
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 1);
	assert_int_equal(rig.result.repaired, 1);
	assert_int_equal(depot_count(&rig, "quarantine/roots"), 1);
	assert_int_equal(depot_count(&rig, "roots"), 1);
	assert_true(depot_has_image(&rig, "b", image_b, LEN_B));
}

static void test_roots_swapped(void **state)
{
	const struct depot_file *a = root_of("a"), *b = root_of("b");

	(void)state;
	depot_write(&rig, a->name, 0, b->bytes, b->len);
	expect_problem("its file belongs to an image of another name");
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.repaired, 1);
	assert_true(depot_has_image(&rig, "b", image_b, LEN_B));
}

/* --- several at once ----------------------------------------------------------------------- */

/* A damaged chunk of which another pack has a copy. */
static void test_other_copy(void **state)
{
	struct depot_file *pack = pack_of('a');
	const struct pack_entry entry = entry_of(pack, CHUNK_KIND_DATA);
	char path[512], used[320];

	(void)state;
	/* Written again while the index has lost its chunks. */
	change_index(forget_pack);
	depot_path(&rig, pack->name, path);
	assert_int_equal(unlink(path), 0);
	depot_import(&rig, "a", image_a, LEN_A, "none", "fixed:16K");
	depot_write(&rig, pack->name, 0, pack->bytes, pack->len);
	store_close(depot_open(&rig)); /* enters it beside the other */
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	/* The copy that nobody uses, and then the one that is used. */
	depot_flip(&rig, pack->name, (entry.offset + 5) * 8);
	assert_int_equal(depot_check(&rig), 0);
	assert_true(rig.result.problems > 0);
	assert_int_equal(rig.result.damaged_images, 0);
	depot_flip(&rig, pack->name, (entry.offset + 5) * 8);
	depot_read_name(&rig, "packs", pack_of('a')->name, pack_of('b')->name, used);
	depot_flip(&rig, used, 5000 * 8);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.damaged_images, 1);
	expect_healed();
}

enum { SMALL = 48 << 10 };

/* Imports and replaces images until it is killed. */
static _Noreturn void write_on(unsigned writer)
{
	struct err e = { 0 };
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned round = 0; r == 0; round++) {
		char name[32];

		snprintf(name, sizeof(name), "w%u-%u", writer, round % 3);
		depot_noise(image_a, SMALL, 2 * (round % 40) + writer + 10);
		r = depot_try_import(&rig, name, image_a, SMALL, "lz4", "fixed:16K", &e);
	}
	if (r < 0)
		fprintf(stderr, "%s\n", e.msg);
	_exit(1);
}

static void test_beside_writers(void **state)
{
	enum { WRITERS = 2, CHECKS = 10 };
	pid_t writers[WRITERS];
	char problem[ERR_MSG_BYTES] = "";
	unsigned killed = 0;

	(void)state;
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = fork();
		if (writers[i] == 0)
			write_on(i);
	}
	for (unsigned i = 0; i < CHECKS && !problem[0]; i++) {
		if (depot_check(&rig) < 0 || rig.result.problems > 0)
			snprintf(problem, sizeof(problem), "%s", rig.lines[0]);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		int status = 0;

		kill(writers[i], SIGKILL);
		waitpid(writers[i], &status, 0);
		killed += WIFSIGNALED(status);
	}
	assert_string_equal(problem, "");
	assert_int_equal(killed, WRITERS);
	assert_int_equal(depot_repair(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
	assert_int_equal(depot_check(&rig), 0);
	assert_int_equal(rig.result.leftovers, 0);
}

static void test_many(void **state)
{
	(void)state;
	depot_flip(&rig, "superblock", 1000);
	depot_flip(&rig, "roots/a", 1000);
	depot_flip(&rig, "index/data.mdb", 100000);
	depot_flip(&rig, pack_of('a')->name, 2000 * 8);
	depot_flip(&rig, pack_of('b')->name, (pack_of('b')->len - 5) * 8);
	depot_write(&rig, "packs/strange", 0, "x", 1);
	assert_int_equal(depot_check(&rig), 0);
	assert_true(rig.result.problems >= 6);
	expect_healed();
}

static void test_quick(void **state)
{
	const struct pack_entry entry = entry_of(pack_of('a'), CHUNK_KIND_DATA);

	(void)state;
	depot_flip(&rig, pack_of('a')->name, (entry.offset + 5) * 8);
	assert_int_equal(depot_fsck(&rig, &(const struct fsck_options){ .is_quick = true }), 0);
	assert_int_equal(rig.result.problems, 0);
	expect_problem("is damaged");
}

static void test_no_store(void **state)
{
	struct fsck_result result;
	struct err e = { 0 };
	const struct fsck_options o = { 0 };

	(void)state;
	assert_int_equal(fsck_run("/dev/shm/no-such-store", NULL, &o, &result, &e), -ENOENT);
	assert_true(e.msg[0] != '\0');
}

#define T(name) cmocka_unit_test_setup(test_##name, fsck_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(clean),	  T(superblock),    T(superblock_of_another_store),
		T(locks),	  T(strange_files), T(leftovers),
		T(living),	  T(root_copy),	    T(root_lost),
		T(roots_swapped), T(other_copy),    T(beside_writers),
		T(many),	  T(quick),	    T(no_store),
	};

	return cmocka_run_group_tests(tests, fsck_setup, fsck_teardown);
}
