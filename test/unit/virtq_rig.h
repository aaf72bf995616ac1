/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of virtqueues share: one queue in a fake guest. Include it after cmocka.h. */
#pragma once

#include <stdlib.h>

#include "machine/virtio/queue.h"
#include "test/unit/fake_guest.h"

#define NEXT VIRTQ_DESC_F_NEXT
#define WRITE VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT

enum { SEGMENTS_MAX = 16 };

struct virtq_rig {
	struct fake_guest g;
	struct virtq *q;
};

static inline int virtq_rig_setup(void **state)
{
	struct virtq_rig *f = calloc(1, sizeof(*f));

	fake_guest_init(&f->g);
	if (virtq_new(&f->q, FAKE_QUEUE_SIZE, SEGMENTS_MAX) < 0)
		return -1;
	*state = f;
	return 0;
}

static inline int virtq_rig_teardown(void **state)
{
	struct virtq_rig *f = *state;

	virtq_free(f->q);
	fake_guest_release(&f->g);
	free(f);
	return 0;
}

static inline void virtq_rig_start(struct virtq_rig *f, uint64_t features)
{
	const struct virtq_setup queue = fake_guest_queue();

	fake_guest_clear_rings(&f->g);
	assert_int_equal(virtq_start(f->q, &f->g.mem, &queue, features), 0);
}
