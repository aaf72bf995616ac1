/* SPDX-License-Identifier: Apache-2.0 */
/* A thread with an event loop: see iothread.h. */
#include "machine/iothread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <event2/event.h>

#include "machine/guard.h"

struct iothread {
	char name[16]; /* constant */
	struct event_base *base; /* owned */
	int stop_fd; /* owned eventfd: written by iothread_stop() */
	struct event *stop_event; /* owned */
	pthread_t thread;
	struct guard *guard; /* borrowed: outlives the thread */
	bool has_thread;
};

static void on_stop(evutil_socket_t fd, short what, void *opaque)
{
	struct iothread *t = opaque;

	(void)fd;
	(void)what;
	event_base_loopbreak(t->base);
}

static int init(struct iothread *t)
{
	t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->stop_fd < 0)
		return -errno;
	t->base = event_base_new();
	if (!t->base)
		return -ENOMEM;
	t->stop_event = event_new(t->base, t->stop_fd, EV_READ, on_stop, t);
	if (!t->stop_event || event_add(t->stop_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int iothread_new(struct iothread **out, const char *name, struct err *e)
{
	struct iothread *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	if (t) {
		snprintf(t->name, sizeof(t->name), "%s", name);
		r = init(t);
	}
	if (r < 0) {
		iothread_free(t);
		return err_errno(e, r, "cannot make iothread '%s'", name);
	}
	*out = t;
	return 0;
}

struct event_base *iothread_base(struct iothread *t)
{
	return t->base;
}

static void *run(void *opaque)
{
	struct iothread *t = opaque;

	prctl(PR_SET_NAME, t->name, 0, 0, 0);
	if (guard_enter(t->guard, JAIL_THREAD_IO))
		event_base_dispatch(t->base);
	return NULL;
}

int iothread_start(struct iothread *t, struct guard *guard, struct err *e)
{
	int r;

	t->guard = guard;
	r = -pthread_create(&t->thread, NULL, run, t);

	if (r < 0)
		return err_errno(e, r, "cannot start iothread '%s'", t->name);
	t->has_thread = true;
	return 0;
}

void iothread_stop(struct iothread *t)
{
	const uint64_t one = 1;
	ssize_t n;

	if (!t->has_thread)
		return;
	n = write(t->stop_fd, &one, sizeof(one));
	(void)n; /* a counter of 1 does not overflow */
	pthread_join(t->thread, NULL);
	t->has_thread = false;
}

void iothread_free(struct iothread *t)
{
	if (!t)
		return;
	iothread_stop(t);
	if (t->stop_event)
		event_free(t->stop_event);
	if (t->base)
		event_base_free(t->base);
	if (t->stop_fd >= 0)
		close(t->stop_fd);
	free(t);
}
