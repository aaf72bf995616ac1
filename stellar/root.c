/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images: see root.h. Lists of them are in root_list.c. */
#include "stellar/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "stellar/root_impl.h"
#include "stellar/twin.h"

enum { ROOT_FILE_BYTES = 2 * sizeof(struct st_root), ROOT_MODE = 0644 };

/* An image is at most 2^56 - 1 bytes (manifest.h). */
static const uint64_t image_max_bytes = (UINT64_C(1) << 56) - 1;

/* --- the file ------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *bytes, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

/* @opaque: the name it should have. */
static const char *root_fault(const uint8_t *copy, const void *opaque)
{
	const size_t expected = strlen(opaque);
	struct st_root st;
	size_t len;

	memcpy(&st, copy, sizeof(st));
	len = le32_get(st.name_bytes);
	if (len == 0 || len > ROOT_NAME_MAX)
		return "its name has no possible length";
	if (!is_zero(st.name + len, ROOT_NAME_MAX - len) || !is_zero(st.zero, sizeof(st.zero)))
		return "its unused bytes are not zero";
	if (len != expected || memcmp(st.name, opaque, len) != 0)
		return "its file belongs to an image of another name";
	if (le64_get(st.bytes) > image_max_bytes)
		return "it is of an image that is longer than any can be";
	return NULL;
}

static const struct twin_format format = {
	.magic = ROOT_MAGIC,
	.bytes = sizeof(struct st_root),
	.fault = root_fault,
};

int root_parse(const uint8_t *bytes, size_t len, const struct id_scheme *scheme, const char *name,
	       struct root *out, struct err *e)
{
	char what[QUOTE_BYTES + 32];
	struct st_root st;
	struct twin twin;
	int r = root_check_name(name, e);

	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "the record of image %s", quote(name).text);
	r = twin_read(&format, scheme, bytes, len, name, what, &twin, e);
	if (r < 0)
		return r;
	memcpy(&st, twin.copy, sizeof(st));
	*out = (struct root){
		.bytes = le64_get(st.bytes),
		.created_s = le64_get(st.created_s),
		.is_damaged = twin.is_damaged,
	};
	memcpy(out->name, st.name, le32_get(st.name_bytes));
	memcpy(out->image_id.bytes, st.image_id, sizeof(out->image_id.bytes));
	return 0;
}

static void root_format(const struct root *root, const struct id_scheme *scheme,
			uint8_t file[static ROOT_FILE_BYTES])
{
	const size_t len = strlen(root->name);
	struct st_root st = {
		.name_bytes = le32_put((uint32_t)len),
		.bytes = le64_put(root->bytes),
		.created_s = le64_put(root->created_s),
	};

	memcpy(st.name, root->name, len);
	memcpy(st.image_id, root->image_id.bytes, sizeof(st.image_id));
	memcpy(file, &st, sizeof(st));
	twin_make(&format, scheme, file);
}

/* --- in the directory ------------------------------------------------------------------------ */

int root_lock(int roots_fd, int operation, struct err *e)
{
	auto_fd int fd = openat(roots_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open the store's folder 'roots'");
	r = file_lock(fd, operation);
	if (r < 0)
		return err_errno(e, r, "cannot lock the store's folder 'roots'");
	return take_fd(&fd);
}

static int no_such_image(const char *name, struct err *e)
{
	return err_set(e, -ENOENT, "no image %s in the store", quote(name).text);
}

int root_read(int roots_fd, const struct id_scheme *scheme, const char *name, struct root *out,
	      struct err *e)
{
	uint8_t bytes[ROOT_FILE_BYTES + 1];
	char file[ROOT_FILE_NAME_BYTES];
	ssize_t len;
	int r = root_check_name(name, e);

	if (r < 0)
		return r;
	root_file_name(name, file);
	len = file_read_head(roots_fd, file, bytes, sizeof(bytes));
	if (len == -ENOENT)
		return no_such_image(name, e);
	if (len == -EINVAL)
		return err_set(e, -EBADMSG, "the record of image %s is not a regular file",
			       quote(name).text);
	if (len < 0)
		return err_errno(e, (int)len, "cannot read the record of image %s",
				 quote(name).text);
	return root_parse(bytes, (size_t)len, scheme, name, out, e);
}

int root_write(int roots_fd, const struct id_scheme *scheme, const struct root *root,
	       bool may_replace, struct err *e)
{
	char file[ROOT_FILE_NAME_BYTES];
	char temporary[sizeof(ROOT_TEMPORARY) + ROOT_FILE_NAME_BYTES];
	const struct file_slot slot = {
		.dir_fd = roots_fd,
		.name = file,
		.temporary = temporary,
		.mode = ROOT_MODE,
		.may_replace = may_replace,
	};
	uint8_t bytes[ROOT_FILE_BYTES];
	int r = root_check_name(root->name, e);

	if (r < 0)
		return r;
	if (root->bytes > image_max_bytes)
		return err_set(e, -EFBIG, "image %s is too long", quote(root->name).text);
	root_file_name(root->name, file);
	snprintf(temporary, sizeof(temporary), "%s%s", ROOT_TEMPORARY, file);
	root_format(root, scheme, bytes);

	auto_fd int lock = root_lock(roots_fd, LOCK_EX, e);
	if (lock < 0)
		return lock;
	r = file_replace(&slot, bytes, sizeof(bytes));
	if (r == -EEXIST && !may_replace)
		return err_set(e, r, "there is an image %s already", quote(root->name).text);
	if (r < 0)
		return err_errno(e, r, "cannot write the record of image %s",
				 quote(root->name).text);
	return 0;
}

int root_remove(int roots_fd, const char *name, struct err *e)
{
	char file[ROOT_FILE_NAME_BYTES];
	int r = root_check_name(name, e);

	if (r < 0)
		return r;
	root_file_name(name, file);

	auto_fd int lock = root_lock(roots_fd, LOCK_EX, e);
	if (lock < 0)
		return lock;
	if (unlinkat(roots_fd, file, 0) < 0) {
		if (errno == ENOENT)
			return no_such_image(name, e);
		return err_errno(e, -errno, "cannot remove the record of image %s",
				 quote(name).text);
	}
	if (fsync(roots_fd) < 0)
		return err_errno(e, -errno,
				 "image %s is removed, but may come back after a crash of the host",
				 quote(name).text);
	return 0;
}
