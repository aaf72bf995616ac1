/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of cgroups: see cgroup_mount.h. */
#include "jail/cgroup_mount.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

/* The next field of a line, up to a space, which ends it; NULL at the end. */
static char *next_field(char **rest)
{
	char *field;

	do {
		field = strsep(rest, " \n");
	} while (field && !*field);
	return field;
}

static bool is_octal(char ch, char max)
{
	return ch >= '0' && ch <= max;
}

/* The kernel writes spaces and the like as \040. */
static bool unescape(const char *from, char *to, size_t size)
{
	size_t len = 0;

	while (*from) {
		if (len + 1 >= size)
			return false;
		if (from[0] == '\\' && is_octal(from[1], '3') && is_octal(from[2], '7') &&
		    is_octal(from[3], '7')) {
			to[len++] = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
					   (from[3] - '0'));
			from += 4;
		} else {
			to[len++] = *from++;
		}
	}
	to[len] = '\0';
	return true;
}

/* "36 35 98:0 /root /mount/point rw,noatime master:1 - cgroup source rw,cpu" */
static bool parse_line(char *line, struct cgroup_mount *out)
{
	enum { BEFORE_PATH = 4 };
	char *field = NULL;
	const char *path, *type, *options;

	for (int i = 0; i < BEFORE_PATH; i++)
		field = next_field(&line);
	path = field ? next_field(&line) : NULL;
	do {
		field = next_field(&line);
	} while (field && strcmp(field, "-") != 0);
	type = field ? next_field(&line) : NULL;
	field = type ? next_field(&line) : NULL;
	options = field ? next_field(&line) : NULL;
	if (!path || !options)
		return false;
	if (strcmp(type, "cgroup") == 0)
		out->version = CGROUP_V1;
	else if (strcmp(type, "cgroup2") == 0)
		out->version = CGROUP_V2;
	else
		return false;
	return unescape(path, out->path, sizeof(out->path)) &&
	       unescape(options, out->options, sizeof(out->options));
}

int cgroup_mount_next(FILE *mountinfo, struct cgroup_mount *out)
{
	auto_free char *line = NULL;
	size_t size = 0;

	while (errno = 0, getline(&line, &size, mountinfo) >= 0) {
		if (parse_line(line, out))
			return 1;
	}
	return -errno;
}

bool cgroup_list_has(const char *list, char separator, const char *word, size_t len)
{
	const char stop[] = { separator, '\n', '\0' };

	while (*list) {
		const size_t item_len = strcspn(list, stop);

		if (item_len == len && memcmp(list, word, len) == 0)
			return true;
		list += item_len;
		list += *list != '\0';
	}
	return false;
}
