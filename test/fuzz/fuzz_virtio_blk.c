/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that does anything: the input is a program of register accesses, pokes into RAM, ring
 * entries and kicks, run against virtio-blk on a small disk. Whatever it does, the disk keeps its
 * size, a read-only disk its contents, and the next guest finds a device that works.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/backend/block_file.h"
#include "machine/virtio/blk.h"
#include "machine/virtio/mmio.h"
#include "test/unit/fake_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DISK_BYTES = 64 * 512, STEPS_MAX = 512, CANARY = 0xc5 };

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* Two machines for the life of the process: one with a disk to write to, one without. */
struct machine {
	struct fake_guest g;
	struct virtio_blk *blk;
	int disk_fd;
	bool is_replacing;
};

struct program {
	const uint8_t *at;
	size_t left;
};

static uint8_t take8(struct program *p)
{
	if (p->left == 0)
		return 0;
	p->left--;
	return *p->at++;
}

static uint64_t take(struct program *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)take8(p) << (8 * i);
	return v;
}

/* An address near something interesting, plus what the input says. */
static uint64_t take_gpa(struct program *p)
{
	static const uint64_t bases[] = {
		0,
		FAKE_DESC,
		FAKE_AVAIL,
		FAKE_USED,
		FAKE_TABLE,
		FAKE_DATA,
		FAKE_LOW_END - 16,
		FAKE_LOW_END,
		FAKE_HIGH_START - 16,
		FAKE_HIGH_START,
		FAKE_HIGH_END - 16,
		UINT64_MAX - 15,
	};
	const uint64_t base = bases[take8(p) % ARRAY_LEN(bases)];

	return base + take(p, 2);
}

static uint32_t take_len(struct program *p)
{
	static const uint32_t lens[] = { 0,   1,   15,	 16,	     17,	 32,
					 512, 513, 1024, 0x7fffffff, 0x80000000, 0xffffffff };
	const uint8_t pick = take8(p);

	return pick < ARRAY_LEN(lens) ? lens[pick] : (uint32_t)take(p, 2);
}

static void poke(struct fake_guest *g, struct program *p)
{
	const struct gpa to = { take_gpa(p) };
	const uint64_t value = take(p, 4);

	mem_write(&g->mem, to, &value, 1 + value % 8);
}

static void on_replaced(void *opaque, int result, uint64_t capacity_bytes, const struct err *e)
{
	struct machine *m = opaque;

	(void)e;
	m->is_replacing = false;
	must(result == 0 && capacity_bytes == DISK_BYTES);
}

/* What the host does meanwhile: a limit that no input reaches, and the same disk anew. */
static void host_acts(struct machine *m)
{
	const struct rate_limiter_config limit = { .ops = { STEPS_MAX * 256, 1, 0 } };
	const int fd = dup(m->disk_fd);

	must(fd >= 0);
	virtio_blk_set_limit(m->blk, &limit, true, true);
	if (virtio_blk_replace(m->blk, fd, on_replaced, m) < 0)
		close(fd);
	m->is_replacing = true;
}

static void step(struct machine *m, struct program *p)
{
	struct fake_guest *g = &m->g;
	const uint8_t op = take8(p);
	const uint32_t at = take8(p);
	uint64_t addr;

	switch (op % 13) {
	case 0:
		fake_guest_write_len(g, take(p, 2) % VIRTIO_MMIO_BYTES, take(p, 8), 1u << at % 4);
		break;
	case 1:
		fake_guest_read_len(g, take(p, 2) % VIRTIO_MMIO_BYTES, 1u << at % 4);
		break;
	case 2:
		fake_guest_write(g, at % 64 * 4, (uint32_t)take(p, 4));
		break;
	case 3:
		poke(g, p);
		break;
	case 4:
	case 5:
		addr = take_gpa(p);
		fake_guest_desc(g, at, addr, take_len(p), take8(p), at + 1);
		break;
	case 6:
		addr = take_gpa(p);
		fake_guest_table_desc(g, at, addr, take_len(p), take8(p), at + 1);
		break;
	case 7: {
		const struct virtio_blk_header h = { le32_put(at % 16), le32_put(0),
						     le64_put(take8(p)) };

		mem_write(&g->mem, (struct gpa){ FAKE_DATA + op / 13 * 16 }, &h, sizeof(h));
		break;
	}
	case 8:
		fake_guest_offer(g, at);
		break;
	case 9:
		fake_guest_kick(g);
		break;
	case 10:
		fake_guest_offer(g, at);
		fake_guest_kick(g);
		break;
	case 11:
		/* Bits 7 to 14 hold FLUSH, CONFIG_WCE, MQ, DISCARD and WRITE_ZEROES. */
		fake_guest_start(g, FAKE_F_RING | (uint64_t)at << 24 | (uint64_t)take8(p) << 7);
		break;
	default:
		host_acts(m);
		break;
	}
}

