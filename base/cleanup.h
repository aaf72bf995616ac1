/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership for locals.
 *
 *	auto_fd int fd = open(...);	closed when the scope ends, whatever the path
 *	auto_free char *p = malloc(..);	freed likewise
 *	x->fd = take_fd(&fd);		moves ownership out; the local becomes empty
 *
 * Declare and set in one line: the attribute runs on whatever value the variable has.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
	*fd = -1;
}

static inline void cleanup_free(void *pp)
{
	void **p = pp;

	free(*p);
	*p = NULL;
}

#define auto_fd __attribute__((cleanup(cleanup_fd)))
#define auto_free __attribute__((cleanup(cleanup_free)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
