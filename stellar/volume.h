/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image to read from at random, as a disk does. Holds a lease. Chunks are verified when they are
 * first touched.
 */
#pragma once

#include <stddef.h>

#include "stellar/store.h"

struct volume;

/* @name as for store_find(). */
int volume_open(struct volume **out, struct store *s, const char *name, struct err *e);
uint64_t volume_bytes(const struct volume *v);

/* Exactly @len bytes; -ERANGE beyond the end; -EBADMSG: damaged. Thread: one at a time for a volume. */
int volume_read(struct volume *v, void *buf, size_t len, uint64_t offset, struct err *e);

void volume_close(struct volume *v); /* accepts NULL */
