/* SPDX-License-Identifier: Apache-2.0 */
/* Images into a store and out of it: bit by bit, with their holes, whatever they are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "test/unit/store_rig.h"

enum { IMAGES = 1000, IMAGE_MAX_BYTES = 3 << 20, GC_EVERY = 50, PAGE_BYTES = 4096 };

static const char *const chunkings[] = { "fixed:4K",   "fixed:64K",   "fixed:256K", "fixed:4M",
					 "fastcdc:4K", "fastcdc:64K", "fastcdc:1M" };
static const char *const codecs[] = { "none", "lz4", "zstd:1", "auto" };

/* Text, noise, zeros, and things seen before. */
static void fill_piece(struct sequence *s, uint8_t *buf, size_t len)
{
	struct sequence noise = { sequence_below(s, 8) }; /* few: later images repeat them */

	switch (sequence_below(s, 4)) {
	case 0:
		memset(buf, 0, len);
		break;
	case 1:
		for (size_t i = 0; i < len; i++)
			buf[i] = "stellarium "[i % 11];
		break;
	default:
		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)sequence_next(&noise);
		break;
	}
}

/* A file of up to IMAGE_MAX_BYTES with pieces here and there, and holes between. */
static int random_image(struct sequence *s)
{
	static _Thread_local uint8_t buf[256 << 10];
	const uint64_t bytes = sequence_below(s, 8) == 0 ? sequence_below(s, 3 * PAGE_BYTES)
							 : sequence_below(s, IMAGE_MAX_BYTES);
	const int fd = store_rig_file(bytes);
	const uint64_t pieces = bytes ? sequence_below(s, 12) : 0;

	for (uint64_t i = 0; i < pieces; i++) {
		uint64_t at = sequence_below(s, bytes);
		uint64_t len = 1 + sequence_below(s, sizeof(buf));

		if (sequence_below(s, 2))
			at = align_down(at, PAGE_BYTES);
		len = min_u64(len, bytes - at);
		fill_piece(s, buf, len);
		assert_int_equal(file_pwrite_full(fd, buf, len, (off_t)at), 0);
	}
	return fd;
}

/* No page of the copy is there that is a hole, or all zero, in the original. */
static void assert_sparse(int original, int copy)
{
	const uint64_t bytes = store_rig_length(original);

	for (off_t at = 0; (uint64_t)at < bytes;) {
		const off_t data = lseek(copy, at, SEEK_DATA);
		uint8_t page[PAGE_BYTES], zero[PAGE_BYTES] = { 0 };

		if (data < 0)
			break;
		const ssize_t n = file_pread_full(original, page, sizeof(page), data);

		assert_true(n > 0);
		if (data % PAGE_BYTES == 0)
			assert_memory_not_equal(page, zero, (size_t)n);
		at = data + PAGE_BYTES;
	}
}

static struct import_options random_options(struct sequence *s)
{
	struct import_options o = { .may_replace = true, .has_codec = true };

	assert_done(chunk_params_parse(&o.chunking,
				       chunkings[sequence_below(s, ARRAY_LEN(chunkings))], e));
	assert_done(codec_params_parse(&o.codec, codecs[sequence_below(s, ARRAY_LEN(codecs))], e));
	o.work.threads = (unsigned)sequence_below(s, 4);
	return o;
}

static void collect_garbage(struct store_rig *rig, unsigned live_percent)
{
	const struct gc_options o = { .live_percent = live_percent };
	struct gc_result result;

	assert_done(gc_run(rig->store, &o, &result, e));
}

/*
 * A thousand images, of which a few at a time are kept: what is kept still exports as it was after
 * every collection.
 */
