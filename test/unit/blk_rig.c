/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio-blk device in a fake guest: see blk_rig.h. */
#include "test/unit/blk_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "machine/backend/block_file.h"

static void must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "blk rig: %s\n", what);
	abort();
}

static void attach(struct blk_rig *b, struct block_backend *backend)
{
	b->backend = backend;
	must(virtio_blk_new(&b->blk, b->backend, &b->options, NULL) == 0, "no device");
	fake_guest_attach(&b->g, &virtio_blk_ops, b->blk);
}

static void detach(struct blk_rig *b)
{
	fake_guest_detach(&b->g);
	virtio_blk_free(b->blk);
	block_close(b->backend);
}

static struct block_backend *open_disk(struct blk_rig *b, bool is_read_only)
{
	struct block_backend *backend = NULL;
	struct err e = { 0 };

	must(block_file_open(&backend, dup(b->disk_fd), is_read_only, "root", &e) == 0, e.msg);
	return backend;
}

int blk_rig_setup(void **state)
{
	struct blk_rig *b = calloc(1, sizeof(*b));

	fake_guest_init(&b->g);
	b->disk_fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	blk_rig_truncate(b, DISK_BYTES);
	b->options = (struct virtio_blk_options){ .id = "root", .queue_count = 1 };
	attach(b, open_disk(b, false));
	fake_guest_start(&b->g, BLK_FEATURES);
	*state = b;
	return 0;
}

int blk_rig_teardown(void **state)
{
	struct blk_rig *b = *state;

	detach(b);
	fake_guest_release(&b->g);
	close(b->disk_fd);
	free(b);
	return 0;
}

void blk_rig_use(struct blk_rig *b, struct block_backend *backend)
{
	detach(b);
	attach(b, backend);
}

void blk_rig_reopen(struct blk_rig *b, bool is_read_only)
{
	blk_rig_use(b, open_disk(b, is_read_only));
}

/* --- more queues than one ------------------------------------------------------------------ */

/* Queue @n > 0 has 64 KiB of its own: its three areas, then 64 bytes for each request. */
enum { QUEUE_AREA = 0x100000, QUEUE_AREA_BYTES = 0x10000, QUEUE_REQUESTS = 0x4000 };

static uint64_t area(uint32_t n)
{
	return QUEUE_AREA + (uint64_t)n * QUEUE_AREA_BYTES;
}

void blk_rig_start_queues(struct blk_rig *b, uint64_t features, uint32_t count)
{
	const uint32_t status = fake_guest_negotiate(&b->g, features);

	fake_guest_clear_rings(&b->g);
	for (uint32_t n = 0; n < count; n++) {
		struct virtq_setup setup = fake_guest_queue();

		if (n > 0) {
			memset(fake_guest_ram(&b->g, area(n), QUEUE_AREA_BYTES), 0,
			       QUEUE_AREA_BYTES);
			setup.desc.v = area(n);
			setup.driver.v = area(n) + 0x2000;
			setup.device.v = area(n) + 0x3000;
		}
		fake_guest_set_queue(&b->g, n, &setup);
	}
	fake_guest_write(&b->g, VIRTIO_MMIO_STATUS, status | VIRTIO_STATUS_DRIVER_OK);
	fake_guest_run(&b->g);
}

void blk_rig_offer_on(struct blk_rig *b, uint32_t n, uint32_t type, uint64_t sector)
{
	const struct virtio_blk_header h = { le32_put(type), le32_put(0), le64_put(sector) };
	struct virtq_avail *avail = fake_guest_ram(&b->g, area(n) + 0x2000, 1024);
	const uint16_t idx = le16_get(avail->idx);
	const uint32_t head = 3u * idx;
	const uint64_t at = area(n) + QUEUE_REQUESTS + 64ull * idx;
	const bool has_data = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT;
	const uint16_t direction = type == VIRTIO_BLK_T_OUT ? 0 : VIRTQ_DESC_F_WRITE;
	struct virtq_desc *d = fake_guest_ram(&b->g, area(n) + 16ull * head, 48);

	must(head + 3 <= FAKE_QUEUE_SIZE, "too many requests");
	memcpy(fake_guest_ram(&b->g, at, sizeof(h)), &h, sizeof(h));
	d[0] = (struct virtq_desc){ le64_put(at), le32_put(sizeof(h)), le16_put(VIRTQ_DESC_F_NEXT),
				    le16_put((uint16_t)(head + (has_data ? 1 : 2))) };
	d[1] = (struct virtq_desc){ le64_put(BLK_DATA), le32_put(512),
				    le16_put(VIRTQ_DESC_F_NEXT | direction),
				    le16_put((uint16_t)(head + 2)) };
	d[2] = (struct virtq_desc){ le64_put(at + 32), le32_put(1), le16_put(VIRTQ_DESC_F_WRITE),
				    le16_put(0) };
	avail->ring[idx % FAKE_QUEUE_SIZE] = le16_put((uint16_t)head);
	avail->idx = le16_put((uint16_t)(idx + 1));
}

