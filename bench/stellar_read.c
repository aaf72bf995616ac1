/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random 4 KiB reads with pread of a file, or of the same places of the same image in a store, for
 * bench/stellar.py. Prints the mean time of a read in nanoseconds, once for the first time over all
 * places, when a store verifies what it has not seen yet, once for the second; and a sum of what
 * was read. Only pages with data are read, since a hole costs less.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stellar/volume.h"

enum { PAGE_BYTES = 4096, PASSES = 2 };

/* One of both. */
struct source {
	int fd;
	struct store *store;
	struct volume *volume; /* NULL: the file */
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "stellar-read: %s: %s\n", what, why);
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
		die("places", "none");
	for (size_t i = 0; i < count;) {
		off_t at =
			(off_t)(next_random(&state) % ((uint64_t)size / PAGE_BYTES)) * PAGE_BYTES;

		if (lseek(fd, at, SEEK_DATA) == at)
			places[i++] = (uint64_t)at;
	}
	return places;
}

static void open_volume(struct source *source, const char *folder, const char *name)
{
	struct err e = { 0 };
	const struct key_input no_key = { 0 };

	if (store_open(&source->store, folder, STORE_READ_ONLY, &no_key, &e) < 0 ||
	    volume_open(&source->volume, source->store, name, &e) < 0)
		die(folder, e.msg);
}

static uint64_t read_all(struct source *source, const uint64_t *places, size_t count)
{
	unsigned char page[PAGE_BYTES];
	struct err e = { 0 };
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		if (source->volume) {
			if (volume_read(source->volume, page, sizeof(page), places[i], &e) < 0)
				die("volume", e.msg);
		} else if (pread(source->fd, page, sizeof(page), (off_t)places[i]) !=
			   (ssize_t)sizeof(page)) {
			die("pread", strerror(errno));
		}
		sum += page[i % sizeof(page)];
	}
	return sum;
}

int main(int argc, char **argv)
{
	struct source source = { 0 };
	uint64_t sum = 0;
	uint64_t *places;
	size_t count;

	if (argc != 4 && argc != 6) {
		fprintf(stderr, "usage: stellar-read FILE COUNT SEED [STORE IMAGE]\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	source.fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (source.fd < 0 || count == 0)
		die(argv[1], "cannot be read");
	places = choose_places(source.fd, count, strtoull(argv[3], NULL, 10));
	if (argc == 6)
		open_volume(&source, argv[4], argv[5]);
	for (int pass = 0; pass < PASSES; pass++) {
		const uint64_t begin = now_ns();

		sum += read_all(&source, places, count);
		printf("%.1f ", (double)(now_ns() - begin) / (double)count);
	}
	printf("%llu\n", (unsigned long long)sum);
	volume_close(source.volume);
	store_close(source.store);
	free(places);
	close(source.fd);
	return 0;
}