static void check_disk(int fd, bool is_read_only)
{
	uint8_t now[DISK_BYTES];
	struct stat st;

	must(fstat(fd, &st) == 0 && st.st_size == DISK_BYTES);
	if (!is_read_only)
		return;
	must(pread(fd, now, sizeof(now), 0) == sizeof(now));
	for (size_t i = 0; i < sizeof(now); i++)
		must(now[i] == CANARY);
}

/* Reads sector 0 the plain way. */
static void check_device(struct fake_guest *g)
{
	const struct virtio_blk_header h = { le32_put(VIRTIO_BLK_T_IN), le32_put(0), le64_put(0) };
	const uint8_t *status = fake_guest_ram(g, FAKE_DATA + 1024, 1);

	must(fake_guest_start(g, FAKE_F_RING) == 15);
	must(mem_write(&g->mem, (struct gpa){ FAKE_DATA }, &h, sizeof(h)) == 0);
	fake_guest_desc(g, 0, FAKE_DATA, sizeof(h), VIRTQ_DESC_F_NEXT, 1);
	fake_guest_desc(g, 1, FAKE_DATA + 512, 513, VIRTQ_DESC_F_WRITE, 0);
	fake_guest_offer(g, 0);
	fake_guest_kick(g);
	must(fake_guest_used_idx(g) == 1 && fake_guest_used_len(g, 0) == 513);
	must(*status == VIRTIO_BLK_S_OK);
}

static void machine_init(struct machine *m, bool is_read_only)
{
	const struct virtio_blk_options options = { .id = "fuzz", .queue_count = 2 };
	struct block_backend *backend;

	m->disk_fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(ftruncate(m->disk_fd, DISK_BYTES) == 0);
	must(fcntl(m->disk_fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0);
	must(block_file_open(&backend, dup(m->disk_fd), is_read_only, "fuzz", NULL) == 0);
	must(virtio_blk_new(&m->blk, backend, &options, NULL) == 0);
	fake_guest_init(&m->g);
	fake_guest_attach(&m->g, &virtio_blk_ops, m->blk);
}

static void fill_disk(struct machine *m)
{
	uint8_t canary[DISK_BYTES];

	memset(canary, CANARY, sizeof(canary));
	must(pwrite(m->disk_fd, canary, sizeof(canary), 0) == sizeof(canary));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine machines[2];
	struct program p = { data, size };
	const bool is_read_only = take8(&p) & 1;
	const bool is_started = take8(&p) & 1;
	struct machine *m = &machines[is_read_only];

	if (!m->g.base)
		machine_init(m, is_read_only);
	fill_disk(m);
	m->g.offered = 0;
	if (is_started)
		fake_guest_start(&m->g, FAKE_F_RING | VIRTIO_BLK_F_FLUSH);
	for (int i = 0; i < STEPS_MAX && p.left > 0; i++)
		step(m, &p);
	while (m->is_replacing)
		fake_guest_run(&m->g);
	check_disk(m->disk_fd, is_read_only);
	check_device(&m->g);
	fake_guest_write(&m->g, VIRTIO_MMIO_STATUS, 0);
	madvise(m->g.mem.mapping, m->g.mem.mapping_bytes, MADV_DONTNEED);
	return 0;
}
