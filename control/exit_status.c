/* SPDX-License-Identifier: Apache-2.0 */
/* Exit statuses as Firecracker has them: see exit_status.h. */
#include "control/exit_status.h"

#include <signal.h>

/* Firecracker's. */
enum {
	FC_OK = 0,
	FC_UNEXPECTED_ERROR = 2,
	FC_BAD_CONFIGURATION = 152,
	FC_BAD_SYSCALL = 148,
	FC_SIGHUP = 156,
};

int exit_status_for_firecracker(int status)
{
	switch (status) {
	case EXIT_STATUS_USAGE:
		return FC_BAD_CONFIGURATION;
	case EXIT_STATUS_GUEST_CRASHED: /* a triple fault is how some guests reboot */
	case EXIT_STATUS_GUEST_PANICKED: /* Firecracker sees no panic, only the reboot after it */
		return FC_OK;
	case EXIT_STATUS_MACHINE_DIED:
		return FC_UNEXPECTED_ERROR;
	case EXIT_STATUS_FORBIDDEN_CALL:
		return FC_BAD_SYSCALL;
	case EXIT_STATUS_SIGNAL + SIGHUP:
		return FC_SIGHUP;
	default:
		return status;
	}
}
