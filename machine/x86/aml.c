/* SPDX-License-Identifier: Apache-2.0 */
/* The AML writer: see aml.h. Section numbers are those of ACPI 6.5. */
#include "machine/x86/aml.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"

/* 20.3, AML byte stream byte values */
enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE_PREFIX = 0x0a,
	OP_WORD_PREFIX = 0x0b,
	OP_DWORD_PREFIX = 0x0c,
	OP_STRING_PREFIX = 0x0d,
	OP_QWORD_PREFIX = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_EXT_PREFIX = 0x5b,
	OP_EXT_DEVICE = 0x82,
};

enum {
	NAME_SEG_BYTES = 4,
	INTEGER_MAX_BYTES = 9, /* prefix and eight bytes */
	PKG_LENGTH_MAX_BYTES = 4,
};

/* 6.4, resource data types */
enum {
	TAG_IO = 0x47,
	TAG_END = 0x79,
	TAG_MEMORY32_FIXED = 0x86,
	TAG_INTERRUPT = 0x89,
	LARGE_HEADER_BYTES = 3, /* tag and length, which the length leaves out */
	IO_DECODE16 = 1 << 0,
	MEMORY_READ_WRITE = 1 << 0,
	INTERRUPT_CONSUMER = 1 << 0,
	INTERRUPT_EDGE = 1 << 1,
};

struct res_io {
	uint8_t tag;
	uint8_t flags;
	le16 min;
	le16 max;
	uint8_t align;
	uint8_t len;
} __attribute__((packed));
static_assert(sizeof(struct res_io) == 8, "6.4.2.5");

struct res_memory32_fixed {
	uint8_t tag;
	le16 len_bytes;
	uint8_t flags;
	le32 start;
	le32 len;
} __attribute__((packed));
static_assert(sizeof(struct res_memory32_fixed) == 12, "6.4.3.4");

struct res_interrupt {
	uint8_t tag;
	le16 len_bytes;
	uint8_t flags;
	uint8_t nr_gsis;
	le32 gsi;
} __attribute__((packed));
static_assert(sizeof(struct res_interrupt) == 9, "6.4.3.6");

struct res_end {
	uint8_t tag;
	uint8_t checksum; /* 0: not computed, 6.4.2.9 */
};

static void aml_fail(struct aml *aml, int error)
{
	if (!aml->error)
		aml->error = error;
}

static void put_bytes(struct aml *aml, const void *bytes, size_t nr)
{
	if (!aml->error && nr > aml->size - aml->len)
		aml_fail(aml, -ENOSPC);
	if (aml->error)
		return;
	memcpy(aml->buf + aml->len, bytes, nr);
	aml->len += nr;
}

static void put_byte(struct aml *aml, uint8_t byte)
{
	put_bytes(aml, &byte, 1);
}

/* Puts @nr bytes at @pos and moves what follows up. */
static void insert_bytes(struct aml *aml, size_t pos, const void *bytes, size_t nr)
{
	if (nr > aml->size - aml->len) {
		aml_fail(aml, -ENOSPC);
		return;
	}
	memmove(aml->buf + pos + nr, aml->buf + pos, aml->len - pos);
	memcpy(aml->buf + pos, bytes, nr);
	aml->len += nr;
}

/* 20.2.2: an optional root prefix and one segment. */
static void put_name(struct aml *aml, const char *name)
{
	char seg[NAME_SEG_BYTES] = { '_', '_', '_', '_' };

	if (*name == '\\') {
		put_byte(aml, '\\');
		name++;
	}
	assert(strlen(name) <= sizeof(seg));
	memcpy(seg, name, strnlen(name, sizeof(seg)));
	put_bytes(aml, seg, sizeof(seg));
}

/* The start of a Name; its object follows. */
static void put_name_op(struct aml *aml, const char *name)
{
	put_byte(aml, OP_NAME);
	put_name(aml, name);
}

static void open_object(struct aml *aml, enum aml_object kind)
{
	if (aml->nr_open == AML_MAX_DEPTH)
		aml_fail(aml, -EINVAL);
	if (aml->error)
		return;
	aml->open[aml->nr_open].kind = kind;
	aml->open[aml->nr_open].start = aml->len;
	aml->nr_open++;
}

/* Encodes @value at @out and returns the size, 1 to INTEGER_MAX_BYTES. */
static size_t encode_integer(uint8_t out[static INTEGER_MAX_BYTES], uint64_t value)
{
	le64 all = le64_put(value);
	size_t nr;

	if (value <= 1) {
		out[0] = value ? OP_ONE : OP_ZERO;
		return 1;
	}
	if (value <= UINT8_MAX) {
		out[0] = OP_BYTE_PREFIX;
		nr = 1;
	} else if (value <= UINT16_MAX) {
		out[0] = OP_WORD_PREFIX;
		nr = 2;
	} else if (value <= UINT32_MAX) {
		out[0] = OP_DWORD_PREFIX;
		nr = 4;
	} else {
		out[0] = OP_QWORD_PREFIX;
		nr = 8;
	}
	memcpy(out + 1, &all, nr);
	return 1 + nr;
}

/*
 * Encodes the length of an object of @content_bytes (20.2.4) at @out and returns its size. One byte
 * holds 6 bits; else the first holds the number of those that follow and the low 4 bits, and each
 * of those 8 more. The length counts itself: 62 bytes of contents make 63 with a length of one
 * byte, 63 bytes make 65 with a length of two.
 */
