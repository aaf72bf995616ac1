/* SPDX-License-Identifier: Apache-2.0 */
/* Lets packs be full early, so that small images are in several: the linker leads a call here. */
#pragma once

#include <stddef.h>

/* 0: as the store does it. */
void pack_size_limit(size_t bytes);
