/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random 4 KiB reads of a file with pread, for bench/stellar.py: prints the mean time in
 * nanoseconds and a sum of what was read. Only pages with data are read, since a hole costs less.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* xorshift64*: the same places for everyone who is compared. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static uint64_t *choose_places(int fd, size_t count, uint64_t seed)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint64_t *places = calloc(count, sizeof(*places));
	uint64_t state = seed * 2 + 1;

	if (size < PAGE_BYTES || !places)
		die("places");
	for (size_t i = 0; i < count;) {
		off_t at =
			(off_t)(next_random(&state) % ((uint64_t)size / PAGE_BYTES)) * PAGE_BYTES;

		if (lseek(fd, at, SEEK_DATA) == at)
			places[i++] = (uint64_t)at;
	}
	return places;
}

int main(int argc, char **argv)
{
	unsigned char page[PAGE_BYTES];
	uint64_t begin, sum = 0;
	uint64_t *places;
	size_t count;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: stellar-read FILE COUNT SEED\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || count == 0)
		die(argv[1]);
	places = choose_places(fd, count, strtoull(argv[3], NULL, 10));
	begin = now_ns();
	for (size_t i = 0; i < count; i++) {
		if (pread(fd, page, sizeof(page), (off_t)places[i]) != (ssize_t)sizeof(page))
			die(argv[1]);
		sum += page[i % sizeof(page)];
	}
	printf("%.1f %llu\n", (double)(now_ns() - begin) / (double)count, (unsigned long long)sum);
	free(places);
	close(fd);
	return 0;
}
