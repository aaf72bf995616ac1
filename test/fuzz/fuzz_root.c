/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images, and the files of names. The input is a byte as of fuzz_superblock.c, a name that
 * ends at a NUL, and a file.
 *
 * A good name is one file's name, short enough and of one part, and that file's name is of this name
 * only; a file's name that is of a good name is the one that it gives.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stellar/abi.h"
#include "stellar/root.h"
#include "stellar/root_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

enum {
	COPY_BYTES = sizeof(struct st_root),
	MAX_BYTES = 4 * COPY_BYTES,
	SUM_FIRST = 1,
	SUM_SECOND = 2,
	COPY_FIRST = 4,
};

static void check_name(const char *name)
{
	char file[ROOT_FILE_NAME_BYTES], again[ROOT_NAME_MAX + 1];
	struct err e = { 0 };
	const int r = root_check_name(name, &e);

	REQUIRE(r == 0 || (r == -EINVAL && e.msg[0]));
	for (const char *c = e.msg; *c; c++)
		REQUIRE(*c & 0x80 || (*c >= ' ' && *c != 0x7f));
	if (r == 0) {
		root_file_name(name, file);
		REQUIRE(strlen(file) + strlen(ROOT_TEMPORARY) <= NAME_MAX);
		REQUIRE(!strchr(file, '/') && file[0] != '.' && file[0] != '+');
		REQUIRE(root_name_of_file(file, again) == 0 && strcmp(again, name) == 0);
	}
	if (root_name_of_file(name, again) == 0) {
		REQUIRE(root_check_name(again, NULL) == 0);
		root_file_name(again, file);
		REQUIRE(strcmp(file, name) == 0);
	}
}

static void check_file(const uint8_t *file, size_t len, const struct id_scheme *scheme,
		       const char *name)
{
	struct root root = { 0 };
	struct err e = { 0 };
	const int r = root_parse(file, len, scheme, name, &root, &e);

	REQUIRE(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -EINVAL);
	REQUIRE((r == 0) == (e.msg[0] == '\0'));
	if (r < 0)
		return;
	REQUIRE(strcmp(root.name, name) == 0 && len >= COPY_BYTES);
	REQUIRE(root.is_damaged || (len == 2 * (size_t)COPY_BYTES &&
				    memcmp(file, file + COPY_BYTES, COPY_BYTES) == 0));
}

static void put_sum(const struct id_scheme *scheme, uint8_t *copy)
{
	id_sum(scheme, copy, COPY_BYTES - STORE_SUM_BYTES, copy + COPY_BYTES - STORE_SUM_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 1 ? memchr(data + 1, '\0', size - 1) : NULL;
	struct id_scheme scheme;
	uint8_t *file;
	char *name;
	size_t len;

	if (!end || size > MAX_BYTES)
		return 0;
	len = size - (size_t)(end + 1 - data);
	name = strdup((const char *)data + 1);
	file = malloc(len ? len : 1);
	REQUIRE(name && file);
	memcpy(file, end + 1, len);
	id_scheme_init(&scheme, NULL);
	if (len >= COPY_BYTES && data[0] & SUM_FIRST)
		put_sum(&scheme, file);
	if (len >= 2 * (size_t)COPY_BYTES && data[0] & COPY_FIRST)
		memcpy(file + COPY_BYTES, file, COPY_BYTES);
	if (len >= 2 * (size_t)COPY_BYTES && data[0] & SUM_SECOND)
		put_sum(&scheme, file + COPY_BYTES);
	check_name(name);
	check_file(file, len, &scheme, name);
	id_scheme_release(&scheme);
	free(file);
	free(name);
	return 0;
}
