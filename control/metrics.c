/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps what is counted: see metrics.h. */
#include "control/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "control/line_target.h"
#include "control/metrics_impl.h"

enum { MICROS_PER_S = 1000000, NANOS_PER_MICRO = 1000, NANOS_PER_S = 1000000000 };

static const struct timeval period = { .tv_sec = 60 };

const uint32_t metrics_bucket_us[METRICS_BUCKETS] = { 100,    250,     500,    1000,  2500,
						      5000,   10000,   25000,  50000, 100000,
						      500000, 1000000, 5000000 };

static uint64_t micros(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * MICROS_PER_S + (uint64_t)now.tv_nsec / NANOS_PER_MICRO;
}

/* --- the lines ----------------------------------------------------------------------------- */

/* Writes what is left of a line. 0 when nothing is left, or -errno. */
static int write_rest(struct metrics_target *t)
{
	while (evbuffer_get_length(t->rest) > 0) {
		const size_t len = min_u64(evbuffer_get_length(t->rest), PIPE_BUF);
		const ssize_t n =
			line_target_write(t->fd, evbuffer_pullup(t->rest, (ssize_t)len), len);

		if (n < 0)
			return (int)n;
		evbuffer_drain(t->rest, (size_t)n);
	}
	return 0;
}

/* As above; looks again when there is room, and gives up what the host does not take. */
static int push(struct metrics_target *t)
{
	const int r = write_rest(t);

	if (r == -EAGAIN && t->room && event_add(t->room, NULL) == 0)
		return r;
	if (r < 0) {
		evbuffer_drain(t->rest, evbuffer_get_length(t->rest));
		t->errors++;
		log_warn("a line of metrics is lost: %s", strerror(-r));
	}
	return r;
}

static void on_room(evutil_socket_t fd, short what, void *opaque)
{
	struct metrics *m = opaque;

	(void)fd;
	(void)what;
	push(&m->target);
}

/* A line that did not come about: what it would have told is for the next one. */
static void take_back(struct metrics *m, const uint64_t told[static METRICS_FC_SLOTS])
{
	struct evbuffer *rest = m->target.rest;

	evbuffer_drain(rest, evbuffer_get_length(rest));
	memcpy(m->fc_last, told, sizeof(m->fc_last));
}

int metrics_flush(struct metrics *m)
{
	struct metrics_target *t = &m->target;
	uint64_t told[METRICS_FC_SLOTS];
	size_t len;
	int r;

	if (t->fd < 0)
		return 0;
	if (evbuffer_get_length(t->rest) > 0 && push(t) < 0) {
		t->lost++;
		return -EAGAIN;
	}
	memcpy(told, m->fc_last, sizeof(told));
	r = metrics_write_fc(m, t->rest);
	len = evbuffer_get_length(t->rest);
	if (r < 0) {
		take_back(m, told);
		t->errors++;
		return r;
	}
	r = push(t);
	if (r == -EAGAIN && evbuffer_get_length(t->rest) == len) {
		take_back(m, told);
		t->lost++;
		return r;
	}
	t->lines++;
	return r == -EAGAIN ? 0 : r;
}

static void on_timer(evutil_socket_t fd, short what, void *opaque)
{
	(void)fd;
	(void)what;
	metrics_flush(opaque);
}

static int open_target(struct metrics_target *t, struct metrics *m, int fd, struct err *e)
{
	t->rest = evbuffer_new();
	t->room = event_new(m->base, fd, EV_WRITE, on_room, m);
	if (!t->rest || !t->room)
		return err_set(e, -ENOMEM, "out of memory");
	t->fd = fd;
	return 0;
}

/* Takes back open_target(), whole or half. */
static void close_target(struct metrics_target *t)
{
	if (t->room)
		event_free(t->room);
	if (t->rest)
		evbuffer_free(t->rest);
	t->room = NULL;
	t->rest = NULL;
	cleanup_fd(&t->fd);
}

int metrics_configure(struct metrics *m, const struct metrics_value *value, struct err *e)
{
	auto_fd int fd = -1;
	auto_free char *properties = NULL;
	int r;

	if (m->target.fd >= 0)
		return err_set(e, -EALREADY, "metrics have been set up already");
	if (!value->path)
		return 0;
	if (value->properties && !(properties = strdup(value->properties)))
		return err_set(e, -ENOMEM, "out of memory");
	fd = line_target_open(value->path, "metrics", e);
	if (fd < 0)
		return fd;
	r = open_target(&m->target, m, fd, e);
	if (r < 0) {
		close_target(&m->target);
		return r;
	}
	take_fd(&fd);
	m->has_instance_id = value->has_instance_id;
	m->properties = properties;
	properties = NULL;
	return 0;
}

/* --- the page ------------------------------------------------------------------------------ */

