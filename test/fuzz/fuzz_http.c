/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP parser and the server behind it. First the input is parsed whole and in pieces: where
 * bytes are cut must not matter. Then it is played to a server by up to four clients. Most bytes
 * are sent; those that no request has to contain steer:
 *
 *	f8 read	 f9 all streams send	fa run the loop	  fb close	fc next client
 *	fd answer a request		fe end our side	  ff cut
 *
 * At the end everything has been given back.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "control/api/conn.h"
#include "control/api/http_parse.h"
#include "test/unit/http_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_LIMIT = 300, CLIENTS = 4, FIRST_COMMAND = 0xf8 };

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

struct outcome {
	enum http_parse_result result;
	size_t used;
	struct err error;
	struct http_message message;
};

/* The first message of @data, fed in pieces whose lengths come from @seed (0: all at once). */
static void parse(const uint8_t *data, size_t size, uint32_t seed, struct outcome *o)
{
	static const char *const methods[] = { "GET", "PUT", "PATCH", "DELETE", NULL };
	struct http_parser p;

	memset(o, 0, sizeof(*o));
	http_parser_init(&p, methods, BODY_LIMIT);
	while (o->used < size && o->result != HTTP_PARSE_DONE && o->result != HTTP_PARSE_ERROR) {
		size_t piece = size - o->used, used;
		char *copy;

		if (seed) {
			seed = seed * 1103515245 + 12345;
			piece = min_u64(piece, 1 + (seed >> 16) % 40);
		}
		copy = malloc(piece);
		REQUIRE(copy);
		memcpy(copy, data + o->used, piece);
		o->result = http_parser_feed(&p, copy, piece, &used);
		free(copy);
		REQUIRE(used <= piece && (used == piece || o->result != HTTP_PARSE_MORE));
		o->used += used;
	}
	if (o->result == HTTP_PARSE_HEAD)
		o->result = HTTP_PARSE_MORE;
	o->error = p.error;
	if (o->result == HTTP_PARSE_DONE)
		http_parser_take(&p, &o->message);
	http_parser_release(&p);
}

static void check_message(const struct http_message *m)
{
	REQUIRE(m->body_len <= BODY_LIMIT && m->path[0] == '/');
	REQUIRE(!m->body == (m->body_len == 0));
	REQUIRE(!m->body || m->body[m->body_len] == '\0');
	for (const char *s = m->path; *s; s++)
		REQUIRE((unsigned char)*s >= ' ' && *s != 0x7f);
	for (size_t i = 0; i < m->nr_fields; i++) {
		REQUIRE(*m->fields[i].name && !strpbrk(m->fields[i].name, " :\r\n"));
		REQUIRE(!strpbrk(m->fields[i].value, "\r\n"));
	}
}

static void check_cuts(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;

	parse(data, size, 0, &whole);
	parse(data, size, 1 + (uint32_t)size * 2654435761u, &pieces);
	REQUIRE(whole.result == pieces.result);
	REQUIRE(strcmp(whole.error.msg, pieces.error.msg) == 0);
	if (whole.result == HTTP_PARSE_DONE) {
		REQUIRE(whole.used == pieces.used);
		REQUIRE(strcmp(whole.message.path, pieces.message.path) == 0);
		REQUIRE(whole.message.nr_fields == pieces.message.nr_fields);
		REQUIRE(whole.message.body_len == pieces.message.body_len);
		REQUIRE(!whole.message.body || memcmp(whole.message.body, pieces.message.body,
						      whole.message.body_len) == 0);
		check_message(&whole.message);
	}
	http_message_release(&whole.message);
	http_message_release(&pieces.message);
}

static struct http_rig rig;
static int clients[CLIENTS];

static void open_rig(void)
{
	struct http_limits limits = http_options_default().limits;

	limits.max_connections = CLIENTS - 1;
	limits.max_streams = 2;
	limits.max_body_bytes = BODY_LIMIT;
	limits.max_stream_bytes = 100;
	limits.idle_ms = 0;
	http_rig_open(&rig, &limits);
}

static void send_events(void)
{
	for (size_t i = 0; i < RIG_STREAMS; i++) {
		if (rig.streams[i].stream)
			http_stream_send(rig.streams[i].stream, "data: 0123456789\n\n", 18);
	}
}

static void close_client(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Returns the client that is next. */
static size_t play_command(uint8_t command, size_t client)
{
	switch (command) {
	case 0xf8:
		if (clients[client] >= 0)
			http_rig_recv(&rig, clients[client]);
		break;
	case 0xf9:
		send_events();
		break;
	case 0xfa:
		http_rig_turn(&rig);
		break;
	case 0xfb:
		close_client(&clients[client]);
		break;
	case 0xfc:
		return (client + 1) % CLIENTS;
	case 0xfd:
		if (rig.nr_later > 0)
			http_rig_answer(&rig);
		break;
	case 0xfe:
		if (clients[client] >= 0)
			shutdown(clients[client], SHUT_WR);
		break;
	default:
		break;
	}
	return client;
}

static void play(const uint8_t *data, size_t size)
{
	size_t client = 0;

	while (size > 0) {
		size_t len = 0;

		if (*data >= FIRST_COMMAND) {
			client = play_command(*data++, client);
			size--;
			continue;
		}
		while (len < size && data[len] < FIRST_COMMAND)
			len++;
		if (clients[client] < 0)
			clients[client] = http_rig_connect(&rig);
		send(clients[client], data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		data += len;
		size -= len;
	}
}

static void check_all_is_given_back(void)
{
	for (size_t i = 0; i < CLIENTS; i++)
		close_client(&clients[i]);
	for (int i = 0; i < 8; i++) {
		http_rig_turn(&rig);
		while (rig.nr_later > 0)
			http_rig_answer(&rig);
		send_events(); /* who has left after ending its own side shows by that */
	}
	http_rig_turn(&rig);
	REQUIRE(rig.server->nr_conns == 0 && rig.server->nr_requests == 0);
	REQUIRE(rig.server->nr_streams == 0 && LIST_EMPTY(&rig.server->conns));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 65536)
		return 0;
	check_cuts(data, size);
	if (!rig.server) {
		open_rig();
		for (size_t i = 0; i < CLIENTS; i++)
			clients[i] = -1;
	}
	play(data, size);
	check_all_is_given_back();
	return 0;
}
