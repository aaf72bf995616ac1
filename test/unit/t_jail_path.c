/* SPDX-License-Identifier: Apache-2.0 */
/* Files below a folder that is not trusted: opening, making folders, removing all. */
#include "jail/path.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "jail/tree.h"

/* Two folders beside each other: ours, and one that nothing may reach. */
struct rig {
	char path[64];
	int top, inside, outside;
};

static int open_folder(int at, const char *name)
{
	int fd;

	assert_int_equal(mkdirat(at, name, 0755), 0);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	return fd;
}

static void put_file(int at, const char *name)
{
	auto_fd int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
}

static bool is_there(int at, const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int set_up(void **state)
{
	static struct rig rig;

	strcpy(rig.path, "/tmp/jail-path-XXXXXX");
	assert_non_null(mkdtemp(rig.path));
	rig.top = open(rig.path, O_RDONLY | O_DIRECTORY);
	rig.inside = open_folder(rig.top, "inside");
	rig.outside = open_folder(rig.top, "outside");
	put_file(rig.outside, "secret");
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	const char *name = strrchr(rig->path, '/') + 1;
	auto_fd int tmp = open("/tmp", O_RDONLY | O_DIRECTORY);

	close(rig->inside);
	close(rig->outside);
	close(rig->top);
	return tree_remove(tmp, name, NULL);
}

static int try_open(int dir, const char *path, int flags)
{
	int fd = path_open(dir, path, flags, 0644);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void names(void **state)
{
	(void)state;
	assert_true(path_is_name("a"));
	assert_true(path_is_name("..."));
	assert_false(path_is_name(""));
	assert_false(path_is_name("."));
	assert_false(path_is_name(".."));
	assert_false(path_is_name("a/b"));
	assert_false(path_is_name("/"));
}

static void follows_nothing(void **state)
{
	struct rig *rig = *state;

	put_file(rig->inside, "file");
	assert_int_equal(symlinkat("file", rig->inside, "near"), 0);
	assert_int_equal(symlinkat("../outside", rig->inside, "far"), 0);
	assert_int_equal(symlinkat("/proc/self/exe", rig->inside, "magic"), 0);
	assert_int_equal(try_open(rig->inside, "file", O_RDONLY), 0);
	assert_int_equal(try_open(rig->inside, "near", O_RDONLY), -ELOOP);
	assert_int_equal(try_open(rig->inside, "magic", O_RDONLY), -ELOOP);
	assert_int_equal(try_open(rig->inside, "far/secret", O_RDONLY), -ELOOP);
	assert_int_equal(try_open(rig->inside, "far/new", O_WRONLY | O_CREAT), -ELOOP);
	assert_false(is_there(rig->outside, "new"));
}

static void stays_below(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(try_open(rig->inside, "../outside/secret", O_RDONLY), -EXDEV);
	assert_int_equal(try_open(rig->inside, "/etc/passwd", O_RDONLY), -EXDEV);
	assert_int_equal(try_open(rig->inside, "..", O_RDONLY), -EXDEV);
}

static void makes_folders(void **state)
{
	struct rig *rig = *state;
	bool is_new;
	int fd = path_make_folder(rig->inside, "new", 0700, &is_new);

	assert_true(fd >= 0);
	assert_true(is_new);
	close(fd);
	fd = path_make_folder(rig->inside, "new", 0700, &is_new);
	assert_true(fd >= 0);
	assert_false(is_new);
	close(fd);
	put_file(rig->inside, "file");
	assert_int_equal(symlinkat("../outside", rig->inside, "link"), 0);
	assert_int_equal(symlinkat("../outside/none", rig->inside, "dangling"), 0);
	assert_int_equal(path_make_folder(rig->inside, "file", 0700, &is_new), -ENOTDIR);
	assert_int_equal(path_make_folder(rig->inside, "link", 0700, &is_new), -ELOOP);
	assert_int_equal(path_make_folder(rig->inside, "dangling", 0700, &is_new), -ELOOP);
	assert_false(is_new);
	assert_false(is_there(rig->outside, "none"));
}

static void removes_a_tree_and_nothing_else(void **state)
{
	struct rig *rig = *state;
	auto_fd int tree = open_folder(rig->inside, "tree");
	auto_fd int sub = open_folder(tree, "sub");
	auto_fd int dots = open_folder(sub, ".removed-0");
	struct err e = { 0 };

	put_file(tree, "file");
	put_file(tree, ".removed-1");
	put_file(dots, "deep");
	assert_int_equal(symlinkat("../../outside", sub, "link"), 0);
	assert_int_equal(symlinkat("../outside", tree, "link"), 0);
	assert_int_equal(linkat(rig->outside, "secret", sub, "hard", 0), 0);
	assert_int_equal(mkfifoat(sub, "fifo", 0600), 0);
	assert_int_equal(tree_remove(rig->inside, "tree", &e), 0);
	assert_false(is_there(rig->inside, "tree"));
	assert_true(is_there(rig->outside, "secret"));
}

/* Deeper than a path can be written, and than a stack or a table of descriptors would do. */
static void removes_a_deep_tree(void **state)
{
	enum { DEPTH = 1500 };
	struct rig *rig = *state;
	int fd = open_folder(rig->inside, "deep");
	struct err e = { 0 };

	for (int i = 0; i < DEPTH; i++) {
		int below = open_folder(fd, "folder");

		put_file(fd, "file");
		close(fd);
		fd = below;
	}
	close(fd);
	assert_int_equal(tree_remove(rig->inside, "deep", &e), 0);
	assert_false(is_there(rig->inside, "deep"));
}

static void refuses_to_remove_links(void **state)
{
	struct rig *rig = *state;
	struct err e = { 0 };

	assert_int_equal(symlinkat("../outside", rig->inside, "link"), 0);
	assert_true(tree_remove(rig->inside, "link", &e) < 0);
	assert_int_equal(tree_remove(rig->inside, "none", &e), -ENOENT);
	assert_true(is_there(rig->outside, "secret"));
	assert_true(is_there(rig->inside, "link"));
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		RIG_TEST(follows_nothing),
		RIG_TEST(stays_below),
		RIG_TEST(makes_folders),
		RIG_TEST(removes_a_tree_and_nothing_else),
		RIG_TEST(removes_a_deep_tree),
		RIG_TEST(refuses_to_remove_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
