/* SPDX-License-Identifier: Apache-2.0 */
/* A guest without a vCPU: see fake_guest.h. */
#include "test/unit/fake_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/bytes.h"
#include "machine/virtio/mmio.h"
#include "machine/x86/layout.h"

static void must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "fake guest: %s\n", what);
	abort();
}

void fake_guest_init(struct fake_guest *g)
{
	*g = (struct fake_guest){ 0 };
	must(mem_init(&g->mem, FAKE_MEM_BYTES, NULL) == 0, "no memory");
	g->irq.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->base = event_base_new();
	must(g->irq.fd >= 0 && g->base, "no event loop");
}

void fake_guest_attach(struct fake_guest *g, const struct virtio_device_ops *ops, void *dev)
{
	struct err e = { 0 };
	int r = virtio_mmio_new(&g->mmio, ops, dev, &g->mem, g->irq, g->base, &e);

	must(r == 0, e.msg);
	r = bus_add(&g->bus, LAYOUT_VIRTIO_MMIO, VIRTIO_MMIO_BYTES, &virtio_mmio_bus_ops, g->mmio);
	must(r == 0, "bus");
}

void fake_guest_detach(struct fake_guest *g)
{
	virtio_mmio_free(g->mmio);
	g->mmio = NULL;
	g->bus = (struct bus){ 0 };
}

void fake_guest_release(struct fake_guest *g)
{
	virtio_mmio_free(g->mmio);
	event_base_free(g->base);
	close(g->irq.fd);
	mem_release(&g->mem);
}

uint64_t fake_guest_read_len(struct fake_guest *g, uint64_t offset, uint32_t len)
{
	uint64_t value = 0;

	bus_read(&g->bus, LAYOUT_VIRTIO_MMIO + offset, &value, len);
	return value;
}

void fake_guest_write_len(struct fake_guest *g, uint64_t offset, uint64_t value, uint32_t len)
{
	bus_write(&g->bus, LAYOUT_VIRTIO_MMIO + offset, &value, len);
}

uint32_t fake_guest_read(struct fake_guest *g, uint64_t reg)
{
	return (uint32_t)fake_guest_read_len(g, reg, 4);
}

void fake_guest_write(struct fake_guest *g, uint64_t reg, uint32_t value)
{
	fake_guest_write_len(g, reg, value, 4);
}

uint32_t fake_guest_negotiate(struct fake_guest *g, uint64_t features)
{
	const uint32_t driver = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	fake_guest_write(g, VIRTIO_MMIO_STATUS, 0);
	fake_guest_write(g, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
	fake_guest_write(g, VIRTIO_MMIO_STATUS, driver);
	for (uint32_t word = 0; word < 2; word++) {
		fake_guest_write(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		fake_guest_write(g, VIRTIO_MMIO_DRIVER_FEATURES,
				 (uint32_t)(features >> (32 * word)));
	}
	fake_guest_write(g, VIRTIO_MMIO_STATUS, driver | VIRTIO_STATUS_FEATURES_OK);
	return fake_guest_read(g, VIRTIO_MMIO_STATUS);
}

static void write_gpa(struct fake_guest *g, uint64_t low_reg, struct gpa gpa)
{
	fake_guest_write(g, low_reg, (uint32_t)gpa.v);
	fake_guest_write(g, low_reg + 4, (uint32_t)(gpa.v >> 32));
}

void fake_guest_set_queue(struct fake_guest *g, uint32_t n, const struct virtq_setup *setup)
{
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_SEL, n);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_NUM, setup->size);
	write_gpa(g, VIRTIO_MMIO_QUEUE_DESC_LOW, setup->desc);
	write_gpa(g, VIRTIO_MMIO_QUEUE_DRIVER_LOW, setup->driver);
	write_gpa(g, VIRTIO_MMIO_QUEUE_DEVICE_LOW, setup->device);
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_READY, setup->is_ready);
}

struct virtq_setup fake_guest_queue(void)
{
	return (struct virtq_setup){
		.size = FAKE_QUEUE_SIZE,
		.is_ready = true,
		.desc = { FAKE_DESC },
		.driver = { FAKE_AVAIL },
		.device = { FAKE_USED },
	};
}

void fake_guest_clear_rings(struct fake_guest *g)
{
	memset(fake_guest_ram(g, FAKE_DESC, FAKE_DATA - FAKE_DESC), 0, FAKE_DATA - FAKE_DESC);
	g->offered = 0;
}

