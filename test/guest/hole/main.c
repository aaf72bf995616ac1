/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where there is no RAM: after its end and in the hole below 4 GiB. Writes and reads of every
 * width, also across the edges of the first virtio window; what is read goes to the serial port.
 */
#include "test/guest/lib/guest.h"
#include "test/guest/lib/io.h"
#include "test/guest/lib/print.h"
#include "test/guest/lib/start_info.h"

#define HOLE_START 0xc0000000u
#define VIRTIO_START 0xc0001000u
#define VIRTIO_END 0xc0002000u
#define HOLE_LAST 0xffffff00u

static void put_read(uint64_t address, unsigned int width)
{
	put_hex(address, 8);
	put_char(' ');
	put_decimal(width);
	put_char(' ');
	put_hex(mmio_read(address, width), 2 * width);
	put_char('\n');
}

static void write_and_read(uint64_t address)
{
	for (unsigned int width = 1; width <= 8; width *= 2) {
		mmio_write(address, width, 0);
		put_read(address, width);
	}
}

/* The end of the RAM region that starts at 1 MiB. */
static uint64_t ram_end(const struct start_info *info)
{
	const struct memmap_entry *entry = (const struct memmap_entry *)info->memmap_address;

	while (entry->start != 0x100000)
		entry++;
	return entry->start + entry->len_bytes;
}

int guest_main(uint64_t start_info)
{
	uint64_t end = ram_end((const struct start_info *)start_info);

	write_and_read(end);
	/* Half RAM, half nothing: the RAM half takes the write, and both count for the read. */
	mmio_write(end - 4, 8, 0x1234567811223344);
	put_read(end - 4, 8);
	write_and_read(HOLE_START);
	write_and_read(HOLE_LAST);
	put_read(VIRTIO_START, 4);
	put_read(VIRTIO_START + 4, 4);
	put_read(VIRTIO_START + 8, 4);
	put_read(VIRTIO_START - 4, 8);
	put_read(VIRTIO_END - 4, 8);
	put_string("goes on\n");
	return 0;
}