static void round_trips(bool is_encrypted, unsigned count)
{
	enum { KEPT = 16 };
	struct sequence s = { 7 + is_encrypted };
	int kept[KEPT];
	struct store_rig rig = { 0 };
	char name[32];

	memset(kept, -1, sizeof(kept));
	store_rig_init(&rig, is_encrypted);
	for (unsigned i = 0; i < count; i++) {
		const struct import_options o = random_options(&s);
		const int fd = random_image(&s);
		auto_fd int copy = -1;

		snprintf(name, sizeof(name), "image-%u", i % KEPT);
		store_rig_import(&rig, fd, name, &o);
		copy = store_rig_export(&rig, name);
		store_rig_assert_equal(fd, copy);
		assert_sparse(fd, copy);
		cleanup_fd(&kept[i % KEPT]);
		kept[i % KEPT] = fd;
		if (i % GC_EVERY != GC_EVERY - 1)
			continue;
		collect_garbage(&rig, (unsigned)sequence_below(&s, 101));
		store_rig_close(&rig);
		store_rig_open(&rig, STORE_READ_WRITE, is_encrypted);
		for (unsigned k = 0; k < KEPT; k++) {
			auto_fd int again = -1;

			snprintf(name, sizeof(name), "image-%u", k);
			again = store_rig_export(&rig, name);
			store_rig_assert_equal(kept[k], again);
		}
	}
	for (unsigned k = 0; k < KEPT; k++)
		cleanup_fd(&kept[k]);
	store_rig_remove(&rig);
}

static void test_a_thousand_round_trips(void **state)
{
	(void)state;
	round_trips(false, IMAGES);
}

static void test_encrypted_round_trips(void **state)
{
	(void)state;
	round_trips(true, IMAGES / 5);
}

/* The image's id says what it holds: threads, streams and repetition change nothing. */
static void test_the_same_bytes_are_the_same_image(void **state)
{
	struct sequence s = { 99 };
	struct store_rig rig = { 0 };

	(void)state;
	store_rig_init(&rig, false);
	for (unsigned i = 0; i < 40; i++) {
		struct import_options o = random_options(&s);
		auto_fd int fd = random_image(&s);
		int ends[2];
		struct import_result one, other;
		pid_t pid;

		o.work.threads = 1;
		one = store_rig_import(&rig, fd, "a", &o);
		o.work.threads = 3;
		other = store_rig_import(&rig, fd, "b", &o);
		assert_true(id_equal(&one.root.image_id, &other.root.image_id));
		assert_int_equal(other.new_chunks, 0);
		assert_int_equal(one.zero_bytes + one.data_bytes, store_rig_length(fd));
		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (pid == 0) { /* writes in odd pieces */
			static uint8_t all[IMAGE_MAX_BYTES];
			const ssize_t n = file_pread_full(fd, all, sizeof(all), 0);

			for (ssize_t at = 0; at < n; at += 4093)
				file_write_full(ends[1], all + at,
						(size_t)min_u64(4093, (uint64_t)(n - at)));
			_exit(0);
		}
		close(ends[1]);
		other = store_rig_import(&rig, ends[0], "c", &o);
		close(ends[0]);
		waitpid(pid, NULL, 0);
		assert_true(id_equal(&one.root.image_id, &other.root.image_id));
		assert_int_equal(other.new_chunks, 0);
	}
	store_rig_remove(&rig);
}

static void test_reads_at_random(void **state)
{
	static uint8_t buf[256 << 10], expected[256 << 10];
	struct sequence s = { 5 };
	struct store_rig rig = { 0 };

	(void)state;
	store_rig_init(&rig, false);
	for (unsigned i = 0; i < 30; i++) {
		const struct import_options o = random_options(&s);
		auto_fd int fd = random_image(&s);
		const uint64_t bytes = store_rig_length(fd);
		struct volume *v;

		store_rig_import(&rig, fd, "v", &o);
		assert_done(volume_open(&v, rig.store, "v", e));
		assert_int_equal(volume_bytes(v), bytes);
		for (unsigned k = 0; k < 200 && bytes > 0; k++) {
			const uint64_t at = sequence_below(&s, bytes);
			const size_t len =
				(size_t)min_u64(sequence_below(&s, sizeof(buf)), bytes - at);

			assert_done(volume_read(v, buf, len, at, e));
			assert_int_equal(file_pread_full(fd, expected, len, (off_t)at), len);
			assert_memory_equal(buf, expected, len);
		}
		assert_int_equal(volume_read(v, buf, 1, bytes, NULL), -ERANGE);
		assert_int_equal(volume_read(v, buf, 2, UINT64_MAX, NULL), -ERANGE);
		volume_close(v);
	}
	store_rig_remove(&rig);
}

