/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images and of their files: see root.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/quote.h"
#include "stellar/root_impl.h"

static const char slash_text[] = "%2F";

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool may_be_in_name(char c)
{
	return is_alphanumeric(c) || (c != '\0' && strchr("._-+@:/", c));
}

/* Of the part of a name that ends at a slash or at its end. */
static bool part_is_valid(const char *part, size_t len)
{
	return len > 0 && !(len == 1 && part[0] == '.') &&
	       !(len == 2 && part[0] == '.' && part[1] == '.');
}

/* What is wrong with the name, or NULL. */
static const char *name_fault(const char *name)
{
	const size_t len = strnlen(name, ROOT_NAME_MAX + 1);
	size_t slashes = 0, begin = 0;

	if (len == 0)
		return "a name has at least one character";
	if (len > ROOT_NAME_MAX)
		return "a name has at most 200 bytes";
	if (!is_alphanumeric(name[0]))
		return "a name begins with a letter or a digit of ASCII";
	for (size_t i = 0; i <= len; i++) {
		if (i < len && !may_be_in_name(name[i]))
			return "a name is made of letters and digits of ASCII and ._-+@:/";
		if (i < len && name[i] != '/')
			continue;
		if (!part_is_valid(name + begin, i - begin))
			return "no part of a name between slashes is empty, '.' or '..'";
		slashes += i < len;
		begin = i + 1;
	}
	if (slashes > ROOT_SLASHES_MAX)
		return "a name has at most 25 slashes";
	return NULL;
}

int root_check_name(const char *name, struct err *e)
{
	const char *fault = name_fault(name);

	if (fault)
		return err_set(e, -EINVAL, "image name %s does not work: %s", quote(name).text,
			       fault);
	return 0;
}

void root_file_name(const char *name, char file[static ROOT_FILE_NAME_BYTES])
{
	const size_t step = sizeof(slash_text) - 1;
	size_t len = 0;

	for (const char *c = name; *c; c++) {
		if (*c == '/') {
			memcpy(file + len, slash_text, step);
			len += step;
		} else {
			file[len++] = *c;
		}
	}
	file[len] = '\0';
}

int root_name_of_file(const char *file, char name[static ROOT_NAME_MAX + 1])
{
	const size_t step = sizeof(slash_text) - 1;
	size_t len = 0;

	for (const char *c = file; *c; c++) {
		if (len == ROOT_NAME_MAX || *c == '/')
			return -EINVAL;
		if (strncmp(c, slash_text, step) == 0) {
			name[len++] = '/';
			c += step - 1;
		} else {
			name[len++] = *c;
		}
	}
	name[len] = '\0';
	return name_fault(name) ? -EINVAL : 0;
}
