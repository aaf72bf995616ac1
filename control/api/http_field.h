/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header fields, and what the few that frame a message say: how long its body is, whether another
 * message follows. All fields count, not the first: a second Content-Length is an error, a second
 * Connection adds to the first. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http_field {
	const char *name, *value; /* the value without white space around it */
};

struct http_framing {
	uint64_t length; /* of the body; 0 with is_chunked */
	bool is_chunked;
	bool is_last; /* the client wants no further answer on this connection */
	bool expects_continue;
};

/*
 * Takes "Name: value" apart in place (RFC 9112, 5.1): @field points into @line. 0, or -EBADMSG
 * with @e, a sentence for the client.
 */
int http_field_parse(char *line, struct http_field *field, struct err *e);

/* RFC 9112, 6.3 and 9.3; RFC 9110, 10.1.1. Results and errors as above. */
int http_framing_parse(const struct http_field *fields, size_t nr_fields, unsigned minor_version,
		       struct http_framing *framing, struct err *e);
