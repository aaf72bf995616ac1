/* SPDX-License-Identifier: Apache-2.0 */
/* virtio over MMIO: see mmio.h. */
#include "machine/virtio/mmio.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/virtio/abi.h"
#include "machine/virtio/transport.h"

#define VENDOR_ID 0x544c4f56u /* "VOLT" */

enum { MMIO_STATE_VERSION = 1 };

/*
 * Selectors are atomic and otherwise free: a vCPU that moves one under another vCPU's feet picks a
 * different word or queue, and each use loads the selector once and checks it.
 */
struct virtio_mmio {
	struct virtio_device *device; /* owned */
	_Atomic uint32_t device_features_sel;
	_Atomic uint32_t driver_features_sel;
	_Atomic uint32_t queue_sel;
};

int virtio_mmio_new(struct virtio_mmio **out, const struct virtio_device_ops *ops, void *dev,
		    const struct mem *mem, struct irq irq, struct event_base *base, struct err *e)
{
	struct virtio_mmio *mmio = calloc(1, sizeof(*mmio));
	int r;

	if (!mmio)
		return err_set(e, -ENOMEM, "no memory for a virtio-mmio device");
	r = virtio_device_new(&mmio->device, ops, dev, mem, irq, base, e);
	if (r < 0) {
		free(mmio);
		return r;
	}
	*out = mmio;
	return 0;
}

void virtio_mmio_free(struct virtio_mmio *mmio)
{
	if (!mmio)
		return;
	virtio_device_free(mmio->device);
	free(mmio);
}

struct virtio_device *virtio_mmio_device(const struct virtio_mmio *mmio)
{
	return mmio->device;
}

/* A selector may have any value: each use checks it. */
static void selector_state(_Atomic uint32_t *selector, struct state *s)
{
	uint32_t value = atomic_load(selector);

	state_u32(s, &value);
	atomic_store(selector, value);
}

void virtio_mmio_state(struct virtio_mmio *mmio, struct state *s)
{
	struct state_section section;

	state_section_begin(s, &section, "virtio-mmio", MMIO_STATE_VERSION);
	selector_state(&mmio->device_features_sel, s);
	selector_state(&mmio->driver_features_sel, s);
	selector_state(&mmio->queue_sel, s);
	virtio_device_state(mmio->device, s);
	state_section_end(s, &section);
}

uint32_t virtio_mmio_queue_count(const struct virtio_mmio *mmio)
{
	return virtio_device_queue_count(mmio->device);
}

int virtio_mmio_notify_fd(const struct virtio_mmio *mmio, uint32_t n)
{
	return virtio_device_notify_fd(mmio->device, n);
}

int virtio_mmio_ack_fd(const struct virtio_mmio *mmio)
{
	return virtio_device_ack_fd(mmio->device);
}

static uint32_t register_read(struct virtio_mmio *mmio, uint64_t offset)
{
	switch (offset) {
	case VIRTIO_MMIO_MAGIC:
		return VIRTIO_MMIO_MAGIC_VALUE;
	case VIRTIO_MMIO_VERSION:
		return VIRTIO_MMIO_VERSION_VALUE;
	case VIRTIO_MMIO_DEVICE_ID:
		return virtio_device_id(mmio->device);
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR_ID;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_device_features(mmio->device, mmio->device_features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return virtio_device_queue_size_max(mmio->device, mmio->queue_sel);
	case VIRTIO_MMIO_QUEUE_READY:
		return virtio_device_queue_is_ready(mmio->device, mmio->queue_sel);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return virtio_device_interrupts(mmio->device);
	case VIRTIO_MMIO_STATUS:
		return virtio_device_status(mmio->device);
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* no shared memory region */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return virtio_device_config_generation(mmio->device);
	default:
		return 0;
	}
}

static void queue_write(struct virtio_mmio *mmio, enum virtio_queue_field field, uint32_t value)
{
	virtio_device_set_queue(mmio->device, mmio->queue_sel, field, value);
}

static void register_write(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_device_accept_features(mmio->device, mmio->driver_features_sel, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
		queue_write(mmio, VIRTIO_QUEUE_SIZE, value);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		queue_write(mmio, VIRTIO_QUEUE_READY, value);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_device_notify(mmio->device, value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		virtio_device_ack_interrupts(mmio->device, value);
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_device_set_status(mmio->device, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		queue_write(mmio, VIRTIO_QUEUE_DESC_LOW, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		queue_write(mmio, VIRTIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_DRIVER_LOW:
		queue_write(mmio, VIRTIO_QUEUE_DRIVER_LOW, value);
		break;
	case VIRTIO_MMIO_QUEUE_DRIVER_HIGH:
		queue_write(mmio, VIRTIO_QUEUE_DRIVER_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_DEVICE_LOW:
		queue_write(mmio, VIRTIO_QUEUE_DEVICE_LOW, value);
		break;
	case VIRTIO_MMIO_QUEUE_DEVICE_HIGH:
		queue_write(mmio, VIRTIO_QUEUE_DEVICE_HIGH, value);
		break;
	default:
		break;
	}
}

static bool is_register_access(uint64_t offset, uint32_t len)
{
	return len == sizeof(le32) && offset % sizeof(le32) == 0;
}

static void mmio_read(void *dev, uint64_t offset, void *data, uint32_t len)
{
	struct virtio_mmio *mmio = dev;
	le32 value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		virtio_device_config_read(mmio->device, offset - VIRTIO_MMIO_CONFIG, data, len);
		return;
	}
	memset(data, 0, len);
	if (!is_register_access(offset, len))
		return;
	value = le32_put(register_read(mmio, offset));
	memcpy(data, &value, sizeof(value));
}

static void mmio_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	struct virtio_mmio *mmio = dev;
	le32 value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		virtio_device_config_write(mmio->device, offset - VIRTIO_MMIO_CONFIG, data, len);
		return;
	}
	if (!is_register_access(offset, len))
		return;
	memcpy(&value, data, sizeof(value));
	register_write(mmio, offset, le32_get(value));
}

const struct bus_ops virtio_mmio_bus_ops = {
	.read = mmio_read,
	.write = mmio_write,
};