/* Everybody reads it, one writes it: for what F_SEAL_SHRINK is for see memfd_create(2). */
static int make_page(struct err *e)
{
	auto_fd int fd = memfd_create("volt-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, sizeof(struct machine_metrics)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_errno(e, -errno, "cannot make the page of counters");
	return take_fd(&fd);
}

/* fd -1: zeroes. */
static int map_page(struct metrics *m, int fd, struct err *e)
{
	void *page = mmap(NULL, sizeof(*m->page), PROT_READ,
			  fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);

	if (page == MAP_FAILED)
		return err_errno(e, -errno, "cannot map the page of counters");
	if (m->page)
		munmap((void *)(uintptr_t)m->page, sizeof(*m->page));
	m->page = page;
	return 0;
}

int metrics_new_page(struct metrics *m, const struct machine_config *config, struct err *e)
{
	auto_fd int fd = make_page(e);
	int r;

	if (fd < 0)
		return fd;
	r = map_page(m, fd, e);
	if (r < 0)
		return r;
	m->nr_vcpus = (uint32_t)min_u64(config->cpu_count, WIRE_MAX_CPUS);
	m->nr_drives = (uint32_t)min_u64(config->drive_count, WIRE_MAX_DRIVES);
	for (uint32_t i = 0; i < m->nr_drives; i++)
		memcpy(m->drive_ids[i], config->drives[i].id, sizeof(m->drive_ids[i]));
	return take_fd(&fd);
}

/* --- requests ------------------------------------------------------------------------------ */

static struct metrics_route *find_route(struct metrics *m, const char *method, const char *route)
{
	struct metrics_route *r = m->routes;

	for (; r < m->routes + m->nr_routes; r++) {
		if (strcmp(r->route, route) == 0 && strcmp(r->method, method) == 0)
			return r;
	}
	if (m->nr_routes == METRICS_ROUTES_MAX)
		return &m->routes[METRICS_ROUTES_MAX - 1];
	m->nr_routes++;
	if (m->nr_routes == METRICS_ROUTES_MAX) {
		method = "";
		route = "other";
	}
	snprintf(r->method, sizeof(r->method), "%s", method);
	r->route = route;
	return r;
}

static void count_status(struct metrics_route *r, int status)
{
	struct metrics_status *s = r->statuses;

	while (s->count > 0 && s->status != status && s < &r->statuses[METRICS_STATUSES_MAX - 1])
		s++;
	if (s->count == 0)
		s->status = status;
	s->count++;
}

void metrics_count_request(struct metrics *m, const char *method, const char *route, int status,
			   uint64_t duration_us)
{
	struct metrics_route *r = route ? find_route(m, method, route) : find_route(m, "", "none");
	size_t bucket = 0;

	count_status(r, status);
	while (bucket < METRICS_BUCKETS && duration_us > metrics_bucket_us[bucket])
		bucket++;
	r->buckets[bucket]++;
	r->sum_us += duration_us;
	r->count++;
}

void metrics_count_deprecated(struct metrics *m)
{
	m->deprecated++;
}

void metrics_set_latency(struct metrics *m, enum metrics_latency which, uint64_t duration_us)
{
	m->latencies_us[which] = duration_us;
}

void metrics_set_sandbox(struct metrics *m, uint32_t layers, uint32_t landlock_abi,
			 uint64_t nr_forbidden)
{
	m->has_sandbox = true;
	m->sandbox_layers = layers;
	m->landlock_abi = landlock_abi;
	m->nr_forbidden = nr_forbidden;
}

void metrics_set_ready(struct metrics *m, uint64_t start_us, uint64_t start_cpu_us,
		       uint64_t parent_cpu_us)
{
	if (start_us > 0)
		m->startup_us = micros(CLOCK_MONOTONIC) - start_us;
	if (start_cpu_us > 0)
		m->startup_cpu_us = micros(CLOCK_PROCESS_CPUTIME_ID) - start_cpu_us + parent_cpu_us;
}

/* --- life ---------------------------------------------------------------------------------- */

int metrics_new(struct metrics **out, struct event_base *base, const char *instance_id,
		uint64_t began_us, struct err *e)
{
	/* Zeroes, and most of them are never touched: calloc() would touch them all. */
	struct metrics *m =
		mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec now;
	int r;

	if (m == MAP_FAILED)
		return err_set(e, -ENOMEM, "out of memory");
	m->base = base;
	m->target.fd = -1;
	m->started_us = began_us;
	clock_gettime(CLOCK_REALTIME, &now);
	m->start_time_s = (double)now.tv_sec + (double)now.tv_nsec / NANOS_PER_S;
	snprintf(m->id, sizeof(m->id), "%s", instance_id);
	r = map_page(m, -1, e);
	m->timer = event_new(base, -1, EV_PERSIST, on_timer, m);
	if (r == 0 && (!m->timer || event_add(m->timer, &period) < 0))
		r = err_set(e, -ENOMEM, "out of memory");
	if (r < 0) {
		metrics_free(m);
		return r;
	}
	*out = m;
	return 0;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	if (m->target.fd >= 0)
		metrics_flush(m);
	close_target(&m->target);
	if (m->timer)
		event_free(m->timer);
	if (m->page)
		munmap((void *)(uintptr_t)m->page, sizeof(*m->page));
	free(m->properties);
	munmap(m, sizeof(*m));
}
