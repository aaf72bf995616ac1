/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a program with an API can do: listens on the Unix socket that is named by its
 * argument, answers one request with 200, and ends. bench/api.py compares volt-vmm with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 \r\nContent-Type: application/json\r\n"
			     "Content-Length: 2\r\n\r\n{}";

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char request[4096];
	int listener, client;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: hello-socket SOCKET\n");
		return 2;
	}
	memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0)
		die(argv[1]);
	client = accept(listener, NULL, NULL);
	if (client < 0)
		die("accept");
	if (read(client, request, sizeof(request)) < 0 ||
	    write(client, answer, sizeof(answer) - 1) < 0)
		die("answer");
	/* The client closes; then its figures about this process are complete. */
	if (read(client, request, sizeof(request)) < 0)
		die("read");
	return 0;
}
