/* SPDX-License-Identifier: Apache-2.0 */
/* The superblock: what is written is read, damage is found and survived, strangers are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "stellar/superblock.h"
#include "stellar/twin.h"
#include "test/unit/folder_rig.h"

enum { COPY_BYTES = sizeof(struct st_superblock), FILE_BYTES = 2 * COPY_BYTES };

static const char name[] = "superblock";
static const char path[] = "/some/store";

static struct superblock plain(void)
{
	struct superblock sb = { .codec = { CODEC_CHOICE_AUTO, 3 } };

	assert_int_equal(chunk_params_parse(&sb.chunking, "fixed:64K", NULL), 0);
	memset(sb.uuid, 0x5a, sizeof(sb.uuid));
	return sb;
}

static struct superblock encrypted(void)
{
	struct superblock sb = plain();

	sb.is_encrypted = true;
	memset(&sb.envelope, 0xe7, sizeof(sb.envelope));
	sb.has_dictionary = true;
	memset(sb.dictionary_id.bytes, 0xd1, sizeof(sb.dictionary_id.bytes));
	return sb;
}

static void assert_same(const struct superblock *a, const struct superblock *b)
{
	assert_memory_equal(a->uuid, b->uuid, sizeof(a->uuid));
	assert_memory_equal(&a->chunking, &b->chunking, sizeof(a->chunking));
	assert_memory_equal(&a->codec, &b->codec, sizeof(a->codec));
	assert_int_equal(a->has_dictionary, b->has_dictionary);
	assert_memory_equal(&a->dictionary_id, &b->dictionary_id, sizeof(a->dictionary_id));
	assert_int_equal(a->is_encrypted, b->is_encrypted);
	assert_memory_equal(&a->envelope, &b->envelope, sizeof(a->envelope));
}

static int parse(const uint8_t *file, size_t len, struct superblock *sb, struct err *e)
{
	/* A copy of the exact size, so that a byte too many is seen. */
	auto_free uint8_t *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, file, len);
	*e = (struct err){ 0 };
	return superblock_parse(exact, len, path, sb, e);
}

/* The sum of a copy that was changed, as somebody would make it who knows how. */
static void sum_again(uint8_t *copy)
{
	struct id_scheme scheme;

	id_scheme_init(&scheme, NULL);
	id_sum(&scheme, copy, COPY_BYTES - STORE_SUM_BYTES, copy + COPY_BYTES - STORE_SUM_BYTES);
	id_scheme_release(&scheme);
}

static void test_round_trip(void **state)
{
	const struct superblock all[] = { plain(), encrypted() };
	const struct folder_rig *rig = *state;
	uint8_t bytes[FILE_BYTES + 1];
	struct superblock again;
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(superblock_write(rig->fd, path, &all[i], NULL), 0);
		assert_int_equal(superblock_read(rig->fd, path, &again, NULL), 0);
		assert_same(&all[i], &again);
		assert_false(again.is_damaged);
		assert_int_equal(folder_get(rig, name, bytes, sizeof(bytes)), FILE_BYTES);
		assert_false(folder_has(rig, "+tmp.superblock"));
		/* A sealed key is for its owner only. */
		assert_int_equal(fstatat(rig->fd, name, &st, 0), 0);
		assert_int_equal(st.st_mode & 077, all[i].is_encrypted ? 0 : 044);
	}
}

static void test_no_store(void **state)
{
	const struct folder_rig *rig = *state;
	struct superblock sb;
	struct err e = { 0 };

	assert_int_equal(superblock_read(rig->fd, path, &sb, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "'/some/store'"));
	assert_non_null(strstr(e.msg, "stellarium init"));
}

static void test_every_byte(void **state)
{
	const struct superblock sb = encrypted();
	uint8_t file[FILE_BYTES];
	struct superblock again;
	struct err e;

	(void)state;
	superblock_format(&sb, file);
	for (size_t at = 0; at < COPY_BYTES; at++) {
		const uint8_t bit = (uint8_t)(1 << at % 8);

		file[at] ^= bit;
		assert_int_equal(parse(file, sizeof(file), &again, &e), 0);
		assert_true(again.is_damaged);
		assert_same(&sb, &again);
		file[COPY_BYTES + at] ^= bit;
		assert_int_equal(parse(file, sizeof(file), &again, &e), -EBADMSG);
		assert_non_null(strstr(e.msg, "damaged"));
		assert_non_null(strstr(e.msg, path));
		file[at] ^= bit;
		assert_int_equal(parse(file, sizeof(file), &again, &e), 0);
		assert_true(again.is_damaged);
		assert_same(&sb, &again);
		file[COPY_BYTES + at] ^= bit;
	}
}

