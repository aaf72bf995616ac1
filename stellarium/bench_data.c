/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured with: see bench.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/quote.h"
#include "stellar/store.h"
#include "stellarium/bench.h"
#include "stellarium/cancel.h"
#include "stellarium/text.h"

#define DATA_BYTES (256 * MIB) /* without --bytes */
#define DATA_MAX_BYTES (64 * GIB)
#define MEASURE_S 0.5
#define STEP_BYTES MIB

bool bench_goes_on(double start_s)
{
	return text_now_s() - start_s < MEASURE_S && !cancel_signal();
}

struct bench_row *bench_row(struct bench *b, const char *format, ...)
{
	/* The last one is written twice when the table is too short: a mistake, but a harmless one. */
	struct bench_row *row =
		&b->rows[b->nr_rows < BENCH_ROWS_MAX ? b->nr_rows++ : BENCH_ROWS_MAX - 1];
	va_list args;

	*row = (struct bench_row){ 0 };
	va_start(args, format);
	vsnprintf(row->name, sizeof(row->name), format, args);
	va_end(args);
	return row;
}

static unsigned processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* xorshift64 (Marsaglia, 2003): the same data each time. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * A quarter of zeros, a half that compresses as programs and text do (words that come again), a
 * quarter that does not compress: pieces of 64 KiB, mixed.
 */
static void make_up(uint8_t *to, size_t len)
{
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t words[512];

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		words[i] = next_random(&state);
	for (size_t at = 0; at < len; at += 64 * KIB) {
		const size_t piece = min_u64(64 * KIB, len - at);
		const uint64_t kind = next_random(&state) % 4;

		for (size_t i = 0; kind != 0 && i < piece / sizeof(uint64_t); i++) {
			const uint64_t random = next_random(&state);
			const uint64_t word = kind == 1 ? random : words[random >> 55];

			memcpy(to + at + i * sizeof(word), &word, sizeof(word));
		}
	}
}

/* Copies up to @len bytes of the file. Returns the count or -errno. */
static int64_t load(int fd, uint8_t *to, size_t len)
{
	size_t used = 0;

	while (used < len && !cancel_signal()) {
		ssize_t n = read(fd, to + used, min_u64(STEP_BYTES, len - used));

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return cancel_signal() ? -ECANCELED : (int64_t)used;
}

static int map_memory(struct bench *b, struct err *e)
{
	b->data_fd = memfd_create("bench", MFD_CLOEXEC);
	if (b->data_fd < 0 || ftruncate(b->data_fd, (off_t)b->len) < 0)
		return err_errno(e, -errno, "cannot get %s of memory", text_size(b->len).text);
	void *map = mmap(NULL, b->len, PROT_READ | PROT_WRITE, MAP_SHARED, b->data_fd, 0);

	if (map == MAP_FAILED)
		return err_errno(e, -errno, "cannot map %s of memory", text_size(b->len).text);
	b->data = map;
	return 0;
}

/* Maps every page for this process: a page's first use costs more than hashing it on some hosts. */
static void touch(const struct bench *b)
{
	const volatile uint8_t *data = b->data;

	for (size_t at = 0; at < b->len; at += CHUNK_BLOCK_BYTES)
		(void)data[at];
}

static int fill(struct bench *b, const char *path, struct err *e)
{
	auto_fd int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
	uint8_t *data;
	int64_t n = (int64_t)b->len;
	int r;

	if (path && fd < 0)
		return err_errno(e, -errno, "cannot open %s", quote(path).text);
	r = map_memory(b, e);
	if (r < 0)
		return r;
	data = (uint8_t *)(uintptr_t)b->data;
	if (path)
		n = load(fd, data, b->len);
	else
		make_up(data, b->len);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read %s", quote(path).text);
	if (n < CHUNK_BLOCK_BYTES)
		return err_set(e, -EINVAL, "%s has %lld bytes; at least %d are needed",
			       quote(path).text, (long long)n, CHUNK_BLOCK_BYTES);
	if ((size_t)n < b->len) {
		munmap(data + align_up((uint64_t)n, CHUNK_BLOCK_BYTES),
		       b->len - align_up((uint64_t)n, CHUNK_BLOCK_BYTES));
		b->len = (size_t)n;
	}
	touch(b);
	return ftruncate(b->data_fd, (off_t)n) < 0 ? err_errno(e, -errno, "cannot cut memory") : 0;
}

int bench_open(struct bench *b, const struct options *o, const char *path, struct err *e)
{
	struct store_options defaults;

	store_default_options(&defaults);
	*b = (struct bench){
		.options = o,
		.chunking = o->chunking.method != 0 ? o->chunking : defaults.chunking,
		.codec = o->has_codec ? o->codec : defaults.codec,
		.threads = o->threads != 0 ? o->threads : processors(),
		.data_fd = -1,
		.len = o->bytes == UINT64_MAX ? DATA_BYTES : o->bytes,
	};
	if (b->len < CHUNK_BLOCK_BYTES || b->len > DATA_MAX_BYTES)
		return err_set(e, -EINVAL, "--bytes: from 4K to 64G can be measured with");
	snprintf(b->source, sizeof(b->source), "%.60s", path ? quote(path).text : "made up");
	return fill(b, path, e);
}

void bench_close(struct bench *b)
{
	if (b->data)
		munmap((void *)(uintptr_t)b->data, b->len);
	b->data = NULL;
	cleanup_fd(&b->data_fd);
}
