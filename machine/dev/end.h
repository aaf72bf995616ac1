/* SPDX-License-Identifier: Apache-2.0 */
/* How a device tells the VM that the guest wants to end. */
#pragma once

#include <stdint.h>

enum guest_end_kind {
	GUEST_END_POWER_OFF,
	GUEST_END_REBOOT,
	GUEST_END_EXIT, /* with a status of the guest's choosing */
};

/*
 * @fn is never NULL. It is called on the vCPU thread that made the request, with no lock of the
 * device held, and returns; the guest runs on until the VM is stopped. So a guest may ask several
 * times, on several vCPUs at once, and for different ends. @status is 0 but for GUEST_END_EXIT.
 */
struct guest_end {
	void (*fn)(void *opaque, enum guest_end_kind kind, uint8_t status);
	void *opaque; /* borrowed: outlives the device */
};
