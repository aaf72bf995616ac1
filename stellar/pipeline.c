/* SPDX-License-Identifier: Apache-2.0 */
/* Work on pieces by several threads, see pipeline.h. */
#include "stellar/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

enum { THREADS_MAX = 64 };

enum slot_state { SLOT_FREE, SLOT_FILLED, SLOT_WORKED_ON, SLOT_DONE };

struct pipeline {
	struct pipeline_job job;
	unsigned slot_count;
	char *slots; /* owned: slot_count objects of the user's */
	pthread_t threads[THREADS_MAX];
	unsigned thread_count;
	unsigned head; /* the slot to fill next; the filling thread's */
	unsigned tail; /* the slot to retire next; likewise */
	unsigned used; /* filled and not retired; likewise */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t filled, done;
	enum slot_state *states; /* owned */
	unsigned next; /* the slot to work on next */
	bool is_over;
	struct err failure; /* the first */
};

/* Those this process may use, at least 1. */
static unsigned processors(void)
{
	cpu_set_t set;
	const int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return count > 0 ? (unsigned)count : 1;
}

static void *slot_at(struct pipeline *p, unsigned i)
{
	return p->slots + i * p->job.slot_bytes;
}

static void fail_locked(struct pipeline *p, int code, const struct err *why)
{
	if (p->failure.code == 0)
		err_set(&p->failure, code, "%s", why->msg);
}

/* --- threads ------------------------------------------------------------------------------- */

/* The next filled slot, or -1 at the end. */
static int take_locked(struct pipeline *p)
{
	while (!p->is_over && p->failure.code == 0 && p->states[p->next] != SLOT_FILLED)
		pthread_cond_wait(&p->filled, &p->lock);
	if (p->is_over || p->failure.code != 0)
		return -1;
	const unsigned i = p->next;

	p->states[i] = SLOT_WORKED_ON;
	p->next = (p->next + 1) % p->slot_count;
	return (int)i;
}

static void *run(void *opaque)
{
	struct pipeline *p = opaque;
	struct err e = { 0 };
	void *state = p->job.opaque;
	const bool has_state = p->job.begin != NULL;
	int r = has_state ? p->job.begin(p->job.opaque, &state, &e) : 0;
	int i;

	pthread_mutex_lock(&p->lock);
	if (r < 0)
		fail_locked(p, r, &e);
	while ((i = take_locked(p)) >= 0) {
		pthread_mutex_unlock(&p->lock);
		e = (struct err){ 0 };
		r = p->job.work(state, slot_at(p, (unsigned)i), &e);
		pthread_mutex_lock(&p->lock);
		if (r < 0)
			fail_locked(p, r, &e);
		p->states[i] = SLOT_DONE;
		pthread_cond_broadcast(&p->done);
	}
	pthread_cond_broadcast(&p->done);
	pthread_cond_broadcast(&p->filled);
	pthread_mutex_unlock(&p->lock);
	if (has_state && state && p->job.end)
		p->job.end(state);
	return NULL;
}

int pipeline_new(struct pipeline **out, const struct pipeline_job *job, unsigned threads,
		 struct err *e)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	threads = threads ? threads : processors();
	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	p->job = *job;
	p->slot_count = 2 * threads + 1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->filled, NULL);
	pthread_cond_init(&p->done, NULL);
	p->slots = calloc(p->slot_count, job->slot_bytes);
	p->states = calloc(p->slot_count, sizeof(*p->states));
	if (!p->slots || !p->states)
		r = err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < threads && r == 0; i++) {
		r = -pthread_create(&p->threads[i], NULL, run, p);
		if (r < 0)
			err_errno(e, r, "cannot start a thread");
		else
			p->thread_count++;
	}
	if (r < 0) {
		pipeline_free(p, NULL);
		return r;
	}
	*out = p;
	return 0;
}

void pipeline_free(struct pipeline *p, void (*release)(void *slot))
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->is_over = true;
	pthread_cond_broadcast(&p->filled);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	for (unsigned i = 0; release && p->slots && i < p->slot_count; i++)
		release(slot_at(p, i));
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->filled);
	pthread_cond_destroy(&p->done);
	free(p->slots);
	free(p->states);
	free(p);
}

/* --- the filling thread -------------------------------------------------------------------- */

static int failed_locked(const struct pipeline *p, struct err *e)
{
	return p->failure.code == 0 ? 0 : err_set(e, p->failure.code, "%s", p->failure.msg);
}

/* Waits for the oldest slot that is filled, and retires it. */
static int retire(struct pipeline *p, struct err *e)
{
	struct err why = { 0 };
	int r;

	pthread_mutex_lock(&p->lock);
	while (p->failure.code == 0 && p->states[p->tail] != SLOT_DONE)
		pthread_cond_wait(&p->done, &p->lock);
	r = failed_locked(p, e);
	pthread_mutex_unlock(&p->lock);
	if (r < 0)
		return r;
	if (p->job.retire)
		r = p->job.retire(p->job.opaque, slot_at(p, p->tail), &why);
	pthread_mutex_lock(&p->lock);
	p->states[p->tail] = SLOT_FREE;
	if (r < 0)
		fail_locked(p, r, &why);
	r = failed_locked(p, e);
	pthread_mutex_unlock(&p->lock);
	p->tail = (p->tail + 1) % p->slot_count;
	p->used--;
	return r;
}

void *pipeline_slot(struct pipeline *p, struct err *e)
{
	/* All slots are filled when the head has come round to the tail: the oldest must go first. */
	if (p->used == p->slot_count && retire(p, e) < 0)
		return NULL;
	return slot_at(p, p->head);
}

void pipeline_submit(struct pipeline *p)
{
	pthread_mutex_lock(&p->lock);
	p->states[p->head] = SLOT_FILLED;
	p->head = (p->head + 1) % p->slot_count;
	p->used++;
	pthread_cond_signal(&p->filled);
	pthread_mutex_unlock(&p->lock);
}

int pipeline_finish(struct pipeline *p, struct err *e)
{
	int r = 0;

	while (p->used > 0 && r == 0)
		r = retire(p, e);
	return r;
}
