/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit statuses of volt-vmm, and those it has under the name firecracker.
 *
 * The guest chooses a status of its own through the exit port, any byte, and may thereby imitate
 * the others: a script that must tell them apart lets its guest stay below 120.
 */
#pragma once

enum exit_status {
	EXIT_STATUS_OK = 0, /* powered off, rebooted, or stopped by the user */
	EXIT_STATUS_ERROR = 1, /* the VM could not be started, or the host failed it */
	EXIT_STATUS_USAGE =
		2, /* the command line, or a CPU template it names, is wrong; nothing was started */
	EXIT_STATUS_GUEST_CRASHED = 120, /* triple fault, or a state that KVM cannot run */
	EXIT_STATUS_MACHINE_DIED = 121, /* the machine process ended without saying why */
	EXIT_STATUS_GUEST_PANICKED = 122, /* and rebooted, powered off or crashed then */
	EXIT_STATUS_FORBIDDEN_CALL = 123, /* machine tried a system call that its filter forbids */
	EXIT_STATUS_SIGNAL = 128, /* plus the number of the signal that ended the run */
	EXIT_STATUS_FIRECRACKER_USAGE = 153, /* for it, the command line and files are two things */
};

/*
 * What Firecracker would have returned for the end of a run: 152 for a wrong configuration, 0 for a
 * triple fault or a panic, 2 for a failure of its own, 148 for a forbidden system call, 156 for
 * SIGHUP; others are the same.
 */
int exit_status_for_firecracker(int status);
