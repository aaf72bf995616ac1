/* SPDX-License-Identifier: Apache-2.0 */
/* The files of running virtual machines: see registry.h. */
#include "control/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "control/registry_folder.h"
#include "control/values.h"

enum {
	MAX_FILE_BYTES = 4096,
	MAX_ENTRIES = 65536,
	/* Somebody who looks whether a file is a dead one's has it locked for a moment. */
	CLAIM_TRIES = 20,
	CLAIM_PAUSE_NS = 2000000,
	STALE_S = 60, /* a file that was never linked is not in the making any more */
};

#define ENTRY_SUFFIX ".json"
#define SOCKET_SUFFIX ".sock"
#define DRAFT_PREFIX ".new-"

struct file_name {
	char text[INSTANCE_ID_BYTES + 16];
};

static struct file_name file_name(const char *id, const char *suffix)
{
	struct file_name name;

	snprintf(name.text, sizeof(name.text), "%s%s", id, suffix);
	return name;
}

int registry_open(struct registry *r, struct err *e)
{
	*r = (struct registry){ .claim_fd = -1 };
	r->folder_fd = registry_folder_open(r->folder, sizeof(r->folder), e);
	return r->folder_fd < 0 ? r->folder_fd : 0;
}

int registry_socket_path(const struct registry *r, const char *id,
			 char path[static API_SOCKET_PATH_BYTES])
{
	int len = snprintf(path, API_SOCKET_PATH_BYTES, "%s/%s" SOCKET_SUFFIX, r->folder, id);

	if (len < API_SOCKET_PATH_BYTES)
		return 0;
	path[0] = '\0';
	return -ENAMETOOLONG;
}

/*
 * Whether @fd, opened by @name, is still the file of that name. It cannot change while we have it
 * locked: whoever removes a file locks it first.
 */
static bool is_named(int folder_fd, int fd, const char *name)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 &&
	       fstatat(folder_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/*
 * Opens the file of @id if its owner lives. -ENOENT: there is none, or there was one of a dead
 * owner, which is removed.
 */
static int open_living(int folder_fd, const char *id)
{
	const struct file_name name = file_name(id, ENTRY_SUFFIX);
	auto_fd int fd =
		openat(folder_fd, name.text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? take_fd(&fd) : -errno;
	if (is_named(folder_fd, fd, name.text)) {
		unlinkat(folder_fd, file_name(id, SOCKET_SUFFIX).text, 0);
		unlinkat(folder_fd, name.text, 0);
	}
	return -ENOENT;
}

static int write_entry(int fd, const struct registry_entry *entry)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", entry->id, "version",
				 entry->version, "api_socket", entry->api_path, "pid",
				 (json_int_t)entry->pid, "started_at", entry->started_at_s);
	auto_free char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	/* A path need not be UTF-8, as JSON must be. */
	if (!text)
		return -EILSEQ;
	return file_write_full(fd, text, strlen(text));
}

static bool copy_text(char *to, size_t size, const char *from)
{
	const size_t len = strlen(from);

	if (len >= size)
		return false;
	memcpy(to, from, len + 1);
	return true;
}

static int read_entry(int fd, const char *id, struct registry_entry *entry)
{
	char text[MAX_FILE_BYTES];
	const char *id_text, *version, *api_path;
	json_int_t pid, started_at;
	ssize_t len = file_pread_full(fd, text, sizeof(text), 0);
	json_t *json;
	bool is_good;

	if (len < 0)
		return (int)len;
	json = json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
	*entry = (struct registry_entry){ 0 };
	is_good = json &&
		  json_unpack(json, "{s:s, s:s, s:s, s:I, s:I}", "id", &id_text, "version",
			      &version, "api_socket", &api_path, "pid", &pid, "started_at",
			      &started_at) == 0 &&
		  strcmp(id, id_text) == 0 && pid > 0 && pid <= INT32_MAX &&
		  copy_text(entry->id, sizeof(entry->id), id_text) &&
		  copy_text(entry->version, sizeof(entry->version), version) &&
		  copy_text(entry->api_path, sizeof(entry->api_path), api_path);
	if (is_good) {
		entry->pid = (pid_t)pid;
		entry->started_at_s = started_at;
	}
	json_decref(json);
	return is_good ? 0 : -EBADMSG;
}

