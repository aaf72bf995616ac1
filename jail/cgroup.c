/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup for a process: see cgroup.h. */
#include "jail/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/quote.h"
#include "jail/cgroup_file.h"
#include "jail/path.h"

enum { FOLDER_MODE = 0755 };

static size_t controller_len(const char *file)
{
	return strcspn(file, ".");
}

int cgroup_setting_parse(const char *text, struct cgroup_setting *out, struct err *e)
{
	const size_t len = strcspn(text, "=");

	if (text[len] == '\0' || text[len + 1] == '\0')
		return err_set(e, -EINVAL, "%s is no setting of a cgroup: FILE=VALUE",
			       quote(text).text);
	if (len >= sizeof(out->file) || memchr(text, '/', len) || text[0] == '.' ||
	    !memchr(text, '.', len))
		return err_set(
			e, -EINVAL,
			"%s is no file of a cgroup: the name of a controller, a dot and more",
			quote_part(text, len).text);
	memcpy(out->file, text, len);
	out->file[len] = '\0';
	out->value = text + len + 1;
	return 0;
}

/* Cuts @parent and @name into names. */
static int set_path(struct cgroup *cg, const char *parent, const char *name)
{
	char *rest = cg->path;

	cg->depth = 0;
	if (strlen(parent) + 1 + strlen(name) >= sizeof(cg->path))
		return -ENAMETOOLONG;
	stpcpy(stpcpy(stpcpy(cg->path, parent), "/"), name);
	while (rest) {
		const char *word = strsep(&rest, "/");

		if (!path_is_name(word) || cg->depth == CGROUP_DEPTH_MAX)
			return -EINVAL;
		cg->names[cg->depth++] = word;
	}
	return 0;
}

bool cgroup_is_parent(const char *path)
{
	struct cgroup cg = { 0 };

	return set_path(&cg, path, "x") == 0;
}

/* The mount point, if it is what mountinfo says: something else may be mounted over it. */
static int open_mount(const struct cgroup_mount *mount)
{
	auto_fd int fd = open(mount->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs st;

	if (fd < 0 || fstatfs(fd, &st) < 0)
		return -errno;
	if (st.f_type != (mount->version == CGROUP_V2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC))
		return -ENOENT;
	return take_fd(&fd);
}

static void close_place(struct cgroup_place *place)
{
	for (size_t i = 0; i < ARRAY_LEN(place->levels); i++)
		cleanup_fd(&place->levels[i]);
	cleanup_fd(&place->before);
}

static int add_place(struct cgroup *cg, const struct cgroup_mount *mount, struct err *e)
{
	struct cgroup_place *place = &cg->places[cg->nr_places];

	if (cg->nr_places == CGROUP_PLACES_MAX)
		return err_set(e, -E2BIG, "settings for more than %d hierarchies of cgroups",
			       CGROUP_PLACES_MAX);
	*place = (struct cgroup_place){ .mount = *mount, .before = -1 };
	for (size_t i = 0; i < ARRAY_LEN(place->levels); i++)
		place->levels[i] = -1;
	place->levels[0] = open_mount(mount);
	if (place->levels[0] < 0)
		return err_errno(e, place->levels[0], "cannot use the cgroups at %s",
				 quote(mount->path).text);
	cg->nr_places++;
	return 0;
}

/* Whether the setting's file is in this hierarchy. */
static bool is_at(const struct cgroup_place *place, const char *file)
{
	return place->mount.version == CGROUP_V2 ||
	       cgroup_list_has(place->mount.options, ',', file, controller_len(file));
}

static bool has_place(const struct cgroup *cg, const char *file)
{
	for (size_t i = 0; i < cg->nr_places; i++) {
		if (is_at(&cg->places[i], file))
			return true;
	}
	return false;
}

/* Whether a setting asks for the hierarchy @mount, and none before it. */
static bool is_wanted(const struct cgroup *cg, const struct cgroup_mount *mount)
{
	const struct cgroup_spec *spec = cg->spec;

	if (mount->version != spec->version)
		return false;
	if (mount->version == CGROUP_V2)
		return cg->nr_places == 0;
	for (size_t i = 0; i < spec->nr_settings; i++) {
		const char *file = spec->settings[i].file;

		if (cgroup_list_has(mount->options, ',', file, controller_len(file)) &&
		    !has_place(cg, file))
			return true;
	}
	return false;
}

static int find_places(struct cgroup *cg, struct err *e)
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	struct cgroup_mount mount;
	int r;

	if (!mountinfo)
		return err_errno(e, -errno, "cannot read /proc/self/mountinfo");
	while ((r = cgroup_mount_next(mountinfo, &mount)) > 0) {
		if (!is_wanted(cg, &mount))
			continue;
		r = add_place(cg, &mount, e);
		if (r < 0)
			break;
	}
	fclose(mountinfo);
	return r;
}