/* --- differences ---------------------------------------------------------------------------- */

struct ranges {
	uint8_t *marks; /* a byte for each of the longer image */
	uint64_t last_end;
};

static int mark_range(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct ranges *r = opaque;

	assert_true(bytes > 0 && offset >= r->last_end);
	r->last_end = offset + bytes;
	memset(r->marks + offset, 1, bytes);
	return 0;
}

/* Against a comparison byte by byte: of images that share much, and of some that share nothing. */
static void test_differences_are_exact(void **state)
{
	static uint8_t a[IMAGE_MAX_BYTES], b[IMAGE_MAX_BYTES], marks[IMAGE_MAX_BYTES];
	struct sequence s = { 31 };
	struct store_rig rig = { 0 };

	(void)state;
	store_rig_init(&rig, false);
	for (unsigned i = 0; i < 60; i++) {
		const struct import_options o = random_options(&s);
		struct ranges ranges = { .marks = marks };
		auto_fd int x = random_image(&s), y = store_rig_file(0);
		const ssize_t n = file_pread_full(x, a, sizeof(a), 0);
		ssize_t m = n;
		struct root root_x, root_y;
		struct image_diff diff;
		uint64_t different = 0;

		memcpy(b, a, (size_t)n);
		for (uint64_t k = sequence_below(&s, 4); k > 0 && n > 0; k--)
			b[sequence_below(&s, (uint64_t)n)] ^= 1;
		if (sequence_below(&s, 3) == 0)
			m = (ssize_t)sequence_below(&s, (uint64_t)n + 1);
		assert_int_equal(file_pwrite_full(y, b, (size_t)m, 0), 0);
		store_rig_import(&rig, x, "x", &o);
		store_rig_import(&rig, y, "y", &o);
		assert_done(store_find(rig.store, "x", NULL, &root_x, e));
		assert_done(store_find(rig.store, "y", NULL, &root_y, e));
		memset(marks, 0, sizeof(marks));
		assert_done(image_diff(rig.store, &root_x.image_id, &root_y.image_id, mark_range,
				       &ranges, NULL, &diff, e));
		for (ssize_t k = 0; k < n; k++) {
			const bool differs = k >= m || a[k] != b[k];

			different += differs;
			assert_int_equal(marks[k], differs);
		}
		assert_int_equal(diff.different_bytes, different);
		assert_int_equal(diff.chunks.only_a_chunks + diff.chunks.only_b_chunks > 0,
				 diff.chunks.only_a_bytes + diff.chunks.only_b_bytes > 0);
	}
	store_rig_remove(&rig);
}

/* --- others at work ------------------------------------------------------------------------- */

