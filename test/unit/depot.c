/* SPDX-License-Identifier: Apache-2.0 */
/* A store to be damaged: see depot.h. */
#include "test/unit/depot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"

/* --- life ---------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void depot_make(struct depot *rig, const struct key_input *key)
{
	struct store_options o;
	struct err e = { 0 };

	*rig = (struct depot){ 0 };
	strcpy(rig->folder, "/dev/shm/volt-fsck-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->store, sizeof(rig->store), "%s/store", rig->folder);
	store_default_options(&o);
	if (key)
		rig->key = o.key = *key;
	if (store_init(rig->store, &o, &e) < 0)
		fail_msg("%s", e.msg);
}

static void free_lines(struct depot *rig)
{
	for (size_t i = 0; i < rig->line_count; i++)
		free(rig->lines[i]);
	for (size_t i = 0; i < rig->note_count; i++)
		free(rig->notes[i]);
	free(rig->lines);
	free(rig->notes);
	rig->lines = rig->notes = NULL;
	rig->line_count = rig->note_count = 0;
}

static void free_files(struct depot *rig)
{
	for (size_t i = 0; i < rig->file_count; i++)
		free(rig->files[i].bytes);
	free(rig->files);
	rig->files = NULL;
	rig->file_count = 0;
}

void depot_remove(struct depot *rig)
{
	free_lines(rig);
	free_files(rig);
	remove_tree(rig->folder);
}

struct store *depot_open(struct depot *rig)
{
	struct store *s = NULL;
	struct err e = { 0 };

	if (store_open(&s, rig->store, STORE_READ_WRITE, &rig->key, &e) < 0)
		fail_msg("%s", e.msg);
	return s;
}

/* --- images -------------------------------------------------------------------------------- */

void depot_noise(uint8_t *bytes, size_t len, uint64_t seed)
{
	uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;

	for (size_t i = 0; i < len; i += sizeof(x)) {
		const size_t n = len - i < sizeof(x) ? len - i : sizeof(x);

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(bytes + i, &x, n);
	}
}

void depot_text(uint8_t *bytes, size_t len, uint64_t seed)
{
	static const char *const words[] = { "store ", "chunk ",  "pack ",  "image ",
					     "index ", "verify ", "sparse", "\n" };

	for (size_t i = 0; i < len;) {
		const char *word;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		word = words[seed >> 61];
		for (; *word && i < len; word++)
			bytes[i++] = (uint8_t)*word;
	}
}

int depot_try_import(struct depot *rig, const char *name, const void *bytes, size_t len,
		     const char *codec, const char *chunking, struct err *e)
{
	struct import_options o = { .has_codec = true, .may_replace = true };
	struct import_result result;
	struct store *s = NULL;
	auto_fd int fd = memfd_create("image", MFD_CLOEXEC);
	int r = file_pwrite_full(fd, bytes, len, 0);

	if (r == 0)
		r = chunk_params_parse(&o.chunking, chunking, e);
	if (r == 0)
		r = codec_params_parse(&o.codec, codec, e);
	if (r == 0)
		r = store_open(&s, rig->store, STORE_READ_WRITE, &rig->key, e);
	if (r == 0)
		r = import_image(s, fd, name, name, &o, &result, e);
	store_close(s);
	return r;
}

void depot_import(struct depot *rig, const char *name, const void *bytes, size_t len,
		  const char *codec, const char *chunking)
{
	struct err e = { 0 };

	if (depot_try_import(rig, name, bytes, len, codec, chunking, &e) < 0)
		fail_msg("%s", e.msg);
}

bool depot_has_image(struct depot *rig, const char *name, const void *bytes, size_t len)
{
	const struct export_options o = { .bytes = UINT64_MAX };
	struct store *s = depot_open(rig);
	auto_fd int fd = memfd_create("image", MFD_CLOEXEC);
	auto_free uint8_t *got = malloc(len + 1);
	struct err e = { 0 };
	struct root root;
	int r = store_find(s, name, NULL, &root, &e);

	assert_non_null(got);
	if (r == 0)
		r = export_image(s, &root.image_id, fd, name, &o, &e);
	store_close(s);
	return r == 0 && file_pread_full(fd, got, len + 1, 0) == (ssize_t)len &&
	       memcmp(got, bytes, len) == 0;
}

/* --- files --------------------------------------------------------------------------------- */

void depot_path(const struct depot *rig, const char *name, char path[static 512])
{
	snprintf(path, 512, "%s/%s", rig->store, name);
}