void blk_rig_ring(struct blk_rig *b, uint32_t n)
{
	fake_guest_write(&b->g, VIRTIO_MMIO_QUEUE_NOTIFY, n);
}

uint16_t blk_rig_used_on(const struct blk_rig *b, uint32_t n)
{
	const struct virtq_used *used = fake_guest_ram(&b->g, area(n) + 0x3000, 4);

	return le16_get(used->idx);
}

/* --- what the guest sees ------------------------------------------------------------------- */

uint64_t blk_rig_offered(struct blk_rig *b)
{
	uint64_t features = 0;

	for (uint32_t word = 0; word < 2; word++) {
		fake_guest_write(&b->g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
		features |= (uint64_t)fake_guest_read(&b->g, VIRTIO_MMIO_DEVICE_FEATURES)
			    << (32 * word);
	}
	return features;
}

struct virtio_blk_config blk_rig_config(struct blk_rig *b)
{
	struct virtio_blk_config config = { 0 };

	for (uint32_t i = 0; i < sizeof(config); i++)
		((uint8_t *)&config)[i] =
			(uint8_t)fake_guest_read_len(&b->g, VIRTIO_MMIO_CONFIG + i, 1);
	return config;
}

/* --- requests on queue 0 ------------------------------------------------------------------- */

void blk_rig_range(struct blk_rig *b, uint32_t at, uint64_t sector, uint32_t num_sectors,
		   uint32_t flags)
{
	const struct virtio_blk_range range = { le64_put(sector), le32_put(num_sectors),
						le32_put(flags) };

	memcpy(fake_guest_ram(&b->g, BLK_DATA + at * sizeof(range), sizeof(range)), &range,
	       sizeof(range));
}

void blk_rig_header(struct blk_rig *b, uint32_t type, uint64_t sector)
{
	const struct virtio_blk_header h = { le32_put(type), le32_put(0), le64_put(sector) };

	memcpy(fake_guest_ram(&b->g, BLK_HEADER, sizeof(h)), &h, sizeof(h));
}

void blk_rig_build(struct blk_rig *b, uint32_t type, uint64_t sector, uint32_t len)
{
	const bool is_readable = type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
				 type == VIRTIO_BLK_T_WRITE_ZEROES;
	const uint32_t direction = is_readable ? 0 : VIRTQ_DESC_F_WRITE;
	uint32_t at = 0;

	blk_rig_header(b, type, sector);
	fake_guest_desc(&b->g, at++, BLK_HEADER, 16, VIRTQ_DESC_F_NEXT, 1);
	if (len > 0)
		fake_guest_desc(&b->g, at++, BLK_DATA, len, VIRTQ_DESC_F_NEXT | direction, 2);
	fake_guest_desc(&b->g, at, BLK_STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
}

int blk_rig_submit(struct blk_rig *b, uint32_t head)
{
	const uint16_t before = fake_guest_used_idx(&b->g);
	uint8_t *status = fake_guest_ram(&b->g, BLK_STATUS, 1);

	*status = 0xee;
	fake_guest_offer(&b->g, head);
	fake_guest_kick(&b->g);
	if ((uint16_t)(fake_guest_used_idx(&b->g) - before) != 1)
		return -1;
	must(fake_guest_used_id(&b->g, before) == head, "another chain was used");
	b->used_len = fake_guest_used_len(&b->g, before);
	return *status;
}

int blk_rig_request(struct blk_rig *b, uint32_t type, uint64_t sector, uint32_t len)
{
	blk_rig_build(b, type, sector, len);
	return blk_rig_submit(b, 0);
}

void blk_rig_one_turn(struct blk_rig *b)
{
	event_base_loop(b->g.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

void blk_rig_wait(struct blk_rig *b, bool (*is_true)(void *opaque), void *opaque)
{
	const struct timespec pause = { 0, 200000 };

	for (int i = 0; i < 50000; i++) {
		fake_guest_run(&b->g);
		if (is_true(opaque))
			return;
		nanosleep(&pause, NULL);
	}
	must(false, "waited in vain");
}

int blk_rig_disk_byte(const struct blk_rig *b, uint64_t offset)
{
	uint8_t byte;

	return pread(b->disk_fd, &byte, 1, (off_t)offset) == 1 ? byte : -1;
}

uint64_t blk_rig_disk_bytes(const struct blk_rig *b)
{
	struct stat st;

	must(fstat(b->disk_fd, &st) == 0, "disk");
	return (uint64_t)st.st_size;
}

void blk_rig_truncate(struct blk_rig *b, uint64_t bytes)
{
	must(ftruncate(b->disk_fd, (off_t)bytes) == 0, "disk size");
}

void blk_rig_seal(struct blk_rig *b)
{
	must(fcntl(b->disk_fd, F_ADD_SEALS, F_SEAL_GROW) == 0, "seal");
}