/* Another process reads an image whose name goes away, while garbage is collected. */
static void test_a_lease_keeps_what_a_process_reads(void **state)
{
	struct sequence s = { 17 };
	struct store_rig rig = { 0 };
	auto_fd int fd = random_image(&s);
	int ready[2], go[2], status;
	char byte = 0;
	pid_t pid;

	(void)state;
	store_rig_init(&rig, false);
	store_rig_import(&rig, fd, "gone", NULL);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	store_rig_close(&rig); /* not across fork() */
	pid = fork();
	if (pid == 0) {
		static uint8_t buf[IMAGE_MAX_BYTES], expected[IMAGE_MAX_BYTES];
		struct volume *v;
		size_t len;

		store_rig_open(&rig, STORE_READ_ONLY, false);
		if (volume_open(&v, rig.store, "gone", NULL) < 0)
			_exit(1);
		len = (size_t)volume_bytes(v);
		if (write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(2);
		if (volume_read(v, buf, len, 0, NULL) < 0)
			_exit(3);
		file_pread_full(fd, expected, len, 0);
		_exit(memcmp(buf, expected, len) != 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	store_rig_open(&rig, STORE_READ_WRITE, false);
	assert_done(store_remove(rig.store, "gone", e));
	collect_garbage(&rig, 100);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* And not longer than the process lives. */
	collect_garbage(&rig, 100);
	struct store_stats stats;

	assert_done(store_stats(rig.store, &stats, e));
	assert_int_equal(stats.chunks, 0);
	assert_int_equal(stats.packs, 0);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
	store_rig_remove(&rig);
}

struct importer {
	struct store_rig *rig;
	unsigned number;
};

static void *import_some(void *opaque)
{
	const struct importer *me = opaque;
	struct sequence s = { 1000 + me->number / 2 }; /* two of them import the same */
	char name[32];

	for (unsigned i = 0; i < 25; i++) {
		const struct import_options o = random_options(&s);
		struct import_result result;
		auto_fd int fd = random_image(&s);

		snprintf(name, sizeof(name), "t%u-%u", me->number, i);
		if (import_image(me->rig->store, fd, "test", name, &o, &result, NULL) < 0)
			return opaque;
	}
	return NULL;
}

/* Importers that put the same chunks at the same time, and gc beside them. */
static void test_importers_at_once(void **state)
{
	enum { IMPORTERS = 4 };
	struct store_rig rig = { 0 };
	struct importer importers[IMPORTERS];
	pthread_t threads[IMPORTERS];

	(void)state;
	store_rig_init(&rig, false);
	for (unsigned i = 0; i < IMPORTERS; i++) {
		importers[i] = (struct importer){ &rig, i };
		assert_int_equal(pthread_create(&threads[i], NULL, import_some, &importers[i]), 0);
	}
	for (unsigned i = 0; i < 10; i++)
		collect_garbage(&rig, 100);
	for (unsigned i = 0; i < IMPORTERS; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	collect_garbage(&rig, 100);
	for (unsigned t = 0; t < IMPORTERS; t++) {
		struct sequence s = { 1000 + t / 2 };

		for (unsigned i = 0; i < 25; i++) {
			char name[32];

			random_options(&s);
			auto_fd int fd = random_image(&s);
			auto_fd int copy = -1;

			snprintf(name, sizeof(name), "t%u-%u", t, i);
			copy = store_rig_export(&rig, name);
			store_rig_assert_equal(fd, copy);
		}
	}
	store_rig_remove(&rig);
}

/* Nothing but holes takes nothing, however much it is. */
static void test_sixteen_tib(void **state)
{
	const uint64_t bytes = UINT64_C(16) << 40;
	struct store_rig rig = { 0 };
	auto_fd int fd = store_rig_file(bytes);
	struct import_result result;
	struct volume *v;
	uint8_t buf[16];

	(void)state;
	assert_int_equal(file_pwrite_full(fd, "far away", 8, (off_t)(bytes - 8)), 0);
	store_rig_init(&rig, false);
	result = store_rig_import(&rig, fd, "huge", NULL);
	assert_int_equal(result.root.bytes, bytes);
	assert_int_equal(result.data_bytes, PAGE_BYTES);
	auto_fd int copy = store_rig_export(&rig, "huge");

	assert_int_equal(store_rig_length(copy), bytes);
	assert_int_equal(file_pread_full(copy, buf, 8, (off_t)(bytes - 8)), 8);
	assert_memory_equal(buf, "far away", 8);
	assert_done(volume_open(&v, rig.store, "huge", e));
	assert_done(volume_read(v, buf, 16, bytes - 16, e));
	assert_memory_equal(buf + 8, "far away", 8);
	volume_close(v);
	store_rig_remove(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_thousand_round_trips),
		cmocka_unit_test(test_encrypted_round_trips),
		cmocka_unit_test(test_the_same_bytes_are_the_same_image),
		cmocka_unit_test(test_reads_at_random),
		cmocka_unit_test(test_differences_are_exact),
		cmocka_unit_test(test_a_lease_keeps_what_a_process_reads),
		cmocka_unit_test(test_importers_at_once),
		cmocka_unit_test(test_sixteen_tib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
