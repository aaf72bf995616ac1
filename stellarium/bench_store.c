/* SPDX-License-Identifier: Apache-2.0 */
/* A whole store, made for the measurement: see bench.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "jail/tree.h"
#include "stellar/image.h"
#include "stellar/volume.h"
#include "stellarium/bench.h"
#include "stellarium/cancel.h"
#include "stellarium/text.h"

enum { READ_BYTES = 4096 };

static struct work_control work(const struct bench *b)
{
	return (struct work_control){ .is_cancelled = cancel_flag(), .threads = b->threads };
}

static int import(struct bench *b, struct store *s, const char *name, const char *label,
		  struct err *e)
{
	const struct import_options options = { .may_replace = true, .work = work(b) };
	struct import_result result;
	const double start = text_now_s();
	struct bench_row *row;
	int r;

	if (lseek(b->data_fd, 0, SEEK_SET) < 0)
		return err_errno(e, -errno, "cannot read the data again");
	r = import_image(s, b->data_fd, "the data", name, &options, &result, e);
	if (r < 0)
		return r;
	row = bench_row(b, "%s", label);
	row->bytes_per_s = (double)b->len / (text_now_s() - start);
	if (result.new_stored_bytes > 0 && strcmp(label, "import") == 0)
		row->ratio = (double)b->len / (double)result.new_stored_bytes;
	return 0;
}

/* To a file in memory: what the disk can do is another question. */
static int export(struct bench *b, struct store *s, struct err *e)
{
	const struct export_options options = { .bytes = UINT64_MAX,
						.is_sparse = true,
						.work = work(b) };
	auto_fd int fd = memfd_create("export", MFD_CLOEXEC);
	struct lease *lease = NULL;
	struct root root;
	double start;
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot make a file in memory");
	r = store_find(s, "bench", &lease, &root, e);
	start = text_now_s();
	if (r == 0)
		r = export_image(s, &root.image_id, fd, "memory", &options, e);
	if (r == 0)
		bench_row(b, "export")->bytes_per_s = (double)b->len / (text_now_s() - start);
	lease_free(lease);
	return r;
}

/* The offset of random read number @i, the same each time: multiplicative hashing (Knuth, 6.4). */
static uint64_t place(const struct bench *b, uint64_t i)
{
	const uint64_t random = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 20;

	return random % (b->len / READ_BYTES) * READ_BYTES;
}

static void put_reads(struct bench *b, const char *label, uint64_t reads, double seconds)
{
	struct bench_row *row = bench_row(b, "%s", label);

	row->bytes_per_s = (double)(reads * READ_BYTES) / seconds;
	row->latency_us = reads > 0 ? seconds * 1e6 / (double)reads : 0;
}

static int read_volume(struct bench *b, struct store *s, const char *label, struct err *e)
{
	uint8_t buf[READ_BYTES];
	struct volume *v = NULL;
	uint64_t reads = 0;
	double start;
	int r = volume_open(&v, s, "bench", e);

	start = text_now_s();
	while (r == 0 && bench_goes_on(start))
		r = volume_read(v, buf, sizeof(buf), place(b, reads++), e);
	if (r == 0)
		put_reads(b, label, reads, text_now_s() - start);
	volume_close(v);
	return r;
}

/* What there is to compare with: the same reads of a plain file, which is in memory. */
static int read_file(struct bench *b, struct err *e)
{
	uint8_t buf[READ_BYTES];
	const double start = text_now_s();
	uint64_t reads = 0;

	while (bench_goes_on(start)) {
		ssize_t n = file_pread_full(b->data_fd, buf, sizeof(buf), (off_t)place(b, reads++));

		if (n < 0)
			return err_errno(e, (int)n, "cannot read the data");
	}
	put_reads(b, "random 4K reads of a file", reads, text_now_s() - start);
	return 0;
}

static int measure(struct bench *b, const char *path, struct err *e)
{
	struct store_options options = { .chunking = b->chunking, .codec = b->codec };
	struct store *s = NULL;
	int r = store_init(path, &options, e);

	if (r == 0)
		r = store_open(&s, path, STORE_READ_WRITE, &options.key, e);
	if (r == 0)
		r = import(b, s, "bench", "import", e);
	if (r == 0)
		r = import(b, s, "again", "import again", e);
	if (r == 0)
		r = export(b, s, e);
	if (r == 0)
		r = read_volume(b, s, "random 4K reads, first", e);
	if (r == 0)
		r = read_volume(b, s, "random 4K reads, again", e);
	if (r == 0)
		r = read_file(b, e);
	store_close(s);
	return r;
}

static int remove_folder(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	auto_free char *above = strndup(path, (size_t)(slash - path));
	auto_fd int fd = above ? open(*above ? above : "/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open the folder of %s", quote(path).text);
	return tree_remove(fd, slash + 1, e);
}

int bench_store(struct bench *b, struct err *e)
{
	const char *folder = b->options->folder ? b->options->folder : getenv("TMPDIR");
	char path[PATH_MAX];
	int r, removed;

	if (!folder || !*folder)
		folder = "/tmp";
	if (snprintf(path, sizeof(path), "%s/stellarium-bench-XXXXXX", folder) >= (int)sizeof(path))
		return err_set(e, -ENAMETOOLONG, "%s is too long", quote(folder).text);
	if (!mkdtemp(path))
		return err_errno(e, -errno, "cannot make a folder in %s", quote(folder).text);
	r = measure(b, path, e);
	removed = remove_folder(path, r < 0 ? NULL : e);
	if (r == 0 && cancel_signal())
		r = err_set(e, -ECANCELED, "stopped");
	return r < 0 ? r : removed;
}
