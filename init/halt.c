/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the guest: exit port, power off, reboot, and what happens when PID 1 faults. */
#include "init/halt.h"

#include "base/bytes.h"
#include "init/console.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <unistd.h>

#define EXIT_PORT 0x501
#define DRAIN_LIMIT_MS 1000

/* Kernels without the ioperm system call may still have /dev/port. */
static void write_exit_port(unsigned char status)
{
	int fd;

	if (ioperm(EXIT_PORT, 1, 1) == 0) {
		outb(status, EXIT_PORT);
		return;
	}
	fd = open("/dev/port", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (pwrite(fd, &status, sizeof(status), EXIT_PORT) < 0)
		close(fd); /* powering off follows anyway */
}

/* PID 1 must not return: if the kernel cannot do what is asked, the guest stands still. */
static _Noreturn void end(int how)
{
	console_drain(DRAIN_LIMIT_MS);
	reboot(how);
	for (;;)
		pause();
}

_Noreturn void halt_with_status(int status)
{
	console_drain(DRAIN_LIMIT_MS);
	write_exit_port((unsigned char)status);
	end(RB_POWER_OFF);
}

_Noreturn void halt_power_off(void)
{
	end(RB_POWER_OFF);
}

_Noreturn void halt_reboot(void)
{
	end(RB_AUTOBOOT);
}

/* Runs on its own stack, with nothing to rely on. */
static void on_fault(int sig)
{
	static const char text[] = "volt-init: internal fault, powering off\n";
	ssize_t n;

	if (getpid() != 1)
		_exit(128 + sig);
	n = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)n; /* if this fails, nobody can be told */
	write_exit_port(HALT_INIT_FAILED);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

void halt_prepare(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
	static char stack[16384];
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct sigaction act = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };

	sigaltstack(&alt, NULL);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		sigaction(faults[i], &act, NULL);
	reboot(RB_DISABLE_CAD);
}
