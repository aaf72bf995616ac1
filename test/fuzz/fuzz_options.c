/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option parsing: the input is a command line, its words separated by NUL bytes. Whatever is
 * accepted keeps the promises that control/config.h builds on; whatever is refused gives one line.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/cmd.h"
#include "control/options.h"
#include "control/verb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 64 };

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void check_accepted(const struct options *o)
{
	REQUIRE(o->verb || (o->action == OPTIONS_HELP && o->topic));
	if (o->action != OPTIONS_RUN)
		return;
	REQUIRE(o->nr_operands >= o->verb->min_operands);
	REQUIRE(o->nr_operands <= o->verb->max_operands);
	REQUIRE(strlen(o->id) < sizeof(o->id));
	if (o->verb->run == cmd_run)
		REQUIRE(o->settings.kernel_path || o->api_path || o->is_firecracker);
	REQUIRE(o->settings.memory_bytes >= 16 * MIB && o->settings.memory_bytes <= 512 * GIB);
	REQUIRE(o->settings.memory_bytes % 4096 == 0);
	REQUIRE(o->settings.cpu_count >= 1 && o->settings.cpu_count <= 255);
	REQUIRE(o->settings.nr_drives <= WIRE_MAX_DRIVES);
	REQUIRE((o->settings.console.kind == CONSOLE_FILE) == (o->settings.console.path != NULL));
	for (size_t i = 0; i < o->settings.nr_drives; i++) {
		const struct drive_value *drive = &o->settings.drives[i];

		REQUIRE(*drive->path);
		REQUIRE(*drive->id && strlen(drive->id) < WIRE_ID_BYTES);
		REQUIRE(i == 0 || !drive->is_root);
		for (size_t k = 0; k < i; k++)
			REQUIRE(strcmp(drive->id, o->settings.drives[k].id) != 0);
	}
}

static void check_refused(const struct options *o, const struct err *e)
{
	REQUIRE(e->code < 0 && e->msg[0] && o->settings.nr_drives == 0);
	for (const char *s = e->msg; *s; s++)
		REQUIRE((unsigned char)*s >= 0x20 && *s != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words = malloc(size + 1);
	char *argv[WORDS_MAX + 1] = { NULL };
	struct options o;
	struct err e = { 0 };
	int argc = 0;

	if (!words)
		return 0;
	memcpy(words, data, size);
	words[size] = '\0';
	for (size_t at = 0; at <= size && argc < WORDS_MAX; at += strlen(words + at) + 1)
		argv[argc++] = words + at;
	/* Files are for the fuzzer of configuration files. */
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--config-file", strlen("--config-file")) == 0)
			argc = i;
	}
	if (options_parse(argc, argv, &o, &e) == 0)
		check_accepted(&o);
	else
		check_refused(&o, &e);
	options_release(&o);
	free(words);
	return 0;
}
