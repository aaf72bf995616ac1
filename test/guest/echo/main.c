/* SPDX-License-Identifier: Apache-2.0 */
/* Sends back what it receives, upper case, until a full stop comes; exits with status 7. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	(void)start_info;
	put_string("ready\n");
	for (;;) {
		char c = get_char();

		if (c == '.')
			return 7;
		put_char(c >= 'a' && c <= 'z' ? (char)(c - 0x20) : c);
	}
}