uint32_t fake_guest_start(struct fake_guest *g, uint64_t features)
{
	const struct virtq_setup setup = fake_guest_queue();
	uint32_t status = fake_guest_negotiate(g, features);

	fake_guest_clear_rings(g);
	fake_guest_set_queue(g, 0, &setup);
	fake_guest_write(g, VIRTIO_MMIO_STATUS, status | VIRTIO_STATUS_DRIVER_OK);
	return fake_guest_read(g, VIRTIO_MMIO_STATUS);
}

static void put_desc(struct fake_guest *g, uint64_t table, uint32_t at, struct virtq_desc d)
{
	memcpy(fake_guest_ram(g, table + at * sizeof(d), sizeof(d)), &d, sizeof(d));
}

void fake_guest_desc(struct fake_guest *g, uint32_t at, uint64_t addr, uint32_t len, uint32_t flags,
		     uint32_t next)
{
	put_desc(g, FAKE_DESC, at,
		 (struct virtq_desc){ le64_put(addr), le32_put(len), le16_put((uint16_t)flags),
				      le16_put((uint16_t)next) });
}

void fake_guest_table_desc(struct fake_guest *g, uint32_t at, uint64_t addr, uint32_t len,
			   uint32_t flags, uint32_t next)
{
	put_desc(g, FAKE_TABLE, at,
		 (struct virtq_desc){ le64_put(addr), le32_put(len), le16_put((uint16_t)flags),
				      le16_put((uint16_t)next) });
}

static le16 *ram16(const struct fake_guest *g, uint64_t addr)
{
	return fake_guest_ram(g, addr, sizeof(le16));
}

void fake_guest_offer(struct fake_guest *g, uint32_t head)
{
	const uint64_t ring = FAKE_AVAIL + offsetof(struct virtq_avail, ring);

	*ram16(g, ring + sizeof(le16) * (g->offered % FAKE_QUEUE_SIZE)) = le16_put((uint16_t)head);
	g->offered++;
	__atomic_store_n(&ram16(g, FAKE_AVAIL + offsetof(struct virtq_avail, idx))->raw,
			 le16_put(g->offered).raw, __ATOMIC_SEQ_CST);
}

void fake_guest_kick(struct fake_guest *g)
{
	fake_guest_write(g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	fake_guest_run(g);
}

void fake_guest_run(struct fake_guest *g)
{
	event_base_loop(g->base, EVLOOP_NONBLOCK);
}

uint16_t fake_guest_used_idx(const struct fake_guest *g)
{
	const le16 *idx = ram16(g, FAKE_USED + offsetof(struct virtq_used, idx));

	return le16_get((le16){ __atomic_load_n(&idx->raw, __ATOMIC_SEQ_CST) });
}

static const struct virtq_used_elem *used_elem(const struct fake_guest *g, uint16_t at)
{
	const uint64_t addr = FAKE_USED + offsetof(struct virtq_used, ring) +
			      sizeof(struct virtq_used_elem) * (at % FAKE_QUEUE_SIZE);

	return fake_guest_ram(g, addr, sizeof(struct virtq_used_elem));
}

uint32_t fake_guest_used_id(const struct fake_guest *g, uint16_t at)
{
	return le32_get(used_elem(g, at)->id);
}

uint32_t fake_guest_used_len(const struct fake_guest *g, uint16_t at)
{
	return le32_get(used_elem(g, at)->len);
}

void fake_guest_set_used_event(struct fake_guest *g, uint16_t event)
{
	le16 *p = ram16(g, FAKE_AVAIL + VIRTQ_AVAIL_BYTES(FAKE_QUEUE_SIZE) - sizeof(le16));

	__atomic_store_n(&p->raw, le16_put(event).raw, __ATOMIC_SEQ_CST);
}

uint16_t fake_guest_avail_event(const struct fake_guest *g)
{
	const le16 *p = ram16(g, FAKE_USED + VIRTQ_USED_BYTES(FAKE_QUEUE_SIZE) - sizeof(le16));

	return le16_get((le16){ __atomic_load_n(&p->raw, __ATOMIC_SEQ_CST) });
}

uint64_t fake_guest_interrupts(struct fake_guest *g)
{
	uint64_t edges = 0;

	return read(g->irq.fd, &edges, sizeof(edges)) == sizeof(edges) ? edges : 0;
}

void *fake_guest_ram(const struct fake_guest *g, uint64_t addr, uint64_t len)
{
	void *p = mem_ptr(&g->mem, (struct gpa){ addr }, len);

	must(p, "a test used an address outside RAM");
	return p;
}
