/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes a store: see store.h. */
#include "stellar/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/store_impl.h"

static int open_folder(struct store *s, const char *name, int *fd, struct err *e)
{
	*fd = openat(s->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *fd < 0 ? err_errno(e, -errno, "cannot open the folder '%s/%s'", s->path, name) : 0;
}

static int open_lock(struct store *s, const char *name, int *fd, struct err *e)
{
	*fd = file_open_regular(s->dir_fd, name, O_RDONLY);
	return *fd < 0 ? err_errno(e, *fd, "cannot open '%s/%s'", s->path, name) : 0;
}

/* Nobody remakes the index while we have it open, or nobody else has it open. */
static int lock_store(struct store *s, struct err *e)
{
	const bool is_exclusive = s->mode == STORE_EXCLUSIVE;
	const int r = file_lock(s->lock_fd, (is_exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);

	if (r == -EWOULDBLOCK)
		return err_set(e, -EBUSY,
			       is_exclusive
				       ? "the store %s is in use by another process; this needs it "
					 "alone"
				       : "the store %s is being repaired or changed by another "
					 "process",
			       quote(s->path).text);
	return r < 0 ? err_errno(e, r, "cannot lock '%s/lock'", s->path) : 0;
}

static int open_folders(struct store *s, struct err *e)
{
	struct statvfs fs;
	int r;

	s->dir_fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0 && errno == ENOENT)
		return err_set(e, -ENOENT, "there is no store %s; 'stellarium init' makes one",
			       quote(s->path).text);
	if (s->dir_fd < 0)
		return err_errno(e, -errno, "cannot open the store %s", quote(s->path).text);
	s->is_frozen = fstatvfs(s->dir_fd, &fs) == 0 && fs.f_flag & ST_RDONLY;
	r = superblock_read(s->dir_fd, s->path, &s->superblock, e);
	if (r == 0 && s->is_frozen && s->mode != STORE_READ_ONLY)
		r = err_set(e, -EROFS, "the store %s is on a read-only file system",
			    quote(s->path).text);
	if (r == 0)
		r = open_lock(s, "lock", &s->lock_fd, e);
	if (r == 0)
		r = open_lock(s, "gate", &s->gate_fd, e);
	if (r == 0)
		r = lock_store(s, e);
	if (r == 0)
		r = open_folder(s, "packs", &s->packs_fd, e);
	if (r == 0)
		r = open_folder(s, "roots", &s->roots_fd, e);
	if (r == 0)
		r = open_folder(s, "leases", &s->leases_fd, e);
	return r;
}

static int unlock_keys(struct store *s, const struct key_input *key, struct err *e)
{
	const bool has_key = key && key->kind != KEY_NONE;
	int r;

	if (!s->superblock.is_encrypted) {
		if (has_key)
			return err_set(e, -EINVAL, "the store %s is not encrypted: it takes no key",
				       quote(s->path).text);
		id_scheme_init(&s->scheme, NULL);
		return 0;
	}
	if (!has_key)
		return err_set(e, -EKEYREJECTED, "the store %s is encrypted: it needs %s",
			       quote(s->path).text,
			       le32_get(s->superblock.envelope.kind) == KEY_PASSPHRASE
				       ? "a passphrase"
				       : "a key file");
	r = crypt_unwrap(&s->superblock.envelope, s->superblock.uuid, key, s->master, e);
	if (r == 0)
		r = sealer_new(&s->sealer, s->master, e);
	if (r == 0)
		id_scheme_init(&s->scheme, s->master);
	if (s->mode != STORE_EXCLUSIVE)
		explicit_bzero(s->master, sizeof(s->master));
	return r;
}

int store_open_bare(struct store **out, const char *path, enum store_mode mode,
		    const struct key_input *key, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->mode = mode;
	s->dir_fd = s->packs_fd = s->roots_fd = s->leases_fd = s->lock_fd = s->gate_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->gate_lock, NULL);
	s->path = strdup(path);
	r = s->path ? open_folders(s, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = unlock_keys(s, key, e);
	if (r < 0) {
		store_close(s);
		return r;
	}
	s->place = (struct pack_place){
		.packs_fd = s->packs_fd,
		.uuid = s->superblock.uuid,
		.scheme = &s->scheme,
		.dictionary_id = s->superblock.dictionary_id,
	};
	*out = s;
	return 0;
}

int store_open_index(struct store *s, struct err *e)
{
	/* Who reads enters what a crash left out too, if it may. */
	const bool may_write = !s->is_frozen && faccessat(s->dir_fd, "index", W_OK, 0) == 0;
	int r = index_open(&s->index, s->path, s->superblock.uuid,
			   may_write ? INDEX_READ_WRITE : INDEX_READ_ONLY, e);

	if (r == 0 && may_write)
		r = store_adopt_packs(s, e);
	return r;
}

int store_open(struct store **out, const char *path, enum store_mode mode,
	       const struct key_input *key, struct err *e)
{
	struct store *s;
	int r = store_open_bare(&s, path, mode, key, e);

	if (r < 0)
		return r;
	r = store_open_index(s, e);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_close_packs(s);
	store_free_dictionaries(s);
	index_close(s->index);
	sealer_free(s->sealer);
	id_scheme_release(&s->scheme);
	explicit_bzero(s->master, sizeof(s->master));
	cleanup_fd(&s->dir_fd);
	cleanup_fd(&s->packs_fd);
	cleanup_fd(&s->roots_fd);
	cleanup_fd(&s->leases_fd);
	cleanup_fd(&s->gate_fd);
	cleanup_fd(&s->lock_fd);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->gate_lock);
	free(s->path);
	free(s);
}

const char *store_path(const struct store *s)
{
	return s->path;
}

const struct superblock *store_superblock(const struct store *s)
{
	return &s->superblock;
}

/* --- the gate ------------------------------------------------------------------------------ */

int store_enter_gate(struct store *s, bool is_exclusive, struct err *e)
{
	int r;

	pthread_mutex_lock(&s->gate_lock);
	r = file_lock(s->gate_fd, is_exclusive ? LOCK_EX : LOCK_SH);
	if (r < 0) {
		pthread_mutex_unlock(&s->gate_lock);
		return err_errno(e, r, "cannot lock '%s/gate'", s->path);
	}
	return 0;
}

void store_leave_gate(struct store *s)
{
	file_lock(s->gate_fd, LOCK_UN);
	pthread_mutex_unlock(&s->gate_lock);
}
