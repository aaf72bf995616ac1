/* SPDX-License-Identifier: Apache-2.0 */
/* All names of a store: see root.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "stellar/root.h"
#include "stellar/root_impl.h"

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

void root_list_release(struct root_list *list)
{
	free(list->roots);
	free_names(list->bad, list->bad_count);
	*list = (struct root_list){ 0 };
}

static int add_name(char ***names, size_t *count, const char *name)
{
	/* Room grows at powers of two. */
	if ((*count & (*count - 1)) == 0) {
		char **grown = realloc(*names, (*count ? 2 * *count : 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*names = grown;
	}
	(*names)[*count] = strdup(name);
	if (!(*names)[*count])
		return -ENOMEM;
	++*count;
	return 0;
}

static bool is_skipped(const char *file)
{
	return strcmp(file, ".") == 0 || strcmp(file, "..") == 0 ||
	       strncmp(file, ROOT_TEMPORARY, sizeof(ROOT_TEMPORARY) - 1) == 0;
}

/* The names of all files, while nobody renames one. */
static int read_folder(int roots_fd, char ***files, size_t *count, struct err *e)
{
	auto_fd int fd = root_lock(roots_fd, LOCK_SH, e);
	struct dirent *entry;
	DIR *folder;
	int r = 0;

	if (fd < 0)
		return fd;
	folder = fdopendir(fd);
	if (!folder)
		return err_errno(e, -errno, "cannot read the store's folder 'roots'");
	take_fd(&fd);
	while (r == 0) {
		errno = 0;
		entry = readdir(folder);
		if (!entry) {
			r = -errno;
			break;
		}
		if (!is_skipped(entry->d_name))
			r = add_name(files, count, entry->d_name);
	}
	closedir(folder);
	if (r < 0)
		return err_errno(e, r, "cannot read the store's folder 'roots'");
	return 0;
}

static int add_file(int roots_fd, const struct id_scheme *scheme, const char *file,
		    struct root_list *list, struct err *e)
{
	struct root *root = &list->roots[list->count];
	char name[ROOT_NAME_MAX + 1];
	struct err why = { 0 };
	int r = root_name_of_file(file, name);

	if (r == 0)
		r = root_read(roots_fd, scheme, name, root, &why);
	if (r == 0) {
		list->count++;
		return 0;
	}
	if (r == -ENOENT) /* removed since */
		return 0;
	/* What cannot be read for want of memory or descriptors may well be whole. */
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EINTR)
		return err_set(e, r, "%s", why.msg);
	if (add_name(&list->bad, &list->bad_count, file) < 0)
		return err_set(e, -ENOMEM, "no memory for the list of images");
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct root *)a)->name, ((const struct root *)b)->name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int root_list_read(int roots_fd, const struct id_scheme *scheme, struct root_list *list,
		   struct err *e)
{
	char **files = NULL;
	size_t count = 0;
	int r;

	*list = (struct root_list){ 0 };
	r = read_folder(roots_fd, &files, &count, e);
	if (r == 0) {
		list->roots = calloc(count ? count : 1, sizeof(*list->roots));
		if (!list->roots)
			r = err_set(e, -ENOMEM, "no memory for the list of images");
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_file(roots_fd, scheme, files[i], list, e);
	free_names(files, count);
	if (r < 0) {
		root_list_release(list);
		return r;
	}
	if (list->roots)
		qsort(list->roots, list->count, sizeof(*list->roots), by_name);
	if (list->bad)
		qsort(list->bad, list->bad_count, sizeof(*list->bad), by_text);
	return 0;
}
