/* SPDX-License-Identifier: Apache-2.0 */
/* The keyboard controller: ports, commands, interrupt. See i8042.h. */
#include "machine/dev/i8042.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"

/* Offsets in the range. */
enum {
	PORT_DATA = 0, /* 0x60 */
	PORT_SYSTEM_B = 1, /* 0x61 */
	PORT_COMMAND = 4, /* 0x64; reads as the status */
};

enum {
	STATUS_OUTPUT_FULL = 0x01,
	STATUS_SYSTEM = 0x04, /* self-test passed */
	STATUS_UNLOCKED = 0x10,
	STATUS_TIMEOUT = 0x40,
};

enum {
	CMD_READ_CTR = 0x20,
	CMD_WRITE_CTR = 0x60,
	CMD_DISABLE_AUX = 0xa7,
	CMD_ENABLE_AUX = 0xa8,
	CMD_TEST_AUX = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_TEST_KEYBOARD = 0xab,
	CMD_DISABLE_KEYBOARD = 0xad,
	CMD_ENABLE_KEYBOARD = 0xae,
	CMD_READ_INPUT_PORT = 0xc0,
	CMD_READ_OUTPUT_PORT = 0xd0,
	CMD_WRITE_OUTPUT_PORT = 0xd1,
	CMD_LOOP_KEYBOARD = 0xd2,
	CMD_LOOP_AUX = 0xd3,
	CMD_SEND_AUX = 0xd4,
	CMD_PULSE = 0xf0, /* pulses low the output port's lines whose low command bit is 0 */
	CMD_PULSE_MASK = 0xf0,
};

enum {
	CTR_KEYBOARD_INTERRUPT = 0x01,
	CTR_SYSTEM = 0x04,
	CTR_KEYBOARD_DISABLED = 0x10,
	CTR_AUX_DISABLED = 0x20,
	CTR_TRANSLATE = 0x40, /* scan codes of set 2 to those of set 1 */
	CTR_DEFAULT = CTR_SYSTEM | CTR_KEYBOARD_DISABLED | CTR_AUX_DISABLED | CTR_TRANSLATE,

	INPUT_UNLOCKED = 0x80,
	OUTPUT_NO_RESET = 0x01, /* the CPU's reset line, active low */
	OUTPUT_A20 = 0x02,
	SELF_TEST_PASSED = 0x55,
	TEST_GOOD = 0x00,
	TEST_CLOCK_STUCK_LOW = 0x01, /* how a missing auxiliary device looks */
	NOBODY_ANSWERED = 0xfe,
	SYSTEM_B_TIMER_HIGH = 0x20,
};

void i8042_init(struct i8042 *k, struct irq irq, struct guest_end end)
{
	*k = (struct i8042){
		.end = end,
		.irq = irq,
		.ctr = CTR_DEFAULT,
		.output_port = OUTPUT_NO_RESET | OUTPUT_A20,
	};
	keyboard_init(&k->keyboard);
	pthread_mutex_init(&k->lock, NULL);
}

void i8042_release(struct i8042 *k)
{
	pthread_mutex_destroy(&k->lock);
}

static bool keyboard_sends_locked(const struct i8042 *k)
{
	return !(k->ctr & CTR_KEYBOARD_DISABLED) && keyboard_has_byte(&k->keyboard);
}

static bool is_translating_locked(const struct i8042 *k)
{
	return k->ctr & CTR_TRANSLATE;
}

/* After anything that may have changed the level. */
static void update_line_locked(struct i8042 *k)
{
	bool was_high = k->line_is_high;
	bool is_full = k->reply_status || keyboard_sends_locked(k);

	k->line_is_high = is_full && (k->ctr & CTR_KEYBOARD_INTERRUPT);
	if (k->line_is_high && !was_high)
		irq_raise(&k->irq);
}

static void reply_locked(struct i8042 *k, uint8_t byte, uint8_t extra_status)
{
	k->reply = byte;
	k->reply_status = STATUS_OUTPUT_FULL | extra_status;
}

/* True when the CPU's reset line goes low. */
static bool write_command_locked(struct i8042 *k, uint8_t command)
{
	k->parameter_of = 0;
	if ((command & CMD_PULSE_MASK) == CMD_PULSE)
		return !(command & OUTPUT_NO_RESET);
	switch (command) {
	case CMD_READ_CTR:
		reply_locked(k, k->ctr, 0);
		break;
	case CMD_SELF_TEST:
		reply_locked(k, SELF_TEST_PASSED, 0);
		break;
	case CMD_TEST_AUX:
		reply_locked(k, TEST_CLOCK_STUCK_LOW, 0);
		break;
	case CMD_TEST_KEYBOARD:
		reply_locked(k, TEST_GOOD, 0);
		break;
	case CMD_DISABLE_AUX:
		k->ctr |= CTR_AUX_DISABLED;
		break;
	case CMD_ENABLE_AUX:
		k->ctr &= (uint8_t)~CTR_AUX_DISABLED;
		break;
	case CMD_DISABLE_KEYBOARD:
		k->ctr |= CTR_KEYBOARD_DISABLED;
		break;
	case CMD_ENABLE_KEYBOARD:
		k->ctr &= (uint8_t)~CTR_KEYBOARD_DISABLED;
		break;
	case CMD_READ_INPUT_PORT:
		reply_locked(k, INPUT_UNLOCKED, 0);
		break;
	case CMD_READ_OUTPUT_PORT:
		reply_locked(k, k->output_port, 0);
		break;
	case CMD_WRITE_CTR:
	case CMD_WRITE_OUTPUT_PORT:
	case CMD_LOOP_KEYBOARD:
	case CMD_LOOP_AUX:
	case CMD_SEND_AUX:
		k->parameter_of = command;
		break;
	default:
		break;
	}
	return false;
}

