/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the child that reads the index: the side of fsck. See fsck_child.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "stellar/fsck_wire.h"

struct index_child {
	int fd; /* owned */
	bool is_proven; /* the index's file is as it was left */
	pid_t pid; /* owned: waited for */
	struct wire_row *rows; /* owned: FSCK_FIND_MAX */
	struct wire_pack *packs; /* owned: FSCK_FIND_MAX */
};

/* --- messages ------------------------------------------------------------------------------ */

/* The child is gone. */
static int died(struct index_child *c, struct err *e)
{
	int status = 0;

	cleanup_fd(&c->fd);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, &status, 0);
	c->pid = -1;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
		return err_set(e, -EUCLEAN, "the index is damaged: reading it does not end");
	return err_set(e, -EUCLEAN, "the index is damaged: it cannot be read to its end");
}

static int take(struct index_child *c, void *buf, size_t len, struct err *e)
{
	uint8_t *at = buf;

	while (len > 0) {
		const ssize_t n = c->fd < 0 ? 0 : recv(c->fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return c->pid > 0 ? died(c, e)
					  : err_set(e, -EUCLEAN, "the index is damaged");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int give(struct index_child *c, const void *buf, size_t len, struct err *e)
{
	const uint8_t *at = buf;

	while (len > 0) {
		const ssize_t n = c->fd < 0 ? 0 : send(c->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return c->pid > 0 ? died(c, e)
					  : err_set(e, -EUCLEAN, "the index is damaged");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What LMDB says of a damaged file may be anything; these are not of the file. */
static bool is_of_host(int code)
{
	return code == -EACCES || code == -EPERM || code == -EROFS || code == -EAGAIN ||
	       code == -EMFILE || code == -ENFILE;
}

/* The head of an answer: the count of what follows, or -errno. */
static ssize_t take_head(struct index_child *c, size_t cap, struct err *e)
{
	struct wire_answer a;
	int r = take(c, &a, sizeof(a), e);

	if (r < 0)
		return r;
	if (a.code < 0) {
		a.msg[sizeof(a.msg) - 1] = '\0';
		for (char *m = a.msg; *m; m++) /* from a process that may do anything */
			*m = *m >= ' ' && *m <= '~' ? *m : '?';
		if (is_of_host(a.code) || (c->is_proven && a.code != -EUCLEAN))
			return err_set(e, a.code, "%s", a.msg);
		return strstr(a.msg, "damaged") || a.code == -EUCLEAN
			       ? err_set(e, -EUCLEAN, "%s", a.msg)
			       : err_set(e, -EUCLEAN, "the index is damaged: %s", a.msg);
	}
	return a.count <= cap ? (ssize_t)a.count : died(c, e);
}

static int ask(struct index_child *c, enum wire_op op, uint32_t value, struct err *e)
{
	const struct wire_request q = { .op = op, .value = value };

	return give(c, &q, sizeof(q), e);
}

/* --- life ---------------------------------------------------------------------------------- */

void index_child_free(struct index_child *c)
{
	if (!c)
		return;
	cleanup_fd(&c->fd);
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	free(c->rows);
	free(c->packs);
	free(c);
}

static int start(struct index_child *c, const char *path, const uint8_t *uuid, struct err *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make a socket");
	c->pid = fork();
	if (c->pid == 0) {
		close(pair[0]);
		fsck_serve_index(pair[1], path, uuid); /* does not return */
	}
	close(pair[1]);
	c->fd = pair[0];
	return c->pid < 0 ? err_errno(e, -errno, "cannot start a process") : 0;
}

int index_child_new(struct index_child **out, const char *path, const uint8_t *uuid, bool is_proven,
		    struct child_hello *hello, struct err *e)
{
	struct index_child *c = calloc(1, sizeof(*c));
	struct wire_hello h;
	ssize_t r;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->fd = -1;
	c->is_proven = is_proven;
	c->rows = calloc(FSCK_FIND_MAX, sizeof(*c->rows));
	c->packs = calloc(FSCK_FIND_MAX, sizeof(*c->packs));
	r = c->rows && c->packs ? start(c, path, uuid, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = take_head(c, 1, e);
	if (r >= 0)
		r = take(c, &h, sizeof(h), e);
	if (r < 0) {
		index_child_free(c);
		return (int)r;
	}
	*hello = (struct child_hello){
		.transaction = h.transaction,
		.chunks = h.chunks,
		.packs = h.packs,
		.numbers = h.numbers,
		.meta = h.meta,
		.databases = h.databases,
		.next = h.next,
		.has_lost_pages = h.has_lost_pages != 0,
	};
	*out = c;
	return 0;
}

/* --- questions ----------------------------------------------------------------------------- */

ssize_t index_child_packs(struct index_child *c, uint32_t number, struct child_pack *out,
			  size_t cap, struct err *e)
{
	ssize_t count = ask(c, WIRE_PACKS, number, e);

	if (count == 0)
		count = take_head(c, cap < FSCK_FIND_MAX ? cap : FSCK_FIND_MAX, e);
	if (count > 0 && take(c, c->packs, (size_t)count * sizeof(*c->packs), e) < 0)
		return -EUCLEAN;
	for (ssize_t i = 0; i < count; i++) {
		const struct wire_pack *w = &c->packs[i];

		out[i] = (struct child_pack){
			.info = { .number = w->number,
				  .id = w->id,
				  .bytes = w->bytes,
				  .count = w->count },
			.back = w->back,
		};
	}
	return count;
}

static void get_row(const struct wire_row *w, struct fsck_row *row)
{
	*row = (struct fsck_row){
		.id = w->id,
		.entry = { .pack = w->pack,
			   .number = w->number,
			   .offset = w->offset,
			   .stored_bytes = w->stored_bytes,
			   .raw_bytes = w->raw_bytes,
			   .kind = w->kind,
			   .codec = w->codec,
			   .is_sealed = w->is_sealed != 0 },
		.is_found = w->is_found != 0,
	};
}

int index_child_find(struct index_child *c, struct fsck_row *rows, size_t count, struct err *e)
{
	ssize_t r = ask(c, WIRE_FIND, (uint32_t)count, e);

	for (size_t i = 0; i < count; i++)
		c->rows[i] = (struct wire_row){ .id = rows[i].id };
	if (r == 0)
		r = give(c, c->rows, count * sizeof(*c->rows), e);
	if (r == 0)
		r = take_head(c, count, e);
	if (r >= 0 && (size_t)r != count)
		return died(c, e);
	if (r >= 0)
		r = take(c, c->rows, count * sizeof(*c->rows), e);
	for (size_t i = 0; i < count && r == 0; i++) {
		const struct chunk_id id = rows[i].id;

		get_row(&c->rows[i], &rows[i]);
		rows[i].id = id;
	}
	return (int)r;
}

int index_child_walk(struct index_child *c,
		     int (*visit)(void *opaque, const struct fsck_row *row, struct err *e),
		     void *opaque, struct err *e)
{
	struct fsck_row row, before = { 0 };
	bool is_first = true;
	ssize_t count;
	int r = ask(c, WIRE_WALK, 0, e);

	while (r == 0) {
		count = take_head(c, FSCK_FIND_MAX, e);
		if (count <= 0)
			return (int)count;
		r = take(c, c->rows, (size_t)count * sizeof(*c->rows), e);
		for (ssize_t i = 0; i < count && r == 0; i++) {
			get_row(&c->rows[i], &row);
			if (!is_first && id_compare(&before.id, &row.id) >= 0)
				return err_set(e, -EUCLEAN,
					       "the index is damaged: its chunks are not in "
					       "order");
			is_first = false;
			before = row;
			r = visit(opaque, &row, e);
		}
	}
	return r;
}
