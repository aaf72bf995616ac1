/* SPDX-License-Identifier: Apache-2.0 */
/* The log and the objects in it, see record.h. */
#include "test/crash/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "test/crash/recorder.h"

/* Address space, not memory: pages come when they are written. */
enum {
	OPS_MAX = 1 << 20,
	OBJECTS_MAX = 1 << 16,
	DIRS_DEEP_MAX = 16,
};
#define ARENA_BYTES (UINT64_C(2) << 30)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct crash_log *) active; /* the log of the recorder at work */
static struct crash_fault *fault; /* under the lock */
static _Thread_local bool is_inside; /* of the recorder: calls are its own */

/* --- memory ---------------------------------------------------------------------------------- */

static size_t log_bytes(void)
{
	return sizeof(struct crash_log) + OPS_MAX * sizeof(struct crash_op) +
	       OBJECTS_MAX * sizeof(struct crash_object) + ARENA_BYTES;
}

struct crash_log *crash_log_new(void)
{
	uint8_t *p = mmap(NULL, log_bytes(), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct crash_log *log;

	if (p == MAP_FAILED)
		return NULL;
	log = (void *)p;
	log->ops = (void *)(p + sizeof(*log));
	log->objects = (void *)(log->ops + OPS_MAX);
	log->arena = (void *)(log->objects + OBJECTS_MAX);
	return log;
}

void crash_log_free(struct crash_log *log)
{
	if (log)
		munmap(log, log_bytes());
}

void recorder_complain(const char *fmt, ...)
{
	struct crash_log *log = active;
	va_list args;

	if (log->complaint[0])
		return;
	va_start(args, fmt);
	vsnprintf(log->complaint, sizeof(log->complaint), fmt, args);
	va_end(args);
}

/* Room for @len bytes; NULL: there is none, and the log complains. */
static uint8_t *arena_take(size_t len)
{
	struct crash_log *log = active;
	uint8_t *p = log->arena + log->arena_used;

	if (len > ARENA_BYTES - log->arena_used) {
		recorder_complain("more data was written than the log has room for");
		return NULL;
	}
	log->arena_used += len;
	return p;
}

const uint8_t *recorder_keep(const void *data, size_t len)
{
	uint8_t *p = arena_take(len);

	if (p && len)
		memcpy(p, data, len);
	return p;
}

const char *recorder_keep_name(const char *name)
{
	const uint8_t *kept = recorder_keep(name, strlen(name) + 1);

	return kept ? (const char *)kept : "";
}

struct crash_op *recorder_op(enum crash_op_kind kind, uint32_t object)
{
	struct crash_log *log = active;
	struct crash_op *op;

