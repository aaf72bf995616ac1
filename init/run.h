/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: starts the one program the guest is there for, and waits for it as PID 1 does: reaping every
 * orphan on the way, and listening for the signals that ask for the end.
 */
#pragma once

#include <sys/types.h>

enum run_end {
	RUN_EXITED, /* the program ended by itself */
	RUN_POWER_OFF, /* SIGTERM, SIGUSR1, SIGUSR2 or SIGPWR */
	RUN_REBOOT, /* SIGINT, which is also Ctrl-Alt-Del */
};

/* Blocks the signals that run_wait takes. Before the first child is started. */
void run_prepare(void);

/*
 * Starts argv as the foreground job of the terminal tty_fd, or on standard input and output if that
 * is negative. Returns its process id or -errno; a program that cannot be executed ends with
 * 126 or 127, as in a shell.
 */
pid_t run_start(char *const argv[], int tty_fd);

/*
 * Waits until the program ends or the end is asked for. *status becomes its exit status, or
 * 128 + signal; it is set only with RUN_EXITED.
 */
enum run_end run_wait(pid_t main_pid, int *status);
