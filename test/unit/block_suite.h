/* SPDX-License-Identifier: Apache-2.0 */
/* What a block backend on a file or device does, whatever its engine. */
#pragma once

#include "test/unit/disk_rig.h"

/* All tests of a kind on @open; the number of those that failed. */
int block_suite_run(disk_opener open);
int block_suite_run_disks(disk_opener open);
