/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images: which are taken, that their files are durable, whole and the right ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "stellar/root.h"
#include "test/unit/root_rig.h"

enum { COPY_BYTES = sizeof(struct st_root), FILE_BYTES = 2 * COPY_BYTES };

/* --- names ---------------------------------------------------------------------------------- */

/* @text @count times, and @end. */
static char *repeat(char *to, const char *text, size_t count, const char *end)
{
	const size_t step = strlen(text);

	for (size_t i = 0; i < count; i++)
		memcpy(to + i * step, text, step);
	memcpy(to + count * step, end, strlen(end) + 1);
	return to;
}

static void test_good_names(void **state)
{
	static char longest[201], slashes[201], all_slashes[64];
	const char *const names[] = {
		"a",
		"Z",
		"0",
		"debian:12",
		"a/b/c",
		"a/.hidden",
		"a/...",
		"x.",
		"x+tmp.y",
		"a@b+c",
		"a-/-",
		"a:/:b",
		"9..",
		repeat(longest, "x", 200, ""),
		repeat(slashes, "x", 200, ""),
		repeat(all_slashes, "a/", 25, "b"),
	};
	const struct folder_rig *rig = *state;
	struct root_list list;

	for (int i = 0; i < 25; i++)
		slashes[1 + 2 * i] = '/';
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(root_check_name(names[i], NULL), 0);
		assert_int_equal(put(rig, names[i], (uint8_t)i, false), 0);
		assert_int_equal(get(rig, names[i]), i);
	}
	assert_int_equal(root_list_read(rig->fd, &scheme, &list, NULL), 0);
	assert_int_equal(list.count, ARRAY_LEN(names));
	assert_int_equal(list.bad_count, 0);
	for (size_t i = 1; i < list.count; i++)
		assert_true(strcmp(list.roots[i - 1].name, list.roots[i].name) < 0);
	root_list_release(&list);
	assert_true(folder_has(rig, "a%2Fb%2Fc"));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(root_remove(rig->fd, names[i], NULL), 0);
	assert_int_equal(folder_count(rig), 0);
}

static void test_bad_names(void **state)
{
	static char too_long[300], too_deep[300], huge[100000];
	const char *const names[] = {
		"",
		"/",
		"/a",
		"a/",
		"a//b",
		".",
		"..",
		"../a",
		"a/..",
		"a/../b",
		"a/.",
		"./a",
		"a/./b",
		"a\nb",
		"\n",
		"a ",
		"a b",
		"a%2Fb",
		"%2F",
		"%",
		"a%2fb",
		"+tmp.a",
		"-a",
		"_a",
		":a",
		"@",
		"\xc3\xa4",
		"a\xc3\xa4",
		"a\x80",
		"a\033[31m",
		"a\\b",
		"a*",
		"a\"b",
		"a'b",
		"a,b",
		"a=b",
		"a\x7f",
		"\x01",
		"a\tb",
		repeat(too_long, "x", 201, ""),
		repeat(too_deep, "a/", 26, "b"),
		huge,
	};
	const struct folder_rig *rig = *state;

	memset(huge, 'h', sizeof(huge) - 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct root root = make_root("a", 1);
		struct err e = { 0 };

		memcpy(root.name, names[i], strnlen(names[i], ROOT_NAME_MAX) + 1);
		assert_int_equal(root_check_name(names[i], &e), -EINVAL);
		assert_non_null(strstr(e.msg, "image name '"));
		assert_null(strpbrk(e.msg, "\n\033\x01\x7f\t"));
		assert_int_equal(root_read(rig->fd, &scheme, names[i], &root, &e), -EINVAL);
		assert_int_equal(root_remove(rig->fd, names[i], &e), -EINVAL);
		if (strlen(names[i]) <= ROOT_NAME_MAX)
			assert_int_equal(root_write(rig->fd, &scheme, &root, true, &e), -EINVAL);
		assert_int_equal(folder_count(rig), 0);
	}
}

/* --- damage ---------------------------------------------------------------------------------- */

static int parse(const uint8_t *file, size_t len, const char *name, struct root *root,
		 struct err *e)
{
	auto_free uint8_t *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, file, len);
	*e = (struct err){ 0 };
	return root_parse(exact, len, &scheme, name, root, e);
}

static void sum_again(uint8_t *file)
{
	id_sum(&scheme, file, COPY_BYTES - STORE_SUM_BYTES, file + COPY_BYTES - STORE_SUM_BYTES);
	memcpy(file + COPY_BYTES, file, COPY_BYTES);
}

static void some_file(const struct folder_rig *rig, uint8_t file[static FILE_BYTES])
{
	assert_int_equal(put(rig, "some/image", 'i', true), 0);
	assert_int_equal(folder_get(rig, "some%2Fimage", file, FILE_BYTES), FILE_BYTES);
}

static void assert_same(const struct root *root, bool is_damaged)
{
	const struct root expected = make_root("some/image", 'i');

	assert_string_equal(root->name, expected.name);
	assert_memory_equal(&root->image_id, &expected.image_id, sizeof(root->image_id));
	assert_int_equal(root->bytes, expected.bytes);
	assert_int_equal(root->created_s, expected.created_s);
	assert_int_equal(root->is_damaged, is_damaged);
}

