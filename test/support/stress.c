/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stress run DIR SECONDS SEED: random operations on files below DIR, whose outcomes are all known.
 * stress check DIR: checks the claims on standard input, in the form in which "run" prints them.
 *
 * A claim, "S PATH BYTES CRC32", is printed once a file and its name are on the disk by fsync: from
 * then on, and after any power cut, the file begins with these bytes. So files with a claim are
 * only ever appended to, until the end of a run, where all that is left is synced and claimed.
 *
 * Exit status: 0 all is as it must be, 1 it is not, 2 an operation failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	SLOTS = 48, /* files that are changed at will */
	FOLDERS = 4,
	FILE_BYTES_MAX = 64 << 10,
	KEPT_MAX = 400, /* files that are written once */
	LOG_BYTES_MAX = 2 << 20, /* the file that is appended to */
	NAME_BYTES = 64,
	ALIGN_BYTES = 4096, /* for O_DIRECT; a multiple of any sector */
};

struct slot {
	bool exists;
	size_t size;
	uint8_t data[FILE_BYTES_MAX]; /* what the file must hold */
};

static struct {
	uint64_t random;
	struct slot slots[SLOTS];
	bool has_folder[FOLDERS]; /* the empty ones that come and go */
	unsigned int kept; /* so many files have been kept */
	int log_fd;
	size_t log_bytes;
	uint32_t log_crc;
	uint32_t crc_table[256];
} all;

static _Noreturn void fail(const char *what, const char *name)
{
	printf("stress: cannot %s %s: %s\n", what, name, strerror(errno));
	exit(2);
}

static _Noreturn void differ(const char *name, const char *what)
{
	printf("stress: %s: %s\n", name, what);
	exit(1);
}

static uint64_t next_random(void)
{
	all.random ^= all.random << 13;
	all.random ^= all.random >> 7;
	all.random ^= all.random << 17;
	return all.random;
}

static size_t below(size_t limit)
{
	return (size_t)(next_random() >> 20) % limit;
}

static void fill(uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(next_random() >> 24);
}

static void make_crc_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
		all.crc_table[i] = crc;
	}
}

/* Goes on with @crc, 0 at first. */
static uint32_t crc32_of(uint32_t crc, const uint8_t *data, size_t len)
{
	crc = ~crc;
	for (size_t i = 0; i < len; i++)
		crc = crc >> 8 ^ all.crc_table[(crc ^ data[i]) & 0xff];
	return ~crc;
}

static void claim(const char *name, size_t len, uint32_t crc)
{
	printf("S %s %zu %08" PRIx32 "\n", name, len, crc);
	fflush(stdout);
}

/* A slot keeps its folder, so that renames go from folder to folder. */
static void slot_name(size_t nr, char name[static NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "d%zu/file-%zu", nr % FOLDERS, nr);
}

static int open_file(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		fail("open", name);
	return fd;
}

static void write_at(int fd, const char *name, const uint8_t *data, size_t len, size_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n <= 0)
			fail("write", name);
		data += n;
		len -= (size_t)n;
		at += (size_t)n;
	}
}

static void sync_file(int fd, const char *name)
{
	if (fsync(fd) < 0)
		fail("fsync", name);
}

/* Makes the names in @folder survive. */
static void sync_folder(const char *folder)
{
	int fd = open_file(folder, O_RDONLY | O_DIRECTORY);

	sync_file(fd, folder);
	close(fd);
}

static void write_some(size_t nr)
{
	struct slot *slot = &all.slots[nr];
	size_t at = below(FILE_BYTES_MAX);
	size_t len = 1 + below(FILE_BYTES_MAX - at);
	char name[NAME_BYTES];
	int fd;

	slot_name(nr, name);
	fd = open_file(name, O_WRONLY | O_CREAT);
	fill(slot->data + at, len);
	write_at(fd, name, slot->data + at, len, at);
	close(fd);
	slot->exists = true;
	if (slot->size < at + len)
		slot->size = at + len;
}

