/* SPDX-License-Identifier: Apache-2.0 */
/* --cleanup: see cleanup.h. */
#include "jailer/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/quote.h"
#include "jail/cgroup.h"
#include "jail/path.h"
#include "jail/tree.h"
#include "jailer/home.h"

/*
 * Of a process that we may not look into, the command line still tells whether it is ours:
 * "/firecracker", "--id", the id.
 */
static bool has_our_words(int proc, const char *pid, const struct jailer_options *o)
{
	char path[64], words[512], ours[JAILER_NAME_MAX + 100];
	int len = snprintf(ours, sizeof(ours), "/%s%c--id%c%s%c", o->program_name, 0, 0, o->id, 0);
	ssize_t n;

	snprintf(path, sizeof(path), "%.32s/cmdline", pid);
	auto_fd int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : file_pread_full(fd, words, sizeof(words), 0);
	return n >= len && memcmp(words, ours, (size_t)len) == 0;
}

static bool is_in_jail(int proc, const char *pid, const struct stat *root,
		       const struct jailer_options *o)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%.32s/root", pid);
	if (fstatat(proc, path, &st, 0) == 0)
		return st.st_dev == root->st_dev && st.st_ino == root->st_ino;
	return errno == EACCES && has_our_words(proc, pid, o);
}

/* Looks at every process: the number in the pid file may be another's by now. */
static int check_unused(const struct home *h, const struct jailer_options *o, struct err *e)
{
	const struct dirent *entry;
	struct stat root;
	DIR *proc;
	int r = 0;

	if (h->root < 0)
		return 0;
	if (fstat(h->root, &root) < 0)
		return err_errno(e, -errno, "cannot look at the jail");
	proc = opendir("/proc");
	if (!proc)
		return err_errno(e, -errno, "cannot read /proc");
	while (r == 0 && (entry = readdir(proc)) != NULL) {
		uint64_t pid;

		if (parse_u64(entry->d_name, &pid) == 0 &&
		    is_in_jail(dirfd(proc), entry->d_name, &root, o))
			r = err_set(e, -EBUSY, "process %llu still runs in the jail %s",
				    (unsigned long long)pid, quote(o->id).text);
	}
	closedir(proc);
	return r;
}

int cleanup(const struct jailer_options *o, struct err *e)
{
	struct home home;
	struct err why = { 0 };
	int found = home_open(&home, o->base_path, o->program_name, o->id, &why);
	int r = found == -ENOENT ? 0 : found;

	if (r < 0 && e)
		*e = why;
	if (r == 0 && found == 0)
		r = check_unused(&home, o, e);
	/* Cgroups first: that one is in use stops us as well. */
	if (r == 0)
		r = cgroup_remove(o->parent_cgroup, o->id, e);
	if (r == 0 && found == 0)
		r = tree_remove(home.of_program, o->id, e);
	home_close(&home);
	if (r == 0 && found == -ENOENT)
		return err_set(e, found, "there is no jail %s for %s below %s", quote(o->id).text,
			       quote(o->program_name).text, quote(o->base_path).text);
	return r;
}
