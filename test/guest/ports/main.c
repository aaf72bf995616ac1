/* SPDX-License-Identifier: Apache-2.0 */
/* Port accesses of every width, single and repeated, to ports of nobody and to the serial port. */
#include "test/guest/lib/guest.h"
#include "test/guest/lib/io.h"
#include "test/guest/lib/print.h"

#define PORT_NOBODY 0xd00
#define PORT_MODEM_STATUS (GUEST_PORT_COM1 + 6)
#define PORT_SCRATCH (GUEST_PORT_COM1 + 7)

static void put_result(const char *what, uint64_t value, unsigned int digits)
{
	put_string(what);
	put_char(' ');
	put_hex(value, digits);
	put_char('\n');
}

static void single_accesses(void)
{
	outb(PORT_NOBODY, 0x12);
	outw(PORT_NOBODY, 0x1234);
	outl(PORT_NOBODY, 0x12345678);
	put_result("nobody 1", inb(PORT_NOBODY), 2);
	put_result("nobody 2", inw(PORT_NOBODY), 4);
	put_result("nobody 4", inl(PORT_NOBODY), 8);
	put_result("last 1", inb(0xffff), 2);

	outb(PORT_SCRATCH, 0x5a);
	put_result("scratch", inb(PORT_SCRATCH), 2);
	/* Wide accesses to a device of bytes are accesses to consecutive ports. */
	put_result("wide", inw(PORT_MODEM_STATUS) >> 8, 2);
	outw(PORT_MODEM_STATUS, 0xa500);
	put_result("wide written", inb(PORT_SCRATCH), 2);
	/* Half in the device, half outside: nobody's. */
	put_result("across the end", inw(PORT_SCRATCH), 4);
}

/* The buffer's first and last bytes must stay: nothing may be stored outside what was asked for. */
static void repeated_reads(void)
{
	uint64_t words[4] = { 0 };

	insb(PORT_NOBODY, (char *)words + 1, 6);
	insw(PORT_NOBODY, (char *)words + 10, 2);
	insl(PORT_NOBODY, (char *)words + 20, 2);
	for (int i = 0; i < 4; i++)
		put_result("repeated", words[i], 16);
	outb(PORT_SCRATCH, 0x77);
	insb(PORT_SCRATCH, words, 8);
	put_result("repeated scratch", words[0], 16);
	insb(PORT_NOBODY, words, 0);
	put_result("repeated not at all", words[0], 16);
}

int guest_main(uint64_t start_info)
{
	static const char text[] = "one instruction wrote this line\n";

	(void)start_info;
	single_accesses();
	repeated_reads();
	outsb(GUEST_PORT_COM1, text, sizeof(text) - 1);
	return 0;
}
