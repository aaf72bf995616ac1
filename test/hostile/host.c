/* SPDX-License-Identifier: Apache-2.0 */
/* The world of attacks without KVM: see host.h. */
#include "test/hostile/host.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <event2/event.h>

#include "machine/backend/block_file.h"
#include "machine/virtio/mmio.h"
#include "test/hostile/slow_block.h"
#include "test/unit/blk_rig.h"

static_assert(FAKE_MEM_BYTES == PORT_RAM_BYTES, "one guest, two worlds");
static_assert(FAKE_HIGH_END == PORT_HIGH_END, "one guest, two worlds");
static_assert(DISK_SECTORS == PORT_DISK_SECTORS, "one disk, two worlds");

enum {
	PATIENCE_PUMPED = 4, /* a pass runs the loop until it is idle, */
	PATIENCE_PUMPED_SLOW = 256, /* or takes one turn of it, which ends one request */
	PATIENCE_THREADED = 20 * 1000 * 1000,
	ROUNDS = 2000,
};

struct host {
	struct port port; /* first: a port pointer is a host pointer */
	struct blk_rig *rig; /* owned */
	struct host_options options;

	/* The loop thread, for the threaded kinds. */
	pthread_t loop;
	atomic_bool is_over;
	int wake_fd; /* owned: makes the loop look at is_over */
	struct event *wake; /* owned */

	/* The other CPU, while there is one. */
	bool is_racing;
	pthread_t racer;
	atomic_bool is_race_over;
	void (*step)(void *arg);
	void *arg;
};

static void must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "hostile host: %s\n", what);
	abort();
}

static uint64_t port_read(struct port *port, uint64_t offset, uint32_t width)
{
	return fake_guest_read_len(&((struct host *)port)->rig->g, offset, width);
}

static void port_write(struct port *port, uint64_t offset, uint32_t width, uint64_t value)
{
	struct host *h = (struct host *)port;

	if (h->options.kind == HOST_PUMPED_SLOW && offset == VIRTIO_MMIO_STATUS)
		fake_guest_run(&h->rig->g);
	fake_guest_write_len(&h->rig->g, offset, value, width);
}

static void *port_ram(struct port *port, uint64_t address, uint64_t len)
{
	return fake_guest_ram(&((struct host *)port)->rig->g, address, len);
}

static void port_pass(struct port *port)
{
	struct host *h = (struct host *)port;

	switch (h->options.kind) {
	case HOST_PUMPED:
		fake_guest_run(&h->rig->g);
		break;
	case HOST_PUMPED_SLOW:
		blk_rig_one_turn(h->rig);
		break;
	case HOST_THREADED:
	case HOST_THREADED_SLOW:
		sched_yield();
		break;
	}
}

static void *race(void *opaque)
{
	struct host *h = opaque;

	while (!atomic_load(&h->is_race_over))
		h->step(h->arg);
	return NULL;
}

static void port_race(struct port *port, void (*step)(void *arg), void *arg)
{
	struct host *h = (struct host *)port;

	if (h->is_racing) {
		atomic_store(&h->is_race_over, true);
		pthread_join(h->racer, NULL);
		h->is_racing = false;
	}
	if (!step)
		return;
	h->step = step;
	h->arg = arg;
	atomic_store(&h->is_race_over, false);
	must(pthread_create(&h->racer, NULL, race, h) == 0, "no thread");
	h->is_racing = true;
}

static void *run_loop(void *opaque)
{
	struct host *h = opaque;

	while (!atomic_load(&h->is_over))
		event_base_loop(h->rig->g.base, EVLOOP_ONCE);
	return NULL;
}

static void on_wake(evutil_socket_t fd, short what, void *opaque)
{
	(void)fd;
	(void)what;
	(void)opaque;
}

static void start_loop(struct host *h)
{
	h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->wake = event_new(h->rig->g.base, h->wake_fd, EV_READ | EV_PERSIST, on_wake, NULL);
	must(h->wake && event_add(h->wake, NULL) == 0, "no event");
	must(pthread_create(&h->loop, NULL, run_loop, h) == 0, "no thread");
}

