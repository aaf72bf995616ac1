/* SPDX-License-Identifier: Apache-2.0 */
/* A process' confinement in /proc: see sandbox_process.h. */
#include "control/sandbox_process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"

enum { TEXT_BYTES = 16384, PATH_BYTES = 64, LINK_BYTES = 64, MAX_THREADS = 4096 };

enum { NS_MNT, NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_USER };

const char *const sandbox_namespace_names[SANDBOX_NAMESPACES] = {
	[NS_MNT] = "mnt", [NS_PID] = "pid",	  [NS_NET] = "net",   [NS_IPC] = "ipc",
	[NS_UTS] = "uts", [NS_CGROUP] = "cgroup", [NS_USER] = "user",
};

/* A file of the kernel's, cut at @size - 1 bytes. 0 or -errno. */
static int read_text(const char *path, char *text, size_t size)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	while (used < size - 1) {
		const ssize_t n = read(fd, text + used, size - 1 - used);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		used += n < 0 ? 0 : (size_t)n;
	}
	text[used] = '\0';
	return 0;
}

/* --- threads ------------------------------------------------------------------------------- */

/* The value behind "NAME:" and white space; NULL when the line is another. */
static const char *value_of(const char *line, const char *name)
{
	const size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	line += len + 1;
	return line + strspn(line, " \t");
}

static void copy_name(char *to, const char *from)
{
	size_t i = 0;

	for (; i < SANDBOX_NAME_BYTES - 1 && from[i]; i++)
		to[i] = isprint((unsigned char)from[i]) ? from[i] : '?';
	to[i] = '\0';
}

static unsigned int count_words(const char *text)
{
	unsigned int nr = 0;

	while (*(text += strspn(text, " \t"))) {
		text += strcspn(text, " \t");
		nr++;
	}
	return nr;
}

void sandbox_status_line(const char *line, struct sandbox_thread *t)
{
	static const char *const sets[SANDBOX_CAP_SETS] = {
		[SANDBOX_CAP_INHERITABLE] = "CapInh", [SANDBOX_CAP_PERMITTED] = "CapPrm",
		[SANDBOX_CAP_EFFECTIVE] = "CapEff",   [SANDBOX_CAP_BOUNDING] = "CapBnd",
		[SANDBOX_CAP_AMBIENT] = "CapAmb",
	};
	unsigned int uid;
	const char *value;

	if ((value = value_of(line, "Name")) != NULL)
		copy_name(t->name, value);
	else if ((value = value_of(line, "Seccomp")) != NULL)
		t->seccomp = (int)strtol(value, NULL, 10);
	else if ((value = value_of(line, "Seccomp_filters")) != NULL)
		t->nr_filters = (int)strtol(value, NULL, 10);
	else if ((value = value_of(line, "NoNewPrivs")) != NULL)
		t->has_no_new_privs = *value == '1';
	else if ((value = value_of(line, "NSpid")) != NULL)
		t->nr_pid_levels = count_words(value);
	else if ((value = value_of(line, "Uid")) != NULL && sscanf(value, "%*u %u", &uid) == 1)
		t->uid = uid;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		if ((value = value_of(line, sets[i])) != NULL)
			t->capabilities[i] = strtoull(value, NULL, 16);
	}
}

static int read_thread(pid_t pid, pid_t tid, struct sandbox_thread *thread)
{
	char path[PATH_BYTES], text[TEXT_BYTES];
	char *rest = text, *line;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	r = read_text(path, text, sizeof(text));
	*thread = (struct sandbox_thread){ .tid = tid, .nr_filters = -1 };
	while (r == 0 && (line = strsep(&rest, "\n")) != NULL)
		sandbox_status_line(line, thread);
	return r;
}

