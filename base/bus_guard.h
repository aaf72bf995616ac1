/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies out of mappings of files that may become shorter, or fail to be read, while they are
 * mapped: what the kernel answers with SIGBUS becomes an error.
 *
 * The handler of SIGBUS is set at the first use, for the whole process, and hands on what does not
 * come from such a copy.
 */
#pragma once

#include <stddef.h>

/* 0, or -EIO: some of @src could not be read; @dst is garbage then. Thread: any. */
int bus_guard_copy(void *dst, const void *src, size_t len);