static int check_controllers(const struct cgroup *cg, struct err *e)
{
	const struct cgroup_spec *spec = cg->spec;
	char available[1024] = "";

	if (spec->version == CGROUP_V2 && cg->nr_places == 0)
		return err_set(e, -ENOENT, "cgroups of version 2 are not mounted");
	if (spec->version == CGROUP_V2)
		cgroup_file_read(cg->places[0].levels[0], "cgroup.controllers", available,
				 sizeof(available));
	for (size_t i = 0; i < spec->nr_settings; i++) {
		const char *file = spec->settings[i].file;
		const size_t len = controller_len(file);

		if (spec->version == CGROUP_V2 ? !cgroup_list_has(available, ' ', file, len)
					       : !has_place(cg, file))
			return err_set(e, -ENOENT,
				       "the controller %s is not among the cgroups of version %d",
				       quote_part(file, len).text, spec->version);
	}
	return 0;
}

int cgroup_open(struct cgroup *cg, const struct cgroup_spec *spec, struct err *e)
{
	int r;

	*cg = (struct cgroup){ .spec = spec };
	r = set_path(cg, spec->parent, spec->name);
	if (r < 0)
		return err_set(e, r, "%s is no path for a cgroup", quote(spec->parent).text);
	r = find_places(cg, e);
	if (r == 0)
		r = check_controllers(cg, e);
	if (r < 0)
		cgroup_release(cg);
	return r;
}

static int make_levels(struct cgroup *cg, struct cgroup_place *place, struct err *e)
{
	for (size_t i = 0; i < cg->depth; i++) {
		const char *name = cg->names[i];

		place->levels[i + 1] = path_make_folder(place->levels[i], name, FOLDER_MODE,
							&place->is_new[i + 1]);
		if (place->levels[i + 1] < 0)
			return err_set(e, place->levels[i + 1],
				       "cannot make the cgroup %s below %s: %s", quote(name).text,
				       quote(place->mount.path).text,
				       path_reason(place->levels[i + 1]));
	}
	return 0;
}

