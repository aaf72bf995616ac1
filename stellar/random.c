/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the kernel. */
#include "stellar/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

int random_fill(void *buf, size_t len, struct err *e)
{
	uint8_t *at = buf;

	while (len > 0) {
		const ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, -errno, "cannot get random bytes");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}