static int read_threads(struct sandbox_process *p, DIR *dir)
{
	const struct dirent *entry;

	while ((entry = readdir(dir)) != NULL && p->nr_threads < MAX_THREADS) {
		const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		struct sandbox_thread *more;
		int r;

		if (tid <= 0)
			continue;
		more = reallocarray(p->threads, p->nr_threads + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		p->threads = more;
		r = read_thread(p->pid, tid, &more[p->nr_threads]);
		/* It may have ended in between. */
		if (r < 0 && r != -ENOENT && r != -ESRCH)
			return r;
		p->nr_threads += r == 0;
	}
	return p->nr_threads > 0 ? 0 : -ESRCH;
}

static int read_parent(struct sandbox_process *p)
{
	char path[PATH_BYTES], text[TEXT_BYTES];
	const char *line;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	r = read_text(path, text, sizeof(text));
	line = strstr(text, "\nPPid:");
	if (r == 0 && line)
		p->parent = (pid_t)strtol(line + strlen("\nPPid:"), NULL, 10);
	return r;
}

/* --- layers -------------------------------------------------------------------------------- */

static bool read_namespace(pid_t pid, int which, char text[static LINK_BYTES])
{
	char path[PATH_BYTES];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, sandbox_namespace_names[which]);
	n = readlink(path, text, LINK_BYTES - 1);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static void see_namespaces(struct sandbox_process *p, pid_t other)
{
	enum sandbox_seen all = SANDBOX_YES;

	for (int i = 0; i < SANDBOX_NAMESPACES; i++) {
		char its[LINK_BYTES], others[LINK_BYTES];

		if (read_namespace(p->pid, i, its) && read_namespace(other, i, others))
			p->namespaces[i] = strcmp(its, others) == 0 ? SANDBOX_NO : SANDBOX_YES;
	}
	/* Whoever may not read the link sees at least how many process ids it has. */
	if (p->namespaces[NS_PID] == SANDBOX_UNREADABLE && p->threads[0].nr_pid_levels > 0)
		p->namespaces[NS_PID] = p->threads[0].nr_pid_levels > 1 ? SANDBOX_YES : SANDBOX_NO;
	/* The user's may be the same: root becomes another user instead. */
	for (int i = 0; i < NS_USER; i++) {
		if (p->namespaces[i] == SANDBOX_NO)
			all = SANDBOX_NO;
		else if (p->namespaces[i] == SANDBOX_UNREADABLE && all == SANDBOX_YES)
			all = SANDBOX_UNREADABLE;
	}
	p->layers[JAIL_NAMESPACES] = all;
}

/* proc_pid_mountinfo(5): "36 35 98:0 / / ro,nosuid - tmpfs volt-empty ro,size=4k" and no more. */
bool sandbox_root_is_empty(const char *mountinfo)
{
	const size_t len = strcspn(mountinfo, "\n");
	char point[8], options[128], type[16];

	if (mountinfo[len] == '\n' && mountinfo[len + 1] != '\0')
		return false;
	return sscanf(mountinfo, "%*d %*d %*s %*s %7s %127s - %15s", point, options, type) == 3 &&
	       strcmp(point, "/") == 0 && strcmp(type, "tmpfs") == 0 &&
	       (strncmp(options, "ro,", 3) == 0 || strcmp(options, "ro") == 0);
}

/* The line of a limit: its soft and its hard value are 0. */
static bool is_zero_limit(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	uint64_t soft, hard;

	return line && sscanf(line + strlen(name), "%" SCNu64 " %" SCNu64, &soft, &hard) == 2 &&
	       soft == 0 && hard == 0;
}

bool sandbox_limits_are_low(const char *text)
{
	return is_zero_limit(text, "Max core file size") &&
	       is_zero_limit(text, "Max msgqueue size") &&
	       is_zero_limit(text, "Max nice priority") &&
	       is_zero_limit(text, "Max realtime priority");
}

static enum sandbox_seen see_file(pid_t pid, const char *name, bool (*is_so)(const char *text))
{
	char path[PATH_BYTES], text[TEXT_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	if (read_text(path, text, sizeof(text)) < 0 || text[0] == '\0')
		return SANDBOX_UNREADABLE;
	return is_so(text) ? SANDBOX_YES : SANDBOX_NO;
}

/* In a container's user namespace there may be no other user than 0, who is nobody outside. */
static bool is_root_special(void)
{
	char text[TEXT_BYTES];
	uint32_t first, outside, nr;

	return read_text("/proc/self/uid_map", text, sizeof(text)) < 0 ||
	       sscanf(text, "%" SCNu32 " %" SCNu32 " %" SCNu32, &first, &outside, &nr) != 3 ||
	       outside == 0;
}

/* One thread with more than the others is enough. */
static void see_threads(struct sandbox_process *p)
{
	const bool has_root = is_root_special();

	p->layers[JAIL_CAPABILITIES] = SANDBOX_YES;
	p->layers[JAIL_SECCOMP] = SANDBOX_YES;
	for (size_t i = 0; i < p->nr_threads; i++) {
		const struct sandbox_thread *t = &p->threads[i];
		const uint64_t *sets = t->capabilities;

		/* The bounding set is that of what is executed, which no_new_privs keeps from it. */
		if (!t->has_no_new_privs || (t->uid == 0 && has_root) ||
		    (sets[SANDBOX_CAP_INHERITABLE] | sets[SANDBOX_CAP_PERMITTED] |
		     sets[SANDBOX_CAP_EFFECTIVE] | sets[SANDBOX_CAP_AMBIENT]) != 0)
			p->layers[JAIL_CAPABILITIES] = SANDBOX_NO;
		if (t->seccomp != 2 || t->nr_filters == 0)
			p->layers[JAIL_SECCOMP] = SANDBOX_NO;
	}
}

int sandbox_process_read(pid_t pid, pid_t other, struct sandbox_process *p, struct err *e)
{
	char path[PATH_BYTES];
	DIR *dir;
	int r;

	*p = (struct sandbox_process){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	r = dir ? read_threads(p, dir) : -errno;
	if (dir)
		closedir(dir);
	if (r == 0)
		r = read_parent(p);
	if (r < 0) {
		sandbox_process_release(p);
		return err_errno(e, r, "cannot read /proc/%d", (int)pid);
	}
	see_threads(p);
	see_namespaces(p, other);
	p->layers[JAIL_ROOT] = see_file(pid, "mountinfo", sandbox_root_is_empty);
	p->layers[JAIL_LIMITS] = see_file(pid, "limits", sandbox_limits_are_low);
	return 0;
}

void sandbox_process_release(struct sandbox_process *process)
{
	free(process->threads);
	*process = (struct sandbox_process){ 0 };
}