static void test_every_byte(void **state)
{
	uint8_t file[FILE_BYTES];
	struct root root;
	struct err e;

	some_file(*state, file);
	for (size_t at = 0; at < COPY_BYTES; at++) {
		const uint8_t bit = (uint8_t)(1 << at % 8);

		for (size_t copy = 0; copy < FILE_BYTES; copy += COPY_BYTES) {
			file[copy + at] ^= bit;
			assert_int_equal(parse(file, FILE_BYTES, "some/image", &root, &e), 0);
			assert_same(&root, true);
			file[copy + at] ^= bit;
		}
		file[at] ^= bit;
		file[COPY_BYTES + at] ^= bit;
		assert_int_equal(parse(file, FILE_BYTES, "some/image", &root, &e), -EBADMSG);
		assert_non_null(strstr(e.msg, "'some/image' is damaged"));
		file[at] ^= bit;
		file[COPY_BYTES + at] ^= bit;
	}
	assert_int_equal(parse(file, FILE_BYTES, "some/image", &root, &e), 0);
	assert_same(&root, false);
}

static void test_lengths(void **state)
{
	uint8_t file[FILE_BYTES + 1] = { 0 };
	const struct folder_rig *rig = *state;
	struct root root;
	struct err e;

	some_file(rig, file);
	for (size_t len = 0; len <= sizeof(file); len++) {
		const int r = parse(file, len, "some/image", &root, &e);

		assert_int_equal(r, len < COPY_BYTES ? -EBADMSG : 0);
		if (r == 0)
			assert_same(&root, len != FILE_BYTES);
	}
	/* A file of a terabyte costs no more than the begin of it. */
	assert_int_equal(open(rig->path, O_RDONLY) < 0, 0);
	auto_fd int fd = openat(rig->fd, "some%2Fimage", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_int_equal(root_read(rig->fd, &scheme, "some/image", &root, NULL), 0);
	assert_same(&root, true);
}

static void test_swapped_files(void **state)
{
	const struct folder_rig *rig = *state;
	struct root_list list;
	struct root root;
	struct err e = { 0 };

	assert_int_equal(put(rig, "old", 1, false), 0);
	assert_int_equal(put(rig, "new", 2, false), 0);
	assert_int_equal(renameat2(rig->fd, "old", rig->fd, "new", RENAME_EXCHANGE), 0);
	assert_int_equal(root_read(rig->fd, &scheme, "old", &root, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "'old'"));
	assert_non_null(strstr(e.msg, "another name"));
	assert_int_equal(get(rig, "new"), -EBADMSG);
	assert_int_equal(renameat(rig->fd, "old", rig->fd, "old2"), 0);
	assert_int_equal(get(rig, "old2"), -EBADMSG);
	assert_int_equal(root_list_read(rig->fd, &scheme, &list, NULL), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(list.bad_count, 2);
	assert_string_equal(list.bad[0], "new");
	assert_string_equal(list.bad[1], "old2");
	root_list_release(&list);
	root_list_release(&list);
}

static void test_fields(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		int result;
	} fields[] = {
		{ offsetof(struct st_root, version), 2, -EPROTONOSUPPORT },
		{ offsetof(struct st_root, version) + 3, 1, -EPROTONOSUPPORT },
		{ offsetof(struct st_root, version), 0, -EBADMSG },
		{ offsetof(struct st_root, name_bytes), 0, -EBADMSG },
		{ offsetof(struct st_root, name_bytes), 9, -EBADMSG },
		{ offsetof(struct st_root, name_bytes), 11, -EBADMSG },
		{ offsetof(struct st_root, name_bytes), 201, -EBADMSG },
		{ offsetof(struct st_root, name_bytes) + 3, 0xff, -EBADMSG },
		{ offsetof(struct st_root, bytes) + 7, 1, -EBADMSG },
		{ offsetof(struct st_root, name), 'S', -EBADMSG },
		{ offsetof(struct st_root, name) + 199, 1, -EBADMSG },
		{ offsetof(struct st_root, zero), 1, -EBADMSG },
		{ offsetof(struct st_root, zero) + 215, 1, -EBADMSG },
	};
	uint8_t good[FILE_BYTES], file[FILE_BYTES];
	struct root root;
	struct err e;

	some_file(*state, good);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		memcpy(file, good, sizeof(file));
		file[fields[i].at] = fields[i].value;
		sum_again(file);
		assert_int_equal(parse(file, FILE_BYTES, "some/image", &root, &e),
				 fields[i].result);
		assert_null(strstr(e.msg, "checksum"));
	}
	assert_non_null(strstr(e.msg, "not zero"));
}

/* In an encrypted store nobody makes a root who does not have its key. */
static void test_another_key(void **state)
{
	const struct folder_rig *rig = *state;
	struct id_scheme keyed;
	struct root root;

	id_scheme_init(&keyed, (const uint8_t *)"a master key that is 32 bytes at");
	assert_int_equal(put(rig, "plain", 1, false), 0);
	assert_int_equal(root_read(rig->fd, &keyed, "plain", &root, NULL), -EBADMSG);
	id_scheme_release(&keyed);
}

