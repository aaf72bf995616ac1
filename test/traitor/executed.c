/* SPDX-License-Identifier: Apache-2.0 */
/* A program for the traitor to execute: says so, needs nothing. Small, to fit into a memfd. */
#include <sys/syscall.h>

static long call(long number, long a, const void *b, long c)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

void _start(void);

void _start(void)
{
	static const char text[] = "traitor: executed\n";

	call(SYS_write, 2, text, sizeof(text) - 1);
	call(SYS_exit_group, 0, 0, 0);
	__builtin_unreachable();
}
