/* SPDX-License-Identifier: Apache-2.0 */
/* A file with our process id: see pid_file.h. */
#include "control/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"

enum { MODE = 0644 };

static int write_draft(struct pid_file *f)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	auto_fd int fd = mkostemp(f->draft, O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = file_write_full(fd, text, (size_t)len);
	if (r == 0 && fchmod(fd, MODE) < 0)
		r = -errno;
	if (r < 0) {
		unlink(f->draft);
		return r;
	}
	f->fd = take_fd(&fd);
	return 0;
}

int pid_file_open(struct pid_file *f, const char *path, struct err *e)
{
	struct stat st;
	int r;

	*f = (struct pid_file){ 0 };
	if (!path)
		return 0;
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, -EEXIST, "--pid-file %s: this is no regular file",
			       quote(path).text);
	if (asprintf(&f->draft, "%s.XXXXXX", path) < 0) {
		f->draft = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	r = write_draft(f);
	if (r < 0) {
		free(f->draft);
		f->draft = NULL;
		return err_errno(e, r, "cannot write --pid-file %s", quote(path).text);
	}
	f->path = path;
	return 0;
}

int pid_file_publish(struct pid_file *f, struct err *e)
{
	if (!f->draft)
		return 0;
	if (rename(f->draft, f->path) < 0)
		return err_errno(e, -errno, "cannot write --pid-file %s", quote(f->path).text);
	free(f->draft);
	f->draft = NULL;
	return 0;
}

static bool is_ours(const struct pid_file *f)
{
	struct stat ours, there;

	return fstat(f->fd, &ours) == 0 && lstat(f->path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

void pid_file_close(struct pid_file *f)
{
	if (f->draft)
		unlink(f->draft);
	else if (f->path && is_ours(f))
		unlink(f->path);
	if (f->fd > 0)
		close(f->fd);
	free(f->draft);
	*f = (struct pid_file){ 0 };
}