/* Renames, or links and removes where a file system cannot rename so. -EEXIST: @to is there. */
static int rename_to_new(int folder_fd, const char *from, const char *to)
{
	if (renameat2(folder_fd, from, folder_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(folder_fd, from, folder_fd, to, 0) < 0)
		return -errno;
	unlinkat(folder_fd, from, 0);
	return 0;
}

/* Gives the file @draft its name. -EEXIST: the owner of the one of that name lives. */
static int link_draft(struct registry *r, const char *draft, const char *id)
{
	const struct timespec pause = { .tv_nsec = CLAIM_PAUSE_NS };
	const struct file_name name = file_name(id, ENTRY_SUFFIX);

	for (int i = 0; i < CLAIM_TRIES; i++) {
		int result = rename_to_new(r->folder_fd, draft, name.text);
		int fd;

		if (result != -EEXIST)
			return result;
		fd = open_living(r->folder_fd, id);
		if (fd >= 0) {
			close(fd);
			nanosleep(&pause, NULL);
		} else if (fd != -ENOENT) {
			return fd;
		}
	}
	return -EEXIST;
}

int registry_claim(struct registry *r, const struct registry_entry *entry, struct err *e)
{
	char draft[sizeof(DRAFT_PREFIX) + 16];
	uint64_t number;
	int result;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return err_set(e, -EIO, "cannot get random bytes");
	snprintf(draft, sizeof(draft), DRAFT_PREFIX "%016llx", (unsigned long long)number);
	auto_fd int fd = openat(r->folder_fd, draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make a file in %s", quote(r->folder).text);
	result = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : write_entry(fd, entry);
	if (result == 0)
		result = link_draft(r, draft, entry->id);
	if (result < 0)
		unlinkat(r->folder_fd, draft, 0);
	if (result == -EEXIST)
		return err_set(e, result,
			       "a virtual machine with the id '%s' runs already; 'volt-vmm ps' "
			       "lists them",
			       entry->id);
	if (result < 0)
		return err_errno(e, result, "cannot enter '%s' in %s", entry->id,
				 quote(r->folder).text);
	memcpy(r->id, entry->id, sizeof(r->id));
	/* A socket there is a dead one's: we have the name now. */
	unlinkat(r->folder_fd, file_name(r->id, SOCKET_SUFFIX).text, 0);
	r->claim_fd = take_fd(&fd);
	return 0;
}

int registry_find(struct registry *r, const char *id, struct registry_entry *entry, struct err *e)
{
	int result = -ENOENT;

	if (strlen(id) < INSTANCE_ID_BYTES && value_is_id(id, strlen(id))) {
		auto_fd int fd = open_living(r->folder_fd, id);

		result = fd < 0 ? fd : read_entry(fd, id, entry);
	}
	if (result == -ENOENT)
		return err_set(e, result,
			       "there is no running virtual machine %s; 'volt-vmm ps' lists them",
			       quote(id).text);
	if (result == -EBADMSG)
		return err_set(e, result, "the file of %s in %s is damaged", quote(id).text,
			       quote(r->folder).text);
	if (result < 0)
		return err_errno(e, result, "cannot read the file of %s in %s", quote(id).text,
				 quote(r->folder).text);
	return 0;
}

/* What somebody has left who was killed before its file had a name. */
static void drop_stale_draft(int folder_fd, const char *name)
{
	struct stat st;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtime < time(NULL) - STALE_S)
		unlinkat(folder_fd, name, 0);
}

/* The id in a file's name; false when it is none of ours. */
static bool id_of(const char *name, char id[static INSTANCE_ID_BYTES])
{
	const size_t suffix = sizeof(ENTRY_SUFFIX) - 1;
	const size_t len = strlen(name);

	if (len <= suffix || len - suffix >= INSTANCE_ID_BYTES ||
	    strcmp(name + len - suffix, ENTRY_SUFFIX) != 0 || !value_is_id(name, len - suffix))
		return false;
	memcpy(id, name, len - suffix);
	id[len - suffix] = '\0';
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct registry_entry *x = a, *y = b;

	if (x->started_at_s != y->started_at_s)
		return x->started_at_s < y->started_at_s ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* Adds the living one of @id to the list, if there is one. */
static int add_living(struct registry *r, const char *id, struct registry_entry **list, size_t *nr)
{
	struct registry_entry entry;
	struct registry_entry *more;
	auto_fd int fd = open_living(r->folder_fd, id);

	if (fd < 0 || read_entry(fd, id, &entry) < 0 || *nr >= MAX_ENTRIES)
		return 0;
	/* Grows at powers of two. */
	if ((*nr & (*nr - 1)) == 0) {
		more = reallocarray(*list, *nr == 0 ? 1 : 2 * *nr, sizeof(**list));
		if (!more)
			return -ENOMEM;
		*list = more;
	}
	(*list)[(*nr)++] = entry;
	return 0;
}

int registry_list(struct registry *r, struct registry_entry **list, struct err *e)
{
	/* A descriptor of its own: closedir() closes it. */
	int fd = openat(r->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char id[INSTANCE_ID_BYTES];
	struct dirent *item;
	size_t nr = 0;
	int result = 0;

	*list = NULL;
	if (!dir)
		return err_errno(e, -errno, "cannot list %s", quote(r->folder).text);
	while (result == 0 && (item = readdir(dir)) != NULL) {
		if (strncmp(item->d_name, DRAFT_PREFIX, sizeof(DRAFT_PREFIX) - 1) == 0)
			drop_stale_draft(r->folder_fd, item->d_name);
		else if (id_of(item->d_name, id))
			result = add_living(r, id, list, &nr);
	}
	closedir(dir);
	if (result < 0) {
		free(*list);
		*list = NULL;
		return err_set(e, result, "out of memory");
	}
	if (nr > 0)
		qsort(*list, nr, sizeof(**list), compare);
	return (int)nr;
}

void registry_close(struct registry *r)
{
	if (r->folder_fd >= 0 && r->claim_fd >= 0)
		unlinkat(r->folder_fd, file_name(r->id, ENTRY_SUFFIX).text, 0);
	cleanup_fd(&r->claim_fd);
	cleanup_fd(&r->folder_fd);
}
