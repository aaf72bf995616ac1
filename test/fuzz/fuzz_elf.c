/* SPDX-License-Identifier: Apache-2.0 */
/* ELF kernels: the first byte of the input is the wanted protocol, the rest the file. */
#include "test/fuzz/boot_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 1)
		boot_check(data + 1, size - 1, data[0] % 3);
	return 0;
}
