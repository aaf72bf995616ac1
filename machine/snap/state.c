/* SPDX-License-Identifier: Apache-2.0 */
/* A two-way cursor over the saved state of devices: see state.h. */
#include "machine/snap/state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"

struct header {
	char name[STATE_NAME_BYTES]; /* padded with NUL */
	le32 version;
	le32 len_bytes; /* of what follows */
};
static_assert(sizeof(struct header) == STATE_HEADER_BYTES, "on-disk size");

void state_init_save(struct state *s, void *buf, size_t capacity)
{
	*s = (struct state){ .out = buf, .end = capacity };
}

void state_init_load(struct state *s, const void *buf, size_t len)
{
	*s = (struct state){ .in = buf, .end = len };
}

void state_refuse(struct state *s, int code, const char *why)
{
	if (s->error < 0)
		return;
	s->error = code;
	s->fault = why;
}

void state_check(struct state *s, bool is_true, const char *why)
{
	if (!is_true)
		state_refuse(s, -EINVAL, why);
}

void state_bytes(struct state *s, void *field, size_t len)
{
	if (s->error < 0)
		return;
	if (len > s->end - s->at) {
		if (state_is_loading(s))
			state_refuse(s, -ENODATA, "the state is cut short");
		else
			state_refuse(s, -ENOSPC, "the state does not fit its buffer");
		return;
	}
	if (state_is_loading(s))
		memcpy(field, s->in + s->at, len);
	else
		memcpy(s->out + s->at, field, len);
	s->at += len;
}

void state_u8(struct state *s, uint8_t *field)
{
	state_bytes(s, field, sizeof(*field));
}

void state_u16(struct state *s, uint16_t *field)
{
	le16 v = le16_put(*field);

	state_bytes(s, &v, sizeof(v));
	*field = le16_get(v);
}

void state_u32(struct state *s, uint32_t *field)
{
	le32 v = le32_put(*field);

	state_bytes(s, &v, sizeof(v));
	*field = le32_get(v);
}

void state_u64(struct state *s, uint64_t *field)
{
	le64 v = le64_put(*field);

	state_bytes(s, &v, sizeof(v));
	*field = le64_get(v);
}

void state_bool(struct state *s, bool *field)
{
	uint8_t v = *field;

	state_u8(s, &v);
	state_check(s, v <= 1, "a yes-or-no field is neither");
	if (v <= 1)
		*field = v;
}

void state_section_begin(struct state *s, struct state_section *section, const char *name,
			 uint32_t version)
{
	const size_t name_len = strlen(name);
	struct header want = { .version = le32_put(version) };
	struct header h;
	uint32_t len_bytes;

	assert(name_len <= STATE_NAME_BYTES && version > 0);
	memcpy(want.name, name, name_len);
	h = want; /* the length is written by state_section_end() */
	state_bytes(s, &h, sizeof(h));
	*section = (struct state_section){
		.version = version,
		.start = s->at,
		.outer_end = s->end,
	};
	if (!state_is_loading(s) || s->error < 0)
		return;
	section->version = le32_get(h.version);
	len_bytes = le32_get(h.len_bytes);
	if (memcmp(h.name, want.name, sizeof(h.name)) != 0)
		state_refuse(s, -EINVAL, "a section has another name than expected");
	else if (section->version == 0 || section->version > version)
		state_refuse(s, -EOPNOTSUPP, "a section is of a version that is not known here");
	else if (len_bytes > s->end - s->at)
		state_refuse(s, -ENODATA, "a section is longer than the state");
	else
		s->end = s->at + len_bytes;
}

void state_section_end(struct state *s, const struct state_section *section)
{
	const size_t len_bytes = s->at - section->start;

	if (state_is_loading(s)) {
		state_check(s, s->at == s->end, "a section has fields left over");
		s->end = section->outer_end;
		return;
	}
	if (s->error < 0)
		return;
	if (len_bytes > UINT32_MAX) {
		state_refuse(s, -ENOSPC, "a section is too long");
		return;
	}
	memcpy(s->out + section->start - sizeof(le32), &(le32){ le32_put((uint32_t)len_bytes).raw },
	       sizeof(le32));
}

int state_finish(struct state *s, const char *what, struct err *e)
{
	if (state_is_loading(s))
		state_check(s, s->at == s->end, "bytes are left over behind the state");
	return s->error < 0 ? err_set(e, s->error, "%s: %s", what, s->fault) : 0;
}
