/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request at a time to the API of a running virtual machine, over its Unix socket: what the
 * verbs of the command line need of HTTP/1.1 (RFC 9112), and no more. Calls block, for
 * timeout_ms at most; what the other side sends is bounded and not believed.
 *
 *	struct client c = { .fd = -1, .timeout_ms = CLIENT_TIMEOUT_MS };
 *	r = client_open(&c, path, &e);
 *	r = client_call(&c, "GET", "/v1/vm/state", NULL, &answer, &e);
 *	client_answer_release(&answer);
 *	client_close(&c);
 *
 * Thread: any.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

enum { CLIENT_TIMEOUT_MS = 10000 };

struct client {
	int fd; /* owned; -1 when closed */
	unsigned timeout_ms; /* how long a call may take */
	const char *path; /* borrowed: of the socket */
};

struct client_answer {
	int status; /* 100 to 599 */
	char *body; /* owned, with a NUL behind it; there may be others in it */
	size_t len;
};

/*
 * Connects a client that has a timeout. 0, or -errno with @e: -ENOENT, there is no such socket; -ECONNREFUSED, nobody listens
 * there any more; -ETIMEDOUT, nobody takes the connection.
 */
int client_open(struct client *c, const char *path, struct err *e);

/*
 * Sends @body (NULL: none), which is JSON, and waits for the answer, whatever its status. 0, or
 * -errno with @e: -EPIPE, the other side has gone; -EPROTO, it does not speak HTTP.
 */
int client_call(struct client *c, const char *method, const char *target, const char *body,
		struct client_answer *answer, struct err *e);

/*
 * Fills @e with what an answer of status 400 and above says is wrong, and returns -EREMOTEIO; or
 * -EPROTO when it is not what this version of the API says.
 */
int client_refusal(const struct client *c, const struct client_answer *answer, struct err *e);

/* Waits until the other side has ended. 0, or -ETIMEDOUT. */
int client_wait_end(struct client *c, unsigned timeout_s);

/*
 * Takes an answer out of @len bytes, which are not changed. 1; 0: there is more to come; -EPROTO;
 * -ENOMEM. *@answer is filled in the first case only.
 */
int client_parse(const char *data, size_t len, struct client_answer *answer);

/* Accept closed and empty objects, and may be called twice. */
void client_answer_release(struct client_answer *answer);
void client_close(struct client *c);