static void test_lengths(void **state)
{
	const struct superblock sb = plain();
	uint8_t file[FILE_BYTES + 1];
	struct superblock again;
	struct err e;

	(void)state;
	superblock_format(&sb, file);
	file[FILE_BYTES] = 'x';
	for (size_t len = 0; len <= FILE_BYTES + 1; len++) {
		const int r = parse(file, len, &again, &e);

		if (len < COPY_BYTES) {
			assert_int_equal(r, -EBADMSG);
			assert_non_null(strstr(e.msg, "cut short"));
			continue;
		}
		assert_int_equal(r, 0);
		assert_same(&sb, &again);
		assert_int_equal(again.is_damaged, len != FILE_BYTES);
	}
}

static void test_copies_differ(void **state)
{
	uint8_t file[FILE_BYTES];
	struct superblock sb = plain();
	struct err e;

	(void)state;
	superblock_format(&sb, file);
	file[16] ^= 1;
	sum_again(file);
	assert_int_equal(parse(file, sizeof(file), &sb, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "two copies differ"));
}

static void test_newer_version(void **state)
{
	uint8_t file[FILE_BYTES];
	struct superblock sb = plain();
	struct err e;

	(void)state;
	superblock_format(&sb, file);
	file[offsetof(struct st_superblock, version)] = 7;
	sum_again(file);
	/* The other copy is of our version, but somebody newer was here. */
	assert_int_equal(parse(file, sizeof(file), &sb, &e), -EPROTONOSUPPORT);
	memcpy(file + COPY_BYTES, file, COPY_BYTES);
	assert_int_equal(parse(file, sizeof(file), &sb, &e), -EPROTONOSUPPORT);
	assert_non_null(strstr(e.msg, "version 7"));
	file[offsetof(struct st_superblock, version)] = 0;
	sum_again(file);
	memcpy(file + COPY_BYTES, file, COPY_BYTES);
	assert_int_equal(parse(file, sizeof(file), &sb, &e), -EBADMSG);
}

static void test_senseless_fields(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} fields[] = {
		{ offsetof(struct st_superblock, flags), 2 },
		{ offsetof(struct st_superblock, flags) + 3, 0x80 },
		{ offsetof(struct st_superblock, chunking.method), 9 },
		{ offsetof(struct st_superblock, chunking.min_bytes), 1 },
		{ offsetof(struct st_superblock, chunking.average_bytes) + 3, 0x7f },
		{ offsetof(struct st_superblock, chunking.max_bytes), 1 },
		{ offsetof(struct st_superblock, codec_choice), 4 },
		{ offsetof(struct st_superblock, codec_level), 0 },
		{ offsetof(struct st_superblock, codec_level), 20 },
		{ offsetof(struct st_superblock, codec_level) + 3, 0xff },
		{ offsetof(struct st_superblock, envelope.sealed_key), 1 },
		{ offsetof(struct st_superblock, zero), 1 },
		{ offsetof(struct st_superblock, sum) - 1, 1 },
	};
	const struct superblock sb = plain();
	uint8_t file[FILE_BYTES];
	struct superblock again;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		superblock_format(&sb, file);
		file[fields[i].at] = fields[i].value;
		sum_again(file);
		memcpy(file + COPY_BYTES, file, COPY_BYTES);
		assert_int_equal(parse(file, sizeof(file), &again, &e), -EBADMSG);
		assert_null(strstr(e.msg, "checksum"));
	}
}

static void test_strangers(void **state)
{
	const struct folder_rig *rig = *state;
	const struct superblock sb = plain();
	struct superblock again;
	struct err e = { 0 };

	for (int kind = 0; kind < FOLDER_STRANGERS; kind++) {
		folder_put_stranger(rig, name, kind);
		assert_int_equal(superblock_read(rig->fd, path, &again, &e), -EBADMSG);
		assert_non_null(strstr(e.msg, "not a regular file"));
		folder_remove(rig, name);
	}
	/* At the temporary name they are removed, all but a folder. */
	for (int kind = 0; kind < FOLDER_STRANGERS - 1; kind++) {
		folder_put_stranger(rig, "+tmp.superblock", kind);
		assert_int_equal(superblock_write(rig->fd, path, &sb, NULL), 0);
		assert_int_equal(superblock_read(rig->fd, path, &again, NULL), 0);
		assert_false(folder_has(rig, "+tmp.superblock"));
		assert_false(folder_has(rig, "elsewhere"));
	}
	folder_put_stranger(rig, "+tmp.superblock", FOLDER_STRANGERS - 1);
	assert_int_equal(superblock_write(rig->fd, path, &sb, &e), -EISDIR);
	assert_int_equal(superblock_read(rig->fd, path, &again, NULL), 0);
}

/* What a dead writer left may be anything, even another name of a file that matters. */
static void test_left_over(void **state)
{
	const struct folder_rig *rig = *state;
	const struct superblock sb = plain();
	char text[16] = "";

	folder_put(rig, "precious", "gold", 4);
	assert_int_equal(linkat(rig->fd, "precious", rig->fd, "+tmp.superblock", 0), 0);
	assert_int_equal(superblock_write(rig->fd, path, &sb, NULL), 0);
	assert_int_equal(folder_get(rig, "precious", text, sizeof(text)), 4);
	assert_string_equal(text, "gold");
	assert_false(folder_has(rig, "+tmp.superblock"));
}