/* As above. */
static bool write_data_locked(struct i8042 *k, uint8_t byte)
{
	uint8_t command = k->parameter_of;

	k->parameter_of = 0;
	switch (command) {
	case CMD_WRITE_CTR:
		k->ctr = byte;
		return false;
	case CMD_WRITE_OUTPUT_PORT:
		k->output_port = byte;
		return !(byte & OUTPUT_NO_RESET);
	case CMD_LOOP_KEYBOARD:
		reply_locked(k, byte, 0);
		return false;
	case CMD_LOOP_AUX:
	case CMD_SEND_AUX:
		reply_locked(k, NOBODY_ANSWERED, STATUS_TIMEOUT);
		return false;
	default:
		k->ctr &= (uint8_t)~CTR_KEYBOARD_DISABLED;
		keyboard_write(&k->keyboard, byte, is_translating_locked(k));
		return false;
	}
}

static uint8_t read_data_locked(struct i8042 *k)
{
	if (k->reply_status)
		k->output = k->reply;
	else if (keyboard_sends_locked(k))
		k->output = keyboard_read(&k->keyboard);
	k->reply_status = 0;
	k->line_is_high = false; /* for a moment: if there is more, it rises again */
	update_line_locked(k);
	return k->output;
}

static uint8_t read_status_locked(const struct i8042 *k)
{
	/* Never "input buffer full": commands are done when the write returns. */
	uint8_t status = STATUS_SYSTEM | STATUS_UNLOCKED | k->reply_status;

	return keyboard_sends_locked(k) ? status | STATUS_OUTPUT_FULL : status;
}

static uint8_t read_port_locked(struct i8042 *k, uint64_t port)
{
	switch (port) {
	case PORT_DATA:
		return read_data_locked(k);
	case PORT_SYSTEM_B:
		return SYSTEM_B_TIMER_HIGH;
	case PORT_COMMAND:
		return read_status_locked(k);
	default:
		return 0xff;
	}
}

/* @len bytes at @offset were accessed. */
static void count_locked(const struct i8042 *k, uint64_t offset, uint32_t len, bool is_write)
{
	struct i8042_metrics *m = k->metrics;
	const uint64_t done = min_u64(len, I8042_PORTS - offset);

	if (!m)
		return;
	metric_add(is_write ? &m->writes : &m->reads, done);
	metric_add(is_write ? &m->missed_writes : &m->missed_reads, len - done);
}

static void i8042_read(void *dev, uint64_t offset, void *data, uint32_t len)
{
	struct i8042 *k = dev;
	uint8_t *bytes = data;

	memset(data, 0xff, len);
	pthread_mutex_lock(&k->lock);
	count_locked(k, offset, len, false);
	for (uint32_t i = 0; i < len && offset < I8042_PORTS; i++, offset++)
		bytes[i] = read_port_locked(k, offset);
	pthread_mutex_unlock(&k->lock);
}

static void i8042_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	struct i8042 *k = dev;
	const uint8_t *bytes = data;
	bool resets = false;

	pthread_mutex_lock(&k->lock);
	count_locked(k, offset, len, true);
	for (uint32_t i = 0; i < len && offset < I8042_PORTS; i++, offset++) {
		if (offset == PORT_DATA)
			resets |= write_data_locked(k, bytes[i]);
		else if (offset == PORT_COMMAND)
			resets |= write_command_locked(k, bytes[i]);
		update_line_locked(k);
	}
	if (resets && k->metrics)
		metric_add(&k->metrics->resets, 1);
	pthread_mutex_unlock(&k->lock);
	if (resets)
		k->end.fn(k->end.opaque, GUEST_END_REBOOT, 0);
}

const struct bus_ops i8042_bus_ops = { .read = i8042_read, .write = i8042_write };

int i8042_ctrl_alt_del(struct i8042 *k)
{
	int r = -EBUSY;

	pthread_mutex_lock(&k->lock);
	if (!(k->ctr & CTR_KEYBOARD_DISABLED) && (k->ctr & CTR_KEYBOARD_INTERRUPT))
		r = keyboard_press_ctrl_alt_del(&k->keyboard, is_translating_locked(k));
	update_line_locked(k);
	pthread_mutex_unlock(&k->lock);
	return r;
}
