/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings as people write them, checked and turned into what the rest of control works with.
 *
 * Every front end (options now; files and APIs use the same limits) comes through here, so that a
 * value is good or bad in all of them alike. @what is the name of the setting as the user knows it,
 * "--memory": messages start with it, show the value, and say what would work. Functions return 0
 * or -EINVAL (-ENOMEM where they allocate) and leave outputs alone on failure. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "control/settings.h"
#include "control/wire.h"

#define VALUE_MEMORY_MIN_BYTES (16 * MIB)
#define VALUE_MEMORY_MAX_BYTES (512 * GIB) /* what a host with 39 address bits can back */
#define VALUE_MEMORY_UNIT_BYTES 4096 /* a page */

enum {
	VALUE_CPUS_MAX = 255, /* 8-bit APIC ids; 255 is the broadcast id */
	VALUE_HOST_CPUS_MAX = 1024, /* CPU_SETSIZE */
	VALUE_LAYERS_BYTES = 96, /* of all names of layers, with commas */
};

/*
 * "128M", "1GiB", "33554432B": a unit is needed, because other monitors count MiB and some bytes.
 */
int value_memory(const char *what, const char *text, uint64_t *bytes, struct err *e);

/* 1 to 64 of A-Z a-z 0-9 _ -. */
bool value_is_id(const char *text, size_t len);

/* A decimal number from @min to @max. */
int value_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *number,
		 struct err *e);

/* Any text but the empty one: whether the file is there is for control/open.h to find out. */
int value_path(const char *what, const char *text, struct err *e);

/*
 * Text for a kernel command line: no control characters, which would forge lines in the guest's
 * log.
 */
int value_cmdline(const char *what, const char *text, struct err *e);

/*
 * A list of at most @max host CPUs, "0-3,6,6". Writes them to @cpus in the order given and returns
 * how many. Whether the host has them is for control/host.h to find out.
 */
int value_cpu_list(const char *what, const char *text, uint16_t *cpus, uint32_t max, struct err *e);

/* Which of @choices (NULL at the end) is @text: its index, or -EINVAL. */
int value_choice(const char *what, const char *text, const char *const *choices, struct err *e);

/*
 * Layers of the sandbox, "landlock,limits", as a mask (jail/layer.h); "" is none. Printed, they fit
 * VALUE_LAYERS_BYTES.
 */
int value_layers(const char *what, const char *text, uint32_t *mask, struct err *e);
char *value_layers_print(uint32_t mask, char text[static VALUE_LAYERS_BYTES]);

/* "stdio", "none" or "file:PATH"; overwrites *@console, which is released by its settings. */
int value_console(const char *what, const char *text, struct console_value *console, struct err *e);
