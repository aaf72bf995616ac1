/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images that stand for a number, for tests of roots. Include it after cmocka.h. */
#pragma once

#include "stellar/root.h"
#include "test/unit/folder_rig.h"

static struct id_scheme scheme; /* a test's main() makes it */

static inline struct root make_root(const char *name, uint8_t mark)
{
	struct root root = { .bytes = 1000 + mark, .created_s = 1700000000 };

	snprintf(root.name, sizeof(root.name), "%s", name);
	memset(root.image_id.bytes, mark, sizeof(root.image_id.bytes));
	return root;
}

static inline int put(const struct folder_rig *rig, const char *name, uint8_t mark,
		      bool may_replace)
{
	const struct root root = make_root(name, mark);

	return root_write(rig->fd, &scheme, &root, may_replace, NULL);
}

/* The mark of the image, or -errno. */
static inline int get(const struct folder_rig *rig, const char *name)
{
	struct root root;
	int r = root_read(rig->fd, &scheme, name, &root, NULL);

	if (r < 0)
		return r;
	assert_string_equal(root.name, name);
	assert_int_equal(root.bytes, 1000 + root.image_id.bytes[0]);
	return root.image_id.bytes[0];
}
