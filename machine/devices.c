/* SPDX-License-Identifier: Apache-2.0 */
/* All devices of one VM: see devices.h. */
#include "machine/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "control/metrics_page.h"
#include "machine/backend/block_file.h"
#include "machine/backend/block_uring.h"
#include "machine/dev/boot_timer.h"
#include "machine/dev/exit_port.h"
#include "machine/dev/i8042.h"
#include "machine/dev/power.h"
#include "machine/dev/pvpanic.h"
#include "machine/dev/serial.h"
#include "machine/iothread.h"
#include "machine/irq.h"
#include "machine/virtio/abi.h"
#include "machine/virtio/blk.h"
#include "machine/virtio/mmio.h"
#include "machine/virtio/transport.h"
#include "machine/x86/layout.h"

enum { DRAIN_LOOK_MS = 100 };

struct drive {
	struct devices *devices; /* borrowed: contains us */
	struct block_backend *backend; /* owned */
	struct virtio_blk *blk; /* owned */
	struct virtio_mmio *transport; /* owned */
	struct irq irq; /* owned */
	devices_done *replaced; /* while the file is being replaced, like the next */
	void *replaced_opaque;
};

struct devices {
	struct devices_site site; /* borrowed */
	struct serial *serial; /* owned */
	struct irq serial_irq; /* owned */
	struct i8042 i8042;
	struct irq i8042_irq; /* owned */
	struct power power;
	struct exit_port exit_port;
	struct pvpanic pvpanic;
	struct boot_timer boot_timer;
	struct iothread *iothreads[WIRE_MAX_IOTHREADS]; /* owned */
	uint32_t nr_iothreads;
	struct drive drives[WIRE_MAX_DRIVES];
	uint32_t nr_drives;
	uint32_t nr_virtio; /* windows and interrupt lines in use */
};

/* The descriptors that came with a configuration. */
struct slots {
	int *fds; /* borrowed */
	size_t nr;
};

/* The descriptor in @slot, which is the caller's from here on; -1 for WIRE_NO_FD. */
static int take_slot(struct slots slots, int32_t slot)
{
	if (slot < 0 || (size_t)slot >= slots.nr)
		return -1;
	return take_fd(&slots.fds[slot]);
}

static int add_ports(struct devices *d, uint64_t start, uint64_t len, const struct bus_ops *ops,
		     void *dev, struct err *e)
{
	int r = bus_add(d->site.ports, start, len, ops, dev);

	return r < 0 ? err_errno(e, r, "cannot place a device at port 0x%" PRIx64, start) : 0;
}

/* Connects line @gsi; *@irq stays the caller's to close. */
static int connect_irq(struct devices *d, struct irq *irq, uint32_t gsi, struct err *e)
{
	irq->gsi = gsi;
	irq->raised = &d->site.metrics->interrupts;
	irq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (irq->fd < 0)
		return err_errno(e, -errno, "cannot make an eventfd");
	return kvm_add_irqfd(d->site.kvm, irq->fd, gsi, e);
}

static int add_power(struct devices *d, struct err *e)
{
	int r = connect_irq(d, &d->i8042_irq, LAYOUT_GSI_I8042, e);

	if (r < 0)
		return r;
	i8042_init(&d->i8042, d->i8042_irq, d->site.end);
	d->i8042.metrics = &d->site.metrics->i8042;
	d->power.end = d->site.end;
	d->exit_port.end = d->site.end;
	d->pvpanic.fn = d->site.on_panic;
	d->pvpanic.opaque = d->site.opaque;
	d->pvpanic.panics = &d->site.metrics->panics;
	r = add_ports(d, LAYOUT_PORT_I8042, I8042_PORTS, &i8042_bus_ops, &d->i8042, e);
	if (r == 0)
		r = add_ports(d, LAYOUT_PORT_ACPI_SLEEP, POWER_SLEEP_PORTS, &power_sleep_bus_ops,
			      &d->power, e);
	if (r == 0)
		r = add_ports(d, LAYOUT_PORT_ACPI_RESET, POWER_RESET_PORTS, &power_reset_bus_ops,
			      &d->power, e);
	if (r == 0)
		r = add_ports(d, LAYOUT_PORT_EXIT, EXIT_PORT_PORTS, &exit_port_bus_ops,
			      &d->exit_port, e);
	if (r == 0)
		r = add_ports(d, LAYOUT_PORT_PVPANIC, PVPANIC_PORTS, &pvpanic_bus_ops, &d->pvpanic,
			      e);
	return r;
}

static int add_boot_timer(struct devices *d, const struct machine_config *config, struct err *e)
{
	int r;

	if (config->boot_timer_start_us == 0)
		return 0;
	d->boot_timer.start_us = config->boot_timer_start_us;
	r = bus_add(d->site.mmio, LAYOUT_BOOT_TIMER, BOOT_TIMER_BYTES, &boot_timer_bus_ops,
		    &d->boot_timer);
	return r < 0 ? err_errno(e, r, "cannot place the boot timer") : 0;
}

