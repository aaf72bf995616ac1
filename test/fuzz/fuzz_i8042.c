/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that does anything with the keyboard controller's ports while the VM's owner presses
 * Ctrl-Alt-Del. No byte may wait without an edge that says so, and at the end the keyboard has to
 * work. The input is a list of operations of one to three bytes: see run_op().
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "test/unit/i8042_rig.h"

enum { CTR_INTERRUPT = 0x01 };

struct input {
	const uint8_t *data;
	size_t len;
};

static uint8_t take(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->data++;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void guest_access(struct rig *r, struct input *in, uint8_t op, bool *is_told)
{
	static const uint64_t offsets[] = { 5, 1000, UINT64_C(1) << 32, UINT64_MAX };
	uint8_t where = take(in);
	uint64_t offset = where & 0x80 ? offsets[where % 4] : where % I8042_PORTS;
	uint32_t len = 1u << (op >> 2 & 3);
	uint8_t *data = calloc(1, len); /* exact, so that a byte too far is seen */

	must(data);
	for (uint32_t i = 0; i < len; i++)
		data[i] = op & 1 ? take(in) : 0;
	if (op & 1)
		i8042_bus_ops.write(&r->i8042, offset, data, len);
	else
		i8042_bus_ops.read(&r->i8042, offset, data, len);
	if (!(op & 1) && offset == RIG_DATA)
		*is_told = false;
	free(data);
}

/*
 * Low two bits of an operation: guest read, guest write (bits 2 and 3: width), the owner presses the
 * keys, the guest reads all there is. A byte that is read needs an edge for the next one:
 * @is_told is cleared.
 */
static void run_op(struct rig *r, struct input *in, uint8_t op, bool *is_told)
{
	uint8_t bytes[RIG_OUTPUT_MAX + 1];

	switch (op & 3) {
	case 0:
	case 1:
		guest_access(r, in, op, is_told);
		break;
	case 2:
		i8042_ctrl_alt_del(&r->i8042);
		break;
	default:
		must(rig_drain(r, bytes, sizeof(bytes)) <= RIG_OUTPUT_MAX);
		break;
	}
}

/* A driver that starts over finds everything in order. */
static void check_works(struct rig *r)
{
	static const uint8_t keys[] = { 0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d };
	uint8_t bytes[RIG_OUTPUT_MAX + 1];

	rig_set_ctr(r, RIG_LISTENING | RIG_TRANSLATED);
	rig_out(r, RIG_DATA, 0xff); /* taken by a command that waits for its byte, if one does */
	rig_out(r, RIG_DATA, 0xff);
	rig_drain(r, bytes, sizeof(bytes));
	rig_edges(r);
	must(i8042_ctrl_alt_del(&r->i8042) == 0);
	must(rig_interrupts(r, bytes, sizeof(bytes)) == sizeof(keys));
	for (size_t i = 0; i < sizeof(keys); i++)
		must(bytes[i] == keys[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size < 2000 ? size : 2000 };
	bool is_told = false; /* that there is a byte */
	struct rig r;

	rig_start(&r);
	while (in.len > 0) {
		run_op(&r, &in, take(&in), &is_told);
		is_told |= rig_edges(&r) > 0;
		if (!rig_is_full(&r) || !(r.i8042.ctr & CTR_INTERRUPT))
			is_told = false;
		else
			must(is_told);
	}
	check_works(&r);
	rig_stop(&r);
	return 0;
}
