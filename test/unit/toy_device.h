/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simplest virtio device, in a fake guest: it finishes every chain at once, or holds them until
 * it is told otherwise, as a device with an asynchronous backend does.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "test/unit/fake_guest.h"

#define F_TOY (UINT64_C(1) << 3)

enum { ACK = 1, DRIVER = 3, FEATURES_OK = 11, DRIVER_OK = 15, NEEDS_RESET = 64, FAILED = 128 };
enum { TOY_HELD_MAX = 64, TOY_NOTE_MAX = 1000 };

extern const struct virtio_device_ops toy_ops;

struct toy {
	struct fake_guest g;
	uint8_t config[12]; /* 0x10, 0x11, ... */
	struct virtio_device *device;
	int done_fd; /* owned eventfd: written to, the device's thread finishes what is held */
	uint32_t note; /* saved and loaded; up to TOY_NOTE_MAX */
	uint64_t features;
	uint32_t activations;
	uint32_t resets;
	_Atomic uint32_t handled;
	bool is_holding;
	struct virtq_chain *held[TOY_HELD_MAX];
	_Atomic uint32_t nr_held;
	_Atomic uint32_t log_lines; /* each names the toy */
};

/* For cmocka: a toy attached, not started. */
int toy_setup(void **state);
int toy_teardown(void **state);

uint32_t toy_status(struct toy *t);

/* Finishes what is held. Thread: any. */
void toy_finish_held(struct toy *t);

/* The same on the device's thread, as a backend's completion event does. */
void toy_signal_done(struct toy *t);

/* Sets each byte of the configuration space to @value and tells the guest. */
void toy_change_config(struct toy *t, uint8_t value);

/* Throws the device away and attaches a fresh one to the same guest. */
void toy_renew(struct toy *t);