/* --- in the folder --------------------------------------------------------------------------- */

static void test_strangers(void **state)
{
	static const char *const files[] = { "a",      "b%2fc", "b%2Fd", "%2F",
					     "nam\ne", ".git",	"%",	 "e%2F" };
	const struct folder_rig *rig = *state;
	struct root_list list;
	struct err e = { 0 };

	assert_int_equal(put(rig, "good", 1, false), 0);
	folder_put(rig, "+tmp.good", "half", 4);
	for (int kind = 0; kind < FOLDER_STRANGERS; kind++) {
		for (size_t i = 0; i < ARRAY_LEN(files); i++)
			folder_put_stranger(rig, files[i], kind);
		assert_int_equal(get(rig, "a"), -EBADMSG);
		assert_int_equal(root_list_read(rig->fd, &scheme, &list, &e), 0);
		assert_int_equal(e.msg[0], 0);
		assert_int_equal(list.count, 1);
		assert_string_equal(list.roots[0].name, "good");
		assert_int_equal(list.bad_count, ARRAY_LEN(files));
		root_list_release(&list);
		/* An image of such a name takes its place, unless it is a folder. */
		assert_int_equal(put(rig, "a", 2, false), -EEXIST);
		assert_int_equal(put(rig, "a", 2, true), kind == 3 ? -EISDIR : 0);
		assert_int_equal(root_remove(rig->fd, "a", NULL), kind == 3 ? -EISDIR : 0);
		assert_int_equal(root_remove(rig->fd, "b/d", NULL), kind == 3 ? -EISDIR : 0);
		for (size_t i = 0; i < ARRAY_LEN(files); i++) {
			if (folder_has(rig, files[i]))
				folder_remove(rig, files[i]);
		}
	}
	assert_false(folder_has(rig, "elsewhere"));
	assert_int_equal(get(rig, "good"), 1);
	/* The left-over of a dead writer goes when that name is written again. */
	assert_int_equal(put(rig, "good", 3, true), 0);
	assert_false(folder_has(rig, "+tmp.good"));
	assert_int_equal(get(rig, "good"), 3);
}

static void test_missing(void **state)
{
	const struct folder_rig *rig = *state;
	struct root_list list;
	struct root root;
	struct err e = { 0 };

	assert_int_equal(root_read(rig->fd, &scheme, "none", &root, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no image 'none'"));
	e.msg[0] = '\0';
	assert_int_equal(root_remove(rig->fd, "none", &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no image 'none'"));
	assert_int_equal(root_list_read(rig->fd, &scheme, &list, NULL), 0);
	assert_int_equal(list.count + list.bad_count, 0);
	root_list_release(&list);
	assert_int_equal(root_list_read(-1, &scheme, &list, &e), -EBADF);
	root_list_release(&list);
}

static void test_replace(void **state)
{
	const struct folder_rig *rig = *state;
	struct root root = make_root("x", 2);
	struct err e = { 0 };

	assert_int_equal(put(rig, "x", 1, false), 0);
	assert_int_equal(root_write(rig->fd, &scheme, &root, false, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "an image 'x' already"));
	assert_int_equal(get(rig, "x"), 1);
	assert_int_equal(put(rig, "x", 2, true), 0);
	assert_int_equal(get(rig, "x"), 2);
	assert_int_equal(put(rig, "y", 3, true), 0);
	assert_int_equal(folder_count(rig), 2);
	root.bytes = UINT64_C(1) << 56;
	assert_int_equal(root_write(rig->fd, &scheme, &root, true, &e), -EFBIG);
	assert_int_equal(get(rig, "x"), 2);
}

static void test_failed_fsync(void **state)
{
	const struct folder_rig *rig = *state;

	for (int call = 1; call <= 2; call++) {
		failing_fsync = call;
		assert_int_equal(put(rig, "x", 2, call == 1), -EIO);
		assert_int_equal(folder_count(rig), 0);
	}
	assert_int_equal(put(rig, "x", 1, false), 0);
	for (int call = 1; call <= 2; call++) {
		failing_fsync = call;
		assert_int_equal(put(rig, "x", 2, true), -EIO);
		assert_int_equal(get(rig, "x"), 1);
		assert_int_equal(folder_count(rig), 1);
	}
	failing_fsync = 1;
	assert_int_equal(root_remove(rig->fd, "x", NULL), -EIO);
	failing_fsync = 0;
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_set_up, folder_tear_down)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_good_names),    IN_FOLDER(test_bad_names),
		IN_FOLDER(test_every_byte),    IN_FOLDER(test_lengths),
		IN_FOLDER(test_swapped_files), IN_FOLDER(test_fields),
		IN_FOLDER(test_another_key),   IN_FOLDER(test_strangers),
		IN_FOLDER(test_missing),       IN_FOLDER(test_replace),
		IN_FOLDER(test_failed_fsync),
	};

	id_scheme_init(&scheme, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
