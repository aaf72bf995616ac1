/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's metadata: see mmds_store.h. */
#include "control/mmds_store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "control/json/json.h"
#include "control/open.h"

/* Takes @root, also on failure. */
static int replace(struct mmds_store *store, json_t *root, struct err *e)
{
	if (!root)
		return err_set(e, -ENOMEM, "out of memory");
	if (json_dumpb(root, NULL, 0, JSON_COMPACT) > store->max_bytes) {
		json_decref(root);
		return err_set(e, -EFBIG, "The MMDS patch request doesn't fit.");
	}
	json_decref(store->root);
	store->root = root;
	return 0;
}

int mmds_store_put(struct mmds_store *store, json_t *value, struct err *e)
{
	return replace(store, json_deep_copy(value), e);
}

/* An object of the data and the one that is merged into it. */
struct level {
	json_t *target;
	json_t *patch;
	void *at; /* the member of `patch` that comes next */
};

/* Merges one member; sets *@deeper when it is an object, which goes on one level down. */
static int merge_member(struct level *level, const char *key, json_t *value, struct level *deeper)
{
	json_t *target;

	deeper->target = NULL;
	if (json_is_null(value)) {
		json_object_del(level->target, key);
		return 0;
	}
	if (!json_is_object(value))
		return json_object_set_new(level->target, key, json_deep_copy(value));
	target = json_object_get(level->target, key);
	if (!json_is_object(target)) {
		target = json_object();
		if (json_object_set_new(level->target, key, target) < 0)
			return -1;
	}
	*deeper = (struct level){ target, value, json_object_iter(value) };
	return 0;
}

/* RFC 7396, 2, without recursion: parsed documents are at most JSON_DOC_MAX_DEPTH deep. */
static int merge(json_t *target, json_t *patch)
{
	struct level levels[JSON_DOC_MAX_DEPTH + 1];
	size_t depth = 0;

	levels[0] = (struct level){ target, patch, json_object_iter(patch) };
	for (;;) {
		struct level *level = &levels[depth];
		struct level deeper;
		void *at = level->at;

		if (!at && depth == 0)
			return 0;
		if (!at) {
			depth--;
			continue;
		}
		level->at = json_object_iter_next(level->patch, at);
		if (merge_member(level, json_object_iter_key(at), json_object_iter_value(at),
				 &deeper) < 0)
			return -ENOMEM;
		if (deeper.target && depth < JSON_DOC_MAX_DEPTH)
			levels[++depth] = deeper;
	}
}

int mmds_store_patch(struct mmds_store *store, json_t *patch, struct err *e)
{
	json_t *root;

	if (!store->root)
		return err_set(e, -ENOENT, "The MMDS data store is not initialized.");
	root = json_deep_copy(store->root);
	if (root && merge(root, patch) < 0) {
		json_decref(root);
		root = NULL;
	}
	return replace(store, root, e);
}

static int put_text(struct mmds_store *store, const char *text, size_t len, struct err *e)
{
	struct json_doc doc;
	int r = json_doc_parse(&doc, text, len, e);

	if (r == 0) {
		const struct json_node root = json_doc_root(&doc);

		r = json_is_object(root.value) ? mmds_store_put(store, root.value, e)
					       : json_refuse_type(&root, "a map", e);
	}
	json_doc_release(&doc);
	return r;
}

int mmds_store_load(struct mmds_store *store, const char *path, struct err *e)
{
	auto_fd int fd = open_image("metadata file", path, e);
	auto_free char *text = NULL;
	struct err why = { 0 };
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	/* The limit is that of the compact text, and good enough for the file. */
	text = malloc(store->max_bytes + 1);
	if (!text)
		return err_errno(e, -ENOMEM, "cannot hold metadata file %s", quote(path).text);
	n = file_pread_full(fd, text, store->max_bytes + 1, 0);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read metadata file %s", quote(path).text);
	if ((size_t)n > store->max_bytes)
		return err_set(e, -EBADMSG,
			       "metadata file %s has more than the %zu bytes of "
			       "--mmds-size-limit",
			       quote(path).text, store->max_bytes);
	r = put_text(store, text, (size_t)n, &why);
	return r < 0 ? err_set(e, r, "metadata file %s: %s", quote(path).text, why.msg) : 0;
}

void mmds_store_release(struct mmds_store *store)
{
	json_decref(store->root);
	store->root = NULL;
}
