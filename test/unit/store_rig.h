/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a fresh folder, and images made at random. Include it after cmocka.h. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/gc.h"
#include "stellar/image.h"
#include "stellar/volume.h"

struct store_rig {
	char folder[64];
	char path[80]; /* of the store, in the folder */
	struct store *store;
};

/* A sequence that is the same on every run. */
struct sequence {
	uint64_t state;
};

static inline uint64_t sequence_next(struct sequence *s)
{
	s->state += UINT64_C(0x9E3779B97F4A7C15);
	uint64_t v = s->state;

	v = (v ^ (v >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	v = (v ^ (v >> 27)) * UINT64_C(0x94D049BB133111EB);
	return v ^ (v >> 31);
}

static inline uint64_t sequence_below(struct sequence *s, uint64_t bound)
{
	return sequence_next(s) % bound;
}

#define assert_done(call)                                              \
	do {                                                           \
		struct err done_err = { 0 };                           \
		struct err *const e = &done_err;                       \
		const int done_result = (call);                        \
                                                                       \
		if (done_result < 0)                                   \
			fail_msg("%d: %s", done_result, done_err.msg); \
	} while (0)

static const uint8_t store_rig_secret[32] = "thirty-two bytes of a secret key";

static inline struct key_input store_rig_key(bool is_encrypted)
{
	if (!is_encrypted)
		return (struct key_input){ 0 };
	return (struct key_input){ KEY_BYTES, store_rig_secret, sizeof(store_rig_secret) };
}

static inline void store_rig_open(struct store_rig *rig, enum store_mode mode, bool is_encrypted)
{
	const struct key_input key = store_rig_key(is_encrypted);

	assert_done(store_open(&rig->store, rig->path, mode, &key, e));
}

static inline void store_rig_close(struct store_rig *rig)
{
	store_close(rig->store);
	rig->store = NULL;
}

static inline void store_rig_init(struct store_rig *rig, bool is_encrypted)
{
	struct store_options o;

	store_default_options(&o);
	o.key = store_rig_key(is_encrypted);
	snprintf(rig->folder, sizeof(rig->folder), "%s/volt-store-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/store", rig->folder);
	assert_done(store_init(rig->path, &o, e));
	store_rig_open(rig, STORE_READ_WRITE, is_encrypted);
}

static inline void store_rig_remove(struct store_rig *rig)
{
	char command[96];

	store_rig_close(rig);
	snprintf(command, sizeof(command), "rm -rf '%s'", rig->folder);
	assert_int_equal(system(command), 0);
}

/* A file in memory, with holes where nothing is written. */
static inline int store_rig_file(size_t bytes)
{
	const int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static inline struct import_result store_rig_import(struct store_rig *rig, int fd, const char *name,
						    const struct import_options *o)
{
	static const struct import_options plain = { .may_replace = true };
	struct import_result result;

	assert_done(import_image(rig->store, fd, "test", name, o ? o : &plain, &result, e));
	return result;
}

/* The image as a file in memory, sparse. */
static inline int store_rig_export(struct store_rig *rig, const char *name)
{
	const struct export_options o = { .bytes = UINT64_MAX, .is_sparse = true };
	const int fd = memfd_create("export", MFD_CLOEXEC);
	struct lease *lease = NULL;
	struct root root;

	assert_true(fd >= 0);
	assert_done(store_find(rig->store, name, &lease, &root, e));
	assert_done(export_image(rig->store, &root.image_id, fd, "test", &o, e));
	lease_free(lease);
	return fd;
}

static inline uint64_t store_rig_length(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static inline void store_rig_assert_equal(int a, int b)
{
	static uint8_t x[1 << 20], y[1 << 20];
	const uint64_t bytes = store_rig_length(a);

	assert_int_equal(store_rig_length(b), bytes);
	for (uint64_t at = 0; at < bytes; at += sizeof(x)) {
		const ssize_t n = file_pread_full(a, x, sizeof(x), (off_t)at);

		assert_int_equal(file_pread_full(b, y, sizeof(y), (off_t)at), n);
		assert_memory_equal(x, y, (size_t)n);
	}
}