static void resize(size_t nr)
{
	struct slot *slot = &all.slots[nr];
	size_t size = below(FILE_BYTES_MAX + 1);
	char name[NAME_BYTES];

	slot_name(nr, name);
	if (truncate(name, (off_t)size) < 0)
		fail("truncate", name);
	if (size < slot->size) /* beyond the size all is zero, as in a file that grows */
		memset(slot->data + size, 0, slot->size - size);
	slot->size = size;
}

static void forget(struct slot *slot)
{
	memset(slot, 0, sizeof(*slot));
}

static void remove_one(size_t nr)
{
	char name[NAME_BYTES];

	slot_name(nr, name);
	if (unlink(name) < 0)
		fail("unlink", name);
	forget(&all.slots[nr]);
}

static void rename_one(size_t from, size_t to)
{
	char from_name[NAME_BYTES];
	char to_name[NAME_BYTES];

	if (from == to)
		return;
	slot_name(from, from_name);
	slot_name(to, to_name);
	if (rename(from_name, to_name) < 0)
		fail("rename", from_name);
	all.slots[to] = all.slots[from];
	forget(&all.slots[from]);
}

static void sync_one(size_t nr, bool is_data_only)
{
	char name[NAME_BYTES];
	int fd;

	slot_name(nr, name);
	fd = open_file(name, O_RDONLY);
	if (is_data_only ? fdatasync(fd) < 0 : fsync(fd) < 0)
		fail("sync", name);
	close(fd);
}

/* Reads up to @size bytes; by O_DIRECT they come from the disk and not from memory. */
static size_t read_file(const char *name, bool is_direct, uint8_t *buf, size_t size)
{
	int fd = open_file(name, O_RDONLY | (is_direct ? O_DIRECT : 0));
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, buf + have, size - have);

		if (n < 0)
			fail("read", name);
		if (n == 0)
			break;
		have += (size_t)n;
		if (is_direct && have % ALIGN_BYTES != 0)
			break; /* the end, behind which a direct read would be unaligned */
	}
	close(fd);
	return have;
}

static void verify_one(size_t nr, bool is_direct)
{
	static _Alignas(ALIGN_BYTES) uint8_t buf[FILE_BYTES_MAX + ALIGN_BYTES];
	const struct slot *slot = &all.slots[nr];
	char name[NAME_BYTES];
	size_t len;

	slot_name(nr, name);
	len = read_file(name, is_direct, buf, sizeof(buf));
	if (len != slot->size)
		differ(name, "has another size than was written");
	if (memcmp(buf, slot->data, len) != 0)
		differ(name, "has other content than was written");
}

static void toggle_folder(size_t nr)
{
	char name[NAME_BYTES];

	snprintf(name, sizeof(name), "empty-%zu", nr);
	if (all.has_folder[nr] ? rmdir(name) < 0 : mkdir(name, 0755) < 0)
		fail(all.has_folder[nr] ? "rmdir" : "mkdir", name);
	all.has_folder[nr] = !all.has_folder[nr];
}

/* The way in which careful programs replace a file. */
static void keep_one(void)
{
	static uint8_t data[FILE_BYTES_MAX];
	size_t len = 1 + below(below(8) == 0 ? FILE_BYTES_MAX : 4096);
	char name[NAME_BYTES];
	int fd;

	if (all.kept == KEPT_MAX)
		return;
	snprintf(name, sizeof(name), "kept/%u", all.kept++);
	fill(data, len);
	fd = open_file("new", O_WRONLY | O_CREAT | O_TRUNC);
	write_at(fd, "new", data, len, 0);
	sync_file(fd, "new");
	close(fd);
	if (rename("new", name) < 0)
		fail("rename", name);
	sync_folder("kept");
	claim(name, len, crc32_of(0, data, len));
}

