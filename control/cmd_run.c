/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a virtual machine, with all that others can find it by: see cmd.h. */
#include "control/cmd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/quote.h"
#include "control/confine.h"
#include "control/exit_status.h"
#include "control/instance.h"
#include "control/logger.h"
#include "control/notify.h"
#include "control/options.h"
#include "control/pid_file.h"
#include "control/registry.h"
#include "control/run.h"

enum { NAME_TRIES = 16 };

static const char firecracker_id[] = "anonymous-instance";
static const char firecracker_socket[] = "/run/firecracker.socket";

/* By what the virtual machine can be found while it runs. */
struct marks {
	struct registry registry;
	struct pid_file pid_file;
	char api_path[API_SOCKET_PATH_BYTES]; /* "": none */
	bool is_api_default; /* nobody asked for it */
	struct instance *instance; /* borrowed, like the next */
	const struct options *options;
};

int cmd_run_check(const struct options *o, struct err *e)
{
	const bool has_kernel = o->settings.kernel_path != NULL;

	if (o->settings.seccomp_path && o->has_no_seccomp)
		return err_set(e, -EINVAL, "give --seccomp-filter or --no-seccomp, not both");
	for (size_t i = 0; i < o->nr_allowed; i++) {
		if (access(o->allowed[i].path, F_OK) < 0)
			return err_set(e, -EINVAL,
				       "--allow: %s: %s; give a folder or file that is there",
				       quote(o->allowed[i].path).text, strerror(errno));
	}
	if (o->has_no_api && o->api_path && !o->is_firecracker)
		return err_set(e, -EINVAL, "give --api-sock or --no-api, not both");
	if (o->is_firecracker && o->has_no_api && !o->config_path)
		return err_set(e, -EINVAL, "--no-api needs --config-file");
	if (!has_kernel && (o->has_no_api || (!o->is_firecracker && !o->api_path)))
		return err_set(e, -EINVAL,
			       "--kernel is missing; give --kernel PATH, --help lists all options");
	return 0;
}

/* The path of the socket as others can use it, from wherever they are; "" when there is none. */
static void find_public_path(const char *path, char *to, size_t size)
{
	char folder[PATH_MAX];
	int len = -1;

	if (path[0] == '/')
		len = snprintf(to, size, "%s", path);
	else if (path[0] != '\0' && strncmp(path, "fd:", 3) != 0 && getcwd(folder, sizeof(folder)))
		len = snprintf(to, size, "%s/%s", folder, path);
	if (len < 0 || (size_t)len >= size)
		to[0] = '\0';
}

/* Enters one name. The default path of the socket goes with it. */
static int claim(struct marks *m, const struct options *o, const char *id, struct err *e)
{
	struct registry_entry entry = {
		.pid = getpid(),
		.started_at_s = time(NULL),
		.version = VOLT_VERSION,
	};

	snprintf(entry.id, sizeof(entry.id), "%s", id);
	if (!o->api_path && !o->has_no_api &&
	    registry_socket_path(&m->registry, id, m->api_path) == 0)
		m->is_api_default = true;
	find_public_path(m->api_path, entry.api_path, sizeof(entry.api_path));
	return registry_claim(&m->registry, &entry, e);
}

/*
 * A name that no other has: the one that was given, or one of ours. That somebody else has it is an
 * error; that the run-time folder is not to be had is none, for many systems have no such folder.
 */
static int enter(struct marks *m, struct instance *i, const struct options *o, struct err *e)
{
	int r;

	snprintf(i->id, sizeof(i->id), "%s", o->id);
	if (o->id[0] == '\0')
		snprintf(i->id, sizeof(i->id), "vm-%d", (int)getpid());
	r = registry_open(&m->registry, e);
	if (r == 0)
		r = claim(m, o, i->id, e);
	/* Another process of this id there, in a PID name space of its own. */
	for (int n = 2; r == -EEXIST && o->id[0] == '\0' && n < NAME_TRIES; n++) {
		snprintf(i->id, sizeof(i->id), "vm-%d-%d", (int)getpid(), n);
		r = claim(m, o, i->id, e);
	}
	if (r == -EEXIST)
		return r;
	if (r < 0) {
		log_info("volt-vmm ps will not list this virtual machine: %s", e->msg);
		if (m->is_api_default)
			m->api_path[0] = '\0';
	}
	return 0;
}

