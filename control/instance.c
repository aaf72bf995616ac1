/* SPDX-License-Identifier: Apache-2.0 */
/* The VM of this process: see instance.h. */
#include "control/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/quote.h"
#include "control/config.h"
#include "control/confine.h"
#include "control/host.h"
#include "control/metrics.h"
#include "control/open.h"

bool instance_is_started(const struct instance *i)
{
	return session_state(i->session) != SESSION_NONE;
}

uint64_t instance_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int add_metrics(struct instance *i, struct launch *launch, struct err *e)
{
	int fd;

	if (!i->metrics)
		return 0;
	fd = metrics_new_page(i->metrics, &launch->config, e);
	return fd < 0 ? fd : launch_add_metrics(launch, fd, e);
}

int instance_start(struct instance *i, session_done *done, void *opaque, struct err *e)
{
	static struct launch launch; /* mostly command line, mostly never touched */
	char name[128];
	int r;

	if (settings_missing(&i->settings, name, sizeof(name)))
		return err_set(e, -ENODEV, "%s: this version cannot provide it; remove it", name);
	i->started_at_us = instance_now_us();
	if (host_check(&i->settings, e) < 0)
		return -EBADMSG;
	r = config_build(&i->settings, &launch, e);
	if (r < 0)
		return r;
	r = add_metrics(i, &launch, e);
	if (i->has_boot_timer)
		launch.config.boot_timer_start_us = i->started_at_us;
	if (launch.config.is_memory_locked)
		host_allow_locked_memory();
	if (r == 0) {
		session_adopt(i->session, &i->machine);
		r = session_start(i->session, &launch, done, opaque, e);
	}
	launch_release(&launch);
	return r;
}

/* A change of a drive's file that machine has not answered yet. */
struct replacement {
	struct instance *instance; /* borrowed: it answers before it goes */
	char id[WIRE_ID_BYTES];
	char *path; /* owned */
	int lock_fd; /* owned: to be locked when the old file is let go; -1: it is locked already */
	session_done *done;
	void *opaque;
};

static void on_replaced(void *opaque, int code, const char *text, uint32_t micros)
{
	struct replacement *r = opaque;
	struct drive_value *drive = settings_find_drive(&r->instance->settings, r->id);

	if (code == 0 && drive) {
		struct err e = { 0 };

		free(drive->path);
		drive->path = r->path;
		r->path = NULL;
		if (r->lock_fd >= 0 &&
		    open_lock_drive(r->lock_fd, drive->path, drive->is_read_only, &e) < 0)
			log_warn("%s", e.msg);
	}
	if (r->done)
		r->done(r->opaque, code, text, micros);
	cleanup_fd(&r->lock_fd);
	free(r->path);
	free(r);
}

/* The place of drive @id among the settings' drives, which is that of machine's; or -ENODEV. */
static int find_drive(struct instance *i, const char *id, struct err *e)
{
	const struct drive_value *drive = settings_find_drive(&i->settings, id);

	if (!drive)
		return err_set(e, -ENODEV, "there is no drive %s", quote(id).text);
	return (int)(drive - i->settings.drives);
}

int instance_replace_drive(struct instance *i, const char *id, const char *path, session_done *done,
			   void *opaque, struct err *e)
{
	const int index = find_drive(i, id, e);
	struct drive_value *drive = &i->settings.drives[index < 0 ? 0 : index];
	struct replacement *replacement;
	auto_fd int fd = -1;
	bool is_same;
	int r = 0;

	if (index < 0)
		return index;
	r = permits_check(i->permits, path, e);
	if (r < 0)
		return r;
	fd = open_drive(path, drive->is_read_only, drive->is_direct, e);
	if (fd < 0)
		return fd;
	is_same = open_is_same_file(fd, drive->path);
	if (!drive->has_no_lock && !is_same)
		r = open_lock_drive(fd, path, drive->is_read_only, e);
	if (r < 0)
		return r;
	replacement = calloc(1, sizeof(*replacement));
	if (!replacement)
		return err_set(e, -ENOMEM, "out of memory");
	*replacement = (struct replacement){
		.instance = i,
		.path = strdup(path),
		/* The old descriptor of the same file has the lock until machine closes it. */
		.lock_fd = is_same && !drive->has_no_lock ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1,
		.done = done,
		.opaque = opaque,
	};
	memcpy(replacement->id, drive->id, sizeof(replacement->id));
	session_replace_drive(i->session, (uint32_t)index, take_fd(&fd), on_replaced, replacement);
	return 0;
}

int instance_limit_drive(struct instance *i, const char *id,
			 const struct rate_limiter_config *limit, bool has_bandwidth, bool has_ops,
			 session_done *done, void *opaque, struct err *e)
{
	const int index = find_drive(i, id, e);
	struct rate_limiter_config *now;

	if (index < 0)
		return index;
	now = &i->settings.drives[index].limit;
	if (has_bandwidth)
		now->bandwidth = limit->bandwidth;
	if (has_ops)
		now->ops = limit->ops;
	session_limit_drive(i->session, (uint32_t)index, limit, has_bandwidth, has_ops, done,
			    opaque);
	return 0;
}

void instance_release(struct instance *i)
{
	session_free(i->session);
	i->session = NULL;
	machine_process_kill(&i->machine);
	metrics_free(i->metrics);
	i->metrics = NULL;
	permits_free(i->permits);
	i->permits = NULL;
	mmds_store_release(&i->mmds);
	settings_release(&i->settings);
}
