/* SPDX-License-Identifier: Apache-2.0 */
/* Disks for tests of block backends: see disk_rig.h. */
#include "test/unit/disk_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 20000, LOOP_ATTEMPTS = 20 };

int disk_memory(uint64_t bytes)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

int disk_file(uint64_t bytes, int flags)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);

	if (fd < 0 && errno == EINVAL && (flags & O_DIRECT))
		skip(); /* the file system does not know it */
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

int disk_reopen(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/* Another test may take the number between the two calls. */
static int configure_loop(int control, int backing, uint32_t block_bytes, char path[static 64])
{
	const struct loop_config config = {
		.fd = (uint32_t)backing,
		.block_size = block_bytes,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR },
	};

	for (int i = 0; i < LOOP_ATTEMPTS; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		int fd;

		snprintf(path, 64, "/dev/loop%d", number);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

int disk_loop(uint64_t bytes, uint32_t block_bytes, int flags)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char path[64];
	int backing;
	int keep;
	int fd;

	if (control < 0) {
		print_message("no loop devices here: %s\n", strerror(errno));
		skip();
	}
	backing = disk_file(bytes, 0);
	keep = configure_loop(control, backing, block_bytes, path);
	close(backing);
	close(control);
	if (keep < 0) {
		print_message("no free loop device: %s\n", strerror(errno));
		skip();
	}
	fd = open(path, flags | O_CLOEXEC);
	close(keep);
	assert_true(fd >= 0);
	return fd;
}

struct block_backend *disk_open(disk_opener open, int fd, bool is_read_only)
{
	struct block_backend *backend = NULL;
	struct err e = { 0 };

	if (open(&backend, fd, is_read_only, "root", &e) < 0)
		fail_msg("%s", e.msg);
	return backend;
}

static void on_done(struct block_request *request, int result)
{
	struct disk_io *io = request->opaque;

	io->calls++;
	io->result = result;
}

void disk_io_range(struct disk_io *io, enum block_op op, uint64_t offset, uint64_t len)
{
	*io = (struct disk_io){ .request = {
					.op = op,
					.offset_bytes = offset,
					.len_bytes = len,
					.done = on_done,
					.opaque = io,
				} };
}

void disk_io_transfer(struct disk_io *io, enum block_op op, uint64_t offset, struct iovec *iov,
		      size_t count)
{
	disk_io_range(io, op, offset, 0);
	io->request.iov = iov;
	io->request.iov_count = count;
	for (size_t i = 0; i < count; i++)
		io->request.len_bytes += iov[i].iov_len;
}

void disk_wait(struct block_backend *backend, const struct disk_io *io)
{
	struct pollfd p = { .fd = backend->completion_fd, .events = POLLIN };

	while (io->calls == 0) {
		int r = poll(&p, 1, WAIT_MS);

		if (r == 0)
			fail_msg("nothing came within %d ms", WAIT_MS);
		assert_true(r > 0 || errno == EINTR);
		if (r > 0)
			block_complete(backend);
	}
	assert_int_equal(io->calls, 1);
}

static int run(struct block_backend *backend, struct disk_io *io)
{
	block_submit(backend, &io->request);
	block_commit(backend);
	disk_wait(backend, io);
	return io->result;
}

int disk_transfer(struct block_backend *backend, enum block_op op, uint64_t offset,
		  struct iovec *iov, size_t count)
{
	struct disk_io io;

	disk_io_transfer(&io, op, offset, iov, count);
	return run(backend, &io);
}

int disk_read(struct block_backend *backend, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = { buf, len };

	return disk_transfer(backend, BLOCK_READ, offset, &iov, 1);
}

int disk_write(struct block_backend *backend, uint64_t offset, const void *buf, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };

	return disk_transfer(backend, BLOCK_WRITE, offset, &iov, 1);
}

int disk_range(struct block_backend *backend, enum block_op op, uint64_t offset, uint64_t len)
{
	struct disk_io io;

	disk_io_range(&io, op, offset, len);
	return run(backend, &io);
}

int disk_write_zeroes(struct block_backend *backend, uint64_t offset, uint64_t len, bool may_unmap)
{
	struct disk_io io;

	disk_io_range(&io, BLOCK_WRITE_ZEROES, offset, len);
	io.request.may_unmap = may_unmap;
	return run(backend, &io);
}

bool disk_mount(const char *fs, const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("test", "/tmp", fs, 0, options) == 0;
}

void disk_in_child(int (*body)(disk_opener open), disk_opener open)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body(open));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == DISK_CHILD_SKIPS)
		skip();
	assert_int_equal(status, 0);
}

int disk_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
