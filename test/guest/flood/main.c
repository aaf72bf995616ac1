/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes as many numbered lines of 16 bytes as the number on the command line says, as fast as a
 * driver may: a full FIFO's worth of bytes whenever the transmitter says that it is empty. One byte
 * comes before, so that no buffer whose size is a power of two is ever filled by whole lines.
 */
#include "test/guest/lib/guest.h"
#include "test/guest/lib/start_info.h"

int guest_main(uint64_t start_info)
{
	uint32_t nr_lines = start_info_number((const struct start_info *)start_info);
	char line[] = "line 000000 abc\n";

	outb(GUEST_PORT_COM1 + 2, 0x07); /* FIFOs on and cleared */
	put_char('\n');
	for (uint32_t i = 0; i < nr_lines; i++) {
		while (!(inb(GUEST_PORT_COM1 + 5) & 0x20))
			;
		for (const char *at = line; *at; at++)
			outb(GUEST_PORT_COM1, (uint8_t)*at);
		for (char *digit = &line[10]; ++*digit > '9'; digit--)
			*digit = '0';
	}
	return 0;
}
