/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: what living processes hold is seen, what dead ones held is gone, and nothing in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "stellar/lease.h"
#include "test/unit/folder_rig.h"

static const char some_lease[] = "0123456789abcdef0123456789abcdef.lease";

static struct chunk_id image(uint32_t number)
{
	struct chunk_id id = { { 0 } };

	memcpy(id.bytes + 20, &number, sizeof(number));
	return id;
}

static struct pack_id pack(uint32_t number)
{
	struct pack_id id = { { 0 } };

	memcpy(id.bytes + 3, &number, sizeof(number));
	return id;
}

static void add(struct lease *l, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		const struct chunk_id image_id = image(i);
		const struct pack_id pack_id = pack(i);

		assert_int_equal(lease_add_image(l, &image_id, NULL), 0);
		assert_int_equal(lease_add_pack(l, &pack_id, NULL), 0);
	}
}

static bool has_image(const struct lease_set *set, uint32_t number)
{
	const struct chunk_id id = image(number);

	for (size_t i = 0; i < set->image_count; i++) {
		if (id_equal(&set->images[i], &id))
			return true;
	}
	return false;
}

static bool has_pack(const struct lease_set *set, uint32_t number)
{
	const struct pack_id id = pack(number);

	return lease_set_has_pack(set, &id);
}

static void find_file(const struct folder_rig *rig, char name[static 256])
{
	DIR *folder = opendir(rig->path);
	struct dirent *entry;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] != '.')
			snprintf(name, 256, "%s", entry->d_name);
	}
	closedir(folder);
}

/* --- one ------------------------------------------------------------------------------------- */

static void test_own_leases(void **state)
{
	const struct folder_rig *rig = *state;
	struct lease *a, *b;
	struct lease_set set;

	assert_int_equal(lease_new(&a, rig->fd, NULL), 0);
	assert_int_equal(lease_new(&b, rig->fd, NULL), 0);
	add(a, 0, 300);
	add(b, 200, 300);
	/* Even gc in the same process sees them as living. */
	assert_int_equal(lease_set_read(&set, rig->fd, true, NULL), 0);
	assert_int_equal(set.lease_count, 2);
	assert_int_equal(set.image_count, 500);
	assert_int_equal(set.pack_count, 500);
	for (size_t i = 1; i < 500; i++) {
		assert_true(memcmp(&set.images[i - 1], &set.images[i], sizeof(set.images[0])) < 0);
		assert_true(memcmp(&set.packs[i - 1], &set.packs[i], sizeof(set.packs[0])) < 0);
	}
	for (uint32_t i = 0; i < 500; i++)
		assert_true(has_image(&set, i) && has_pack(&set, i));
	assert_false(has_pack(&set, 500));
	lease_set_release(&set);
	lease_set_release(&set);
	lease_free(a);
	assert_int_equal(lease_set_read(&set, rig->fd, false, NULL), 0);
	assert_int_equal(set.lease_count, 1);
	assert_int_equal(set.image_count, 300);
	assert_false(has_pack(&set, 199));
	lease_set_release(&set);
	lease_free(b);
	lease_free(NULL);
	assert_int_equal(folder_count(rig), 0);
	assert_int_equal(lease_set_read(&set, rig->fd, true, NULL), 0);
	assert_int_equal(set.lease_count + set.image_count + set.pack_count, 0);
	assert_false(has_pack(&set, 0));
	lease_set_release(&set);
}

static void test_records_are_written_once(void **state)
{
	const struct folder_rig *rig = *state;
	struct lease *l;
	char name[256];
	struct stat st;

	assert_int_equal(lease_new(&l, rig->fd, NULL), 0);
	for (int i = 0; i < 10; i++)
		add(l, 0, 7);
	find_file(rig, name);
	assert_int_equal(fstatat(rig->fd, name, &st, 0), 0);
	assert_int_equal(st.st_size, 2 * 7 * sizeof(struct st_lease_record));
	lease_free(l);
}

static void *add_many(void *opaque)
{
	add(opaque, 0, 500);
	return NULL;
}

