/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's terminal in raw mode while a guest has it, and back as it was on every way out.
 *
 * A process that is killed cannot clean up after itself. So a small keeper process holds the
 * terminal and its old settings, in a session of its own and with all signals blocked, and waits on
 * a pipe: when we vanish without saying goodbye, it restores the terminal and ends.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

#include "base/err.h"

struct terminal {
	int fd; /* borrowed: a terminal; -1 when there is none */
	struct termios before;
	bool is_raw;
	pid_t keeper; /* 0 when there is none */
	int keeper_pipe; /* owned: closing it without a word makes the keeper restore */
};

/* Starts the keeper and makes @fd raw. Does nothing when @fd is no terminal. 0 or -errno. */
int terminal_open(struct terminal *terminal, int fd, struct err *e);

/* For job control: cooked while we are stopped, raw again after. */
void terminal_suspend(struct terminal *terminal);
void terminal_resume(struct terminal *terminal);

/* Restores the terminal and dismisses the keeper. Accepts a closed object. */
void terminal_close(struct terminal *terminal);
