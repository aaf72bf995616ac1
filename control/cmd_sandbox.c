/* SPDX-License-Identifier: Apache-2.0 */
/* Which layers of the sandbox this host offers, and which a virtual machine has: see cmd.h. */
#include "control/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "control/exit_status.h"
#include "control/options.h"
#include "control/sandbox_host.h"
#include "control/sandbox_json.h"
#include "control/sandbox_process.h"
#include "control/sandbox_text.h"
#include "control/target.h"
#include "control/vm_state.h"
#include "jail/landlock.h"

enum { DETAIL_BYTES = 1024 };

/* --- the host ------------------------------------------------------------------------------ */

/* What an available layer lacks, or why there is none and what it would need; "" when all is well. */
static void describe_layer(const struct sandbox_host *host, enum jail_layer layer,
			   char detail[static DETAIL_BYTES])
{
	const bool is_there = host->layers & 1u << layer;
	const char *missing = jail_landlock_missing((int)host->landlock_abi);

	detail[0] = '\0';
	if (!is_there)
		snprintf(detail, DETAIL_BYTES, "%s. It needs: %s", host->why[layer].msg,
			 sandbox_layer_text(layer)->needs);
	else if (layer == JAIL_LANDLOCK && missing)
		snprintf(detail, DETAIL_BYTES, "version %" PRIu32 ", which lacks %s",
			 host->landlock_abi, missing);
	else if (layer == JAIL_LANDLOCK)
		snprintf(detail, DETAIL_BYTES, "version %" PRIu32, host->landlock_abi);
	else if (layer == JAIL_SECCOMP && !host->has_reports)
		snprintf(detail, DETAIL_BYTES,
			 "forbidden calls are not reported: that needs Linux 5.0 and no other "
			 "watcher (of a container) before");
}

static void print_host(const struct sandbox_host *host)
{
	printf("%-16s %-8s %s\n", "LAYER", "OFFERED", "DETAIL");
	for (int i = 0; i < JAIL_LAYERS; i++) {
		char detail[DETAIL_BYTES];

		describe_layer(host, (enum jail_layer)i, detail);
		printf("%-16s %-8s %s\n", jail_layer_name((enum jail_layer)i),
		       host->layers & 1u << i ? "yes" : "no", detail[0] ? detail : "-");
	}
	printf("\nalso\n");
	printf("%-16s %-8s %s\n", "core scheduling", host->has_core_scheduling ? "yes" : "no",
	       "for --core-scheduling; needs Linux 5.14, CONFIG_SCHED_CORE and a processor with "
	       "SMT");
	printf("%-16s %-8s %s\n", "secret memory", host->has_secret_memory ? "yes" : "no",
	       "memfd_secret(2), not used: KVM does not take it for guest memory");
}

static json_t *host_new(const struct sandbox_host *host)
{
	const char *missing = jail_landlock_missing((int)host->landlock_abi);
	json_t *list = json_array();

	for (int i = 0; i < JAIL_LAYERS; i++) {
		const bool is_there = host->layers & 1u << i;

		json_array_append_new(
			list,
			json_pack("{s:s,s:b,s:o,s:s}", "layer", jail_layer_name((enum jail_layer)i),
				  "offered", is_there, "reason",
				  is_there ? json_null() : json_string(host->why[i].msg), "needs",
				  sandbox_layer_text((enum jail_layer)i)->needs));
	}
	return json_pack("{s:o,s:I,s:o,s:b,s:b,s:b,s:I}", "layers", list, "landlock_abi",
			 (json_int_t)host->landlock_abi, "landlock_missing",
			 missing ? json_string(missing) : json_null(), "seccomp_reports",
			 host->has_reports, "core_scheduling", host->has_core_scheduling,
			 "secret_memory", host->has_secret_memory, "uid", (json_int_t)geteuid());
}

static int host_status(const struct options *o)
{
	static struct sandbox_host host; /* with messages: large */
	struct err e = { 0 };
	int status;

	if (sandbox_host_probe(&host, &e) < 0)
		return cmd_fail(&e);
	status = host.layers == JAIL_ALL_LAYERS ? EXIT_STATUS_OK : EXIT_STATUS_ERROR;
	if (o->is_json)
		return cmd_finish_json(host_new(&host), status);
	print_host(&host);
	return cmd_finish(status);
}

