/* SPDX-License-Identifier: Apache-2.0 */
/* Finds and mounts the root disk. */
#include "init/root.h"

#include "base/bytes.h"
#include "init/disk.h"
#include "init/file.h"
#include "init/say.h"
#include "init/switch.h"
#include "init/wait.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DEFAULT_ROOT "/dev/vda"
#define NEW_ROOT "/newroot"
#define WAIT_LIMIT_MS 10000
#define WAIT_STEP_MS 50
#define ROOT_PATH_SIZE 288
#define ROOT_TYPES_SIZE 4096

bool root_is_initramfs(void)
{
	struct statfs st;

	return statfs("/", &st) == 0 && (st.f_type == RAMFS_MAGIC || st.f_type == TMPFS_MAGIC);
}

/* Waits for the device: a driver may still be probing it. Returns 0 with its path, or -errno. */
static int wait_for_disk(const char *name, char path[static ROOT_PATH_SIZE])
{
	int64_t end_ms = now_ms() + WAIT_LIMIT_MS;
	char disks[256];
	int step_ms = 1;
	int r;

	for (;;) {
		r = disk_find(name, path, ROOT_PATH_SIZE);
		if (r != 0 || now_ms() >= end_ms)
			break;
		wait_ms(step_ms);
		step_ms = step_ms * 2 < WAIT_STEP_MS ? step_ms * 2 : WAIT_STEP_MS;
	}
	if (r > 0)
		return 0;
	if (r < 0) {
		say("root=%s is not understood: use /dev/NAME, UUID= or LABEL=", name);
		return r;
	}
	disk_list(disks, sizeof(disks));
	say("no root disk: %s did not appear within %d s; disks here: %s", name,
	    WAIT_LIMIT_MS / 1000, disks[0] ? disks : "none");
	return -ENODEV;
}

/* Writes the types to try, separated by commas: rootfstype=, or ext4 and all the kernel has. */
static void list_types(const struct cmdline *c, char *types, size_t size)
{
	static char known[ROOT_TYPES_SIZE];
	const char *asked = cmdline_get(c, "rootfstype");
	char *next = known;
	size_t len;
	char *line;

	len = (size_t)snprintf(types, size, "%s", asked && *asked ? asked : "ext4");
	if ((asked && *asked) || file_read("/proc/filesystems", known, sizeof(known)) < 0)
		return;
	while (len < size && (line = strsep(&next, "\n"))) {
		/* "nodev<tab>type" is a type without a disk */
		if (line[0] == '\t' && strcmp(line + 1, "ext4") != 0)
			len += (size_t)snprintf(types + len, size - len, ",%s", line + 1);
	}
}

/* A disk that is itself read-only refuses to be mounted otherwise. */
static int mount_as(const char *path, const char *type, unsigned long flags, const char *data)
{
	if (mount(path, NEW_ROOT, type, flags, data) == 0)
		return 0;
	if ((errno == EACCES || errno == EROFS) && !(flags & MS_RDONLY) &&
	    mount(path, NEW_ROOT, type, flags | MS_RDONLY, data) == 0)
		return 0;
	return -errno;
}

static int mount_root(const struct cmdline *c, const char *path)
{
	static char types[ROOT_TYPES_SIZE];
	unsigned long flags = cmdline_beats(c, "ro", "rw") ? MS_RDONLY : 0;
	const char *data = cmdline_get(c, "rootflags");
	char *next = types;
	int first_error = 0;
	char *type;
	int r;

	if (mkdir(NEW_ROOT, 0755) < 0 && errno != EEXIST) {
		r = -errno;
		say("cannot make %s: %s", NEW_ROOT, strerror(errno));
		return r;
	}
	list_types(c, types, sizeof(types));
	while ((type = strsep(&next, ","))) {
		r = mount_as(path, type, flags, data);
		if (r == 0) {
			say_debug("root is %s on %s", type, path);
			return 0;
		}
		if (!first_error)
			first_error = r;
	}
	list_types(c, types, sizeof(types));
	say("cannot mount root disk %s (tried %s): %s", path, types, strerror(-first_error));
	return first_error;
}

int root_enter(const struct cmdline *c)
{
	const char *keep = cmdline_get(c, "volt.root");
	const char *name = cmdline_get(c, "root");
	char path[ROOT_PATH_SIZE];
	int r;

	if (keep && strcmp(keep, "none") == 0)
		return 0;
	if (!name || !*name) {
		if (!disk_is_expected())
			return 0;
		name = DEFAULT_ROOT;
	}
	r = wait_for_disk(name, path);
	if (r == 0)
		r = mount_root(c, path);
	if (r == 0)
		r = switch_root(NEW_ROOT);
	return r < 0 ? r : 1;
}

/* Replaces this process by the program at path; returns -errno if that fails. */
static int start(const char *path, char *argv[])
{
	static char name[256];

	snprintf(name, sizeof(name), "%s", path);
	argv[0] = name;
	execv(path, argv);
	return -errno;
}

int root_start_init(const struct cmdline *c, char *argv[])
{
	static const char *const usual[] = { "/sbin/init", "/etc/init", "/bin/init" };
	const char *asked = cmdline_get(c, "init");
	int r;

	if (asked && *asked) {
		r = start(asked, argv);
		say("cannot start init=%s: %s", asked, strerror(-r));
		return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
		r = start(usual[i], argv);
		if (r != -ENOENT)
			say("cannot start %s: %s", usual[i], strerror(-r));
	}
	return 0;
}
