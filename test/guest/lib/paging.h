/* SPDX-License-Identifier: Apache-2.0 */
/* Identity mapping beyond the first 4 GiB, which start.S has mapped. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Maps the 2 MiB page around @address (below 512 GiB) one to one, if it is not mapped yet. False
 * when the tables set aside are used up: they reach into PAGING_DIRECTORIES different GiB.
 */
bool paging_map(uint64_t address);

#define PAGING_DIRECTORIES 32
