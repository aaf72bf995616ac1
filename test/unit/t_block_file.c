/* SPDX-License-Identifier: Apache-2.0 */
/* Files as disks by plain system calls. */
#include "machine/backend/block_file.h"
#include "test/unit/block_suite.h"

int main(void)
{
	return block_suite_run(block_file_open) + block_suite_run_disks(block_file_open);
}
