/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian fields of layouts that a guest or a disk shares with us, and small arithmetic on
 * sizes. A `le32` cannot be used as a number by accident: only le32_get() and le32_put() open it.
 */
#pragma once

#include <endian.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

typedef struct {
	uint16_t raw;
} le16;

typedef struct {
	uint32_t raw;
} le32;

typedef struct {
	uint64_t raw;
} le64;

static inline uint16_t le16_get(le16 v)
{
	return le16toh(v.raw);
}

static inline uint32_t le32_get(le32 v)
{
	return le32toh(v.raw);
}

static inline uint64_t le64_get(le64 v)
{
	return le64toh(v.raw);
}

static inline le16 le16_put(uint16_t v)
{
	return (le16){ htole16(v) };
}

static inline le32 le32_put(uint32_t v)
{
	return (le32){ htole32(v) };
}

static inline le64 le64_put(uint64_t v)
{
	return (le64){ htole64(v) };
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* @align is a power of two. align_up() of a value within @align of 2^64 wraps: bound it before. */
static inline uint64_t align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t align)
{
	return align_down(v + align - 1, align);
}
