/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the kernel. */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* 0 or -errno with @e filled. Thread: any. */
int random_fill(void *buf, size_t len, struct err *e);
