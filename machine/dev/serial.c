/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port's wires: ring, descriptors, interrupt line. See serial.h. */
#include "machine/dev/serial.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "machine/backend/token_bucket.h"

/* How long the loop lets output gather. Short for a person, long for a guest that prints. */
static const struct timeval pace = { .tv_usec = 1000 };

static_assert((SERIAL_RING_BYTES & (SERIAL_RING_BYTES - 1)) == 0, "head and tail wrap freely");

struct serial {
	pthread_mutex_t lock;

	/* Under the lock, from any thread. */
	struct uart uart;
	bool line_is_high; /* level of the chip's pin as struct irq was last told */
	bool loop_is_woken; /* wake_fd is readable: no need to write it again */
	bool output_is_awaited; /* the loop will look at the ring without being woken */
	bool input_is_paused; /* the loop waits for the guest to empty the FIFO */
	bool output_is_discarded;
	struct token_bucket limit; /* of output, in bytes */
	struct serial_metrics *metrics; /* borrowed, or own_metrics */
	struct serial_metrics own_metrics;
	/*
	 * [tail, head) of the ring, modulo its size, is to be written. A vCPU moves head; the loop
	 * moves tail and reads those bytes without the lock, since nobody else may touch them.
	 */
	uint32_t head;
	uint32_t tail;
	uint8_t ring[SERIAL_RING_BYTES];

	/* Set at creation. */
	struct irq irq; /* borrowed: the VM owns its lines and outlives us */
	int wake_fd; /* owned; an eventfd */
	struct event *wake_event; /* owned, as the other events */
	struct event *pace_timer;
	struct event *out_event; /* NULL when out_fd is never waited for */
	struct event *in_event; /* NULL when in_fd is never waited for */
	int out_fd; /* owned */

	/* The loop alone. */
	int in_fd; /* owned; -1 after the end of input */
	bool drop_is_logged;
};

static uint32_t ring_room_locked(const struct serial *s)
{
	return SERIAL_RING_BYTES - (s->head - s->tail);
}

static void wake_loop_locked(struct serial *s)
{
	const uint64_t one = 1;
	ssize_t n;

	if (s->loop_is_woken)
		return;
	s->loop_is_woken = true;
	n = write(s->wake_fd, &one, sizeof(one));
	(void)n; /* cannot fail: the counter is 0 or 1 */
}

/* After anything that may have made the level rise. True when it has. */
static bool update_line_locked(struct serial *s)
{
	bool was_high = s->line_is_high;

	s->line_is_high = uart_irq_level(&s->uart);
	if (!s->line_is_high || was_high)
		return false;
	irq_raise(&s->irq);
	return true;
}

/*
 * After what can only have made the level fall. Not update_line_locked(): THRE may be pending with
 * its edge still to come from the loop.
 */
static void lower_line_locked(struct serial *s)
{
	if (!uart_irq_level(&s->uart))
		s->line_is_high = false;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool is_above_limit_locked(struct serial *s)
{
	return !token_bucket_is_off(&s->limit) && !token_bucket_take(&s->limit, 1, now_ns());
}

static void transmit_locked(struct serial *s, uint8_t byte)
{
	const bool is_discarded = s->output_is_discarded;

	/* Writing THR took the THRE interrupt back, whether or not the driver had read IIR. */
	lower_line_locked(s);
	if (is_discarded || is_above_limit_locked(s)) {
		metric_add(&s->metrics->limited_bytes, !is_discarded);
		/* As if it had gone out: nobody comes to say so. */
		uart_set_tx_ready(&s->uart, ring_room_locked(s) >= UART_FIFO_BYTES);
		update_line_locked(s);
		return;
	}
	if (ring_room_locked(s) > 0)
		s->ring[s->head++ % SERIAL_RING_BYTES] = byte;
	else
		metric_add(&s->metrics->dropped_bytes, 1);
	uart_set_tx_ready(&s->uart, ring_room_locked(s) >= UART_FIFO_BYTES);
	if (!s->output_is_awaited)
		wake_loop_locked(s);
}

static void resume_input_locked(struct serial *s)
{
	if (s->input_is_paused && uart_rx_room(&s->uart) == UART_FIFO_BYTES)
		wake_loop_locked(s);
}

/* @len bytes at @offset were accessed. */
static void count_locked(struct serial *s, uint64_t offset, uint32_t len, bool is_write)
{
	struct serial_metrics *m = s->metrics;
	const uint64_t done = min_u64(len, SERIAL_PORTS - offset);

	metric_add(is_write ? &m->writes : &m->reads, done);
	metric_add(is_write ? &m->missed_writes : &m->missed_reads, len - done);
}

static void serial_read(void *dev, uint64_t offset, void *data, uint32_t len)
{
	struct serial *s = dev;
	uint8_t *bytes = data;

	memset(data, 0xff, len);
	pthread_mutex_lock(&s->lock);
	count_locked(s, offset, len, false);
	for (uint32_t i = 0; i < len && offset < SERIAL_PORTS; i++, offset++)
		bytes[i] = uart_read(&s->uart, (unsigned int)offset);
	lower_line_locked(s);
	resume_input_locked(s);
	pthread_mutex_unlock(&s->lock);
}

static void serial_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	struct serial *s = dev;
	const uint8_t *bytes = data;

	pthread_mutex_lock(&s->lock);
	count_locked(s, offset, len, true);
	for (uint32_t i = 0; i < len && offset < SERIAL_PORTS; i++, offset++) {
		if (uart_write(&s->uart, (unsigned int)offset, bytes[i]))
			transmit_locked(s, bytes[i]);
		else
			update_line_locked(s);
	}
	resume_input_locked(s);
	pthread_mutex_unlock(&s->lock);
}

