/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PS/2 keyboard with three keys: see keyboard.h. Commands and answers are those of the IBM PS/2
 * Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)".
 */
#include "machine/dev/keyboard.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"

enum {
	CMD_SET_LEDS = 0xed, /* takes a byte, as the next three do */
	CMD_SCAN_CODE_SET = 0xf0,
	CMD_SET_RATE = 0xf3,
	CMD_ECHO = 0xee,
	CMD_IDENTIFY = 0xf2,
	CMD_ENABLE = 0xf4,
	CMD_DISABLE = 0xf5,
	CMD_SET_DEFAULTS = 0xf6,
	CMD_RESEND = 0xfe,
	CMD_RESET = 0xff,
};

enum {
	ANSWER_SELF_TEST_PASSED = 0xaa,
	ANSWER_ECHO = 0xee,
	ANSWER_ACK = 0xfa,
	ANSWER_RESEND = 0xfe, /* also: no such command */

	ID_FIRST = 0xab, /* the same in both sets */
	ID_SECOND = 0x83,
	ID_SECOND_TRANSLATED = 0x41,

	ASK_SCAN_CODE_SET = 0,
	SCAN_CODE_SET_2 = 2,
	SCAN_CODE_SET_2_TRANSLATED = 0x41,
};

/* Left Ctrl, left Alt and Delete down, then up in reverse. */
static const uint8_t keys_set_2[] = {
	0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14,
};
static const uint8_t keys_set_1[] = {
	0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d,
};
static_assert(sizeof(keys_set_2) <= KEYBOARD_KEYS_MAX_BYTES, "all or nothing is queued");

static void set_defaults(struct keyboard *kb, bool is_scanning)
{
	kb->is_scanning = is_scanning;
	kb->keys_at = kb->keys_nr = 0;
}

void keyboard_init(struct keyboard *kb)
{
	*kb = (struct keyboard){ .last_sent = ANSWER_SELF_TEST_PASSED };
	set_defaults(kb, true);
}

static void add_answer(struct keyboard *kb, uint8_t byte)
{
	assert(kb->answer_nr < ARRAY_LEN(kb->answer));
	kb->answer[kb->answer_nr++] = byte;
}

static void run_command(struct keyboard *kb, uint8_t command, bool is_translated)
{
	switch (command) {
	case CMD_SET_LEDS:
	case CMD_SCAN_CODE_SET:
	case CMD_SET_RATE:
		kb->parameter_of = command;
		add_answer(kb, ANSWER_ACK);
		break;
	case CMD_ECHO:
		add_answer(kb, ANSWER_ECHO);
		break;
	case CMD_IDENTIFY:
		add_answer(kb, ANSWER_ACK);
		add_answer(kb, ID_FIRST);
		add_answer(kb, is_translated ? ID_SECOND_TRANSLATED : ID_SECOND);
		break;
	case CMD_ENABLE:
		set_defaults(kb, true);
		add_answer(kb, ANSWER_ACK);
		break;
	case CMD_DISABLE:
		set_defaults(kb, false);
		add_answer(kb, ANSWER_ACK);
		break;
	case CMD_SET_DEFAULTS:
		set_defaults(kb, kb->is_scanning);
		add_answer(kb, ANSWER_ACK);
		break;
	case CMD_RESEND:
		add_answer(kb, kb->last_sent);
		break;
	case CMD_RESET:
		set_defaults(kb, true);
		add_answer(kb, ANSWER_ACK);
		add_answer(kb, ANSWER_SELF_TEST_PASSED);
		break;
	default:
		add_answer(kb, ANSWER_RESEND);
		break;
	}
}

/* There are neither LEDs nor a repeat rate: their bytes are taken, whatever they are. */
static void run_parameter(struct keyboard *kb, uint8_t command, uint8_t byte, bool is_translated)
{
	if (command != CMD_SCAN_CODE_SET || byte == SCAN_CODE_SET_2) {
		add_answer(kb, ANSWER_ACK);
	} else if (byte == ASK_SCAN_CODE_SET) {
		add_answer(kb, ANSWER_ACK);
		add_answer(kb, is_translated ? SCAN_CODE_SET_2_TRANSLATED : SCAN_CODE_SET_2);
	} else {
		add_answer(kb, ANSWER_RESEND);
	}
}

void keyboard_write(struct keyboard *kb, uint8_t byte, bool is_translated)
{
	uint8_t command = kb->parameter_of;

	kb->parameter_of = 0;
	kb->answer_at = kb->answer_nr = 0;
	if (command)
		run_parameter(kb, command, byte, is_translated);
	else
		run_command(kb, byte, is_translated);
}

bool keyboard_has_byte(const struct keyboard *kb)
{
	return kb->answer_at < kb->answer_nr || kb->keys_at < kb->keys_nr;
}

uint8_t keyboard_read(struct keyboard *kb)
{
	assert(keyboard_has_byte(kb));
	if (kb->answer_at < kb->answer_nr)
		kb->last_sent = kb->answer[kb->answer_at++];
	else
		kb->last_sent = kb->keys[kb->keys_at++];
	return kb->last_sent;
}

int keyboard_press_ctrl_alt_del(struct keyboard *kb, bool is_translated)
{
	const uint8_t *bytes = is_translated ? keys_set_1 : keys_set_2;
	size_t nr = is_translated ? sizeof(keys_set_1) : sizeof(keys_set_2);

	if (!kb->is_scanning || kb->keys_at < kb->keys_nr)
		return -EBUSY;
	memcpy(kb->keys, bytes, nr);
	kb->keys_at = 0;
	kb->keys_nr = (uint8_t)nr;
	return 0;
}
