/* SPDX-License-Identifier: Apache-2.0 */
/* mounts: the file systems every Linux program expects, and their end at shutdown. */
#pragma once

#include <stdbool.h>

/*
 * Mounts /proc alone, which tells everything else. Returns true if it was not mounted before, that
 * is, if nothing ran in this guest before this process.
 */
bool mounts_first(void);

/* Mounts /sys and /dev. */
void mounts_kernel(void);

/* Mounts /dev/pts, /dev/shm, /run and /tmp and makes the links below /dev that programs use. */
void mounts_user(void);

/* Makes a root file system writable that the kernel mounted read-only. */
void mounts_root_writable(void);

/* Unmounts what can be unmounted, newest first, and makes the rest read-only. */
void mounts_end(void);
