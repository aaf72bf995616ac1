/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a store for a verb: see cmd.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "jail/limits.h"
#include "stellar/superblock.h"
#include "stellarium/cmd.h"
#include "stellarium/confine.h"

static int read_superblock(const char *path, struct superblock *sb, struct err *e)
{
	auto_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(e, -ENOENT,
			       "there is no store %s; 'stellarium init --store DIR' makes one",
			       quote(path).text);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open store %s", quote(path).text);
	return superblock_read(fd, path, sb, e);
}

static int ask(struct session *s, const char *path, const struct superblock *sb, struct err *e)
{
	char prompt[QUOTE_BYTES + 32];
	int r;

	if (le32_get(sb->envelope.kind) == KEY_BYTES)
		return err_set(
			e, -ENOKEY,
			"store %s is encrypted with a key; give --key-file PATH or --key-fd N",
			quote(path).text);
	snprintf(prompt, sizeof(prompt), "Passphrase of store %s: ", quote(path).text);
	r = secret_ask(&s->secret, prompt, false, e);
	if (r == -ENOTTY)
		return err_set(e, -ENOKEY,
			       "store %s is encrypted, and there is no terminal to ask for the "
			       "passphrase on; give --passphrase-file PATH or --passphrase-fd N",
			       quote(path).text);
	return r;
}

int session_find_key(struct session *s, const struct options *o, bool is_damaged, struct err *e)
{
	const bool is_given = o->key.source != KEY_SOURCE_NONE;
	struct superblock sb = { 0 };
	int r = secret_read(&s->secret, &o->key, e);

	if (r < 0)
		return r;
	r = read_superblock(o->store_path, &sb, e);
	if (r == -EBADMSG && is_damaged)
		return 0;
	if (r == 0 && !sb.is_encrypted && is_given)
		r = err_set(e, -EINVAL, "store %s is not encrypted; leave out %s",
			    quote(o->store_path).text, o->key.option);
	else if (r == 0 && sb.is_encrypted && !is_given)
		r = ask(s, o->store_path, &sb, e);
	/* Nobody reads a key out of this process, nor out of its core dump. */
	if (r == 0 && sb.is_encrypted)
		r = jail_hide(e);
	return r;
}

int session_new_key(struct secret *key, const struct key_choice *choice, const char *store_path,
		    struct err *e)
{
	char prompt[QUOTE_BYTES + 32];
	int r;

	if (choice->source != KEY_SOURCE_NONE)
		return secret_read(key, choice, e);
	snprintf(prompt, sizeof(prompt), "New passphrase of store %s: ", quote(store_path).text);
	r = secret_ask(key, prompt, true, e);
	if (r == -ENOTTY)
		return err_set(e, -ENOKEY,
			       "a key is needed, and there is no terminal to ask for a passphrase "
			       "on; --help lists the options that give one");
	return r;
}

int session_enter(struct session *s, const struct options *o, enum store_mode mode,
		  const char *folder, struct err *e)
{
	int r = confine(o->store_path, folder, JAIL_THREAD_STORE, e);

	return r == 0 ? store_open(&s->store, o->store_path, mode, &s->secret.input, e) : r;
}

int session_open(struct session *s, const struct options *o, enum store_mode mode,
		 const char *folder, struct err *e)
{
	int r = session_find_key(s, o, false, e);

	return r == 0 ? session_enter(s, o, mode, folder, e) : r;
}

void session_close(struct session *s)
{
	store_close(s->store);
	secret_release(&s->secret);
	*s = (struct session){ 0 };
}