static int add_serial(struct devices *d, const struct machine_config *config, struct slots slots,
		      struct err *e)
{
	int out_fd = take_slot(slots, config->console_out_slot);
	int in_fd = take_slot(slots, config->console_in_slot);
	int r;

	/* One socket may serve both ways; the serial port owns a descriptor for each. */
	if (in_fd < 0 && out_fd >= 0 && config->console_in_slot == config->console_out_slot)
		in_fd = fcntl(out_fd, F_DUPFD_CLOEXEC, 0);
	r = connect_irq(d, &d->serial_irq, LAYOUT_GSI_COM1, e);
	if (r < 0) {
		cleanup_fd(&out_fd);
		cleanup_fd(&in_fd);
		return r;
	}
	r = serial_new(&d->serial, d->site.base, d->serial_irq, out_fd, in_fd, e);
	if (r < 0)
		return r;
	serial_set_metrics(d->serial, &d->site.metrics->serial);
	serial_set_limit(d->serial, &config->console_limit);
	return add_ports(d, LAYOUT_PORT_COM1, SERIAL_PORTS, &serial_bus_ops, d->serial, e);
}

/* Places a transport at the next free window and connects its doorbells. */
static int place_virtio(struct devices *d, struct virtio_mmio *transport, struct err *e)
{
	const uint64_t window =
		LAYOUT_VIRTIO_MMIO + (uint64_t)d->nr_virtio * LAYOUT_VIRTIO_MMIO_STRIDE;
	int r = bus_add(d->site.mmio, window, VIRTIO_MMIO_BYTES, &virtio_mmio_bus_ops, transport);

	if (r < 0)
		return err_errno(e, r, "cannot place a device at 0x%" PRIx64, window);
	d->nr_virtio++;
	for (uint32_t i = 0; r == 0 && i < virtio_mmio_queue_count(transport); i++)
		r = kvm_add_ioeventfd(d->site.kvm, virtio_mmio_notify_fd(transport, i),
				      window + VIRTIO_MMIO_QUEUE_NOTIFY, i, e);
	if (r == 0)
		r = kvm_add_ioeventfd(d->site.kvm, virtio_mmio_ack_fd(transport),
				      window + VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_INTERRUPT_USED, e);
	return r;
}

/* Takes @fd, also on failure. */
static int open_backend(struct block_backend **out, const struct drive_config *config, int fd,
			struct err *e)
{
	const uint32_t requests_max = config->queue_count * VIRTQ_SIZE_MAX;
	auto_fd int owned_fd = fd;
	int r = -ENOSYS;

	if (config->engine != BLOCK_ENGINE_SYNC)
		r = block_uring_open(out, fd, config->is_read_only, requests_max,
				     config->engine == BLOCK_ENGINE_AUTO, config->id, e);
	if (config->engine != BLOCK_ENGINE_URING && (r == -ENOSYS || r == -EPERM))
		r = block_file_open(out, fd, config->is_read_only, config->id, e);
	if (r == 0)
		take_fd(&owned_fd);
	return r;
}

static struct event_base *base_of(struct devices *d, const struct drive_config *config)
{
	return config->iothread >= 0 && (uint32_t)config->iothread < d->nr_iothreads
		       ? iothread_base(d->iothreads[config->iothread])
		       : d->site.base;
}

/* The drive's lock is held. */
static void on_drive_fault(void *opaque, enum device_fault fault, const char *why)
{
	const struct drive *drive = opaque;
	const struct devices *d = drive->devices;

	d->site.on_fault(d->site.opaque, (uint32_t)(drive - d->drives), fault, why);
}

static int add_drive(struct devices *d, const struct drive_config *config, int fd, struct err *e)
{
	struct drive *drive = &d->drives[d->nr_drives];
	struct event_base *base = base_of(d, config);
	const struct virtio_blk_options options = {
		.id = config->id,
		.cache = config->cache,
		.queue_count = config->queue_count,
		.limit = config->limit,
		.counters = &d->site.metrics->drives[d->nr_drives],
	};
	int r;

	d->nr_drives++;
	drive->devices = d;
	r = open_backend(&drive->backend, config, fd, e);
	if (r == 0)
		r = virtio_blk_new(&drive->blk, drive->backend, &options, e);
	if (r == 0)
		r = connect_irq(d, &drive->irq, LAYOUT_GSI_VIRTIO + d->nr_virtio, e);
	if (r == 0)
		r = virtio_mmio_new(&drive->transport, &virtio_blk_ops, drive->blk, d->site.mem,
				    drive->irq, base, e);
	if (r < 0)
		return r;
	virtio_device_on_fault(virtio_mmio_device(drive->transport), on_drive_fault, drive);
	return place_virtio(d, drive->transport, e);
}

static int add_iothreads(struct devices *d, const struct machine_config *config, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < config->iothread_count && i < WIRE_MAX_IOTHREADS; i++) {
		r = iothread_new(&d->iothreads[i], config->iothreads[i], e);
		d->nr_iothreads += r == 0;
	}
	return r;
}

