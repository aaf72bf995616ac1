/* SPDX-License-Identifier: Apache-2.0 */
/* Watching over machine's filters: see guardian.h. */
#include "control/guardian.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/cleanup.h"

struct listener {
	struct guardian *guardian; /* borrowed: owns us */
	struct listener *next; /* owned */
	struct event *event; /* owned */
	int fd; /* owned */
};

struct guardian {
	struct event_base *base; /* borrowed */
	void (*on_fault)(void *opaque, const struct jail_report *report);
	void *opaque;
	struct listener *first; /* owned */
};

int guardian_new(struct guardian **out, struct event_base *base,
		 void (*on_fault)(void *opaque, const struct jail_report *report), void *opaque,
		 struct err *e)
{
	struct guardian *g = calloc(1, sizeof(*g));

	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	*g = (struct guardian){ .base = base, .on_fault = on_fault, .opaque = opaque };
	*out = g;
	return 0;
}

static void on_report(evutil_socket_t fd, short what, void *opaque)
{
	struct listener *l = opaque;
	struct jail_report report;
	const int r = jail_read_report(fd, &report);

	(void)what;
	if (r == 0)
		l->guardian->on_fault(l->guardian->opaque, &report);
	else if (r != -EAGAIN && r != -EINTR)
		event_del(l->event); /* the threads have gone */
}

static void free_listener(struct listener *l)
{
	if (l->event)
		event_free(l->event);
	cleanup_fd(&l->fd);
	free(l);
}

void guardian_add(struct guardian *g, int listener_fd)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l) {
		cleanup_fd(&listener_fd);
		return;
	}
	*l = (struct listener){ .guardian = g, .fd = listener_fd };
	l->event = event_new(g->base, l->fd, EV_READ | EV_PERSIST, on_report, l);
	if (!l->event || event_add(l->event, NULL) < 0) {
		free_listener(l);
		return;
	}
	l->next = g->first;
	g->first = l;
}

void guardian_free(struct guardian *g)
{
	if (!g)
		return;
	while (g->first) {
		struct listener *l = g->first;

		g->first = l->next;
		free_listener(l);
	}
	free(g);
}