static void append_some(void)
{
	static uint8_t data[4096];
	size_t len = 1 + below(sizeof(data));

	if (all.log_bytes + len > LOG_BYTES_MAX)
		return;
	fill(data, len);
	write_at(all.log_fd, "log", data, len, all.log_bytes);
	if (fdatasync(all.log_fd) < 0)
		fail("fdatasync", "log");
	all.log_bytes += len;
	all.log_crc = crc32_of(all.log_crc, data, len);
	claim("log", all.log_bytes, all.log_crc);
}

static void do_something(void)
{
	size_t nr = below(SLOTS);
	size_t choice = below(16);

	/* what needs a file, without one */
	if (choice >= 3 && choice < 13 && !all.slots[nr].exists)
		choice = 0;
	switch (choice) {
	case 3:
		resize(nr);
		break;
	case 4:
		remove_one(nr);
		break;
	case 5:
	case 6:
		rename_one(nr, below(SLOTS));
		break;
	case 7:
		sync_one(nr, false);
		break;
	case 8:
		sync_one(nr, true);
		break;
	case 9:
	case 10:
		verify_one(nr, false);
		break;
	case 11:
	case 12:
		verify_one(nr, true);
		break;
	case 13:
		toggle_folder(below(FOLDERS));
		break;
	case 14:
		keep_one();
		break;
	case 15:
		append_some();
		break;
	default:
		write_some(nr);
		break;
	}
}

static void set_up(void)
{
	for (size_t i = 0; i < FOLDERS; i++) {
		char name[NAME_BYTES];

		snprintf(name, sizeof(name), "d%zu", i);
		if (mkdir(name, 0755) < 0)
			fail("mkdir", name);
	}
	if (mkdir("kept", 0755) < 0)
		fail("mkdir", "kept");
	all.log_fd = open_file("log", O_WRONLY | O_CREAT);
	sync_file(all.log_fd, "log");
	sync_folder(".");
}

static void finish(unsigned int operations)
{
	sync();
	for (size_t nr = 0; nr < SLOTS; nr++) {
		const struct slot *slot = &all.slots[nr];
		char name[NAME_BYTES];

		if (!slot->exists)
			continue;
		verify_one(nr, true);
		slot_name(nr, name);
		claim(name, slot->size, crc32_of(0, slot->data, slot->size));
	}
	printf("stress: %u operations\n", operations);
}

static int run(unsigned long seconds, uint64_t seed)
{
	struct timespec now;
	time_t end;
	unsigned int operations = 0;

	all.random = seed * 0x9e3779b97f4a7c15 + 1; /* never zero, where the generator would stay */
	set_up();
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + (time_t)seconds;
	while (now.tv_sec < end) {
		do_something();
		operations++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
	finish(operations);
	return 0;
}

static int check(void)
{
	static uint8_t buf[LOG_BYTES_MAX];
	char name[NAME_BYTES];
	unsigned int checked = 0;
	uint32_t crc;
	size_t len;

	while (scanf(" S %63s %zu %" SCNx32, name, &len, &crc) == 3) {
		if (len > sizeof(buf))
			differ(name, "is larger than any file of a run");
		if (read_file(name, false, buf, len) < len)
			differ(name, "is shorter than what was synced");
		if (crc32_of(0, buf, len) != crc)
			differ(name, "does not hold what was synced");
		checked++;
	}
	printf("stress: %u claims hold\n", checked);
	return 0;
}

int main(int argc, char **argv)
{
	const bool is_run = argc == 5 && strcmp(argv[1], "run") == 0;
	const bool is_check = argc == 3 && strcmp(argv[1], "check") == 0;

	if (!is_run && !is_check) {
		fputs("usage: stress run DIR SECONDS SEED | check DIR <CLAIMS\n", stderr);
		return 2;
	}
	make_crc_table();
	if (chdir(argv[2]) < 0)
		fail("enter", argv[2]);
	return is_run ? run(strtoul(argv[3], NULL, 10), strtoull(argv[4], NULL, 10)) : check();
}
