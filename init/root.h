/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root: finds the root disk from inside an initramfs, and makes it the root.
 *
 * From the kernel command line: root= (see disk.h; /dev/vda if it is left out), rootfstype=,
 * rootflags=, ro and rw; volt.root=none stays in the initramfs. A guest without any disk stays
 * there too.
 */
#pragma once

#include "init/cmdline.h"

#include <stdbool.h>

/* Whether this process runs in an initramfs. */
bool root_is_initramfs(void);

/*
 * Mounts the root disk and moves into it, with /proc, /sys and /dev, and frees the initramfs.
 * Returns 1 if that happened, 0 if this guest has no root disk, -errno after a message.
 */
int root_enter(const struct cmdline *c);

/*
 * Hands PID 1 to the init of the new root: init= or the first of the usual places. Returns only
 * if there is none (0), or if init= names one that does not start (-errno, after a message).
 */
int root_start_init(const struct cmdline *c, char *argv[]);
