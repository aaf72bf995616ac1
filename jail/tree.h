/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes a folder with all that is in it, although its contents were made by somebody who wishes us
 * ill: no symbolic link is followed, nothing outside is touched, a mount is not entered, and neither
 * stack nor memory grows with the depth of the folders. Thread: any.
 */
#pragma once

#include "base/err.h"

/*
 * Removes the folder @name in @dir. 0 or -errno with @e filled: -ENOENT when it is not there, -EBUSY
 * for a mount; then some of it may be gone.
 */
int tree_remove(int dir, const char *name, struct err *e);
