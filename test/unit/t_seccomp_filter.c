/* SPDX-License-Identifier: Apache-2.0 */
/* A user's filter of system calls: what is taken for one, and what is refused with which words. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "control/seccomp_filter.h"

static const char path[] = "filter.bpf";

static void write_file(const void *data, size_t bytes)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, bytes, f), bytes);
	fclose(f);
}

static void refuse_form(const void *data, size_t bytes, const char *part)
{
	struct err e = { 0 };

	assert_int_equal(seccomp_filter_check_form("f", data, bytes, &e), -EBADMSG);
	if (!strstr(e.msg, part))
		fail_msg("no '%s' in: %s", part, e.msg);
	/* Whatever it is, the message says what would work. */
	assert_non_null(strstr(e.msg, "raw BPF program"));
}

static void test_forms(void **state)
{
	static const char three_programs[] = "\3api\4vcpu\3vmm and the rest of the programs";
	static uint8_t large[SECCOMP_FILTER_MAX_BYTES + 1];

	(void)state;
	refuse_form("", 0, "has 0 bytes");
	refuse_form("0123456", 7, "has 7 bytes, not a multiple of 8");
	refuse_form("012345678", 9, "has 9 bytes");
	refuse_form(large, sizeof(large), "too large");
	refuse_form(" \n{\"vmm\"}", 9, "is JSON");
	refuse_form(three_programs, 40, "Firecracker's compiled form");
	assert_int_equal(seccomp_filter_check_form("f", large, sizeof(large) - 1, NULL), 0);
	assert_int_equal(seccomp_filter_check_form("f", large, 8, NULL), 0);
}

/* The kernel has the last word, and is asked in another process. */
static void test_programs(void **state)
{
	const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_filter kill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	const struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	const struct sock_filter endless = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	const struct sock_filter *const good[] = { &allow, &kill, &refuse };
	struct sock_filter read;
	struct err e = { 0 };
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		write_file(good[i], sizeof(*good[i]));
		fd = seccomp_filter_open(path, &e);
		assert_true(fd >= 0);
		assert_int_equal(pread(fd, &read, sizeof(read), 0), sizeof(read));
		assert_memory_equal(&read, good[i], sizeof(read));
		/* A copy, for good. */
		assert_int_equal(pwrite(fd, &allow, sizeof(allow), 0), -1);
		assert_int_equal(ftruncate(fd, 0), -1);
		close(fd);
	}
	write_file(&endless, sizeof(endless));
	assert_int_equal(seccomp_filter_open(path, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "'filter.bpf' is no valid BPF program"));
	assert_int_equal(seccomp_filter_open("nowhere.bpf", &e), -ENOENT);
	assert_int_equal(seccomp_filter_open(".", &e), -EISDIR);
	unlink(path);
}

int main(void)
{
	char folder[] = "/tmp/t_seccomp_filter.XXXXXX";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_programs),
	};
	int r;

	if (!mkdtemp(folder) || chdir(folder) < 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return r;
}
