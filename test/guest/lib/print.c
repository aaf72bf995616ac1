/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers on the serial port: see print.h. */
#include "test/guest/lib/print.h"

#include "test/guest/lib/guest.h"

void put_hex(uint64_t value, unsigned int digits)
{
	while (digits-- > 0)
		put_char("0123456789abcdef"[value >> (4 * digits) & 0xf]);
}

void put_decimal(uint64_t value)
{
	char digits[21];
	char *at = &digits[sizeof(digits) - 1];

	*at = '\0';
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put_string(at);
}
