/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an attack needs of the world around it. Two worlds implement it: the program that the device
 * runs in (host.h: no KVM, under sanitizers) and a real guest (test/guest/hostile-blk). The attacks
 * see no difference, so that a result in one is a claim about the other.
 *
 * Both have PORT_RAM_BYTES of RAM, with the hole below 4 GiB, and a disk of PORT_DISK_SECTORS whose
 * 64-bit word n holds n. The second half of the disk may be written to, the first may not.
 */
#pragma once

#include <stdint.h>

#define PORT_LOW_END UINT64_C(0xc0000000)
#define PORT_HIGH_START UINT64_C(0x100000000)
#define PORT_HIGH_END (PORT_HIGH_START + (16u << 20))
#define PORT_RAM_BYTES (PORT_LOW_END + (16u << 20))
#define PORT_WINDOW UINT64_C(0xc0001000) /* registers of the first device */

#define PORT_DISK_SECTORS 4096u
#define PORT_SCRATCH_SECTOR (PORT_DISK_SECTORS / 2)

/* Everything below this may be in use by the guest that runs the attacks; page 0 is free. */
#define PORT_FREE_RAM UINT64_C(0x1000000)

/*
 * For functions that write to RAM while the device may read there, as no honest driver would: races
 * of the guest's own making are what is tested, and no news from ThreadSanitizer.
 */
#define GUEST_RACES __attribute__((no_sanitize("thread")))

struct port {
	/* Device registers: @width is 1, 2, 4 or 8 bytes, @offset may be unaligned. */
	uint64_t (*read)(struct port *port, uint64_t offset, uint32_t width);
	void (*write)(struct port *port, uint64_t offset, uint32_t width, uint64_t value);

	/* @len bytes at @address, all of which are RAM. */
	void *(*ram)(struct port *port, uint64_t address, uint64_t len);

	/* Gives the device time to work: what loops that wait call. */
	void (*pass)(struct port *port);

	/*
	 * Another CPU calls @step again and again from now on. With NULL it stops, and is past its
	 * last call when this returns.
	 */
	void (*race)(struct port *port, void (*step)(void *arg), void *arg);

	/* After so many passes a device that has not answered will not. */
	uint32_t patience;

	/* How often an attack that needs luck is tried. */
	uint32_t rounds;
};