static int make_marks(struct marks *m, struct instance *i, const struct options *o, struct err *e)
{
	const char *path = o->api_path;

	m->instance = i;
	m->options = o;
	m->registry = (struct registry){ .folder_fd = -1, .claim_fd = -1 };
	if (!path && o->is_firecracker)
		path = firecracker_socket;
	if (path && !o->has_no_api) {
		if (strlen(path) >= sizeof(m->api_path))
			return err_set(e, -ENAMETOOLONG,
				       "--api-sock: the path has %zu bytes; at most %zu fit",
				       strlen(path), sizeof(m->api_path) - 1);
		memcpy(m->api_path, path, strlen(path) + 1);
	}
	if (!o->is_firecracker)
		return enter(m, i, o, e);
	/* Firecracker knows no list of what runs, and clients use one name many times. */
	snprintf(i->id, sizeof(i->id), "%s", o->id[0] ? o->id : firecracker_id);
	return 0;
}

static void on_ready(void *opaque)
{
	struct marks *m = opaque;
	struct err e = { 0 };

	if (pid_file_publish(&m->pid_file, &e) < 0)
		log_error("%s", e.msg);
	notify_ready();
}

/* What this process may still do while the guest runs. */
static int on_running(void *opaque, struct err *e)
{
	struct marks *m = opaque;
	const struct confine_plan plan = {
		.settings = &m->instance->settings,
		.allowed = m->options->allowed,
		.nr_allowed = m->options->nr_allowed,
		.api_path = m->api_path[0] && strncmp(m->api_path, "fd:", 3) != 0 ? m->api_path
										  : NULL,
		.pid_path = m->options->pid_path,
		.registry_path = m->registry.folder_fd >= 0 ? m->registry.folder : NULL,
		/* Clients of Firecracker's API give paths as they come, and no options of ours. */
		.allows_all = m->options->is_firecracker && m->options->nr_allowed == 0,
	};

	return confine_control(&m->instance->permits, &plan, m->instance->settings.allowed_missing,
			       e);
}

static int run(struct instance *i, struct marks *m, const struct options *o,
	       const sigset_t *signals_before)
{
	const struct run_options options = {
		.api_path = m->api_path[0] ? m->api_path : NULL,
		.is_api_optional = m->is_api_default,
		.keeps_api_path = o->is_firecracker,
		.max_body_bytes = o->max_body_bytes,
		.waits_for_client = i->settings.kernel_path == NULL,
		.signals_before = *signals_before,
		.on_ready = on_ready,
		.on_running = on_running,
		.opaque = m,
	};
	int status = run_vm(i, &options);

	notify_stopping();
	return status;
}

static int load_metadata(struct instance *i, const char *path, struct err *e)
{
	int r;

	if (!path)
		return 0;
	r = mmds_store_load(&i->mmds, path, e);
	if (r == 0)
		log_info("Successfully added metadata to mmds from file");
	return r;
}

int cmd_run(struct options *o)
{
	struct instance instance = {
		.began_us = instance_now_us(),
		.launcher = o->launcher,
		.has_boot_timer = o->has_boot_timer,
	};
	static struct marks marks; /* holds paths: large */
	sigset_t signals_before;
	struct err e = { 0 };
	int status = EXIT_STATUS_ERROR;
	int r;

	instance.settings = o->settings;
	o->settings = (struct settings){ 0 };
	instance.mmds.max_bytes = o->max_mmds_bytes ? o->max_mmds_bytes : o->max_body_bytes;
	run_hold_signals(&signals_before);
	/*
	 * It takes its time to confine itself; what fails here fails again, and is told, at the start.
	 * A limit that is raised for it comes later, and reaches only what is started then.
	 */
	if (instance.settings.kernel_path && !instance.settings.is_memory_locked)
		machine_process_spawn(&instance.machine, &e);
	r = make_marks(&marks, &instance, o, &e);
	if (r == 0 && instance.settings.logger.is_present)
		r = logger_configure(&instance.settings.logger, instance.id, &e);
	if (o->has_no_seccomp)
		log_info("--no-seccomp changes nothing: the sandbox stays");
	if (r == 0) {
		r = load_metadata(&instance, o->metadata_path, &e);
		if (r == -EBADMSG || r == -EFBIG)
			status = EXIT_STATUS_USAGE;
	}
	if (r == 0)
		r = pid_file_open(&marks.pid_file, o->pid_path, &e);
	if (r == 0)
		status = run(&instance, &marks, o, &signals_before);
	else
		log_error("%s", e.msg);
	pid_file_close(&marks.pid_file);
	registry_close(&marks.registry);
	instance_release(&instance);
	return status;
}