/* --- a virtual machine --------------------------------------------------------------------- */

struct subject {
	char id[WIRE_ID_BYTES];
	struct vm_state state; /* what it says itself */
	struct sandbox_process control; /* owned, like machine */
	struct sandbox_process machine;
};

/* A process that it names, in our own PID namespace. */
static pid_t pid_member(const json_t *json, const char *name)
{
	const json_int_t pid = json_integer_value(json_object_get(json, name));

	return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static int read_processes(struct subject *s, const struct client_answer *answer, struct err *e)
{
	json_t *json = json_loadb(answer->body, answer->len, 0, NULL);
	const char *id = json_string_value(json_object_get(json, "id"));
	const pid_t control = pid_member(json, "pid");
	const pid_t machine = pid_member(json, "machine_pid");
	int r = 0;

	if (id)
		snprintf(s->id, sizeof(s->id), "%s", id);
	json_decref(json);
	if (!id || control == 0)
		return err_set(e, -EPROTO, "the virtual machine does not say what it is");
	if (machine == 0)
		return err_set(e, -ESRCH,
			       "the virtual machine is not started, or has ended: there is no "
			       "process of a guest");
	r = sandbox_process_read(machine, control, &s->machine, e);
	if (r == 0)
		r = sandbox_process_read(control, getpid(), &s->control, e);
	if (r == 0 && s->machine.parent != control)
		r = err_set(e, -ESRCH,
			    "the processes %d and %d are not those of the virtual machine: it runs "
			    "in another PID namespace (a container), ask from there",
			    (int)control, (int)machine);
	return r;
}

static int read_subject(const struct options *o, struct subject *s, struct err *e)
{
	struct client_answer answer;
	struct target t;
	int r = target_open(o, &t, e);

	if (r == 0)
		r = client_call(&t.client, "GET", VM_STATE_PATH, NULL, &answer, e);
	if (r == 0) {
		r = vm_state_read(&answer, &s->state, e);
		client_answer_release(&answer);
	}
	if (r == 0)
		r = client_call(&t.client, "GET", "/v1/vm", NULL, &answer, e);
	client_close(&t.client);
	if (r < 0)
		return r;
	r = read_processes(s, &answer, e);
	client_answer_release(&answer);
	if (r == 0 && !s->state.has_sandbox)
		r = err_set(e, -EPROTO, "the virtual machine does not say what its sandbox is");
	return r;
}

/* What is seen counts as well as what machine has reported: both have to say so. */
static bool has_layer(const struct subject *s, enum jail_layer layer)
{
	return s->state.layers & 1u << layer && s->machine.layers[layer] != SANDBOX_NO;
}

static bool has_all_layers(const struct subject *s)
{
	bool has_all = true;

	for (int i = 0; i < JAIL_LAYERS; i++)
		has_all &= has_layer(s, (enum jail_layer)i);
	return has_all;
}

static const char *source_name(const struct subject *s, enum jail_layer layer)
{
	return s->machine.layers[layer] == SANDBOX_UNREADABLE ? "reported" : "seen";
}

static const char *seccomp_name(const struct sandbox_thread *t)
{
	static const char *const names[] = { "none", "strict", "filter" };

	return t->seccomp >= 0 && t->seccomp <= 2 ? names[t->seccomp] : "unknown";
}

static void print_threads(const char *role, const struct sandbox_process *p)
{
	for (size_t i = 0; i < p->nr_threads; i++) {
		const struct sandbox_thread *t = &p->threads[i];
		char filters[16] = "-";

		if (t->nr_filters >= 0)
			snprintf(filters, sizeof(filters), "%d", t->nr_filters);
		printf("%-8s %7d %-16s %-8s %7s %6s %#17" PRIx64 " %10u\n", role, (int)t->tid,
		       t->name, seccomp_name(t), filters, t->has_no_new_privs ? "yes" : "no",
		       t->capabilities[SANDBOX_CAP_PERMITTED], (unsigned int)t->uid);
	}
}

static void print_subject(const struct subject *s)
{
	bool has_reported = false;

	printf("%-16s %-8s %s\n", "LAYER", "IN FORCE", "KNOWN");
	for (int i = 0; i < JAIL_LAYERS; i++) {
		const enum jail_layer layer = (enum jail_layer)i;

		has_reported |= s->machine.layers[i] == SANDBOX_UNREADABLE;
		printf("%-16s %-8s %s", jail_layer_name(layer), has_layer(s, layer) ? "yes" : "no",
		       source_name(s, layer));
		if (layer == JAIL_LANDLOCK && s->state.landlock_abi > 0)
			printf(", version %" PRIu32, s->state.landlock_abi);
		putchar('\n');
	}
	printf("\n%-8s %7s %-16s %-8s %7s %6s %17s %10s\n", "PROCESS", "TID", "THREAD", "SECCOMP",
	       "FILTERS", "NONEWP", "CAPABILITIES", "UID");
	print_threads("control", &s->control);
	print_threads("machine", &s->machine);
	if (has_reported)
		printf("\nreported: /proc does not show it, or only to root; the process said so "
		       "when it started.\n");
}

static json_t *thread_new(const struct sandbox_thread *t)
{
	static const char *const sets[SANDBOX_CAP_SETS] = {
		[SANDBOX_CAP_INHERITABLE] = "inheritable", [SANDBOX_CAP_PERMITTED] = "permitted",
		[SANDBOX_CAP_EFFECTIVE] = "effective",	   [SANDBOX_CAP_BOUNDING] = "bounding",
		[SANDBOX_CAP_AMBIENT] = "ambient",
	};
	json_t *capabilities = json_object();

	for (size_t i = 0; i < SANDBOX_CAP_SETS; i++)
		json_object_set_new(capabilities, sets[i],
				    json_sprintf("%016" PRIx64, t->capabilities[i]));
	return json_pack("{s:i,s:s,s:s,s:o,s:b,s:o,s:I}", "tid", (int)t->tid, "name", t->name,
			 "seccomp", seccomp_name(t), "filters",
			 t->nr_filters >= 0 ? json_integer(t->nr_filters) : json_null(),
			 "no_new_privs", t->has_no_new_privs, "capabilities", capabilities, "uid",
			 (json_int_t)t->uid);
}

/* True, false, or null for what this reader cannot see. */
static json_t *seen_new(enum sandbox_seen seen)
{
	return seen == SANDBOX_UNREADABLE ? json_null() : json_boolean(seen == SANDBOX_YES);
}

static json_t *process_new(const struct sandbox_process *p)
{
	json_t *threads = json_array(), *namespaces = json_object();

	for (size_t i = 0; i < p->nr_threads; i++)
		json_array_append_new(threads, thread_new(&p->threads[i]));
	for (size_t i = 0; i < SANDBOX_NAMESPACES; i++)
		json_object_set_new(namespaces, sandbox_namespace_names[i],
				    seen_new(p->namespaces[i]));
	return json_pack("{s:i,s:o,s:o}", "pid", (int)p->pid, "own_namespaces", namespaces,
			 "threads", threads);
}

static json_t *subject_new(const struct subject *s)
{
	json_t *layers = json_array();

	for (int i = 0; i < JAIL_LAYERS; i++) {
		const enum jail_layer layer = (enum jail_layer)i;

		json_array_append_new(layers, json_pack("{s:s,s:b,s:o,s:b}", "layer",
							jail_layer_name(layer), "in_force",
							has_layer(s, layer), "seen",
							seen_new(s->machine.layers[i]), "reported",
							(s->state.layers & 1u << i) != 0));
	}
	return json_pack("{s:s,s:o,s:I,s:o,s:o}", "id", s->id, "layers", layers, "landlock_abi",
			 (json_int_t)s->state.landlock_abi, "control", process_new(&s->control),
			 "machine", process_new(&s->machine));
}

static int vm_status(const struct options *o)
{
	struct subject s = { 0 };
	struct err e = { 0 };
	int status = EXIT_STATUS_ERROR;
	const int r = read_subject(o, &s, &e);

	if (r < 0) {
		log_error("%s", e.msg);
		status = r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_ERROR;
	} else {
		status = has_all_layers(&s) ? EXIT_STATUS_OK : EXIT_STATUS_ERROR;
		if (o->is_json)
			status = cmd_finish_json(subject_new(&s), status);
		else
			print_subject(&s);
	}
	sandbox_process_release(&s.control);
	sandbox_process_release(&s.machine);
	return cmd_finish(status);
}

int cmd_sandbox_status(struct options *o)
{
	return o->nr_operands > 0 || o->api_path ? vm_status(o) : host_status(o);
}
