/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a device as bytes, described once for both ways.
 *
 * A `struct state` is a cursor over a bounded buffer. Each primitive below writes the field when
 * the state is saved and reads it when it is loaded, so that one function per device says what a
 * snapshot holds and the two directions cannot drift apart. Numbers are little-endian and have no
 * padding between them; a boolean is one byte, 0 or 1.
 *
 * Errors are sticky: the first one is kept, and from then on primitives do nothing. So a function
 * need not look after every field, but traps remain:
 *   - a field of which the load failed keeps the value it had: start from a sane one;
 *   - what is loaded is as hostile as a register write of the guest. Follow it with state_check(),
 *     and bound every loop by a number of ours, never by one that was loaded.
 *
 * A section is a name, a version and a length around the fields of one owner. When loading, nothing
 * within it can read past its end, and all of it must have been read. Sections nest.
 *
 * Thread: the caller's; a state has no lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { STATE_NAME_BYTES = 16, STATE_HEADER_BYTES = 24 };

struct state {
	uint8_t *out; /* borrowed; NULL when loading */
	const uint8_t *in; /* borrowed; NULL when saving */
	size_t at;
	size_t end; /* of the buffer; when loading, of the innermost section */
	int error; /* 0, or the first -errno */
	const char *fault; /* a literal: the reason of the error */
};

struct state_section {
	uint32_t version; /* when loading, the one that was saved */
	size_t start; /* of the fields; the rest is for state_section_end() */
	size_t outer_end;
};

/* Saves to at most @capacity bytes at @buf, which stay the caller's. */
void state_init_save(struct state *s, void *buf, size_t capacity);

/* Loads from @len bytes at @buf, which stay the caller's and do not change meanwhile. */
void state_init_load(struct state *s, const void *buf, size_t len);

static inline bool state_is_loading(const struct state *s)
{
	return s->in != NULL;
}

static inline bool state_is_ok(const struct state *s)
{
	return s->error == 0;
}

/* Ends the work with -errno @code and @why, a literal; only the first such call counts. */
void state_refuse(struct state *s, int code, const char *why);

/* -EINVAL with @why, a literal, unless @is_true. */
void state_check(struct state *s, bool is_true, const char *why);

/*
 * Each saves or loads *@field. Errors: -ENOSPC (the buffer is full), -ENODATA (the section or the
 * buffer ends before), -EINVAL (a boolean that is neither 0 nor 1).
 */
void state_u8(struct state *s, uint8_t *field);
void state_u16(struct state *s, uint16_t *field);
void state_u32(struct state *s, uint32_t *field);
void state_u64(struct state *s, uint64_t *field);
void state_bool(struct state *s, bool *field);
void state_bytes(struct state *s, void *field, size_t len);

/*
 * Begins the section @name, at most STATE_NAME_BYTES long, in @version, 1 or above. Loading takes
 * versions 1 to @version and says in @section which; other names are -EINVAL, other versions
 * -EOPNOTSUPP.
 */
void state_section_begin(struct state *s, struct state_section *section, const char *name,
			 uint32_t version);

/* Ends it. Loading: -EINVAL when fields are left over. */
void state_section_end(struct state *s, const struct state_section *section);

/* 0, or the error with @e filled: "@what: reason". Loading: bytes left over are an error too. */
int state_finish(struct state *s, const char *what, struct err *e);

/* Bytes saved or loaded so far. */
static inline size_t state_size(const struct state *s)
{
	return s->at;
}
