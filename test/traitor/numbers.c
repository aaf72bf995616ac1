/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls by number, all of them. Arguments are all ones: an address that is none, a
 * descriptor that is not open, flags that do not exist; so whatever is executed fails, or does
 * nothing that lasts, but for those that take no arguments.
 */
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/traitor/traitor.h"

enum { SECONDS = 2 };

/*
 * The child of a fork ends at once: with vfork() it shares our stack, and may not return.
 * exit_group is 231.
 */
static long call_forking(long number)
{
	long r;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jne 1f\n\t"
			 "mov $231, %%eax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "syscall\n"
			 "1:"
			 : "=a"(r)
			 : "a"(number)
			 : "rcx", "r11", "rdi", "memory");
	return r;
}

static long call(long number, long argument)
{
	register long r10 __asm__("r10") = argument;
	register long r8 __asm__("r8") = argument;
	register long r9 __asm__("r9") = argument;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(argument), "S"(argument), "d"(argument), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

static void try_one(struct attempt_report *report, int number)
{
	/* With all ones this would make a queue of the host's: one of the flags says "create". */
	const long argument = number == SYS_msgget ? 1 : -1;

	report->state = ATTEMPT_BEGUN;
	if (number == SYS_fork || number == SYS_vfork)
		report->value = call_forking(number);
	else
		report->value = call(number, argument);
	report->state = ATTEMPT_RETURNED;
}

void numbers_try(struct attempt_report *reports, int first, int last, bool has_seccomp)
{
	for (int number = first; number <= last && number < NUMBERS; number++) {
		const pid_t pid = has_seccomp ? 0 : fork();

		if (pid > 0) {
			waitpid(pid, NULL, 0);
			continue;
		}
		if (pid < 0)
			continue; /* the report stays as it was */
		if (!has_seccomp)
			alarm(SECONDS); /* for those that wait */
		try_one(&reports[number], number);
		if (!has_seccomp)
			_exit(0);
	}
}
