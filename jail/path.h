/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files below a folder whose contents somebody else may have prepared, or may be changing right now.
 *
 * Everything starts at a descriptor of the folder. No symbolic link is followed, at no place of a
 * path, and none leads above the folder (openat2(2)); what was opened once is used by its descriptor
 * and never looked up again. A path that a person gave on the command line is another matter: it may
 * lead over links, /var/run for one, and is opened with open(2).
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* One name of a folder's entry: not empty, no '/', neither "." nor "..". */
bool path_is_name(const char *text);

/*
 * Opens @path below @dir with O_CLOEXEC and @flags; @mode counts with O_CREAT. Returns the descriptor
 * or -errno: -ELOOP for a symbolic link, -EXDEV for a path that leads above @dir.
 */
int path_open(int dir, const char *path, int flags, mode_t mode);

/*
 * Opens the folder @name in @dir, and makes it with @mode (and the umask) when it is not there;
 * *@is_new tells. Returns the descriptor or -errno, as above; -ENOTDIR when it is something else.
 */
int path_make_folder(int dir, const char *name, mode_t mode, bool *is_new);

/* What the code of a failure here means, for a message: a constant. */
const char *path_reason(int code);
