/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail's folder, <base>/<program>/<id>/root, and the folders in it.
 *
 * Any of them may have been there before, filled by a client that puts disks and kernels into the
 * jail, or by somebody who hopes that we follow a link of his. So each is opened below the one before
 * it (jail/path.h) and used by its descriptor. While we fill them they are ours alone: whoever owned
 * them before cannot exchange what we have just made. home_give() hands them to the jail's user.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "jailer/undo.h"

struct home {
	int base; /* owned */
	int of_program; /* owned: <base>/<program> */
	int of_id; /* owned: <base>/<program>/<id>; locked while we are at work */
	int root; /* owned */
	int dev, net, run; /* owned: below root */
};

/* Finds, without making anything, what speaks against it. 0 or -errno with @e filled. */
int home_check_base(const char *path, struct err *e);

/* Makes what is not there down to root, and takes root. @program, @id: as in struct undo. */
int home_make(struct home *h, const char *base, const char *program, const char *id,
	      struct undo *undo, struct err *e);

/* Makes /dev, /dev/net and /run in root, and takes them. */
int home_make_folders(struct home *h, struct undo *undo, struct err *e);

/* Opens what is there down to <id>, and locks it. -ENOENT: it is not there. */
int home_open(struct home *h, const char *base, const char *program, const char *id, struct err *e);

/* The folders in the jail and the program @name now belong to this user. */
int home_give(const struct home *h, const char *name, uid_t uid, gid_t gid, struct err *e);

/* Accepts what home_make() or home_open() left behind. */
void home_close(struct home *h);
