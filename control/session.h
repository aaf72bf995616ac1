/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One VM's life as control sees it: starts machine, carries its console, passes commands to it and
 * answers back, and says how it ended.
 *
 *	NONE -> STARTING -> RUNNING <-> PAUSED -> ENDED
 *
 * A start that fails leads back to NONE: nothing is left of it, and another may be tried. Commands
 * are answered by a callback, later, from the loop; all that are open when machine ends are answered
 * with -ESHUTDOWN then. Several may be open at once.
 *
 * Everything runs on the loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "control/open_commands.h"
#include "control/wire.h"

struct event_base;
struct launch;
struct machine_process;
struct session;

enum session_state {
	SESSION_NONE,
	SESSION_STARTING,
	SESSION_RUNNING,
	SESSION_PAUSED,
	SESSION_ENDED, /* machine is gone */
};

/* Something is wrong with a device; the VM goes on. */
struct session_fault {
	const char *drive; /* its id; borrowed, like the text */
	enum device_fault kind;
	const char *text;
};

struct session_callbacks {
	void (*on_state)(void *opaque, enum session_state state); /* it has changed */
	void (*on_fault)(void *opaque, const struct session_fault *fault);
	void (*on_panic)(void *opaque); /* see session_panic() */
	void (*on_quit)(void *opaque); /* the user wants out, by Ctrl-A x */
	void (*on_over)(void *opaque); /* ENDED, and all output is written */
	void *opaque; /* borrowed: outlives the session */
};

/* How the VM ended, for those who tell others. */
struct session_end {
	enum vm_end_reason reason; /* 0: machine did not say */
	uint8_t status; /* for VM_END_EXIT_PORT */
	const char *text; /* borrowed from the session */
};

/* 0 or -ENOMEM with @e filled. @base must take descriptors of files (EV_FEATURE_FDS). */
int session_new(struct session **out, struct event_base *base,
		const struct session_callbacks *callbacks, struct err *e);

/* Kills machine if it still runs, and restores the terminal. Accepts NULL. */
void session_free(struct session *s);

enum session_state session_state(const struct session *s);

/* How much of the sandbox machine has, from the start of a VM on. */
struct session_sandbox {
	bool is_known; /* machine has said how much */
	uint32_t layers; /* jail/layer.h */
	uint32_t landlock_abi; /* 0: none */
	char why[WIRE_TEXT_BYTES]; /* others are missing; "" when none is */
	uint64_t nr_forbidden; /* system calls that a filter has stopped */
	char forbidden[32]; /* the first of them; "" before */
};

/* Never NULL; belongs to the session. */
const struct session_sandbox *session_sandbox(const struct session *s);

/* PANIC_ bits of what the guest's kernel has panicked with; 0 before. */
uint8_t session_panic(const struct session *s);

/* Process id of machine; 0 when there is none. */
int session_machine_pid(const struct session *s);

/*
 * Uses @process, which it takes, for the start to come: machine can get ready while its configuration
 * is still being made.
 */
void session_adopt(struct session *s, struct machine_process *process);

/*
 * From NONE only. Takes the descriptors of @launch. 0: @done follows, when the vCPUs run or the
 * start has failed (-EOWNERDEAD: machine did not say why); -errno with @e filled: it has failed, and
 * @done is not called.
 */
int session_start(struct session *s, struct launch *launch, session_done *done, void *opaque,
		  struct err *e);

/*
 * Commands. @done (NULL: nobody wants to know) is called once in any case, maybe before they return:
 * with -ENOTCONN when no VM runs, -EAGAIN when machine takes no more commands at the moment.
 */
void session_pause(struct session *s, session_done *done, void *opaque);
void session_resume(struct session *s, session_done *done, void *opaque);
void session_ctrl_alt_del(struct session *s, session_done *done, void *opaque);

/* @drive is an index into machine_config.drives. Takes @fd. */
void session_replace_drive(struct session *s, uint32_t drive, int fd, session_done *done,
			   void *opaque);
void session_limit_drive(struct session *s, uint32_t drive, const struct rate_limiter_config *limit,
			 bool has_bandwidth, bool has_ops, session_done *done, void *opaque);

/*
 * Ends the VM, which is killed if it takes more than five seconds; on_over follows. A second call
 * does not wait for anything: machine and whoever reads the console are left behind.
 */
void session_stop(struct session *s);

/* On a terminal: cooked while the program is stopped by job control, raw again after. */
void session_suspend(struct session *s);
void session_continue(struct session *s);

/* Once ENDED. */
struct session_end session_end(const struct session *s);

/*
 * Waits for what is left of machine, restores the terminal, and says in the log how the VM ended.
 * Returns the exit status of the program (exit_status.h).
 */
int session_finish(struct session *s);
