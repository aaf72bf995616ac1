/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How wraps_*.c take the place of libc: callers of NAME get __wrap_NAME. The real work is done by
 * system calls, of which one serves all the names that libc has for it.
 */
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)
