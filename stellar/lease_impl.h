/* SPDX-License-Identifier: Apache-2.0 */
/* How the files of leases are called: 32 random digits and a suffix. */
#pragma once

#define LEASE_SUFFIX ".lease"

enum {
	LEASE_NAME_DIGITS = 32,
	LEASE_FILE_NAME_BYTES = LEASE_NAME_DIGITS + sizeof(LEASE_SUFFIX), /* with the NUL */
};
