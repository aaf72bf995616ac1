/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: finds the block device that a root= of the kernel command line names.
 *
 * Understood are a path below /dev, and UUID= or LABEL= of an ext2, ext3 or ext4 file system.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether this guest has a disk, or a virtio block device that is about to become one. */
bool disk_is_expected(void);

/*
 * Looks once for the device. Returns 1 with its path, 0 if it is not there (yet), -EINVAL if the
 * name is of a kind that is not understood.
 */
int disk_find(const char *name, char *path, size_t size);

/* Writes the names of all disks and partitions, for a message. */
void disk_list(char *buf, size_t size);
