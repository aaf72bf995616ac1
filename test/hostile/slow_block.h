/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that takes its time: requests are handed to another backend one by one, in a random order,
 * when the loop comes round. Until then their memory must stay what it is.
 */
#pragma once

#include "machine/backend/block.h"

enum { SLOW_BLOCK_MAX = 8 * 256 };

/*
 * Makes a backend around @inner, which finishes inside submit() and belongs to the new one from
 * here on. NULL when there is no memory.
 */
struct block_backend *slow_block_new(struct block_backend *inner);
