/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that were sent to machine and are not answered yet. Machine numbers its answers as
 * the commands were, and may answer in another order, or, if its guest has taken it over, anything.
 * Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/wire.h"

enum { OPEN_COMMANDS_MAX = 64 };

/* 0 with @micros, the time it took machine, or -errno with @text, the reason. */
typedef void session_done(void *opaque, int code, const char *text, uint32_t micros);

struct open_command {
	uint32_t id; /* 0: the entry is free */
	uint32_t kind;
	session_done *done; /* or NULL */
	void *opaque;
};

struct open_commands {
	uint32_t last_id;
	struct open_command entries[OPEN_COMMANDS_MAX];
};

/*
 * Sends @cmd, whose id is set here, with @fd unless that is -1; @fd stays the caller's. @done is
 * called once: now when it cannot be sent, else by whoever took the answer. Never waits: a machine
 * that does not read must not stall us.
 */
void open_commands_send(struct open_commands *c, int wire_fd, struct vm_cmd *cmd, int fd,
			session_done *done, void *opaque);

/* Moves the command with this id to @command; false when none is open. */
bool open_commands_take(struct open_commands *c, uint32_t id, struct open_command *command);

/* Answers all that are open. */
void open_commands_fail(struct open_commands *c, int code, const char *text);
