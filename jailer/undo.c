/* SPDX-License-Identifier: Apache-2.0 */
/* Taking back: see undo.h. */
#include "jailer/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

int undo_note(struct undo *u, int folder, const char *name, enum undo_kind kind)
{
	int fd;

	if (u->nr == UNDO_MAX)
		return -ENOSPC;
	fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	u->items[u->nr++] = (struct undo_item){ .kind = kind, .folder = fd, .name = name };
	return 0;
}

int undo_note_owner(struct undo *u, int folder)
{
	int r = undo_note(u, folder, NULL, UNDO_OWNER);

	if (r == 0 && fstat(folder, &u->items[u->nr - 1].before) < 0)
		r = -errno;
	return r;
}

/* That something cannot be taken back is not told: the failure that led here is. */
static void undo_one(const struct undo_item *item)
{
	switch (item->kind) {
	case UNDO_FILE:
		unlinkat(item->folder, item->name, 0);
		break;
	case UNDO_FOLDER:
		unlinkat(item->folder, item->name, AT_REMOVEDIR);
		break;
	case UNDO_MOUNT:
		/* There is no call that takes a descriptor. */
		if (fchdir(item->folder) == 0)
			umount2(item->name, MNT_DETACH | UMOUNT_NOFOLLOW);
		break;
	case UNDO_OWNER:
		if (fchown(item->folder, item->before.st_uid, item->before.st_gid) < 0 ||
		    fchmod(item->folder, item->before.st_mode & 07777) < 0)
			break; /* it is nobody's but ours now */
		break;
	}
	close(item->folder);
}

void undo_all(struct undo *u)
{
	while (u->nr > 0)
		undo_one(&u->items[--u->nr]);
}
