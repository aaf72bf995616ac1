/* SPDX-License-Identifier: Apache-2.0 */
/* Device files: see devices.h. */
#include "jailer/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/major.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/quote.h"

/* Documentation/admin-guide/devices.txt of the kernel. */
enum {
	MINOR_TUN = 200,
	MINOR_KVM = 232,
	MINOR_URANDOM = 9,
};

struct device {
	const char *host; /* its path there */
	const char *name;
	unsigned int major, minor;
	bool is_optional; /* done without when the host has none, or may not make it */
};

/* The minor number of userfaultfd is given out when the module is loaded. -1: there is none. */
static int minor_of_userfaultfd(void)
{
	FILE *from = fopen("/proc/misc", "re");
	auto_free char *line = NULL;
	size_t size = 0;
	int minor = -1;

	while (from && minor < 0 && getline(&line, &size, from) > 0) {
		char name[32];
		unsigned int number;

		/* NOLINTNEXTLINE(cert-err34-c): what does not fit is some other device */
		if (sscanf(line, "%5u %31s", &number, name) == 2 &&
		    strcmp(name, "userfaultfd") == 0)
			minor = (int)number;
	}
	if (from)
		fclose(from);
	return minor;
}

static int fail(const struct device *d, int code, struct err *e)
{
	if (code == -EEXIST)
		return err_set(e, code,
			       "the jail has a device file %s already; use another id, or remove "
			       "the jail with --cleanup",
			       quote(d->host).text);
	return err_errno(e, code, "cannot make the jail's %s", quote(d->host).text);
}

/* An empty file in @folder with the host's device mounted over it. */
static int mount_device(const struct device *d, int folder, struct undo *undo, struct err *e)
{
	auto_fd int host = open_tree(AT_FDCWD, d->host, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	auto_fd int place = -1;

	if (host < 0)
		return d->is_optional ? 0 : fail(d, -errno, e);
	place = openat(folder, d->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (place < 0)
		return fail(d, -errno, e);
	if (undo_note(undo, folder, d->name, UNDO_FILE) < 0)
		return fail(d, -ENOSPC, e);
	if (move_mount(host, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return fail(d, -errno, e);
	if (undo_note(undo, folder, d->name, UNDO_MOUNT) < 0)
		return fail(d, -ENOSPC, e);
	return 0;
}

static int make_device(const struct device *d, int folder, uid_t uid, gid_t gid, bool can_make,
		       struct undo *undo, struct err *e)
{
	const mode_t mode = S_IFCHR | S_IRUSR | S_IWUSR;

	if (!can_make)
		return mount_device(d, folder, undo, e);
	if (mknodat(folder, d->name, mode, makedev(d->major, d->minor)) < 0)
		return errno == EPERM ? mount_device(d, folder, undo, e) : fail(d, -errno, e);
	if (undo_note(undo, folder, d->name, UNDO_FILE) < 0)
		return fail(d, -ENOSPC, e);
	if (fchownat(folder, d->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(d, -errno, e);
	return 0;
}

int devices_make(const struct home *h, uid_t uid, gid_t gid, struct undo *undo, struct err *e)
{
	static const struct device tun = { "/dev/net/tun", "tun", MISC_MAJOR, MINOR_TUN, true };
	static const struct device others[] = {
		{ "/dev/kvm", "kvm", MISC_MAJOR, MINOR_KVM, false },
		{ "/dev/urandom", "urandom", MEM_MAJOR, MINOR_URANDOM, true },
	};
	const int minor = minor_of_userfaultfd();
	struct device fault = { "/dev/userfaultfd", "userfaultfd", MISC_MAJOR, 0, true };
	struct statvfs fs;
	bool can_make = fstatvfs(h->root, &fs) < 0 || !(fs.f_flag & ST_NODEV);
	int r = make_device(&tun, h->net, uid, gid, can_make, undo, e);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(others); i++)
		r = make_device(&others[i], h->dev, uid, gid, can_make, undo, e);
	if (r == 0 && minor >= 0) {
		fault.minor = (unsigned int)minor;
		r = make_device(&fault, h->dev, uid, gid, can_make, undo, e);
	}
	return r;
}