/* The order is what the guest sees: the serial port, then drives in configuration order. */
static int attach(struct devices *d, const struct machine_config *config, struct slots slots,
		  struct err *e)
{
	int r = add_serial(d, config, slots, e);

	if (r == 0)
		r = add_power(d, e);
	if (r == 0)
		r = add_boot_timer(d, config, e);
	if (r == 0)
		r = add_iothreads(d, config, e);
	for (uint32_t i = 0; r == 0 && i < config->drive_count; i++)
		r = add_drive(d, &config->drives[i], take_slot(slots, config->drives[i].fd_slot),
			      e);
	return r;
}

int devices_new(struct devices **out, const struct devices_site *site,
		const struct machine_config *config, int *fds, size_t nr_fds, struct err *e)
{
	struct devices *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_errno(e, -ENOMEM, "cannot make devices");
	d->site = *site;
	d->serial_irq.fd = -1;
	d->i8042_irq.fd = -1;
	for (size_t i = 0; i < ARRAY_LEN(d->drives); i++)
		d->drives[i].irq.fd = -1;
	r = attach(d, config, (struct slots){ fds, nr_fds }, e);
	if (r < 0) {
		devices_free(d);
		return r;
	}
	*out = d;
	return 0;
}

uint32_t devices_virtio_count(const struct devices *d)
{
	return d->nr_virtio;
}

uint32_t devices_thread_count(const struct devices *d)
{
	return d->nr_iothreads;
}

int devices_start(struct devices *d, struct guard *guard, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < d->nr_iothreads; i++)
		r = iothread_start(d->iothreads[i], guard, e);
	return r;
}

static void on_replaced(void *opaque, int result, uint64_t capacity_bytes, const struct err *e)
{
	struct drive *drive = opaque;

	(void)capacity_bytes;
	drive->replaced(drive->replaced_opaque, result, result < 0 ? e->msg : "");
}

int devices_replace_drive(struct devices *d, uint32_t drive, int fd, devices_done *done,
			  void *opaque, struct err *e)
{
	auto_fd int owned_fd = fd;
	int r;

	if (drive >= d->nr_drives)
		return err_set(e, -ENODEV, "there is no drive %" PRIu32, drive);
	if (fd < 0)
		return err_set(e, -EBADF, "no file came for drive %" PRIu32, drive);
	d->drives[drive].replaced = done;
	d->drives[drive].replaced_opaque = opaque;
	r = virtio_blk_replace(d->drives[drive].blk, fd, on_replaced, &d->drives[drive]);
	if (r < 0)
		return err_errno(e, r, "cannot replace the file of drive %" PRIu32, drive);
	take_fd(&owned_fd);
	return 0;
}

int devices_limit_drive(struct devices *d, uint32_t drive, const struct rate_limiter_config *limit,
			bool has_bandwidth, bool has_ops, struct err *e)
{
	if (drive >= d->nr_drives)
		return err_set(e, -ENODEV, "there is no drive %" PRIu32, drive);
	virtio_blk_set_limit(d->drives[drive].blk, limit, has_bandwidth, has_ops);
	return 0;
}

int devices_ctrl_alt_del(struct devices *d, struct err *e)
{
	int r = i8042_ctrl_alt_del(&d->i8042);

	return r < 0 ? err_set(e, r, "the guest's keyboard takes no keys") : 0;
}

void devices_release_vcpus(struct devices *d)
{
	for (uint32_t i = 0; i < d->nr_drives; i++)
		virtio_device_abandon(virtio_mmio_device(d->drives[i].transport));
}

void devices_flush(struct devices *d, int timeout_ms)
{
	if (!serial_flush(d->serial, timeout_ms))
		log_warn("the console's reader did not take all of the guest's output");
}

/* What is in flight uses guest memory and the drive until the host is done with it. */
static void drain_drive(struct drive *drive)
{
	struct virtio_device *device = virtio_mmio_device(drive->transport);
	struct pollfd completion = { .fd = drive->backend->completion_fd, .events = POLLIN };

	virtio_device_abandon(device);
	while (!virtio_device_is_idle(device)) {
		poll(&completion, 1, DRAIN_LOOK_MS);
		virtio_device_enter(device);
		block_complete(drive->backend);
		virtio_device_leave(device);
	}
}

/* No thread runs the drive any more. */
static void free_drive(struct drive *drive)
{
	if (drive->transport)
		drain_drive(drive);
	virtio_mmio_free(drive->transport);
	virtio_blk_free(drive->blk);
	block_close(drive->backend);
	cleanup_fd(&drive->irq.fd);
}

void devices_free(struct devices *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->nr_iothreads; i++)
		iothread_stop(d->iothreads[i]);
	for (uint32_t i = 0; i < d->nr_drives; i++)
		free_drive(&d->drives[i]);
	for (uint32_t i = 0; i < d->nr_iothreads; i++)
		iothread_free(d->iothreads[i]);
	serial_free(d->serial);
	cleanup_fd(&d->serial_irq.fd);
	if (d->i8042.end.fn)
		i8042_release(&d->i8042);
	cleanup_fd(&d->i8042_irq.fd);
	free(d);
}