static void test_threads_add(void **state)
{
	const struct folder_rig *rig = *state;
	pthread_t threads[4];
	struct lease_set set;
	struct lease *l;

	assert_int_equal(lease_new(&l, rig->fd, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, l), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(lease_set_read(&set, rig->fd, true, NULL), 0);
	assert_int_equal(set.image_count, 500);
	assert_int_equal(set.pack_count, 500);
	lease_set_release(&set);
	lease_free(l);
}

/* --- files of others -------------------------------------------------------------------------- */

/* Puts @bytes where a lease would be, locked by @fd when it lives. */
static int put_lease(const struct folder_rig *rig, const void *bytes, size_t len, bool is_living)
{
	int fd;

	folder_put(rig, some_lease, bytes, len);
	fd = openat(rig->fd, some_lease, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	if (is_living)
		assert_int_equal(flock(fd, LOCK_EX), 0);
	return fd;
}

static void test_short_last_record(void **state)
{
	const struct st_lease_record records[2] = { { .kind = LEASE_IMAGE, .id = { 1 } },
						    { .kind = LEASE_PACK, .id = { 2 } } };
	const struct folder_rig *rig = *state;
	struct lease_set set;

	for (size_t len = 0; len <= sizeof(records); len++) {
		auto_fd int fd = put_lease(rig, records, len, true);

		assert_true(fd >= 0);
		assert_int_equal(lease_set_read(&set, rig->fd, true, NULL), 0);
		assert_int_equal(set.lease_count, 1);
		assert_int_equal(set.image_count, len >= 40);
		assert_int_equal(set.pack_count, len >= 80);
		lease_set_release(&set);
	}
}

static void test_senseless_records(void **state)
{
	static const struct st_lease_record bad[] = {
		{ .kind = 0 },
		{ .kind = 3 },
		{ .kind = 255 },
		{ .kind = LEASE_IMAGE, .zero = { 1 } },
		{ .kind = LEASE_PACK, .zero = { [6] = 1 } },
		{ .kind = LEASE_PACK, .id = { [16] = 1 } },
		{ .kind = LEASE_PACK, .id = { [31] = 1 } },
	};
	const struct folder_rig *rig = *state;
	struct st_lease_record two[2] = { { .kind = LEASE_IMAGE } };
	struct lease_set set;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		two[1] = bad[i];
		for (int is_living = 1; is_living >= 0; is_living--) {
			auto_fd int fd = put_lease(rig, two, sizeof(two), is_living);

			assert_true(fd >= 0);
			/* Of a dead process it does not matter, and it goes. */
			assert_int_equal(lease_set_read(&set, rig->fd, true, &e),
					 is_living ? -EBADMSG : 0);
			assert_int_equal(set.image_count, 0);
			assert_int_equal(folder_has(rig, some_lease), is_living);
			lease_set_release(&set);
		}
		assert_non_null(strstr(e.msg, some_lease));
	}
}

static void test_too_long(void **state)
{
	const struct st_lease_record record = { .kind = LEASE_IMAGE, .id = { 1 } };
	const struct folder_rig *rig = *state;
	auto_fd int fd = put_lease(rig, &record, sizeof(record), true);
	auto_free struct st_lease_record *many = NULL;
	const size_t count = LEASE_MAX_BYTES / sizeof(record) + 1;
	struct lease_set set;
	struct err e = { 0 };

	many = calloc(count, sizeof(*many));
	assert_non_null(many);
	for (size_t i = 0; i < count; i++)
		many[i] = record;
	assert_int_equal(file_pwrite_full(fd, many, LEASE_MAX_BYTES, 0), 0);
	assert_int_equal(lease_set_read(&set, rig->fd, true, NULL), 0);
	assert_int_equal(set.image_count, 1);
	lease_set_release(&set);
	assert_int_equal(file_pwrite_full(fd, many, count * sizeof(record), 0), 0);
	assert_int_equal(lease_set_read(&set, rig->fd, true, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "longer than 64 MiB"));
	lease_set_release(&set);
}

static void test_strangers(void **state)
{
	static const char *const others[] = {
		"README",
		"0123456789abcdef0123456789abcdef",
		"0123456789abcdef0123456789abcdeg.lease",
		"0123456789ABCDEF0123456789ABCDEF.lease",
		"0123456789abcdef0123456789abcdef.lease~",
		"0123456789abcdef.lease",
	};
	const struct folder_rig *rig = *state;
	struct lease_set set;

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		folder_put(rig, others[i], "what I wrote", 12);
	for (int kind = 0; kind < FOLDER_STRANGERS; kind++) {
		folder_put_stranger(rig, some_lease, kind);
		assert_int_equal(lease_set_read(&set, rig->fd, true, NULL), 0);
		assert_int_equal(set.lease_count, 0);
		lease_set_release(&set);
		assert_true(folder_has(rig, some_lease));
		folder_remove(rig, some_lease);
	}
	/* gc removes nothing but leases. */
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_true(folder_has(rig, others[i]));
}

static void test_no_folder(void **state)
{
	const struct folder_rig *rig = *state;
	struct lease_set set;
	struct lease *l = NULL;
	struct err e = { 0 };

	assert_int_equal(lease_set_read(&set, -1, true, &e), -EBADF);
	assert_non_null(strstr(e.msg, "leases"));
	lease_set_release(&set);
	assert_int_equal(lease_new(&l, -1, &e), -EBADF);
	assert_null(l);
	assert_int_equal(rmdir(rig->path), 0);
	assert_int_equal(lease_new(&l, rig->fd, &e), -ENOENT);
	assert_int_equal(mkdir(rig->path, 0755), 0);
}

/* --- processes -------------------------------------------------------------------------------- */

/* A process that holds a lease on image and pack @number, and lives until it is killed. */
static pid_t hold(const struct folder_rig *rig, uint32_t number)
{
	int ready[2];
	char c;
	pid_t child;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = folder_fork();
	if (child == 0) {
		struct lease *l;

		if (lease_new(&l, rig->fd, NULL) < 0)
			_exit(1);
		add(l, number, 1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return child;
}

static void test_killed_processes(void **state)
{
	enum { PROCESSES = 10 };
	const struct folder_rig *rig = *state;
	pid_t children[PROCESSES];
	struct lease_set set;

	for (uint32_t i = 0; i < PROCESSES; i++)
		children[i] = hold(rig, i);
	for (uint32_t dead = 0; dead <= PROCESSES; dead++) {
		/* Without the right to remove, the dead are left, but not heard. */
		for (int may_remove = 0; may_remove < 2; may_remove++) {
			assert_int_equal(lease_set_read(&set, rig->fd, may_remove, NULL), 0);
			assert_int_equal(set.lease_count, PROCESSES - dead);
			for (uint32_t i = 0; i < PROCESSES; i++) {
				assert_int_equal(has_image(&set, i), i >= dead);
				assert_int_equal(has_pack(&set, i), i >= dead);
			}
			lease_set_release(&set);
			assert_int_equal(folder_count(rig),
					 PROCESSES - dead + !may_remove * !!dead);
		}
		if (dead == PROCESSES)
			break;
		kill(children[dead], SIGKILL);
		assert_int_equal(waitpid(children[dead], NULL, 0), children[dead]);
	}
}

/* gc beside processes that begin: whatever a lease said before a look began, the look has seen. */

struct race {
	const struct folder_rig *rig;
	atomic_uint begun[4]; /* of each thread: its lease on this number is made */
	atomic_bool is_over;
};

struct racer {
	struct race *race;
	uint32_t number;
};

static void *begin_and_end(void *opaque)
{
	const struct racer *racer = opaque;
	struct race *race = racer->race;

	for (uint32_t i = 1; !race->is_over; i++) {
		struct lease *l;

		assert_int_equal(lease_new(&l, race->rig->fd, NULL), 0);
		add(l, racer->number << 24 | i, 1);
		race->begun[racer->number] = i;
		usleep(50);
		race->begun[racer->number] = 0;
		lease_free(l);
	}
	return NULL;
}

static void *look_on(void *opaque)
{
	const struct racer *racer = opaque;

	while (!racer->race->is_over) {
		struct lease_set set;

		assert_int_equal(lease_set_read(&set, racer->race->rig->fd, true, NULL), 0);
		lease_set_release(&set);
	}
	return NULL;
}

static void test_begin_beside_gc(void **state)
{
	enum { BEGINNERS = 4, LOOKERS = 2, LOOKS = 3000 };
	struct race race = { .rig = *state };
	pthread_t threads[BEGINNERS + LOOKERS];
	struct racer racers[BEGINNERS + LOOKERS];
	size_t seen = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(threads); i++) {
		racers[i] = (struct racer){ &race, i };
		assert_int_equal(pthread_create(&threads[i], NULL,
						i < BEGINNERS ? begin_and_end : look_on,
						&racers[i]),
				 0);
	}
	for (int look = 0; look < LOOKS; look++) {
		uint32_t before[BEGINNERS];
		struct lease_set set;

		for (size_t i = 0; i < BEGINNERS; i++)
			before[i] = race.begun[i];
		assert_int_equal(lease_set_read(&set, race.rig->fd, true, NULL), 0);
		for (uint32_t i = 0; i < BEGINNERS; i++) {
			/* Held from before the look to after it. */
			if (before[i] == 0 || race.begun[i] != before[i])
				continue;
			assert_true(has_image(&set, i << 24 | before[i]));
			assert_true(has_pack(&set, i << 24 | before[i]));
			seen++;
		}
		lease_set_release(&set);
	}
	race.is_over = true;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_true(seen > 0);
	assert_int_equal(folder_count(race.rig), 0);
}

/* The same with processes that are killed whenever. */
static void test_killed_beside_gc(void **state)
{
	const struct folder_rig *rig = *state;
	struct lease_set set;

	for (int round = 0; round < 100; round++) {
		const pid_t child = folder_fork();

		if (child == 0) {
			struct lease *l;

			for (uint32_t i = 0;; i++) {
				if (lease_new(&l, rig->fd, NULL) < 0)
					_exit(1);
				add(l, i, 3);
				lease_free(l);
			}
		}
		usleep((useconds_t)(31 * round));
		assert_int_equal(lease_set_read(&set, rig->fd, true, NULL), 0);
		assert_true(set.lease_count <= 1);
		lease_set_release(&set);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(lease_set_read(&set, rig->fd, true, NULL), 0);
		assert_int_equal(set.lease_count, 0);
		lease_set_release(&set);
		assert_int_equal(folder_count(rig), 0);
	}
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_set_up, folder_tear_down)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_own_leases),	   IN_FOLDER(test_records_are_written_once),
		IN_FOLDER(test_threads_add),	   IN_FOLDER(test_short_last_record),
		IN_FOLDER(test_senseless_records), IN_FOLDER(test_too_long),
		IN_FOLDER(test_strangers),	   IN_FOLDER(test_no_folder),
		IN_FOLDER(test_killed_processes),  IN_FOLDER(test_begin_beside_gc),
		IN_FOLDER(test_killed_beside_gc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
