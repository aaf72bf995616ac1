/* SPDX-License-Identifier: Apache-2.0 */
/* InterruptStatus and InterruptACK: see interrupt_status.h. */
#include "machine/virtio/interrupt_status.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "machine/virtio/abi.h"

int interrupt_status_init(struct interrupt_status *s)
{
	s->ack_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return s->ack_fd < 0 ? -errno : 0;
}

void interrupt_status_release(struct interrupt_status *s)
{
	cleanup_fd(&s->ack_fd);
}

void interrupt_status_set(struct interrupt_status *s, uint32_t bits)
{
	if (bits & VIRTIO_INTERRUPT_CONFIG)
		atomic_store(&s->config, VIRTIO_INTERRUPT_CONFIG);
	if (bits & VIRTIO_INTERRUPT_USED)
		atomic_fetch_add(&s->raised, 1);
}

/* Takes in what came through ack_fd. */
static void collect(struct interrupt_status *s)
{
	eventfd_t count;

	if (eventfd_read(s->ack_fd, &count) == 0)
		atomic_store(&s->acked, atomic_load(&s->seen));
}

static uint32_t bits_at(const struct interrupt_status *s, uint32_t raised)
{
	const uint32_t used = raised != atomic_load(&s->acked) ? VIRTIO_INTERRUPT_USED : 0;

	return atomic_load(&s->config) | used;
}

uint32_t interrupt_status_read(struct interrupt_status *s)
{
	uint32_t raised;

	collect(s);
	raised = atomic_load(&s->raised);
	atomic_store(&s->seen, raised);
	return bits_at(s, raised);
}

uint32_t interrupt_status_peek(struct interrupt_status *s)
{
	collect(s);
	return bits_at(s, atomic_load(&s->raised));
}

void interrupt_status_ack(struct interrupt_status *s, uint32_t bits)
{
	if (bits & VIRTIO_INTERRUPT_CONFIG)
		atomic_store(&s->config, 0);
	if (bits & VIRTIO_INTERRUPT_USED)
		atomic_store(&s->acked, atomic_load(&s->raised));
}

void interrupt_status_load(struct interrupt_status *s, uint32_t bits)
{
	collect(s);
	atomic_store(&s->config, bits & VIRTIO_INTERRUPT_CONFIG);
	atomic_store(&s->seen, 0);
	atomic_store(&s->acked, 0);
	atomic_store(&s->raised, bits & VIRTIO_INTERRUPT_USED ? 1 : 0);
}
