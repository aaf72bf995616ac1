/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in CPU templates: the files of control/templates, byte for byte, as part of the
 * program. What each is for is in docs/cpu-templates.md. The assembler finds them from the
 * repository's root (-I); no compiler notes that it did, so a changed template needs this file
 * touched.
 */
#include <string.h>

#include "base/bytes.h"
#include "control/cpu_template.h"

#define EMBED(name)                                              \
	__asm__(".pushsection .rodata\n"                         \
		"cpu_template_" #name "_start:\n"                \
		".incbin \"control/templates/" #name ".json\"\n" \
		"cpu_template_" #name "_end:\n"                  \
		".popsection\n");                                \
	extern const char cpu_template_##name##_start[];         \
	extern const char cpu_template_##name##_end[]

EMBED(C3);
EMBED(T2);
EMBED(T2A);
EMBED(T2CL);
EMBED(T2S);

const char *const cpu_template_names[] = { "C3", "T2", "T2A", "T2CL", "T2S", NULL };

static const struct {
	const char *start;
	const char *end;
} texts[] = {
	{ cpu_template_C3_start, cpu_template_C3_end },
	{ cpu_template_T2_start, cpu_template_T2_end },
	{ cpu_template_T2A_start, cpu_template_T2A_end },
	{ cpu_template_T2CL_start, cpu_template_T2CL_end },
	{ cpu_template_T2S_start, cpu_template_T2S_end },
};

const char *cpu_template_builtin(const char *name, size_t *len)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (strcmp(name, cpu_template_names[i]) == 0) {
			*len = (size_t)(texts[i].end - texts[i].start);
			return texts[i].start;
		}
	}
	return NULL;
}
