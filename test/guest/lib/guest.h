/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What test guests are written with: 64-bit code at privilege level 0, interrupts off, the first
 * 4 GiB mapped one to one, 16 KiB of stack, no library. A guest is one file with a guest_main(),
 * whose result becomes the exit status of the monitor.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "test/guest/lib/ports.h"

int guest_main(uint64_t start_info);

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void halt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}

static inline void put_char(char c)
{
	while (!(inb(GUEST_PORT_COM1 + 5) & 0x20))
		;
	outb(GUEST_PORT_COM1, (uint8_t)c);
}

static inline void put_string(const char *s)
{
	for (; *s; s++)
		put_char(*s);
}

static inline char get_char(void)
{
	while (!(inb(GUEST_PORT_COM1 + 5) & 0x01))
		;
	return (char)inb(GUEST_PORT_COM1);
}