static void save_file(struct depot *rig, const char *name)
{
	struct depot_file *file;
	char path[512];
	struct stat st = { 0 };
	auto_fd int fd = -1;

	depot_path(rig, name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	rig->files = reallocarray(rig->files, rig->file_count + 1, sizeof(*rig->files));
	file = &rig->files[rig->file_count++];
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->len = (size_t)st.st_size;
	file->bytes = malloc(file->len + 1);
	assert_non_null(file->bytes);
	assert_int_equal(file_pread_full(fd, file->bytes, file->len, 0), file->len);
}

static void save_folder(struct depot *rig, const char *name)
{
	char path[512], child[320];
	const struct dirent *entry;
	struct stat st;
	DIR *dir;

	depot_path(rig, name, path);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(child, sizeof(child), "%.60s%s%.255s", name, *name ? "/" : "",
			 entry->d_name);
		assert_int_equal(fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		if (S_ISDIR(st.st_mode))
			save_folder(rig, child);
		else if (strcmp(entry->d_name, "lock.mdb") != 0)
			save_file(rig, child);
	}
	closedir(dir);
}

void depot_save(struct depot *rig)
{
	free_files(rig);
	save_folder(rig, "");
}

void depot_restore(struct depot *rig)
{
	static const char *const folders[] = { "", "packs", "index", "roots", "leases" };
	char path[512];

	remove_tree(rig->store);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		depot_path(rig, folders[i], path);
		assert_int_equal(mkdir(path, 0777), 0);
	}
	for (size_t i = 0; i < rig->file_count; i++)
		depot_write(rig, rig->files[i].name, 0, rig->files[i].bytes, rig->files[i].len);
}

struct depot_file *depot_find_file(struct depot *rig, const char *begin, const char *end,
				   unsigned number)
{
	for (size_t i = 0; i < rig->file_count; i++) {
		const char *name = rig->files[i].name;
		const size_t len = strlen(name);

		if (strncmp(name, begin, strlen(begin)) == 0 && len >= strlen(end) &&
		    strcmp(name + len - strlen(end), end) == 0 && number-- == 0)
			return &rig->files[i];
	}
	return NULL;
}

unsigned depot_count(const struct depot *rig, const char *name)
{
	const struct dirent *entry;
	unsigned count = 0;
	char path[512];
	DIR *dir;

	depot_path(rig, name, path);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return count;
}

void depot_read_name(const struct depot *rig, const char *folder, const char *not_this,
		     const char *nor_this, char name[static 320])
{
	const struct dirent *entry;
	char path[512];
	DIR *dir;
	bool is_found = false;

	depot_path(rig, folder, path);
	dir = opendir(path);
	assert_non_null(dir);
	while (!is_found && (entry = readdir(dir))) {
		snprintf(name, 320, "%.60s/%.255s", folder, entry->d_name);
		is_found = entry->d_name[0] != '.' && strcmp(name, not_this) != 0 &&
			   strcmp(name, nor_this) != 0;
	}
	closedir(dir);
	assert_true(is_found);
}

void depot_write(const struct depot *rig, const char *name, size_t offset, const void *bytes,
		 size_t len)
{
	char path[512];
	auto_fd int fd = -1;

	depot_path(rig, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		fail_msg("cannot open %s: %s", path, strerror(errno));
	assert_int_equal(file_pwrite_full(fd, bytes, len, (off_t)offset), 0);
}

void depot_flip(const struct depot *rig, const char *name, size_t bit)
{
	char path[512];
	uint8_t byte;
	auto_fd int fd = -1;

	depot_path(rig, name, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_pread_full(fd, &byte, 1, (off_t)(bit / 8)), 1);
	byte ^= (uint8_t)(1 << bit % 8);
	assert_int_equal(file_pwrite_full(fd, &byte, 1, (off_t)(bit / 8)), 0);
}

/* --- fsck ---------------------------------------------------------------------------------- */

static void add_line(char ***lines, size_t *count, const char *text)
{
	*lines = reallocarray(*lines, *count + 1, sizeof(**lines));
	assert_non_null(*lines);
	(*lines)[*count] = strdup(text);
	assert_non_null((*lines)[(*count)++]);
}

static void on_problem(void *opaque, const char *text, bool is_repaired)
{
	struct depot *rig = opaque;

	add_line(&rig->lines, &rig->line_count, text);
	if (getenv("FSCK_LINES"))
		fprintf(stderr, "%s%s\n", text, is_repaired ? " (repaired)" : "");
}

static void on_leftover(void *opaque, const char *text)
{
	struct depot *rig = opaque;

	add_line(&rig->notes, &rig->note_count, text);
	if (getenv("FSCK_LINES"))
		fprintf(stderr, "leftover: %s\n", text);
}

int depot_fsck(struct depot *rig, const struct fsck_options *o)
{
	struct fsck_options options = *o;
	struct err e = { 0 };
	int r;

	options.on_problem = on_problem;
	options.on_leftover = on_leftover;
	options.opaque = rig;
	free_lines(rig);
	r = fsck_run(rig->store, &rig->key, &options, &rig->result, &e);
	if (r < 0) {
		add_line(&rig->lines, &rig->line_count, e.msg);
		if (getenv("FSCK_LINES"))
			fprintf(stderr, "not done: %s\n", e.msg);
	}
	assert_true(r == 0 || e.msg[0] != '\0');
	return r;
}

int depot_check(struct depot *rig)
{
	return depot_fsck(rig, &(const struct fsck_options){ 0 });
}

int depot_repair(struct depot *rig)
{
	return depot_fsck(rig, &(const struct fsck_options){ .may_repair = true });
}

static bool has(char **lines, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++) {
		if (strstr(lines[i], text))
			return true;
	}
	return false;
}

bool depot_told(const struct depot *rig, const char *text)
{
	return has(rig->lines, rig->line_count, text);
}

bool depot_noted(const struct depot *rig, const char *text)
{
	return has(rig->notes, rig->note_count, text);
}
