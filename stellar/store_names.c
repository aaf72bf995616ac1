/* SPDX-License-Identifier: Apache-2.0 */
/* Images by their names: finds, tags, removes and lists them, safe beside gc. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/quote.h"
#include "stellar/reader.h"
#include "stellar/store_impl.h"

#define ID_PREFIX "id:"

/* An image by its id: without a name, but whole, if some lease or luck has kept it. */
static int find_by_id(struct store *s, const char *name, struct root *out, struct err *e)
{
	struct store_reader *r;
	struct manifest_source source;
	struct manifest_cursor *cursor = NULL;
	int code;

	*out = (struct root){ 0 };
	if (id_from_hex(&out->image_id, name + strlen(ID_PREFIX)) < 0)
		return err_set(e, -EINVAL,
			       "'%.80s' is no id of an image: 64 hexadecimal digits follow 'id:'",
			       name);
	code = store_reader_new(&r, s, e);
	if (code < 0)
		return code;
	source = store_reader_source(r);
	code = manifest_open(&cursor, &out->image_id, &source, e);
	if (code == 0)
		out->bytes = manifest_info(cursor)->bytes;
	manifest_close(cursor);
	store_reader_free(r);
	return code;
}

static int find_inside_gate(struct store *s, const char *name, struct root *out, struct err *e)
{
	int r;

	if (strncmp(name, ID_PREFIX, strlen(ID_PREFIX)) == 0)
		return find_by_id(s, name, out, e);
	r = root_check_name(name, e);
	return r < 0 ? r : root_read(s->roots_fd, &s->scheme, name, out, e);
}

int store_find(struct store *s, const char *name, struct lease **lease, struct root *out,
	       struct err *e)
{
	int r = 0;

	if (s->is_frozen)
		return find_inside_gate(s, name, out, e);
	if (lease && !*lease)
		r = lease_new(lease, s->leases_fd, e);
	if (r < 0)
		return r;
	r = store_enter_gate(s, false, e);
	if (r < 0)
		return r;
	r = find_inside_gate(s, name, out, e);
	if (r == 0 && lease)
		r = lease_add_image(*lease, &out->image_id, e);
	store_leave_gate(s);
	return r;
}

static int check_writable(const struct store *s, struct err *e)
{
	return s->mode == STORE_READ_ONLY
		       ? err_set(e, -EROFS, "the store %s is open for reading only",
				 quote(s->path).text)
		       : 0;
}

int store_tag(struct store *s, const char *name, const char *new_name, bool may_replace,
	      struct err *e)
{
	struct root root;
	int r = check_writable(s, e);

	if (r == 0)
		r = root_check_name(new_name, e);
	if (r == 0)
		r = store_enter_gate(s, false, e);
	if (r < 0)
		return r;
	r = find_inside_gate(s, name, &root, e);
	if (r == 0) {
		memcpy(root.name, new_name, strlen(new_name) + 1); /* checked: it fits */
		root.created_s = (uint64_t)time(NULL);
		r = root_write(s->roots_fd, &s->scheme, &root, may_replace, e);
	}
	store_leave_gate(s);
	return r;
}

int store_remove(struct store *s, const char *name, struct err *e)
{
	int r = check_writable(s, e);

	if (r == 0)
		r = root_check_name(name, e);
	return r < 0 ? r : root_remove(s->roots_fd, name, e);
}

int store_list(struct store *s, struct root_list *list, struct err *e)
{
	return root_list_read(s->roots_fd, &s->scheme, list, e);
}
