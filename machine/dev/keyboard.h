/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyboard behind the i8042: a PS/2 keyboard with three keys, for Ctrl-Alt-Del. It has no lock
 * and no interrupt: i8042.c, whose device it is, has them.
 *
 * It sends one byte at a time, when it is asked for it. Its answer to a command goes before keys
 * that wait, and is at most three bytes; a driver that goes on with another command has no use for
 * the rest of the answer to the last one. So nothing can overflow, whatever the guest does.
 *
 * Traps: the keyboard speaks scan code set 2 only, and it is the controller that translates to set
 * 1, if the guest has it do so. What there is to translate is so little that it is looked up here,
 * in the moment the byte is queued; hence @is_translated below.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	KEYBOARD_ANSWER_MAX_BYTES = 3,
	KEYBOARD_KEYS_MAX_BYTES = 16, /* as a real one's */
};

struct keyboard {
	uint8_t parameter_of; /* command that waits for its second byte, or 0 */
	uint8_t last_sent;
	bool is_scanning; /* sends keys that are pressed */
	uint8_t answer_at; /* the next byte to send */
	uint8_t answer_nr;
	uint8_t keys_at;
	uint8_t keys_nr;
	uint8_t answer[KEYBOARD_ANSWER_MAX_BYTES];
	uint8_t keys[KEYBOARD_KEYS_MAX_BYTES];
};

/* As after power-on: ready, with nothing to send. */
void keyboard_init(struct keyboard *kb);

/* A byte arrives from the guest. */
void keyboard_write(struct keyboard *kb, uint8_t byte, bool is_translated);

bool keyboard_has_byte(const struct keyboard *kb);

/* Takes the next byte. There has to be one. */
uint8_t keyboard_read(struct keyboard *kb);

/*
 * Presses Ctrl, Alt and Delete, and lets go of them. 0; -EBUSY, and nothing is pressed, when the
 * guest has the keyboard off, or has not read the keys pressed last.
 */
int keyboard_press_ctrl_alt_del(struct keyboard *kb, bool is_translated);
