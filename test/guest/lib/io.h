/* SPDX-License-Identifier: Apache-2.0 */
/* Port and memory-mapped accesses of every width, one instruction each; bytes are in guest.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void outsb(uint16_t port, const void *bytes, size_t nr)
{
	__asm__ volatile("rep outsb" : "+S"(bytes), "+c"(nr) : "d"(port) : "memory");
}

static inline void insb(uint16_t port, void *bytes, size_t nr)
{
	__asm__ volatile("rep insb" : "+D"(bytes), "+c"(nr) : "d"(port) : "memory");
}

static inline void insw(uint16_t port, void *words, size_t nr)
{
	__asm__ volatile("rep insw" : "+D"(words), "+c"(nr) : "d"(port) : "memory");
}

static inline void insl(uint16_t port, void *words, size_t nr)
{
	__asm__ volatile("rep insl" : "+D"(words), "+c"(nr) : "d"(port) : "memory");
}

/* Reads @width (1, 2, 4 or 8) bytes at @address. */
static inline uint64_t mmio_read(uint64_t address, unsigned int width)
{
	uint64_t value = 0;

	switch (width) {
	case 1:
		__asm__ volatile("movb (%1), %b0" : "+q"(value) : "r"(address) : "memory");
		break;
	case 2:
		__asm__ volatile("movw (%1), %w0" : "+r"(value) : "r"(address) : "memory");
		break;
	case 4:
		__asm__ volatile("movl (%1), %k0" : "+r"(value) : "r"(address) : "memory");
		break;
	default:
		__asm__ volatile("movq (%1), %0" : "+r"(value) : "r"(address) : "memory");
		break;
	}
	return value;
}

/* Writes the low @width (1, 2, 4 or 8) bytes of @value to @address. */
static inline void mmio_write(uint64_t address, unsigned int width, uint64_t value)
{
	switch (width) {
	case 1:
		__asm__ volatile("movb %b0, (%1)" : : "q"(value), "r"(address) : "memory");
		break;
	case 2:
		__asm__ volatile("movw %w0, (%1)" : : "r"(value), "r"(address) : "memory");
		break;
	case 4:
		__asm__ volatile("movl %k0, (%1)" : : "r"(value), "r"(address) : "memory");
		break;
	default:
		__asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(address) : "memory");
		break;
	}
}
