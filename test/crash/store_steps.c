/* SPDX-License-Identifier: Apache-2.0 */
/* What stories are made of: see store_story.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellar/fsck.h"
#include "stellar/gc.h"
#include "stellar/image.h"
#include "test/crash/content.h"
#include "test/crash/store_story.h"

enum {
	UNIT_BYTES = 16384, /* what two images have in common, or not */
	BLOCK_BYTES = 4096,
	ALL_IMAGES = 12345, /* number of what all have in common */
	KEY_LEN = 32,
	LIVE_PERCENT = 90,
};

/* --- images ---------------------------------------------------------------------------------- */

/* Half of a block can be compressed. */
static void fill_block(uint8_t *p, uint64_t seed)
{
	for (size_t i = 0; i < BLOCK_BYTES / 2; i += sizeof(seed)) {
		const uint64_t word = crash_mix(seed, i);

		memcpy(p + i, &word, sizeof(word));
	}
	memset(p + BLOCK_BYTES / 2, 'a' + (int)(seed % 26), BLOCK_BYTES / 2);
}

void story_fill(uint8_t buf[static STORY_IMAGE_BYTES], unsigned number)
{
	uint8_t block[BLOCK_BYTES];

	for (size_t at = 0; at < STORY_IMAGE_BYTES; at += BLOCK_BYTES) {
		const size_t rest = STORY_IMAGE_BYTES - at;
		const uint64_t kind = crash_mix(number, at / UNIT_BYTES) % 8;

		memset(block, 0, sizeof(block));
		if (kind >= 4)
			fill_block(block, crash_mix(number, at));
		else if (kind >= 1)
			fill_block(block, crash_mix(ALL_IMAGES, at));
		memcpy(buf + at, block, rest < BLOCK_BYTES ? rest : BLOCK_BYTES);
	}
	memcpy(buf + STORY_IMAGE_BYTES - sizeof(number), &number, sizeof(number));
}

static int memory_file(unsigned number)
{
	auto_free uint8_t *buf = malloc(STORY_IMAGE_BYTES);
	auto_fd int fd = memfd_create("image", MFD_CLOEXEC);
	int r;

	if (!buf || fd < 0)
		return -ENOMEM;
	story_fill(buf, number);
	r = file_pwrite_full(fd, buf, STORY_IMAGE_BYTES, 0);
	return r < 0 ? r : take_fd(&fd);
}

/* --- the store ------------------------------------------------------------------------------- */

/* @bytes is where the key's bytes are kept. */
static struct key_input key_of(const struct story *s, unsigned number, uint8_t bytes[KEY_LEN])
{
	memset(bytes, 'k' + (int)number, KEY_LEN);
	return (struct key_input){ .kind = s->is_encrypted ? KEY_BYTES : KEY_NONE,
				   .bytes = bytes,
				   .len = s->is_encrypted ? KEY_LEN : 0 };
}

int story_init(const char *dir, const struct story *s, struct err *e)
{
	uint8_t bytes[KEY_LEN];
	struct store_options o;
	int r;

	store_default_options(&o);
	o.key = key_of(s, 0, bytes);
	r = chunk_params_parse(&o.chunking, s->chunking ? s->chunking : "fixed:16K", e);
	if (r == 0)
		r = codec_params_parse(&o.codec, s->codec ? s->codec : "none", e);
	return r < 0 ? r : store_init(dir, &o, e);
}

int story_open(struct store **out, const char *dir, const struct story *s, unsigned key,
	       enum store_mode mode, struct err *e)
{
	uint8_t bytes[KEY_LEN];
	const struct key_input input = key_of(s, key, bytes);

	return store_open(out, dir, mode, &input, e);
}

int story_import(struct store *s, const char *name, unsigned number, struct err *e)
{
	const struct import_options o = { .may_replace = true, .work = { .threads = 1 } };
	struct import_result result;
	auto_fd int fd = memory_file(number);

	if (fd < 0)
		return err_errno(e, fd, "cannot make an image");
	return import_image(s, fd, "image", name, &o, &result, e);
}

int story_gc(struct store *s, struct err *e)
{
	const struct gc_options o = { .live_percent = LIVE_PERCENT, .work = { .threads = 1 } };
	struct gc_result result;

	return gc_run(s, &o, &result, e);
}

/* Which image the bytes of @fd are. */
static int identify(int fd, const char *name, unsigned *number, struct err *e)
{
	auto_free uint8_t *wanted = malloc(STORY_IMAGE_BYTES);
	auto_free uint8_t *found = malloc(STORY_IMAGE_BYTES + 1);
	ssize_t n;

	if (!wanted || !found)
		return err_set(e, -ENOMEM, "out of memory");
	n = file_pread_full(fd, found, STORY_IMAGE_BYTES + 1, 0);
	if (n != STORY_IMAGE_BYTES)
		return err_set(e, -EILSEQ, "'%s' has %zd bytes", name, n);
	memcpy(number, found + STORY_IMAGE_BYTES - sizeof(*number), sizeof(*number));
	story_fill(wanted, *number);
	if (memcmp(wanted, found, STORY_IMAGE_BYTES) != 0)
		return err_set(e, -EILSEQ, "'%s' is not image %u", name, *number);
	return 0;
}

int story_identify(struct store *s, const char *name, unsigned *number, struct err *e)
{
	const struct export_options o = { .bytes = UINT64_MAX, .work = { .threads = 1 } };
	auto_fd int fd = memfd_create("export", MFD_CLOEXEC);
	struct lease *lease = NULL;
	struct root root;
	int r = store_find(s, name, &lease, &root, e);

	if (r < 0) /* a missing name is one thing, a missing chunk another */
		return r;
	r = export_image(s, &root.image_id, fd, "memory", &o, e);
	lease_free(lease);
	if (r < 0)
		return r == -ENOENT ? -EILSEQ : r;
	return identify(fd, name, number, e);
}

int story_verify(struct store *s, const char *name, unsigned number, struct err *e)
{
	unsigned found;
	const int r = story_identify(s, name, &found, e);

	if (r == 0 && found != number)
		return err_set(e, -EILSEQ, "'%s' is image %u, not %u", name, found, number);
	return r;
}

struct problems {
	char first[ERR_MSG_BYTES];
};

static void on_problem(void *opaque, const char *text, bool is_repaired)
{
	struct problems *p = opaque;

	(void)is_repaired;
	if (!p->first[0])
		snprintf(p->first, sizeof(p->first), "%s", text);
}

int story_fsck(const char *dir, const struct story *s, unsigned key, bool is_strict, struct err *e)
{
	uint8_t bytes[KEY_LEN];
	const struct key_input input = key_of(s, key, bytes);
	struct problems problems = { 0 };
	const struct fsck_options o = { .on_problem = on_problem,
					.opaque = &problems,
					.work = { .threads = 1 } };
	struct fsck_result result = { 0 };
	int r = fsck_run(dir, &input, &o, &result, e);

	if (r < 0)
		return r;
	if (result.damaged_images > 0 || (is_strict && result.problems > 0))
		return err_set(e, -EILSEQ, "fsck: %s", problems.first);
	return 0;
}
