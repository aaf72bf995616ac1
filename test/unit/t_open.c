/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files: which kinds are taken, how they are opened, and what is said of the others. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "control/open.h"

enum { NOBODY = 65534 };

static char old_dir[4096];

static void make_file(const char *path, off_t bytes, mode_t mode)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
}

static void make_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

/* Every test starts in a fresh folder with one of each kind. */
static int setup(void **state)
{
	char *dir = strdup("/tmp/t_open.XXXXXX");

	assert_non_null(getcwd(old_dir, sizeof(old_dir)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(chmod(".", 0755), 0);
	make_file("file", 1024, 0644);
	make_file("empty", 0, 0644);
	make_file("odd", 1000, 0644);
	make_file("huge", (off_t)1 << 41, 0644);
	make_file("protected", 1024, 0444);
	make_file("secret", 1024, 0);
	assert_int_equal(mkdir("dir", 0755), 0);
	assert_int_equal(mkfifo("fifo", 0644), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	make_socket("socket");
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	char *dir = *state;
	char command[128];

	assert_int_equal(chdir(old_dir), 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
	free(dir);
	return 0;
}

static int open_kernel(const char *path, struct err *e)
{
	return open_image("kernel", path, e);
}

static int open_writable_drive(const char *path, struct err *e)
{
	return open_drive(path, false, false, e);
}

static int open_filled_drive(const char *path, struct err *e)
{
	const int fd = open_drive(path, false, false, e);
	const int r = fd < 0 ? fd : open_check_filled(fd, path, e);

	if (fd >= 0)
		close(fd);
	return r;
}

static int open_read_only_drive(const char *path, struct err *e)
{
	return open_drive(path, true, false, e);
}

struct refused {
	int (*open)(const char *path, struct err *e);
	const char *path;
	int code;
	const char *message;
};

static void assert_refused(const struct refused *cases, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		int lowest_free_fd = dup(STDERR_FILENO);
		struct err e = { 0 };
		int r;

		close(lowest_free_fd);
		r = cases[i].open(cases[i].path, &e);
		if (r != cases[i].code || strcmp(e.msg, cases[i].message) != 0)
			fail_msg("%s: %d, '%s' instead of '%s'", cases[i].path, r, e.msg,
				 cases[i].message);
		assert_int_equal(e.code, r);
		/* Nothing is left open. */
		r = dup(STDERR_FILENO);
		assert_int_equal(r, lowest_free_fd);
		close(r);
	}
}

#define NO_FILE ": No such file or directory"

static void test_refused_images(void **state)
{
	static const struct refused cases[] = {
		{ open_kernel, "gone", -ENOENT, "cannot open kernel 'gone'" NO_FILE },
		{ open_kernel, "dangling", -ENOENT, "cannot open kernel 'dangling'" NO_FILE },
		{ open_kernel, "a\n\x1b[31m", -ENOENT, "cannot open kernel 'a?\?[31m'" NO_FILE },
		{ open_kernel, "file/x", -ENOTDIR, "cannot open kernel 'file/x': Not a directory" },
		{ open_kernel, "dir", -EISDIR, "kernel 'dir' is a directory; give a regular file" },
		{ open_kernel, "empty", -EINVAL, "kernel 'empty' is empty; give the whole file" },
		{ open_kernel, "fifo", -EINVAL, "kernel 'fifo' is a FIFO; give a regular file" },
		{ open_kernel, "socket", -ENXIO,
		  "cannot open kernel 'socket': No such device or address" },
		{ open_kernel, "/dev/zero", -EINVAL,
		  "kernel '/dev/zero' is a character device; give a regular file" },
	};

	(void)state;
	assert_refused(cases, ARRAY_LEN(cases));
}

#define DRIVE_WANTED "give a raw disk image or a block device"

static void test_refused_drives(void **state)
{
	static const struct refused cases[] = {
		{ open_writable_drive, "gone", -ENOENT, "cannot open drive 'gone'" NO_FILE },
		{ open_read_only_drive, "gone", -ENOENT, "cannot open drive 'gone'" NO_FILE },
		{ open_writable_drive, "dir", -EISDIR,
		  "drive 'dir' is a directory; " DRIVE_WANTED },
		{ open_read_only_drive, "dir", -EISDIR,
		  "drive 'dir' is a directory; " DRIVE_WANTED },
		{ open_writable_drive, "fifo", -EINVAL, "drive 'fifo' is a FIFO; " DRIVE_WANTED },
		{ open_read_only_drive, "fifo", -EINVAL, "drive 'fifo' is a FIFO; " DRIVE_WANTED },
		{ open_writable_drive, "/dev/zero", -EINVAL,
		  "drive '/dev/zero' is a character device; " DRIVE_WANTED },
		{ open_filled_drive, "empty", -EINVAL,
		  "drive 'empty' is empty; give it a size, for example: truncate -s 1G FILE" },
		{ open_read_only_drive, "odd", -EINVAL,
		  "drive 'odd' has 1000 bytes, not a multiple of 512; round it up with: "
		  "truncate -s %512 FILE" },
	};

	(void)state;
	assert_refused(cases, ARRAY_LEN(cases));
}

static void test_refused_consoles(void **state)
{
	static const struct refused cases[] = {
		{ open_console, "dir", -EISDIR,
		  "console file 'dir' is a directory; give a regular file, a FIFO or a character "
		  "device" },
		{ open_console, "gone/log", -ENOENT,
		  "cannot open console file 'gone/log'" NO_FILE },
		{ open_console, "fifo", -ENXIO,
		  "cannot open console file 'fifo': nobody reads from it; start its reader first, "
		  "or give a regular file" },
	};

	(void)state;
	assert_refused(cases, ARRAY_LEN(cases));
}

static void test_missing_kvm(void **state)
{
	static const struct refused cases[] = {
		{ open_kvm, "gone", -ENOENT,
		  "cannot open gone" NO_FILE "; load kvm_intel or kvm_amd, or check that "
		  "virtualization is enabled" },
		{ open_kvm, "socket", -ENXIO,
		  "cannot open socket: No such device or address; load kvm_intel or kvm_amd, or "
		  "check that virtualization is enabled" },
	};

	(void)state;
	assert_refused(cases, ARRAY_LEN(cases));
}

/* Root is refused nothing, so the test gives that up for a while. */
static void become_nobody(void)
{
	if (geteuid() == 0)
		assert_int_equal(seteuid(NOBODY), 0);
}

static void become_oneself(void)
{
	assert_int_equal(seteuid(getuid()), 0);
}

static void test_permissions(void **state)
{
	static const struct refused cases[] = {
		{ open_kernel, "secret", -EACCES,
		  "cannot open kernel 'secret': Permission denied" },
		{ open_read_only_drive, "secret", -EACCES,
		  "cannot open drive 'secret': Permission denied" },
		{ open_writable_drive, "secret", -EACCES,
		  "cannot open drive 'secret' for reading and writing: Permission denied" },
		{ open_writable_drive, "protected", -EACCES,
		  "cannot open drive 'protected' for writing: Permission denied; add ',ro' for a "
		  "read-only drive" },
		{ open_kvm, "secret", -EACCES,
		  "cannot open secret: Permission denied; add your user to the kvm group" },
	};

	(void)state;
	become_nobody();
	assert_refused(cases, ARRAY_LEN(cases));
	become_oneself();
}

/* Long paths lose their middle; the reason stays. */
static void test_long_path(void **state)
{
	char path[3 * 4096];
	struct err e = { 0 };

	(void)state;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(open_kernel(path, &e), -ENAMETOOLONG);
	assert_non_null(strstr(e.msg, "xxx': File name too long"));
}

static void assert_flags(int fd, int status_flags)
{
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND), status_flags);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void test_flags(void **state)
{
	auto_fd int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	(void)state;
	assert_true(reader >= 0);
	assert_flags(open_kernel("file", NULL), O_RDONLY);
	assert_flags(open_read_only_drive("protected", NULL), O_RDONLY);
	assert_flags(open_writable_drive("file", NULL), O_RDWR);
	assert_flags(open_writable_drive("huge", NULL), O_RDWR);
	assert_flags(open_kvm("file", NULL), O_RDWR);
	assert_flags(open_console("file", NULL), O_WRONLY | O_APPEND | O_NONBLOCK);
	assert_flags(open_console("fifo", NULL), O_WRONLY | O_APPEND | O_NONBLOCK);
	assert_flags(open_console("/dev/null", NULL), O_WRONLY | O_APPEND | O_NONBLOCK);
}

/* A new console file is its owner's alone, whatever the umask. */
static void test_console_mode(void **state)
{
	mode_t old_mask = umask(0);
	struct stat st;

	(void)state;
	assert_flags(open_console("log", NULL), O_WRONLY | O_APPEND | O_NONBLOCK);
	umask(old_mask);
	assert_int_equal(stat("log", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused_images), TEST(test_refused_drives), TEST(test_refused_consoles),
		TEST(test_missing_kvm),	   TEST(test_permissions),    TEST(test_long_path),
		TEST(test_flags),	   TEST(test_console_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
