/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on numbers that come from outside: false when the result does not fit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline __attribute__((warn_unused_result)) bool ck_add(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

static inline __attribute__((warn_unused_result)) bool ck_mul(uint64_t a, uint64_t b,
							      uint64_t *product)
{
	return !__builtin_mul_overflow(a, b, product);
}
