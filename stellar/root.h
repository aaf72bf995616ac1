/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roots: the names of images, a file each in roots/. What a root names is kept by gc; an import is
 * visible when its root is. A root is made and replaced durably and all at once.
 *
 * A name is 1 to 200 bytes: letters, digits and "._-+@:/", begins with a letter or a digit, has at
 * most 25 slashes and no empty, "." or ".." part between them. Its file's name is the name with "/"
 * written "%2F", and "+tmp." before it while it is being written (a name cannot begin so); thanks to
 * the bound on slashes it is never longer than the 255 bytes that file systems take.
 *
 * The directory is locked (flock) exclusively while a name is changed, shared while all are listed:
 * file systems may leave a file out of a listing while it is renamed, and gc must not miss one. So
 * whoever calls this does not hold such a lock on it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "stellar/abi.h"
#include "stellar/id.h"

struct root {
	char name[ROOT_NAME_MAX + 1];
	struct chunk_id image_id;
	uint64_t bytes; /* length of the image */
	uint64_t created_s; /* seconds since 1970 */
	bool is_damaged; /* one of the two copies in the file was not valid (the other was used) */
};

/* 0, or -EINVAL with @e saying what is wrong with which name (quoted: it may hold anything). */
int root_check_name(const char *name, struct err *e);

/* The parser of a root's file, for fuzzers and fsck too. -EPROTONOSUPPORT or -EBADMSG. */
int root_parse(const uint8_t *bytes, size_t len, const struct id_scheme *scheme, const char *name,
	       struct root *out, struct err *e);

/*
 * All functions: @roots_fd is the open directory roots/; @scheme gives the sums. Thread: any.
 */

/* -ENOENT: no image of this name (the message says so); -EBADMSG: damaged. */
int root_read(int roots_fd, const struct id_scheme *scheme, const char *name, struct root *out,
	      struct err *e);

/*
 * Makes the root durable under root->name: -EEXIST when the name is taken and @may_replace is false
 * (exactly one of several writers at once wins: linkat or RENAME_NOREPLACE). After any error the
 * name is as it was; a left-over "+tmp." file is removed when possible.
 */
int root_write(int roots_fd, const struct id_scheme *scheme, const struct root *root,
	       bool may_replace, struct err *e);

/* Durable. -ENOENT: no such name. */
int root_remove(int roots_fd, const char *name, struct err *e);

/*
 * All roots in the order of their names. @bad gets the file names of those that cannot be read (a
 * damaged root does not hide the others), also strange files that are no roots; "+tmp." files are
 * neither. 0 or -errno. root_list_release() accepts a zeroed list.
 */
struct root_list {
	struct root *roots; /* owned */
	size_t count;
	char **bad; /* owned */
	size_t bad_count;
};
int root_list_read(int roots_fd, const struct id_scheme *scheme, struct root_list *list,
		   struct err *e);
void root_list_release(struct root_list *list);
