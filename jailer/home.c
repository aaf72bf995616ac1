/* SPDX-License-Identifier: Apache-2.0 */
/* The jail's folder: see home.h. */
#include "jailer/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "jail/path.h"

enum {
	OUTER_MODE = 0777, /* and the umask, as Firecracker's */
	INNER_MODE = 0700,
};

static const struct home closed = { -1, -1, -1, -1, -1, -1, -1 };

static int open_base(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, -errno, "cannot open --chroot-base-dir %s", quote(path).text);
	return fd;
}

int home_check_base(const char *path, struct err *e)
{
	int fd = open_base(path, e);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int make_folder(int in, const char *name, mode_t mode, int *fd, struct undo *undo,
		       struct err *e)
{
	bool is_new;

	*fd = path_make_folder(in, name, mode, &is_new);
	if (is_new && undo_note(undo, in, name, UNDO_FOLDER) < 0)
		return err_set(e, -ENOSPC, "too much to take back");
	if (*fd < 0)
		return err_set(e, *fd, "cannot make the jail's folder %s: %s", quote(name).text,
			       path_reason(*fd));
	return 0;
}

/* Makes a folder ours alone, whosever it was. */
static int take(int fd, const char *name, struct undo *undo, struct err *e)
{
	if (undo_note_owner(undo, fd) < 0)
		return err_set(e, -ENOSPC, "too much to take back");
	if (fchown(fd, geteuid(), getegid()) < 0 || fchmod(fd, INNER_MODE) < 0)
		return err_errno(e, -errno, "cannot take the jail's folder %s", quote(name).text);
	return 0;
}

static int lock(const struct home *h, const char *id, struct err *e)
{
	if (flock(h->of_id, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return err_set(e, -EBUSY, "another jailer is at work on %s", quote(id).text);
}

/* What a run leaves behind. */
static int check_unused(const struct home *h, const char *id, struct err *e)
{
	static const char *const devices[] = { "dev/kvm", "dev/net/tun" };

	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		auto_fd int fd = path_open(h->root, devices[i], O_PATH | O_NOFOLLOW, 0);

		if (fd >= 0)
			return err_set(e, -EEXIST,
				       "the jail %s has been used before; use another id, or "
				       "remove it with --cleanup",
				       quote(id).text);
	}
	return 0;
}

int home_make(struct home *h, const char *base, const char *program, const char *id,
	      struct undo *undo, struct err *e)
{
	int r;

	*h = closed;
	h->base = open_base(base, e);
	if (h->base < 0)
		return h->base;
	r = make_folder(h->base, program, OUTER_MODE, &h->of_program, undo, e);
	if (r == 0)
		r = make_folder(h->of_program, id, OUTER_MODE, &h->of_id, undo, e);
	if (r == 0)
		r = lock(h, id, e);
	if (r == 0)
		r = make_folder(h->of_id, "root", INNER_MODE, &h->root, undo, e);
	if (r == 0)
		r = check_unused(h, id, e);
	if (r == 0)
		r = take(h->root, "root", undo, e);
	return r;
}

int home_make_folders(struct home *h, struct undo *undo, struct err *e)
{
	int r = make_folder(h->root, "dev", INNER_MODE, &h->dev, undo, e);

	if (r == 0)
		r = take(h->dev, "dev", undo, e);
	if (r == 0)
		r = make_folder(h->dev, "net", INNER_MODE, &h->net, undo, e);
	if (r == 0)
		r = take(h->net, "net", undo, e);
	if (r == 0)
		r = make_folder(h->root, "run", INNER_MODE, &h->run, undo, e);
	if (r == 0)
		r = take(h->run, "run", undo, e);
	return r;
}

/* Opens @name in @in as *@fd. */
static int open_folder(int in, const char *name, int *fd, struct err *e)
{
	*fd = path_open(in, name, O_RDONLY | O_DIRECTORY, 0);
	if (*fd < 0)
		return err_set(e, *fd, "cannot open the jail's folder %s: %s", quote(name).text,
			       path_reason(*fd));
	return 0;
}

int home_open(struct home *h, const char *base, const char *program, const char *id, struct err *e)
{
	int r;

	*h = closed;
	h->base = open_base(base, e);
	if (h->base < 0)
		return h->base;
	r = open_folder(h->base, program, &h->of_program, e);
	if (r == 0)
		r = open_folder(h->of_program, id, &h->of_id, e);
	if (r == 0)
		r = lock(h, id, e);
	/* It may be gone already. */
	if (r == 0)
		h->root = path_open(h->of_id, "root", O_RDONLY | O_DIRECTORY, 0);
	return r;
}

int home_give(const struct home *h, const char *name, uid_t uid, gid_t gid, struct err *e)
{
	/* The outermost last: until then nobody else gets in. */
	if (fchownat(h->root, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchown(h->net, uid, gid) < 0 || fchown(h->dev, uid, gid) < 0 ||
	    fchown(h->run, uid, gid) < 0 || fchown(h->root, uid, gid) < 0)
		return err_errno(e, -errno, "cannot give the jail to user %u, group %u",
				 (unsigned int)uid, (unsigned int)gid);
	return 0;
}

void home_close(struct home *h)
{
	int *const fds[] = { &h->base, &h->of_program, &h->of_id, &h->root,
			     &h->dev,  &h->net,	       &h->run };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		cleanup_fd(fds[i]);
}
