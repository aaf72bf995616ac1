/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and sizes as people write them. Strict: no sign, no spaces, nothing left over. Thread:
 * any.
 */
#pragma once

#include <stdint.h>

/* Decimal digits only. 0, -EINVAL (not a number) or -ERANGE (does not fit). */
int parse_u64(const char *text, uint64_t *value);

/* Digits with an optional binary suffix K, M, G or T, and an optional B or iB: "128M", "1GiB". */
int parse_size(const char *text, uint64_t *bytes);
