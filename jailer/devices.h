/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device files of the jail: /dev/kvm, /dev/net/tun, /dev/urandom and /dev/userfaultfd, 0600 and the
 * jail user's. Where they cannot be made, or would not open (no privilege, a file system mounted
 * nodev), the host's are mounted in their places, with the host's permissions.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "jailer/home.h"
#include "jailer/undo.h"

int devices_make(const struct home *h, uid_t uid, gid_t gid, struct undo *undo, struct err *e);
