/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the names of images: each file, both of its copies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/fsck_impl.h"
#include "stellar/root_impl.h"

static int add_root(struct fsck *f, const struct root *root, struct err *e)
{
	struct root *grown = reallocarray(f->roots.roots, f->roots.count + 1, sizeof(*grown));

	if (!grown)
		return err_set(e, -ENOMEM, "out of memory");
	f->roots.roots = grown;
	grown[f->roots.count++] = *root;
	return 0;
}

static int take_root(struct fsck *f, struct root *root, struct err *e)
{
	int r = 0;

	if (root->is_damaged && f->is_pass_to_repair)
		r = root_write(f->store->roots_fd, &f->store->scheme, root, true, e);
	if (r == 0 && root->is_damaged)
		fsck_tell(f, f->is_pass_to_repair,
			  "the name of image %s: one of the two copies in its file is damaged",
			  quote(root->name).text);
	return r == 0 ? add_root(f, root, e) : r;
}

static int visit_root(struct fsck *f, int dir_fd, const char *file, struct err *e)
{
	uint8_t bytes[2 * sizeof(struct st_root) + 1];
	char name[ROOT_NAME_MAX + 1];
	struct err why = { 0 };
	struct root root;
	ssize_t len;
	int r;

	if (strncmp(file, ROOT_TEMPORARY, strlen(ROOT_TEMPORARY)) == 0)
		return fsck_remove_leftover(f, dir_fd, "roots", file);
	if (root_name_of_file(file, name) < 0)
		return fsck_remove_strange(f, dir_fd, "roots", file, "is no name of an image", e);
	len = file_read_head(dir_fd, file, bytes, sizeof(bytes));
	if (len == -ENOENT)
		return 0; /* removed meanwhile */
	if (len == -EINVAL)
		return fsck_remove_strange(f, dir_fd, "roots", file, "is no file", e);
	if (len < 0) {
		if (!f->is_pass_to_repair)
			fsck_tell(f, false, "the name of image %s cannot be read: %s",
				  quote(name).text, strerror((int)-len));
		return 0;
	}
	r = root_parse(bytes, (size_t)len, &f->store->scheme, name, &root, &why);
	if (r == 0)
		return take_root(f, &root, e);
	if (r == -EPROTONOSUPPORT && f->is_pass_to_repair)
		return 0;
	if (f->is_pass_to_repair)
		r = fsck_quarantine(f, dir_fd, "roots", file, e);
	if (!f->is_pass_to_repair || r == 0)
		fsck_tell(f, f->is_pass_to_repair, "%s", why.msg);
	return f->is_pass_to_repair ? r : 0;
}

int fsck_check_roots(struct fsck *f, struct err *e)
{
	/* A listing may miss a name that is replaced meanwhile. */
	auto_fd int lock = f->is_pass_to_repair ? -1 : root_lock(f->store->roots_fd, LOCK_SH, e);

	if (!f->is_pass_to_repair && lock < 0)
		return lock;
	root_list_release(&f->roots);
	return fsck_each_name(f->store->roots_fd, "roots", visit_root, f, e);
}