const struct bus_ops serial_bus_ops = { .read = serial_read, .write = serial_write };

static void close_input_locked(struct serial *s)
{
	if (s->in_event)
		event_del(s->in_event);
	s->input_is_paused = false;
	close(s->in_fd);
	s->in_fd = -1;
}

/* Lets in_fd report bytes if there is room for them; else the guest's next read wakes the loop. */
static void watch_input_locked(struct serial *s)
{
	bool has_room = uart_rx_room(&s->uart) > 0;

	if (s->in_event && !has_room)
		event_del(s->in_event);
	s->input_is_paused = !s->in_event || !has_room || event_add(s->in_event, NULL) < 0;
}

/*
 * Moves bytes from in_fd into the FIFO. The lock is held over read() so that the room does not
 * change meanwhile (the guest may enter loopback mode); a read of 16 bytes does not block.
 */
static void service_input(struct serial *s)
{
	uint8_t buf[UART_FIFO_BYTES];
	int failure = 0;
	ssize_t n;

	if (s->in_fd < 0)
		return;
	pthread_mutex_lock(&s->lock);
	if (uart_rx_room(&s->uart) == 0) {
		watch_input_locked(s);
		pthread_mutex_unlock(&s->lock);
		return;
	}
	n = read(s->in_fd, buf, uart_rx_room(&s->uart));
	if (n > 0) {
		uart_receive(&s->uart, buf, (size_t)n);
		metric_add(&s->metrics->in_bytes, (uint64_t)n);
		update_line_locked(s);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		failure = n < 0 ? errno : 0;
		metric_add(&s->metrics->errors, n < 0);
		close_input_locked(s);
	}
	if (s->in_fd >= 0)
		watch_input_locked(s);
	pthread_mutex_unlock(&s->lock);
	if (failure)
		log_warn("serial input ends here: %s", strerror(failure));
}

/*
 * Writes the ring out up to where it ends now: a guest that prints without end must not keep the
 * loop. Returns the number of bytes, or -errno when not even one could be written.
 */
static ssize_t write_ring(struct serial *s)
{
	uint32_t start, at, head;
	ssize_t n = 0;

	pthread_mutex_lock(&s->lock);
	start = at = s->tail;
	head = s->head;
	pthread_mutex_unlock(&s->lock);

	while (at != head) {
		uint32_t offset = at % SERIAL_RING_BYTES;

		n = write(s->out_fd, &s->ring[offset],
			  min_u64(head - at, SERIAL_RING_BYTES - offset));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (uint32_t)n;
	}
	if (at == start)
		return n < 0 ? -errno : 0;
	pthread_mutex_lock(&s->lock);
	s->tail = at;
	metric_add(&s->metrics->out_bytes, at - start);
	metric_add(&s->metrics->flushes, 1);
	pthread_mutex_unlock(&s->lock);
	return at - start;
}

static void discard_output_locked(struct serial *s)
{
	s->output_is_discarded = true;
	metric_add(&s->metrics->errors, 1);
	s->tail = s->head;
}

/* Decides who comes back for the rest of the ring, and for the bytes that follow. */
static void await_output_locked(struct serial *s, bool is_blocked, bool keep_pace)
{
	bool has_more = s->head != s->tail;

	if (is_blocked && s->out_event && event_add(s->out_event, NULL) == 0)
		s->output_is_awaited = true;
	else
		s->output_is_awaited = (has_more || keep_pace) &&
				       event_add(s->pace_timer, &pace) == 0;
}

static void service_output(struct serial *s)
{
	ssize_t n = write_ring(s);
	bool is_blocked = n == -EAGAIN;
	bool was_raised, has_dropped;

	if (n < 0 && !is_blocked)
		log_warn("serial output is discarded from now on: %s", strerror((int)-n));
	pthread_mutex_lock(&s->lock);
	if (n < 0 && !is_blocked)
		discard_output_locked(s);
	uart_set_tx_ready(&s->uart, ring_room_locked(s) >= UART_FIFO_BYTES);
	was_raised = update_line_locked(s);
	/* A guest that sends on each interrupt is not made to wait for the timer. */
	await_output_locked(s, is_blocked, n > 0 && !was_raised);
	has_dropped = metric_get(&s->metrics->dropped_bytes) > 0;
	pthread_mutex_unlock(&s->lock);
	if (has_dropped && !s->drop_is_logged) {
		s->drop_is_logged = true;
		log_warn("serial output is dropped: its reader is slower than the guest");
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct serial *s = arg;
	uint64_t count;
	bool is_paused;
	ssize_t n;

	(void)what;
	/* Before anything is looked at, so that what comes later wakes again. */
	pthread_mutex_lock(&s->lock);
	s->loop_is_woken = false;
	n = read(fd, &count, sizeof(count));
	(void)n;
	is_paused = s->input_is_paused;
	pthread_mutex_unlock(&s->lock);
	if (is_paused)
		service_input(s);
	service_output(s);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	service_input(arg);
}

static void on_output_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	service_output(arg);
}

