/* SPDX-License-Identifier: Apache-2.0 */
/* Says one line on the serial port and exits with status 42. */
#include "test/guest/lib/guest.h"

int guest_main(uint64_t start_info)
{
	(void)start_info;
	put_string("hello from the guest\n");
	return 42;
}
