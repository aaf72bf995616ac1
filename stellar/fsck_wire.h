/* SPDX-License-Identifier: Apache-2.0 */
/* What fsck and its child that reads the index say to each other. */
#pragma once

#include <stdint.h>

#include "stellar/fsck_child.h"

enum wire_op { WIRE_PACKS = 1, WIRE_FIND, WIRE_WALK };

struct wire_request {
	uint32_t op; /* enum wire_op */
	uint32_t value; /* PACKS: from this number on; FIND: rows that follow */
};

/* Begins each answer. What follows are @count rows; WALK: any number of answers until one with 0. */
struct wire_answer {
	int32_t code; /* 0 or -errno */
	uint32_t count;
	char msg[256];
};

struct wire_hello {
	uint64_t transaction, chunks, packs, numbers, meta, databases;
	uint32_t next;
	uint32_t has_lost_pages;
};

struct wire_pack {
	struct pack_id id;
	uint64_t bytes;
	uint32_t number, count, back;
	uint32_t zero;
};

struct wire_row {
	struct chunk_id id;
	uint64_t offset;
	uint32_t pack, number;
	uint32_t stored_bytes, raw_bytes;
	uint8_t kind, codec, is_sealed, is_found;
	uint32_t zero;
};

/* The child's life. @fd: the socket. */
_Noreturn void fsck_serve_index(int fd, const char *path, const uint8_t *uuid);
