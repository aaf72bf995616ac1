/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch: leaves the initramfs for another root.
 *
 * An initramfs cannot be unmounted and its files are memory, so they are deleted, once the new
 * root lies over it. The walk stays on the initramfs: it never enters another file system.
 */
#pragma once

/*
 * Makes the file system mounted at new_root the root of this process and takes /proc, /sys and
 * /dev along; one that has no folder there is unmounted. Returns 0, or -errno after a message.
 */
int switch_root(const char *new_root);
