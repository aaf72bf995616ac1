/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU templates as people write them: JSON in Firecracker's format, from a file or built in.
 *
 *	{ "kvm_capabilities": ["121", "!56"],
 *	  "cpuid_modifiers": [ { "leaf": "0x1", "subleaf": "0x0", "flags": 0,
 *	                         "modifiers": [ { "register": "ecx", "bitmap": "0bxx01" } ] } ],
 *	  "msr_modifiers": [ { "addr": "0x10a", "bitmap": "0b1" } ] }
 *
 * A bitmap's last character is bit 0; `x` leaves the bit as the host has it, and so do the bits
 * that a short bitmap does not mention; `_` may separate. Leaf, subleaf and addr are hexadecimal or
 * binary with their prefix. All else is refused: keys that are not above, keys twice, numbers that
 * do not fit, leaves outside of the ranges that CPUs have, and two modifiers that want the same bit
 * to be different. Modifiers of one register that agree are merged.
 *
 * The result is struct cpu_template (control/wire.h), which holds no pointers. Whether the host can
 * provide it is for the machine process to say (machine/x86/template.h). Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "control/wire.h"

enum { CPU_TEMPLATE_MAX_BYTES = 1 << 20 };

/*
 * Reads @len bytes of JSON; @name says in messages which template it is. Returns 0, or -EBADMSG
 * with @e naming the item (the line and column where it is no JSON) and *@out undefined.
 */
int cpu_template_parse(const char *name, const char *text, size_t len, struct cpu_template *out,
		       struct err *e);

/* A built-in template by its name, else a file by its path. 0, -EBADMSG as above, or -errno. */
int cpu_template_load(const char *name_or_path, struct cpu_template *out, struct err *e);

/* Writes what cpu_template_parse() reads. Sets the stream's error flag on failure. */
void cpu_template_print(const struct cpu_template *t, FILE *to);

/* NULL at the end. */
extern const char *const cpu_template_names[];

/* The JSON of a built-in template and its length, or NULL. */
const char *cpu_template_builtin(const char *name, size_t *len);

/* The modifier of a leaf (of an MSR), or NULL. */
const struct cpuid_modifier *cpu_template_find_leaf(const struct cpu_template *t, uint32_t leaf,
						    uint32_t subleaf);
const struct msr_modifier *cpu_template_find_msr(const struct cpu_template *t, uint32_t index);