/* 0 for what epoll refuses because it never blocks: regular files, /dev/null. Else 1 or -errno. */
static int is_pollable(int fd)
{
	auto_fd int probe = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };

	if (probe < 0)
		return -errno;
	if (epoll_ctl(probe, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 1;
	return errno == EPERM ? 0 : -errno;
}

/*
 * Makes *@event for @fd, or leaves it NULL when @fd never blocks. libevent would print a warning if
 * it had to find that out.
 */
static int watch_fd(struct serial *s, struct event_base *base, int fd, short what,
		    event_callback_fn fn, struct event **event)
{
	int r = is_pollable(fd);
	int flags;

	if (r <= 0)
		return r;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	*event = event_new(base, fd, what, fn, s);
	return *event ? 0 : -ENOMEM;
}

static int start_events(struct serial *s, struct event_base *base, struct err *e)
{
	int r;

	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return err_errno(e, -errno, "cannot create an eventfd for the serial port");
	s->wake_event = event_new(base, s->wake_fd, EV_READ | EV_PERSIST, on_wake, s);
	s->pace_timer = event_new(base, -1, 0, on_output_due, s);
	if (!s->wake_event || !s->pace_timer || event_add(s->wake_event, NULL) < 0)
		return err_set(e, -ENOMEM, "cannot create the events of the serial port");
	if (s->out_fd >= 0) {
		r = watch_fd(s, base, s->out_fd, EV_WRITE, on_output_due, &s->out_event);
		if (r < 0)
			return err_errno(e, r, "cannot use fd %d for serial output", s->out_fd);
	}
	if (s->in_fd < 0)
		return 0;
	r = watch_fd(s, base, s->in_fd, EV_READ | EV_PERSIST, on_readable, &s->in_event);
	if (r == 0 && s->in_event)
		r = event_add(s->in_event, NULL) < 0 ? -ENOMEM : 0;
	if (r < 0)
		return err_errno(e, r, "cannot use fd %d for serial input", s->in_fd);
	/* What never blocks never reports input either: the first bytes come by our own wake-up. */
	s->input_is_paused = !s->in_event;
	resume_input_locked(s);
	return 0;
}

int serial_new(struct serial **out, struct event_base *base, struct irq irq, int out_fd, int in_fd,
	       struct err *e)
{
	auto_fd int output = out_fd;
	auto_fd int input = in_fd;
	struct serial *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "cannot allocate the serial port");
	pthread_mutex_init(&s->lock, NULL);
	uart_init(&s->uart);
	s->irq = irq;
	s->metrics = &s->own_metrics;
	s->wake_fd = -1;
	s->output_is_discarded = out_fd < 0;
	s->out_fd = take_fd(&output);
	s->in_fd = take_fd(&input);
	r = start_events(s, base, e);
	if (r < 0) {
		serial_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void serial_set_metrics(struct serial *s, struct serial_metrics *metrics)
{
	pthread_mutex_lock(&s->lock);
	s->metrics = metrics;
	pthread_mutex_unlock(&s->lock);
}

void serial_set_limit(struct serial *s, const struct token_bucket_config *limit)
{
	pthread_mutex_lock(&s->lock);
	token_bucket_init(&s->limit, limit, now_ns());
	pthread_mutex_unlock(&s->lock);
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void serial_free(struct serial *s)
{
	if (!s)
		return;
	free_event(s->wake_event);
	free_event(s->pace_timer);
	free_event(s->out_event);
	free_event(s->in_event);
	cleanup_fd(&s->wake_fd);
	cleanup_fd(&s->out_fd);
	cleanup_fd(&s->in_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int64_t now_ms(void)
{
	return (int64_t)(now_ns() / 1000000);
}

bool serial_flush(struct serial *s, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd p = { .fd = s->out_fd, .events = POLLOUT };
		bool is_done;
		int64_t left;

		service_output(s);
		pthread_mutex_lock(&s->lock);
		is_done = s->head == s->tail;
		pthread_mutex_unlock(&s->lock);
		left = deadline - now_ms();
		if (is_done || left <= 0)
			return is_done;
		poll(&p, 1, (int)left);
	}
}

uint64_t serial_dropped_bytes(struct serial *s)
{
	uint64_t dropped;

	pthread_mutex_lock(&s->lock);
	dropped = metric_get(&s->metrics->dropped_bytes);
	pthread_mutex_unlock(&s->lock);
	return dropped;
}
