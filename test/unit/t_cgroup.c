/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups: mounts as /proc/self/mountinfo has them, settings, parents. */
#include "jail/cgroup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static FILE *open_text(const char *text)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(f);
	return f;
}

/* The only mount in @text. */
static struct cgroup_mount only_mount(const char *text)
{
	FILE *f = open_text(text);
	struct cgroup_mount m = { 0 }, more;

	assert_int_equal(cgroup_mount_next(f, &m), 1);
	assert_int_equal(cgroup_mount_next(f, &more), 0);
	fclose(f);
	return m;
}

static void finds_both_versions(void **state)
{
	static const char text[] =
		"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
		"30 22 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
		"31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 "
		"rw,nsdelegate\n"
		"32 30 0:28 /a /sys/fs/cgroup/cpu,cpuacct rw shared:5 master:3 - cgroup cgroup "
		"rw,cpu,cpuacct\n";
	FILE *f = open_text(text);
	struct cgroup_mount m;

	(void)state;
	assert_int_equal(cgroup_mount_next(f, &m), 1);
	assert_int_equal(m.version, CGROUP_V2);
	assert_string_equal(m.path, "/sys/fs/cgroup/unified");
	assert_int_equal(cgroup_mount_next(f, &m), 1);
	assert_int_equal(m.version, CGROUP_V1);
	assert_string_equal(m.path, "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(m.options, "rw,cpu,cpuacct");
	assert_int_equal(cgroup_mount_next(f, &m), 0);
	fclose(f);
}

static void unescapes_paths(void **state)
{
	struct cgroup_mount m = only_mount("1 2 0:1 / /a\\040b\\134c\\011 rw - cgroup2 none rw\n");

	(void)state;
	assert_string_equal(m.path, "/a b\\c\t");
}

static void passes_over_nonsense(void **state)
{
	static const char end[] = " rw - cgroup2 none rw\n";
	char longest[2 * PATH_MAX];
	struct cgroup_mount m;
	FILE *f;

	(void)state;
	m = only_mount("\n"
		       "1\n"
		       "1 2 3 4\n"
		       "1 2 0:1 / /path rw - cgroup2\n"
		       "1 2 0:1 / /path rw -\n"
		       "1 2 0:1 / /path rw cgroup2 none rw\n"
		       "1 2 0:1 / /path rw - cgroup22 none rw\n"
		       "1 2 0:1 / /good rw - cgroup2 none rw");
	assert_string_equal(m.path, "/good");
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "1 2 0:1 / /", 11);
	memcpy(longest + sizeof(longest) - sizeof(end), end, sizeof(end));
	f = open_text(longest);
	assert_int_equal(cgroup_mount_next(f, &m), 0);
	fclose(f);
}

static void finds_words_of_lists(void **state)
{
	(void)state;
	assert_true(cgroup_list_has("rw,cpu,cpuacct", ',', "cpu", 3));
	assert_true(cgroup_list_has("rw,cpu,cpuacct", ',', "cpuacct", 7));
	assert_false(cgroup_list_has("rw,cpuset,cpuacct", ',', "cpu", 3));
	assert_false(cgroup_list_has("", ',', "cpu", 3));
	assert_true(cgroup_list_has("cpu memory pids\n", ' ', "pids.max", 4));
	assert_false(cgroup_list_has("cpu memory pids\n", ' ', "io", 2));
}

static void parses_settings(void **state)
{
	struct cgroup_setting s;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(cgroup_setting_parse("cpu.max=50000 100000", &s, &e), 0);
	assert_string_equal(s.file, "cpu.max");
	assert_string_equal(s.value, "50000 100000");
	assert_int_equal(cgroup_setting_parse("io.max=8:0 rbps=1 wbps=2", &s, &e), 0);
	assert_string_equal(s.file, "io.max");
	assert_string_equal(s.value, "8:0 rbps=1 wbps=2");
}

static void refuses_settings(void **state)
{
	static const char long_name[] = "cpu.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
					"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1";
	const char *const bad[] = { "",	      "=",	    "cpu.max",	    "cpu.max=",
				    "=1",     "max=1",	    "../cpu.max=1", "a/cpu.max=1",
				    ".max=1", "/cpu.max=1", long_name };
	struct cgroup_setting s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(cgroup_setting_parse(bad[i], &s, &e), -EINVAL);
		assert_true(e.msg[0] != '\0');
	}
}

static void knows_parents(void **state)
{
	static const char *const bad[] = {
		"",   "/",    "/a",  "a/",   "a//b",  ".",
		"..", "a/..", "./a", "../a", "a/./b", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"
	};

	(void)state;
	assert_true(cgroup_is_parent("firecracker"));
	assert_true(cgroup_is_parent("all/of/..them"));
	assert_true(cgroup_is_parent("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(cgroup_is_parent(bad[i]));
}

static void finds_missing_controllers(void **state)
{
	struct cgroup_setting s;
	struct err e = { 0 };
	struct cgroup cg = { 0 };
	struct cgroup_spec spec = { CGROUP_V1, "parent", "name", &s, 1 };

	(void)state;
	assert_int_equal(cgroup_setting_parse("nothing.max=1", &s, &e), 0);
	for (spec.version = CGROUP_V1; spec.version <= CGROUP_V2; spec.version++) {
		assert_int_equal(cgroup_open(&cg, &spec, &e), -ENOENT);
		cgroup_release(&cg);
	}
	/* In version 1, no settings need no hierarchy. */
	spec = (struct cgroup_spec){ CGROUP_V1, "parent", "name", NULL, 0 };
	assert_int_equal(cgroup_open(&cg, &spec, &e), 0);
	assert_int_equal(cg.nr_places, 0);
	assert_int_equal(cgroup_make(&cg, &e), 0);
	assert_int_equal(cgroup_enter(&cg, &e), 0);
	cgroup_undo(&cg);
	cgroup_release(&cg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_both_versions),	cmocka_unit_test(unescapes_paths),
		cmocka_unit_test(passes_over_nonsense), cmocka_unit_test(finds_words_of_lists),
		cmocka_unit_test(parses_settings),	cmocka_unit_test(refuses_settings),
		cmocka_unit_test(knows_parents),	cmocka_unit_test(finds_missing_controllers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