static size_t encode_pkg_length(uint8_t out[static PKG_LENGTH_MAX_BYTES], size_t content_bytes)
{
	size_t nr = 1;

	if (content_bytes + 1 < 1 << 6) {
		out[0] = (uint8_t)(content_bytes + 1);
		return 1;
	}
	/* AML_MAX_BYTES ends this at four. */
	do {
		nr++;
	} while ((content_bytes + nr) >> (4 + 8 * (nr - 1)));

	out[0] = (uint8_t)((nr - 1) << 6 | ((content_bytes + nr) & 0xf));
	for (size_t i = 1; i < nr; i++)
		out[i] = (uint8_t)((content_bytes + nr) >> (4 + 8 * (i - 1)));
	return nr;
}

void aml_init(struct aml *aml, void *buf, size_t size)
{
	*aml = (struct aml){ .buf = buf, .size = min_u64(size, AML_MAX_BYTES) };
}

int aml_finish(const struct aml *aml)
{
	if (aml->error)
		return aml->error;
	return aml->nr_open ? -EINVAL : (int)aml->len;
}

void aml_open_scope(struct aml *aml, const char *name)
{
	put_byte(aml, OP_SCOPE);
	open_object(aml, AML_OBJECT_TERMS);
	put_name(aml, name);
}

void aml_open_device(struct aml *aml, const char *name)
{
	put_byte(aml, OP_EXT_PREFIX);
	put_byte(aml, OP_EXT_DEVICE);
	open_object(aml, AML_OBJECT_TERMS);
	put_name(aml, name);
}

void aml_open_name_package(struct aml *aml, const char *name, uint8_t nr_elements)
{
	put_name_op(aml, name);
	put_byte(aml, OP_PACKAGE);
	open_object(aml, AML_OBJECT_TERMS);
	put_byte(aml, nr_elements);
}

void aml_open_crs(struct aml *aml)
{
	put_name_op(aml, "_CRS");
	put_byte(aml, OP_BUFFER);
	open_object(aml, AML_OBJECT_CRS);
}

/* Ends the template and puts the size of the buffer before it. */
static void close_crs(struct aml *aml, size_t start)
{
	const struct res_end end = { .tag = TAG_END };
	uint8_t size[INTEGER_MAX_BYTES];

	put_bytes(aml, &end, sizeof(end));
	if (!aml->error)
		insert_bytes(aml, start, size, encode_integer(size, aml->len - start));
}

void aml_close(struct aml *aml)
{
	uint8_t length[PKG_LENGTH_MAX_BYTES];
	size_t start;

	if (!aml->nr_open)
		aml_fail(aml, -EINVAL);
	if (aml->error)
		return;
	aml->nr_open--;
	start = aml->open[aml->nr_open].start;
	if (aml->open[aml->nr_open].kind == AML_OBJECT_CRS)
		close_crs(aml, start);
	if (aml->error)
		return;
	insert_bytes(aml, start, length, encode_pkg_length(length, aml->len - start));
}

void aml_integer(struct aml *aml, uint64_t value)
{
	uint8_t bytes[INTEGER_MAX_BYTES];

	put_bytes(aml, bytes, encode_integer(bytes, value));
}

void aml_name_integer(struct aml *aml, const char *name, uint64_t value)
{
	put_name_op(aml, name);
	aml_integer(aml, value);
}

void aml_name_string(struct aml *aml, const char *name, const char *text)
{
	put_name_op(aml, name);
	put_byte(aml, OP_STRING_PREFIX);
	put_bytes(aml, text, strlen(text) + 1);
}

static uint8_t hex_digit(char ch)
{
	return (uint8_t)(ch <= '9' ? ch - '0' : ch - 'A' + 10);
}

/* 19.6.37: letters of 5 bits, then hexadecimal digits, the most significant byte first. */
void aml_name_eisa_id(struct aml *aml, const char *name, const char *eisa_id)
{
	uint8_t id[4];
	unsigned int letters = 0;

	assert(strlen(eisa_id) == 7);
	for (size_t i = 0; i < 3; i++)
		letters = letters << 5 | (eisa_id[i] & 0x1f);
	id[0] = (uint8_t)(letters >> 8);
	id[1] = (uint8_t)letters;
	id[2] = (uint8_t)(hex_digit(eisa_id[3]) << 4 | hex_digit(eisa_id[4]));
	id[3] = (uint8_t)(hex_digit(eisa_id[5]) << 4 | hex_digit(eisa_id[6]));

	put_name_op(aml, name);
	put_byte(aml, OP_DWORD_PREFIX);
	put_bytes(aml, id, sizeof(id));
}

void aml_io(struct aml *aml, uint16_t port, uint8_t len)
{
	const struct res_io io = {
		.tag = TAG_IO,
		.flags = IO_DECODE16,
		.min = le16_put(port),
		.max = le16_put(port),
		.align = 1,
		.len = len,
	};

	put_bytes(aml, &io, sizeof(io));
}

void aml_memory32_fixed(struct aml *aml, uint32_t start, uint32_t len)
{
	const struct res_memory32_fixed memory = {
		.tag = TAG_MEMORY32_FIXED,
		.len_bytes = le16_put(sizeof(memory) - LARGE_HEADER_BYTES),
		.flags = MEMORY_READ_WRITE,
		.start = le32_put(start),
		.len = le32_put(len),
	};

	put_bytes(aml, &memory, sizeof(memory));
}

void aml_interrupt(struct aml *aml, uint32_t gsi)
{
	const struct res_interrupt interrupt = {
		.tag = TAG_INTERRUPT,
		.len_bytes = le16_put(sizeof(interrupt) - LARGE_HEADER_BYTES),
		.flags = INTERRUPT_CONSUMER | INTERRUPT_EDGE,
		.nr_gsis = 1,
		.gsi = le32_put(gsi),
	};

	put_bytes(aml, &interrupt, sizeof(interrupt));
}
