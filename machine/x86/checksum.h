/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of ACPI and MP tables: all bytes of a table sum up to zero. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The value for the checksum field of the @len bytes at @data, in which that field is zero. */
static inline uint8_t checksum_make(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}
