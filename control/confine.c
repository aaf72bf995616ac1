/* SPDX-License-Identifier: Apache-2.0 */
/* Control's own sandbox: see confine.h. */
#include "control/confine.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/quote.h"
#include "control/settings.h"
#include "jail/capability.h"
#include "jail/landlock.h"
#include "jail/layer.h"
#include "jail/seccomp.h"

/* What is allowed, by real paths. */
struct permits {
	struct jail_path_rule rules[ALLOWED_PATHS_MAX]; /* their paths are owned */
	uint32_t nr;
	bool is_full; /* one did not fit */
	bool is_enforced; /* by Landlock */
};

static bool is_below(const char *path, const char *folder)
{
	const size_t len = strlen(folder);

	return strcmp(folder, "/") == 0 ||
	       (strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

/* Takes @real. */
static void add_real(struct permits *p, char *real, enum jail_access access)
{
	for (uint32_t i = 0; i < p->nr; i++) {
		if (strcmp(p->rules[i].path, real) == 0) {
			if (access == JAIL_ACCESS_WRITE)
				p->rules[i].access = access;
			free(real);
			return;
		}
	}
	if (p->nr == ALLOWED_PATHS_MAX) {
		p->is_full = true;
		free(real);
		return;
	}
	p->rules[p->nr++] = (struct jail_path_rule){ real, access };
}

/* @path itself, if it is there. */
static void add(struct permits *p, const char *path, enum jail_access access)
{
	char *real = path ? realpath(path, NULL) : NULL;

	if (real)
		add_real(p, real, access);
}

/*
 * The folder that @path is in, so that it can be made anew and exchanged for another there. A device
 * is allowed alone: the other devices of its folder are not ours.
 */
static void add_folder_of(struct permits *p, const char *path, enum jail_access access)
{
	auto_free char *copy = path ? strdup(path) : NULL;
	struct stat st;

	if (!copy)
		return;
	if (stat(path, &st) == 0 && (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode)))
		add(p, path, access);
	else
		add(p, dirname(copy), access);
}

static void collect(struct permits *p, const struct confine_plan *plan)
{
	const struct settings *s = plan->settings;

	if (plan->allows_all)
		add(p, "/", JAIL_ACCESS_WRITE);
	for (size_t i = 0; i < plan->nr_allowed; i++)
		add(p, plan->allowed[i].path,
		    plan->allowed[i].is_read_only ? JAIL_ACCESS_READ : JAIL_ACCESS_WRITE);
	for (size_t i = 0; i < s->nr_drives; i++)
		add_folder_of(p, s->drives[i].path, JAIL_ACCESS_WRITE);
	add_folder_of(p, s->logger.path, JAIL_ACCESS_WRITE);
	add_folder_of(p, s->metrics.path, JAIL_ACCESS_WRITE);
	add_folder_of(p, plan->api_path, JAIL_ACCESS_WRITE);
	add_folder_of(p, plan->pid_path, JAIL_ACCESS_WRITE);
	add(p, plan->registry_path, JAIL_ACCESS_WRITE);
}

int permits_check(const struct permits *p, const char *path, struct err *e)
{
	auto_free char *real = p && p->is_enforced ? realpath(path, NULL) : NULL;

	if (!real) /* open() has the better words for a path that is not there */
		return 0;
	for (uint32_t i = 0; i < p->nr; i++) {
		if (is_below(real, p->rules[i].path))
			return 0;
	}
	return err_set(
		e, -EACCES,
		"%s is not in a folder that this process may still open: a VM that runs can "
		"use the folders of the files it was started with, and those given by --allow",
		quote(path).text);
}

static int apply_landlock(struct permits *p, uint32_t allowed_missing, struct err *e)
{
	const struct jail_landlock_plan plan = { .rules = p->rules, .nr_rules = p->nr };
	int r = jail_landlock(&plan, e);

	if (r == -ENOSYS && (allowed_missing & 1u << JAIL_LANDLOCK))
		return 0;
	p->is_enforced = r == 0;
	return r;
}

static int apply(struct permits *p, uint32_t allowed_missing, struct err *e)
{
	int r;

	if (p->is_full)
		return err_set(
			e, -ENOSPC,
			"the VM uses files of more than %d folders; allow a folder that they "
			"are below with --allow",
			ALLOWED_PATHS_MAX);
	/* Landlock wants this first; and its rules may need the capabilities, to open folders of others. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot set no_new_privs");
	r = apply_landlock(p, allowed_missing, e);
	if (r == 0)
		r = jail_drop_capabilities(1u << CAP_KILL, e);
	if (r < 0)
		return r;
	r = jail_filter(JAIL_THREAD_CONTROL, NULL, e);
	return r < 0 && (allowed_missing & 1u << JAIL_SECCOMP) ? 0 : r;
}

int confine_control(struct permits **out, const struct confine_plan *plan, uint32_t allowed_missing,
		    struct err *e)
{
	struct permits *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	if (jail_is_built()) {
		tzset(); /* reads the time zone for log lines, which it could not later */
		collect(p, plan);
		r = apply(p, allowed_missing, e);
	}
	*out = p;
	return r;
}

void permits_free(struct permits *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->nr; i++)
		free((char *)(uintptr_t)p->rules[i].path);
	free(p);
}
