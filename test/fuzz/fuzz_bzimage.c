/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImages: the input is the file from the setup header (0x1f1) on, with the magic put in, so that
 * every run gets to the header.
 */
#include "test/fuzz/boot_check.h"

enum { FUZZ_MAX_BYTES = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[KERNEL_SETUP_HEADER_OFFSET + FUZZ_MAX_BYTES];

	if (size < 0x20 || size > FUZZ_MAX_BYTES)
		return 0;
	memcpy(file + KERNEL_SETUP_HEADER_OFFSET, data, size);
	memcpy(file + 0x1fe, "\x55\xaa", 2);
	memcpy(file + 0x202, "HdrS", 4);
	boot_check(file, KERNEL_SETUP_HEADER_OFFSET + size, BOOT_PROTOCOL_AUTO);
	return 0;
}
