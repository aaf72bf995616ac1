/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed kernels: the input is unpacked as it is, and loaded as a kernel, by itself and as the
 * payload of a bzImage.
 */
#include "machine/boot/decompress.h"
#include "test/fuzz/boot_check.h"
#include "test/unit/boot_image.h"

enum { FUZZ_MAX_BYTES = BZ_TEST_CODE_BYTES - 0x400, FUZZ_MAX_UNPACKED = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_payload(const uint8_t *data, size_t size)
{
	static struct bz_test bz;

	bz_test_build(&bz);
	bz.header.payload_offset = 0x400;
	bz.header.payload_length = (uint32_t)size;
	bz.header.init_size = UINT32_C(64) << 20; /* no room to unpack itself: the host does */
	memcpy(bz.code + 0x400, data, size);
	boot_check((const uint8_t *)&bz, sizeof(bz), BOOT_PROTOCOL_AUTO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unpacked u;
	struct err e = { 0 };
	int r;

	if (size == 0 || size > FUZZ_MAX_BYTES)
		return 0;
	r = decompress(data, size, FUZZ_MAX_UNPACKED, &u, &e);
	boot_require((r < 0) == (e.code < 0) && (r < 0) == (u.bytes == NULL), "error is told");
	boot_require(u.len_bytes <= FUZZ_MAX_UNPACKED, "bound is kept");
	unpacked_release(&u);
	boot_check(data, size, BOOT_PROTOCOL_AUTO);
	check_payload(data, size);
	return 0;
}
