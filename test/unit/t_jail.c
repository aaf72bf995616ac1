/* SPDX-License-Identifier: Apache-2.0 */
/* Stages of a sandbox, each in a process of its own that it is applied to. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "jail/capability.h"
#include "jail/landlock.h"
#include "jail/layer.h"
#include "jail/limits.h"
#include "jail/policy.h"
#include "jail/root.h"
#include "jail/seccomp.h"

enum { SKIPPED = 77, DESCRIPTORS = 20, CAPABILITIES = 41 };

/* In a child: leaves, and says which check failed. */
#define CHECK(is_true)                                                            \
	do {                                                                      \
		if (!(is_true)) {                                                 \
			fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #is_true, \
				strerror(errno));                                 \
			_exit(1);                                                 \
		}                                                                 \
	} while (0)

/* The wait status of a process that runs @fn. */
static int run(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void run_well(void (*fn)(void))
{
	int status;

	if (!jail_is_built())
		skip(); /* sanitizers need what is taken away here */
	status = run(fn);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_layers_are_found_by_their_names(void **state)
{
	char text[64];

	(void)state;
	for (int i = 0; i < JAIL_LAYERS; i++) {
		const char *name = jail_layer_name((enum jail_layer)i);

		assert_int_equal(jail_layer_find(name, (unsigned int)strlen(name)), i);
		assert_int_equal(jail_layer_find(name, (unsigned int)strlen(name) - 1), -1);
	}
	assert_int_equal(jail_layer_find("rooted", 4), JAIL_ROOT);
	assert_int_equal(jail_layer_find("", 0), -1);
	assert_string_equal(
		jail_layer_list(1u << JAIL_ROOT | 1u << JAIL_SECCOMP, text, sizeof(text)),
		"root, seccomp");
	assert_string_equal(jail_layer_list(0, text, sizeof(text)), "");
	assert_string_equal(jail_layer_list(JAIL_ALL_LAYERS, text, 14), "namespaces, r");
}

static void test_older_landlocks_say_what_they_lack(void **state)
{
	(void)state;
	for (int abi = -1; abi < JAIL_LANDLOCK_BEST_ABI; abi++)
		assert_non_null(jail_landlock_missing(abi));
	assert_null(jail_landlock_missing(JAIL_LANDLOCK_BEST_ABI));
	assert_null(jail_landlock_missing(JAIL_LANDLOCK_BEST_ABI + 1));
	assert_non_null(strstr(jail_landlock_missing(2), "truncate"));
	assert_null(strstr(jail_landlock_missing(3), "truncate"));
}

/* --- descriptors and limits ------------------------------------------------------------------ */

static void keep_three(void)
{
	int keep[] = { 9, STDERR_FILENO, 7 };
	struct err e = { 0 };

	for (int fd = 3; fd <= DESCRIPTORS; fd++)
		CHECK(dup2(STDERR_FILENO, fd) == fd);
	CHECK(jail_close_all_but(keep, ARRAY_LEN(keep), &e) == 0);
	for (int fd = 0; fd <= DESCRIPTORS; fd++)
		CHECK((fcntl(fd, F_GETFD) >= 0) == (fd == 2 || fd == 7 || fd == 9));
}

static void test_other_descriptors_are_closed(void **state)
{
	(void)state;
	run_well(keep_three);
}

static void limit(void)
{
	const struct jail_limits limits = { .descriptors = DESCRIPTORS };
	struct rlimit core;
	struct err e = { 0 };
	int fd;

	CHECK(jail_limit(&limits, &e) == 0 && jail_hide(&e) == 0);
	while ((fd = dup(STDERR_FILENO)) >= 0)
		CHECK(fd < DESCRIPTORS);
	CHECK(errno == EMFILE);
	CHECK(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
	CHECK(prctl(PR_GET_DUMPABLE) == 0);
}

static void test_limits(void **state)
{
	(void)state;
	run_well(limit);
}

/* --- capabilities ---------------------------------------------------------------------------- */

static uint64_t permitted(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	CHECK(syscall(SYS_capget, &header, data) == 0);
	CHECK(data[0].effective == data[0].permitted && data[1].effective == data[1].permitted);
	CHECK(data[0].inheritable == 0 && data[1].inheritable == 0);
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static void drop_all(void)
{
	struct err e = { 0 };

	CHECK(jail_drop_capabilities(0, &e) == 0);
	CHECK(permitted() == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	for (int i = 0; geteuid() == 0 && i < CAPABILITIES; i++)
		CHECK(prctl(PR_CAPBSET_READ, i, 0, 0, 0) <= 0);
}

static void drop_all_but_one(void)
{
	const uint64_t before = permitted();
	struct err e = { 0 };

	CHECK(jail_drop_capabilities(1u << CAP_KILL, &e) == 0);
	CHECK(permitted() == (before & 1u << CAP_KILL));
}

static void become_own_user(void)
{
	const uint32_t user = jail_own_user();
	struct err e = { 0 };

	if (geteuid() != 0)
		_exit(SKIPPED);
	CHECK(user == JAIL_OWN_USERS + (uint32_t)getpid());
	CHECK(jail_become(user, &e) == 0);
	if (geteuid() == 0)
		_exit(SKIPPED); /* in a user namespace that has but a few */
	CHECK(geteuid() == user || geteuid() == 65534);
	CHECK(getgid() == geteuid() && getgroups(0, NULL) == 0);
	CHECK(jail_drop_capabilities(0, &e) == 0);
	CHECK(setresuid(0, 0, 0) < 0 && setresgid(0, 0, 0) < 0);
}

static void test_no_capability_is_left(void **state)
{
	(void)state;
	run_well(drop_all);
}

static void test_one_capability_is_kept(void **state)
{
	(void)state;
	run_well(drop_all_but_one);
}

static void test_root_becomes_somebody_of_its_own(void **state)
{
	(void)state;
	run_well(become_own_user);
}

/* --- files ----------------------------------------------------------------------------------- */

static void empty_the_root(void)
{
	struct err e = { 0 };
	char folder[64];

	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(SKIPPED);
	CHECK(jail_empty_root(&e) == 0);
	CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == ENOENT);
	CHECK(open("/proc", O_RDONLY) < 0 && errno == ENOENT);
	CHECK(access("/..", F_OK) == 0 && access("/../etc", F_OK) < 0);
	CHECK(mkdir("/new", 0700) < 0 && errno == EROFS);
	CHECK(getcwd(folder, sizeof(folder)) && strcmp(folder, "/") == 0);
}

static void test_the_root_is_empty(void **state)
{
	(void)state;
	run_well(empty_the_root);
}

static char folder[64]; /* of the tests of Landlock, with "read" and "write" in it */

static int open_below(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static int rename_below(const char *from, const char *to)
{
	char paths[2][128];

	snprintf(paths[0], sizeof(paths[0]), "%s/%s", folder, from);
	snprintf(paths[1], sizeof(paths[1]), "%s/%s", folder, to);
	return rename(paths[0], paths[1]);
}

static void obey_rules(void)
{
	char readable[80], writable[80], movable[80];
	const struct jail_path_rule rules[] = {
		{ readable, JAIL_ACCESS_READ },
		{ writable, JAIL_ACCESS_WRITE },
		{ movable, JAIL_ACCESS_MOVE },
		{ "/nonexistent", JAIL_ACCESS_WRITE },
	};
	const struct jail_landlock_plan plan = { .rules = rules,
						 .nr_rules = ARRAY_LEN(rules),
						 .is_scoped = true };
	struct err e = { 0 };

	if (jail_landlock_abi() == 0)
		_exit(SKIPPED);
	snprintf(readable, sizeof(readable), "%s/read", folder);
	snprintf(writable, sizeof(writable), "%s/write", folder);
	snprintf(movable, sizeof(movable), "%s/move", folder);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(jail_landlock(&plan, &e) == 0);
	CHECK(open_below("read/file", O_RDONLY) >= 0);
	CHECK(open_below("read/file", O_WRONLY) < 0 && errno == EACCES);
	CHECK(open_below("read/new", O_WRONLY | O_CREAT) < 0 && errno == EACCES);
	CHECK(open_below("write/new", O_WRONLY | O_CREAT) >= 0);
	CHECK(open_below("other", O_RDONLY) < 0 && errno == EACCES);
	CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	CHECK(rename_below("write/a/file", "write/b/file") < 0 && errno == EXDEV);
	if (jail_landlock_abi() >= 2)
		CHECK(rename_below("move/a/file", "move/b/file") == 0);
	CHECK(rename_below("move/c", "write/c") < 0 && errno == EXDEV);
	if (jail_landlock_abi() >= 6) /* also of the same user */
		CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
}

static void make_file(const char *name)
{
	const int fd = open_below(name, O_WRONLY | O_CREAT);

	assert_true(fd >= 0);
	close(fd);
}

static void test_rules_of_landlock(void **state)
{
	char command[128];

	(void)state;
	strcpy(folder, "/tmp/t_jail.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(command, sizeof(command), "cd %s && mkdir -p read write/a write/b move/a move/b",
		 folder);
	assert_int_equal(system(command), 0);
	make_file("read/file");
	make_file("other");
	make_file("write/a/file");
	make_file("move/a/file");
	make_file("move/c");
	run_well(obey_rules);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

/* --- filters --------------------------------------------------------------------------------- */

static void filter_without_watcher(void)
{
	struct err e = { 0 };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(jail_filter(JAIL_THREAD_VCPU, NULL, &e) == 0);
	syscall(SYS_sendto, -1, NULL, 0, 0, NULL, 0); /* is allowed */
	syscall(SYS_getppid);
}

static void test_a_forbidden_call_ends_the_process(void **state)
{
	int status;

	(void)state;
	if (!jail_is_built())
		skip();
	status = run(filter_without_watcher);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int listener_fd = -1;
static pthread_barrier_t filtered;

static void *break_rules(void *opaque)
{
	struct err e = { 0 };

	CHECK(jail_filter(*(enum jail_thread *)opaque, &listener_fd, &e) == 0);
	pthread_barrier_wait(&filtered);
	syscall(SYS_openat, 11, 22, 33);
	CHECK(false); /* it never comes back */
	return NULL;
}

static void report(void)
{
	enum jail_thread thread = JAIL_THREAD_LOOP;
	struct jail_report found;
	pthread_t other;
	struct pollfd p = { .events = POLLIN };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(pthread_barrier_init(&filtered, NULL, 2) == 0);
	CHECK(pthread_create(&other, NULL, break_rules, &thread) == 0);
	pthread_barrier_wait(&filtered);
	if (listener_fd < 0)
		_exit(SKIPPED); /* a container's own watcher is there */
	p.fd = listener_fd;
	CHECK(poll(&p, 1, -1) == 1);
	CHECK(jail_read_report(listener_fd, &found) == 0);
	CHECK(strcmp(found.name, "openat") == 0 && found.number == SYS_openat);
	CHECK(found.arguments[0] == 11 && found.arguments[1] == 22 && found.arguments[2] == 33);
	CHECK(found.pid > 0 && found.pid != getpid());
}

static void test_a_forbidden_call_is_reported(void **state)
{
	(void)state;
	run_well(report);
}

static void refuse_custom(void)
{
	static char program[4097 * 8];
	struct err e = { 0 };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(jail_filter_custom(program, 0, &e) == -EINVAL);
	CHECK(jail_filter_custom(program, 12, &e) == -EINVAL);
	CHECK(jail_filter_custom(program, sizeof(program), &e) == -EINVAL);
	CHECK(jail_filter_custom(program, 16, &e) == -EINVAL); /* does not return */
	CHECK(strstr(e.msg, "no BPF program"));
}

static void test_custom_filters_are_checked(void **state)
{
	(void)state;
	run_well(refuse_custom);
}

static void test_every_row_says_why(void **state)
{
	size_t nr;
	const struct jail_syscall *rows = jail_policy(&nr);

	(void)state;
	assert_true(nr > 0);
	for (size_t i = 0; i < nr; i++) {
		assert_true(rows[i].threads != 0 && rows[i].threads < 1u << JAIL_THREADS);
		assert_true(rows[i].reason && rows[i].reason[0]);
		assert_true(rows[i].error >= 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers_are_found_by_their_names),
		cmocka_unit_test(test_older_landlocks_say_what_they_lack),
		cmocka_unit_test(test_other_descriptors_are_closed),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_no_capability_is_left),
		cmocka_unit_test(test_one_capability_is_kept),
		cmocka_unit_test(test_root_becomes_somebody_of_its_own),
		cmocka_unit_test(test_the_root_is_empty),
		cmocka_unit_test(test_rules_of_landlock),
		cmocka_unit_test(test_a_forbidden_call_ends_the_process),
		cmocka_unit_test(test_a_forbidden_call_is_reported),
		cmocka_unit_test(test_custom_filters_are_checked),
		cmocka_unit_test(test_every_row_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
