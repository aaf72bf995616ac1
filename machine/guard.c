/* SPDX-License-Identifier: Apache-2.0 */
/* Filters for all threads before the guest runs: see guard.h. */
#include "machine/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/fdmsg.h"
#include "base/file.h"
#include "control/wire.h"
#include "jail/layer.h"
#include "jail/seccomp.h"

enum { FILTER_BYTES_MAX = 4096 * 8, USHER_STACK_BYTES = 64 * 1024 };

struct guard {
	uint32_t nr_threads; /* constant: besides the main one */
	void *custom; /* owned, constant: a filter of the user's; NULL without */
	size_t custom_bytes;
	pthread_mutex_t lock;
	pthread_cond_t entered; /* enough of them, for who waits in await() */
	pthread_cond_t opened; /* for those that have entered */
	uint32_t nr_entered; /* these are under the lock: threads with a result, the main one too */
	int *listeners; /* owned: one of each that has entered, or -1 */
	struct err failure; /* the first; code 0: none */
	bool is_open;
	bool may_go;
};

static int read_custom(struct guard *g, int fd, struct err *e)
{
	ssize_t n;

	if (fd < 0)
		return 0;
	g->custom = calloc(1, FILTER_BYTES_MAX + 1);
	if (!g->custom)
		return err_set(e, -ENOMEM, "no memory for a seccomp filter");
	n = file_pread_full(fd, g->custom, FILTER_BYTES_MAX + 1, 0);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read the seccomp filter");
	g->custom_bytes = (size_t)n;
	return 0;
}

int guard_new(struct guard **out, uint32_t nr_threads, int custom_fd, struct err *e)
{
	struct guard *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return err_set(e, -ENOMEM, "no memory to guard threads");
	g->nr_threads = nr_threads;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->entered, NULL);
	pthread_cond_init(&g->opened, NULL);
	g->listeners = calloc(nr_threads + 1, sizeof(g->listeners[0]));
	r = g->listeners ? read_custom(g, custom_fd, e)
			 : err_set(e, -ENOMEM, "no memory to guard threads");
	if (r < 0) {
		guard_free(g);
		return r;
	}
	*out = g;
	return 0;
}

/* Filters this thread, and notes how that went. */
static void enter(struct guard *g, enum jail_thread thread)
{
	struct err e = { 0 };
	int listener_fd = -1;
	int r = 0;

	if (g->custom && jail_filter_custom(g->custom, g->custom_bytes, &e) < 0)
		r = -EBADMSG;
	if (r == 0 && jail_is_built())
		r = jail_filter(thread, &listener_fd, &e);
	pthread_mutex_lock(&g->lock);
	g->listeners[g->nr_entered++] = listener_fd;
	if (r < 0 && g->failure.code == 0)
		g->failure = (struct err){ .code = r };
	if (r < 0 && g->failure.msg[0] == '\0')
		memcpy(g->failure.msg, e.msg, sizeof(e.msg));
	/* Not for each: all that wait would look each time. */
	if (g->nr_entered >= g->nr_threads)
		pthread_cond_broadcast(&g->entered);
	pthread_mutex_unlock(&g->lock);
}

bool guard_enter(struct guard *g, enum jail_thread thread)
{
	bool may_go;

	if (!g)
		return true;
	enter(g, thread);
	pthread_mutex_lock(&g->lock);
	while (!g->is_open)
		pthread_cond_wait(&g->opened, &g->lock);
	may_go = g->may_go;
	pthread_mutex_unlock(&g->lock);
	return may_go;
}

/* Waits until @nr threads are filtered. */
static void await(struct guard *g, uint32_t nr)
{
	pthread_mutex_lock(&g->lock);
	while (g->nr_entered < nr)
		pthread_cond_wait(&g->entered, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static int send_listeners(const int *fds, size_t nr)
{
	const struct vm_event event = { .kind = VM_EVENT_GUARDED };
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr; i += FDMSG_MAX_FDS)
		r = fdmsg_send(WIRE_SOCKET_FD, &event, sizeof(event), fds + i,
			       min_u64(nr - i, FDMSG_MAX_FDS));
	return r;
}

/* The thread that has no filter: gives control what reports, and ends. */
static void *usher(void *opaque)
{
	struct guard *g = opaque;
	size_t nr = 0;
	int r;

	await(g, g->nr_threads + 1);
	for (uint32_t i = 0; i < g->nr_entered; i++) {
		if (g->listeners[i] >= 0)
			g->listeners[nr++] = g->listeners[i];
	}
	r = send_listeners(g->listeners, nr);
	for (size_t i = 0; i < nr; i++)
		cleanup_fd(&g->listeners[i]);
	if (r < 0 && g->failure.code == 0)
		err_errno(&g->failure, r, "cannot hand the listeners of filters to control");
	return NULL;
}

int guard_close(struct guard *g, struct err *e)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, USHER_STACK_BYTES);
	r = -pthread_create(&thread, &attr, usher, g);
	pthread_attr_destroy(&attr);
	if (r < 0)
		return err_errno(e, r, "cannot start a thread");
	await(g, g->nr_threads);
	enter(g, JAIL_THREAD_LOOP);
	pthread_join(thread, NULL);
	if (g->failure.code < 0) {
		*e = g->failure;
		return e->code;
	}
	return 0;
}

void guard_open(struct guard *g, bool may_go)
{
	pthread_mutex_lock(&g->lock);
	if (!g->is_open)
		g->may_go = may_go;
	g->is_open = true;
	pthread_cond_broadcast(&g->opened);
	pthread_mutex_unlock(&g->lock);
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	pthread_cond_destroy(&g->opened);
	pthread_cond_destroy(&g->entered);
	pthread_mutex_destroy(&g->lock);
	free(g->listeners);
	free(g->custom);
	free(g);
}
