/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the kernel modules that an initramfs carries, in the order it gives. */
#include "init/modules.h"

#include "base/cleanup.h"
#include "init/file.h"
#include "init/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ORDER_SIZE 16384
#define PARAMS_SIZE 2048

/* Writes the kernel's name for a module file: no suffix, '_' for '-'. */
static int module_name(const char *file, char *name, size_t size)
{
	const char *dot = strstr(file, ".ko");
	size_t len = dot ? (size_t)(dot - file) : 0;

	if (len == 0 || len >= size || strcmp(dot, ".ko") != 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		name[i] = file[i] == '-' ? '_' : file[i];
	name[len] = '\0';
	return 0;
}

int module_parse_line(char *line, struct module_line *m)
{
	static const char space[] = " \t\r\n";
	char *params;

	line += strspn(line, space);
	if (!*line || *line == '#')
		return 0;
	params = line + strcspn(line, space);
	if (*params) {
		*params++ = '\0';
		params += strspn(params, space);
	}
	for (size_t len = strlen(params); len > 0 && strchr(space, params[len - 1]); len--)
		params[len - 1] = '\0';
	if (*line == '.' || strchr(line, '/'))
		return -EINVAL;
	m->file = line;
	m->params = params;
	return module_name(line, m->name, sizeof(m->name)) < 0 ? -EINVAL : 1;
}

static int load_file(const char *dir, const char *file, const char *params)
{
	char path[256];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, file) >= sizeof(path))
		return -ENAMETOOLONG;
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, params, 0) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static void load_line(const char *dir, char *line, const struct cmdline *c)
{
	char params[PARAMS_SIZE] = "";
	struct module_line m;
	int r = module_parse_line(line, &m);

	if (r == 0)
		return;
	if (r < 0) {
		say("%s/order: '%s' is not the name of a module file", dir, line);
		return;
	}
	if ((size_t)snprintf(params, sizeof(params), "%s", m.params) >= sizeof(params))
		r = -E2BIG;
	else
		r = cmdline_module_params(c, m.name, params, sizeof(params));
	if (r == 0)
		r = load_file(dir, m.file, params);
	if (r < 0)
		say("module %s does not load: %s", m.name, strerror(-r));
	else
		say_debug("module %s loaded, parameters '%s'", m.name, params);
}

void modules_load(const char *dir, const struct cmdline *c)
{
	static char order[ORDER_SIZE];
	char path[256];
	char *next = order;
	char *line;
	int r;

	snprintf(path, sizeof(path), "%s/order", dir);
	r = file_read(path, order, sizeof(order));
	if (r < 0 && r != -ENOENT)
		say("cannot read %s: %s", path, strerror(-r));
	while ((line = strsep(&next, "\n")))
		load_line(dir, line, c);
}
