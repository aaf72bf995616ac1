/* SPDX-License-Identifier: Apache-2.0 */
/*
 * halt: the ways a guest ends.
 *
 * The monitor offers an exit port: the byte written to it becomes the monitor's exit status, and
 * the guest is gone. Other monitors ignore the write, so powering off always follows. Nothing in
 * here waits for a disk: that is done before (shutdown.h).
 */
#pragma once

/* The status that means: volt-init itself could not do its work. */
#define HALT_INIT_FAILED 125

/* Ends the guest with a status, or powers it off if the monitor has no exit port. */
_Noreturn void halt_with_status(int status);

/* Powers the guest off. */
_Noreturn void halt_power_off(void);

/* Restarts the guest. */
_Noreturn void halt_reboot(void);

/*
 * Turns a fault of PID 1 itself into a message and an end with HALT_INIT_FAILED; the kernel would
 * panic. Also hands Ctrl-Alt-Del to this process as SIGINT.
 */
void halt_prepare(void);