static void test_failed_fsync(void **state)
{
	const struct superblock old = encrypted(), new = plain();
	const struct folder_rig *rig = *state;
	struct superblock again;
	struct err e = { 0 };

	for (int call = 1; call <= 2; call++) {
		failing_fsync = call;
		assert_int_equal(superblock_write(rig->fd, path, &new, &e), -EIO);
		assert_non_null(strstr(e.msg, path));
		assert_false(folder_has(rig, name));
		assert_false(folder_has(rig, "+tmp.superblock"));
	}
	assert_int_equal(superblock_write(rig->fd, path, &old, NULL), 0);
	for (int call = 1; call <= 2; call++) {
		failing_fsync = call;
		assert_int_equal(superblock_write(rig->fd, path, &new, &e), -EIO);
		assert_int_equal(superblock_read(rig->fd, path, &again, NULL), 0);
		assert_same(&old, &again);
		assert_false(folder_has(rig, "+tmp.superblock"));
	}
	failing_fsync = 0;
	assert_int_equal(superblock_write(rig->fd, path, &new, NULL), 0);
}

static void test_senseless_writes(void **state)
{
	const struct folder_rig *rig = *state;
	struct superblock sb = plain();
	struct err e = { 0 };

	sb.codec.level = -1;
	assert_int_equal(superblock_write(rig->fd, path, &sb, &e), -EINVAL);
	sb = plain();
	sb.chunking.max_bytes = 0;
	assert_int_equal(superblock_write(rig->fd, path, &sb, &e), -EINVAL);
	assert_false(folder_has(rig, name));
	assert_false(folder_has(rig, "+tmp.superblock"));
}

/* A process waits until somebody reads what it has for him; we are not the one. */
static void test_fifo_is_not_opened(void **state)
{
	const struct folder_rig *rig = *state;
	struct superblock sb;
	pid_t child;

	folder_put_stranger(rig, name, 0);
	child = folder_fork();
	if (child == 0) {
		_exit(openat(rig->fd, name, O_WRONLY) < 0);
	}
	for (int i = 0; i < 20; i++) {
		usleep(5000);
		assert_int_equal(superblock_read(rig->fd, path, &sb, NULL), -EBADMSG);
	}
	usleep(20000);
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

enum { WRITERS = 4, WRITES = 200 };

static void *write_often(void *opaque)
{
	const struct folder_rig *rig = opaque;
	const struct superblock sb = plain();
	size_t failures = 0;

	for (int i = 0; i < WRITES; i++)
		failures += superblock_write(rig->fd, path, &sb, NULL) != 0;
	return failures ? opaque : NULL;
}

static void race_writers(struct folder_rig *rig)
{
	const struct superblock sb = plain();
	pthread_t threads[WRITERS];
	struct superblock again;
	void *failed;

	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_often, rig), 0);
	for (int i = 0; i < WRITES; i++) {
		assert_int_equal(superblock_read(rig->fd, path, &again, NULL), 0);
		assert_same(&sb, &again);
		assert_false(again.is_damaged);
	}
	for (size_t i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(folder_count(rig), 1);
}

static void test_writers_at_once(void **state)
{
	/* Some races show when disks are quick, others when they are slow. */
	static const useconds_t delays_us[] = { 0, 0, 0, 100 };
	const struct superblock sb = plain();
	struct folder_rig *rig = *state;

	assert_int_equal(superblock_write(rig->fd, path, &sb, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(delays_us); i++) {
		fsync_delay_us = delays_us[i];
		race_writers(rig);
	}
}

/* The path is foreign too. */
static void test_long_path(void **state)
{
	const struct folder_rig *rig = *state;
	struct superblock sb;
	struct err e = { 0 };
	char longer[9000];

	memset(longer, '\033', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	folder_put(rig, name, "x", 1);
	assert_int_equal(superblock_read(rig->fd, longer, &sb, &e), -EBADMSG);
	assert_null(strchr(e.msg, '\033'));
	assert_non_null(strstr(e.msg, "cut short"));
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_set_up, folder_tear_down)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_round_trip),
		IN_FOLDER(test_no_store),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_copies_differ),
		cmocka_unit_test(test_newer_version),
		cmocka_unit_test(test_senseless_fields),
		IN_FOLDER(test_strangers),
		IN_FOLDER(test_left_over),
		IN_FOLDER(test_failed_fsync),
		IN_FOLDER(test_senseless_writes),
		IN_FOLDER(test_fifo_is_not_opened),
		IN_FOLDER(test_writers_at_once),
		IN_FOLDER(test_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