static void stop_loop(struct host *h)
{
	atomic_store(&h->is_over, true);
	must(eventfd_write(h->wake_fd, 1) == 0, "eventfd");
	pthread_join(h->loop, NULL);
	event_free(h->wake);
	close(h->wake_fd);
}

static void make_slow(struct host *h)
{
	struct block_backend *file = NULL;
	struct block_backend *slow;

	must(block_file_open(&file, dup(h->rig->disk_fd), h->options.is_read_only, "root", NULL) ==
		     0,
	     "disk");
	slow = slow_block_new(file);
	must(slow, "no memory");
	blk_rig_use(h->rig, slow);
}

static bool is_threaded(enum host_kind kind)
{
	return kind == HOST_THREADED || kind == HOST_THREADED_SLOW;
}

static bool is_slow(enum host_kind kind)
{
	return kind == HOST_PUMPED_SLOW || kind == HOST_THREADED_SLOW;
}

static uint32_t patience_of(enum host_kind kind)
{
	switch (kind) {
	case HOST_PUMPED:
		return PATIENCE_PUMPED;
	case HOST_PUMPED_SLOW:
		return PATIENCE_PUMPED_SLOW;
	case HOST_THREADED:
	case HOST_THREADED_SLOW:
		return PATIENCE_THREADED;
	}
	return 0;
}

static void make_device(struct host *h)
{
	if (is_slow(h->options.kind))
		make_slow(h);
	else
		blk_rig_reopen(h->rig, h->options.is_read_only);
}

void host_reopen(struct host *h)
{
	must(!is_threaded(h->options.kind), "its loop is running");
	make_device(h);
}

struct host *host_new(const struct host_options *options)
{
	struct host *h = calloc(1, sizeof(*h));
	void *rig = NULL;

	must(h && blk_rig_setup(&rig) == 0, "no memory");
	h->rig = rig;
	h->port = (struct port){
		.read = port_read,
		.write = port_write,
		.ram = port_ram,
		.pass = port_pass,
		.race = port_race,
		.patience = patience_of(options->kind),
		.rounds = ROUNDS,
	};
	h->options = *options;
	if (options->queue_count > 0)
		h->rig->options.queue_count = options->queue_count;
	host_fill_disk(h);
	make_device(h);
	if (is_threaded(options->kind))
		start_loop(h);
	return h;
}

void host_free(struct host *h)
{
	void *rig = h->rig;

	port_race(&h->port, NULL, NULL);
	/* In this order: a reset waits for requests, which need the loop. */
	port_write(&h->port, VIRTIO_MMIO_STATUS, 4, 0);
	if (is_threaded(h->options.kind))
		stop_loop(h);
	blk_rig_teardown(&rig);
	free(h);
}

struct port *host_port(struct host *h)
{
	return &h->port;
}

/* What the disk holds at first. */
static const uint64_t *original(void)
{
	static uint64_t words[DISK_BYTES / sizeof(uint64_t)];
	static bool is_filled;

	for (size_t i = 0; !is_filled && i < ARRAY_LEN(words); i++)
		words[i] = htole64(i);
	is_filled = true;
	return words;
}

void host_fill_disk(struct host *h)
{
	must(pwrite(h->rig->disk_fd, original(), DISK_BYTES, 0) == DISK_BYTES, "disk");
}

void host_clear_ram(struct host *h)
{
	const struct mem *mem = &h->rig->g.mem;

	must(madvise(mem->mapping, mem->mapping_bytes, MADV_DONTNEED) == 0, "memory");
}

bool host_disk_is_whole(struct host *h)
{
	const uint64_t bytes = h->options.is_read_only ? DISK_BYTES : DISK_BYTES / 2;
	static uint8_t now[DISK_BYTES];

	if (blk_rig_disk_bytes(h->rig) != DISK_BYTES)
		return false;
	must(pread(h->rig->disk_fd, now, DISK_BYTES, 0) == DISK_BYTES, "disk");
	return memcmp(now, original(), bytes) == 0;
}
