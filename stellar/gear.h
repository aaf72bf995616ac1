/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gear hash and the search for a value of it, the heart of FastCDC.
 *
 * The hash of a position is that of the 64 bytes before it: for each byte, h = 2h + gear_table[byte]
 * (mod 2^64); what is older has been shifted out. So it does not matter where the search began, and
 * several positions can be searched at once.
 *
 * The table is the 2048 bytes of BLAKE3's derive_key of no bytes in the context "stellarium v1 gear
 * table", read as 256 little-endian numbers. It is part of the format: other numbers would cut the
 * same data elsewhere, and nothing new would be found to be stored already.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GEAR_WINDOW = 64 /* bytes that the hash depends on */ };

extern const uint64_t gear_table[256];

/*
 * The first position in [@from, @to) of @data whose hash has none of the bits of @mask, or @to.
 * @from >= GEAR_WINDOW; the bytes before @to must be there, and no more are read.
 */
size_t gear_find(const uint8_t *data, size_t from, size_t to, uint64_t mask);

/*
 * What gear_find() chooses from; all give the same. Which one is faster depends on the processor (and
 * on microcode that makes gathers safe and slow), so the first call tries both, for 50 microseconds.
 */
size_t gear_find_scalar(const uint8_t *data, size_t from, size_t to, uint64_t mask);
size_t gear_find_avx512(const uint8_t *data, size_t from, size_t to, uint64_t mask);

/* Whether this processor has what gear_find_avx512() needs. */
bool gear_has_avx512(void);