/* Version 2: what a cgroup may use is what all of those above it turn on for those below. */
static int turn_on(struct cgroup *cg, struct cgroup_place *place, const char *file, struct err *e)
{
	const int len = (int)controller_len(file);
	char text[1024];

	for (size_t i = 0; i < cg->depth; i++) {
		char word[CGROUP_FILE_BYTES + 1];
		int r = cgroup_file_read(place->levels[i], "cgroup.subtree_control", text,
					 sizeof(text));

		if (r >= 0 && cgroup_list_has(text, ' ', file, (size_t)len))
			continue;
		snprintf(word, sizeof(word), "+%.*s", len, file);
		r = cgroup_file_write(place->levels[i], "cgroup.subtree_control", word, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Version 1: new cgroups of cpuset have no CPU and no memory node, and let no process in. */
static int hand_down(struct cgroup *cg, struct cgroup_place *place, const char *file, struct err *e)
{
	char above[4096], here[4096];

	for (size_t i = 1; i <= cg->depth; i++) {
		int r = cgroup_file_read(place->levels[i], file, here, sizeof(here));

		if (r < 0 || here[0] != '\n')
			continue;
		r = cgroup_file_read(place->levels[i - 1], file, above, sizeof(above));
		if (r < 0)
			return err_errno(e, r, "cannot read the cgroup's file %s",
					 quote(file).text);
		above[strcspn(above, "\n")] = '\0';
		r = cgroup_file_write(place->levels[i], file, above, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int prepare_for(struct cgroup *cg, struct cgroup_place *place, const char *file,
		       struct err *e)
{
	int r = 0;

	if (place->mount.version == CGROUP_V2)
		return turn_on(cg, place, file, e);
	if (strncmp(file, "cpuset.", strlen("cpuset.")) == 0)
		r = hand_down(cg, place, "cpuset.cpus", e);
	if (r == 0 && strncmp(file, "cpuset.", strlen("cpuset.")) == 0)
		r = hand_down(cg, place, "cpuset.mems", e);
	return r;
}

static int make_place(struct cgroup *cg, struct cgroup_place *place, struct err *e)
{
	const struct cgroup_spec *spec = cg->spec;
	int r = make_levels(cg, place, e);

	for (size_t i = 0; r == 0 && i < spec->nr_settings; i++) {
		const struct cgroup_setting *s = &spec->settings[i];

		if (!is_at(place, s->file))
			continue;
		r = prepare_for(cg, place, s->file, e);
		if (r == 0)
			r = cgroup_file_write(place->levels[cg->depth], s->file, s->value, e);
	}
	return r;
}

int cgroup_make(struct cgroup *cg, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cg->nr_places; i++)
		r = make_place(cg, &cg->places[i], e);
	return r;
}

/* Whether a line of /proc/self/cgroup, "4:cpu,cpuacct:/path", is about this hierarchy. */
static bool is_about(const char *controllers, const struct cgroup_place *place)
{
	if (place->mount.version == CGROUP_V2)
		return *controllers == '\0';
	return *controllers &&
	       cgroup_list_has(place->mount.options, ',', controllers, strcspn(controllers, ","));
}

/* Where we are now, to come back. That it cannot be told is no failure. */
static void remember(struct cgroup_place *place)
{
	FILE *from = fopen("/proc/self/cgroup", "re");
	auto_free char *line = NULL;
	size_t size = 0;

	while (from && place->before < 0 && getline(&line, &size, from) > 0) {
		char procs[PATH_MAX];
		char *rest = line;

		strsep(&rest, ":");
		const char *controllers = strsep(&rest, ":");
		const char *path = strsep(&rest, "\n");

		if (!path || *path != '/' || !is_about(controllers, place))
			continue;
		if (snprintf(procs, sizeof(procs), "%s/cgroup.procs", path) < (int)sizeof(procs))
			place->before = path_open(place->levels[0], procs + strspn(procs, "/"),
						  O_WRONLY, 0);
		break;
	}
	if (from)
		fclose(from);
}

int cgroup_enter(struct cgroup *cg, struct err *e)
{
	for (size_t i = 0; i < cg->nr_places; i++) {
		struct cgroup_place *place = &cg->places[i];
		struct err why = { 0 };
		int r;

		remember(place);
		r = cgroup_file_write(place->levels[cg->depth], "cgroup.procs", "0", &why);
		if (r < 0)
			return err_set(e, r, "cannot enter the cgroup %s below %s: %s",
				       quote(cg->spec->name).text, quote(place->mount.path).text,
				       strerrordesc_np(-r));
	}
	return 0;
}

int cgroup_enter_parent(struct cgroup *cg, struct err *e)
{
	struct cgroup_place *place = &cg->places[0];
	struct err why = { 0 };
	int r;

	for (size_t i = 0; i + 1 < cg->depth; i++) {
		place->levels[i + 1] =
			path_open(place->levels[i], cg->names[i], O_RDONLY | O_DIRECTORY, 0);
		if (place->levels[i + 1] == -ENOENT)
			return 0;
		if (place->levels[i + 1] < 0)
			return err_set(e, place->levels[i + 1], "cannot open the cgroup %s: %s",
				       quote(cg->names[i]).text, path_reason(place->levels[i + 1]));
	}
	remember(place);
	r = cgroup_file_write(place->levels[cg->depth - 1], "cgroup.procs", "0", &why);
	if (r < 0)
		return err_set(e, r,
			       "cannot enter the cgroup %s: %s; for a cgroup of its own below it, "
			       "give settings",
			       quote(cg->spec->parent).text, strerrordesc_np(-r));
	return 0;
}

void cgroup_undo(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->nr_places; i++) {
		struct cgroup_place *place = &cg->places[i];

		if (place->before >= 0 && write(place->before, "0\n", 2) < 0)
			continue; /* then we are in it, and it cannot be removed */
		for (size_t level = cg->depth; level > 0; level--) {
			if (place->is_new[level])
				unlinkat(place->levels[level - 1], cg->names[level - 1],
					 AT_REMOVEDIR);
			place->is_new[level] = false;
		}
	}
}

void cgroup_release(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->nr_places; i++)
		close_place(&cg->places[i]);
	cg->nr_places = 0;
}

/* In one hierarchy. */
static int remove_at(const struct cgroup *cg, const struct cgroup_mount *mount, struct err *e)
{
	auto_fd int fd = open_mount(mount);
	size_t i = 0;

	for (; fd >= 0 && i + 1 < cg->depth; i++) {
		int below = path_open(fd, cg->names[i], O_RDONLY | O_DIRECTORY, 0);

		close(fd);
		fd = below;
	}
	if (fd < 0 || unlinkat(fd, cg->names[i], AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == EBUSY)
		return err_set(e, -EBUSY, "processes are in the cgroup %s below %s",
			       quote(cg->names[i]).text, quote(mount->path).text);
	return err_errno(e, -errno, "cannot remove the cgroup %s below %s",
			 quote(cg->names[i]).text, quote(mount->path).text);
}

int cgroup_remove(const char *parent, const char *name, struct err *e)
{
	FILE *mountinfo;
	struct cgroup cg = { 0 };
	struct cgroup_mount mount;
	int r = set_path(&cg, parent, name);

	if (r < 0)
		return err_set(e, r, "%s is no path for a cgroup", quote(parent).text);
	mountinfo = fopen("/proc/self/mountinfo", "re");
	if (!mountinfo)
		return err_errno(e, -errno, "cannot read /proc/self/mountinfo");
	while (r == 0 && cgroup_mount_next(mountinfo, &mount) > 0)
		r = remove_at(&cg, &mount, e);
	fclose(mountinfo);
	return r;
}