	if (log->nr_ops == OPS_MAX) {
		recorder_complain("more than %d operations were made", OPS_MAX);
		log->nr_ops--;
	}
	op = &log->ops[log->nr_ops++];
	*op = (struct crash_op){ .kind = kind, .object = object };
	if (kind == CRASH_MAPPED && !log->objects[object].is_mapped) {
		log->objects[object].is_mapped = true;
		log->objects[object].mapped_at = log->nr_ops - 1;
	}
	return op;
}

/* --- objects --------------------------------------------------------------------------------- */

static uint32_t find_object(const struct stat *st)
{
	const struct crash_log *log = active;

	/* From the newest: that is where most work is. */
	for (size_t i = log->nr_objects; i > 0; i--) {
		const struct crash_object *o = &log->objects[i - 1];

		if (o->ino == st->st_ino && o->dev == st->st_dev)
			return (uint32_t)(i - 1);
	}
	return RECORDER_NONE;
}

uint32_t recorder_new_object(const struct stat *st)
{
	struct crash_log *log = active;
	uint32_t old = find_object(st);

	if (old != RECORDER_NONE)
		log->objects[old].ino = 0; /* it is gone, and the number used again */
	if (log->nr_objects == OBJECTS_MAX) {
		recorder_complain("more than %d files were made", OBJECTS_MAX);
		log->nr_objects--;
	}
	log->objects[log->nr_objects] = (struct crash_object){
		.is_dir = S_ISDIR(st->st_mode),
		.mode = st->st_mode & 07777,
		.dev = st->st_dev,
		.ino = st->st_ino,
	};
	return (uint32_t)log->nr_objects++;
}

uint32_t recorder_object(int fd)
{
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 ? RECORDER_NONE : find_object(&st);
}

uint32_t recorder_object_at(int dirfd, const char *path, int flags)
{
	struct stat st;

	return fstatat(dirfd, path, &st, flags) < 0 ? RECORDER_NONE : find_object(&st);
}

uint32_t recorder_parent(int dirfd, const char *path, char name[static NAME_MAX + 1])
{
	const char *end = path + strlen(path);
	const char *start;
	char parent[PATH_MAX];

	while (end > path && end[-1] == '/')
		end--;
	start = end;
	while (start > path && start[-1] != '/')
		start--;
	if (start == end || end - start > NAME_MAX || start - path >= PATH_MAX)
		return RECORDER_NONE;
	memcpy(name, start, (size_t)(end - start));
	name[end - start] = '\0';
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return RECORDER_NONE;
	memcpy(parent, path, (size_t)(start - path));
	parent[start - path] = '\0';
	return recorder_object_at(dirfd, start == path ? "." : parent, 0);
}

/* --- from the start to the end --------------------------------------------------------------- */

bool recorder_enter(void)
{
	if (is_inside || !active)
		return false;
	pthread_mutex_lock(&lock);
	if (!active) {
		pthread_mutex_unlock(&lock);
		return false;
	}
	is_inside = true;
	return true;
}

void recorder_leave(void)
{
	int saved = errno;

	is_inside = false;
	pthread_mutex_unlock(&lock);
	errno = saved;
}

static int read_content(int fd, const uint8_t **data, uint64_t *len)
{
	struct stat st;
	uint8_t *p;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	p = arena_take((size_t)st.st_size);
	if (!p)
		return -ENOMEM;
	n = file_pread_full(fd, p, (size_t)st.st_size, 0);
	if (n < 0)
		return (int)n;
	*data = p;
	*len = (uint64_t)n;
	return 0;
}

static int add_dir(int fd, uint32_t dir, unsigned depth);

static int add_entry(int dir_fd, uint32_t dir, const char *name, unsigned depth)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct crash_log *log = active;
	struct crash_op *op;
	struct stat st;
	uint32_t object;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EINVAL;
	object = find_object(&st);
	op = recorder_op(CRASH_LINK, dir);
	op->is_durable = true;
	op->name = recorder_keep_name(name);
	if (object != RECORDER_NONE) {
		op->target = object; /* its second name */
		return 0;
	}
	object = op->target = recorder_new_object(&st);
	if (S_ISDIR(st.st_mode))
		return depth < DIRS_DEEP_MAX ? add_dir(fd, object, depth + 1) : -ELOOP;
	return read_content(fd, &log->objects[object].data, &log->objects[object].size);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_dir(int fd, uint32_t dir, unsigned depth)
{
	struct dirent **entries;
	int nr = scandirat(fd, ".", &entries, NULL, by_name);
	int r = 0;

	if (nr < 0)
		return -errno;
	for (int i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;

		if (r == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			r = add_entry(fd, dir, name, depth);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int record_start(struct crash_log *log, const char *dir, struct err *e)
{
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot open '%s' to watch it", dir);
	log->nr_ops = log->nr_initial = log->nr_objects = log->arena_used = 0;
	log->complaint[0] = '\0';
	pthread_mutex_lock(&lock);
	active = log;
	is_inside = true;
	recorder_new_object(&st);
	r = add_dir(fd, CRASH_ROOT, 0);
	log->nr_initial = log->nr_ops;
	recorder_leave();
	if (r < 0)
		active = NULL;
	return r < 0 ? err_errno(e, r, "cannot read what is in '%s'", dir) : 0;
}

static int keep_mapped(struct crash_log *log, int dir_fd, const char *name, unsigned depth);

/* Reads what mapped files hold in the end, for which the directory has to be walked. */
static int walk_mapped(struct crash_log *log, int fd, unsigned depth)
{
	struct dirent **entries;
	int nr = scandirat(fd, ".", &entries, NULL, by_name);
	int r = 0;

	for (int i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;

		if (r == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			r = keep_mapped(log, fd, name, depth);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	return r;
}

static int keep_mapped(struct crash_log *log, int dir_fd, const char *name, unsigned depth)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint32_t object = recorder_object(fd);

	if (object == RECORDER_NONE)
		return 0;
	if (log->objects[object].is_dir)
		return depth < DIRS_DEEP_MAX ? walk_mapped(log, fd, depth + 1) : -ELOOP;
	if (!log->objects[object].is_mapped)
		return 0;
	return read_content(fd, &log->objects[object].mapped, &log->objects[object].mapped_len);
}

int record_stop(const char *dir)
{
	auto_fd int fd = -1;
	int r;

	if (!recorder_enter())
		return -EINVAL;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : walk_mapped(active, fd, 0);
	active = NULL;
	fault = NULL;
	recorder_leave();
	return r;
}

void crash_note(const char *fmt, ...)
{
	char text[NAME_MAX + 1];
	va_list args;

	if (!recorder_enter())
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	recorder_op(CRASH_NOTE, 0)->name = recorder_keep_name(text);
	recorder_leave();
}

/* --- calls that fail ------------------------------------------------------------------------- */

void record_fault(struct crash_fault *f)
{
	pthread_mutex_lock(&lock);
	fault = f;
	if (f) {
		f->nr_seen = 0;
		f->hit = 0;
	}
	pthread_mutex_unlock(&lock);
}

int recorder_fault(enum crash_call call, bool can_be_short)
{
	struct crash_fault *f = fault;

	if (!f || !(f->calls & call) || (f->error == CRASH_SHORT && !can_be_short))
		return 0;
	f->nr_seen++;
	if (f->nr_seen != f->nth && !(f->is_lasting && f->hit && f->nr_seen > f->nth))
		return 0;
	f->hit = call;
	if (f->error != CRASH_SHORT)
		errno = f->error;
	return f->error;
}
