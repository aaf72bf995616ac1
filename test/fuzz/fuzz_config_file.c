/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files: whatever the text, an error with a message that an API can send, or settings
 * that are written and read again without a loss.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/json/config_file.h"
#include "control/json/fc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void check_message(int r, const struct err *e)
{
	json_t *message = json_string(e->msg);

	require(r == -EBADMSG || r == -EINVAL || r == -EBADR, "known result");
	require(e->msg[0] != '\0' && message, "a message of UTF-8");
	json_decref(message);
}

static char *print(const struct settings *s)
{
	json_t *json = settings_to_volt(s);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	require(text, "is written");
	json_decref(json);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings s, again;
	struct err e = { 0 };
	char *first, *second;
	json_t *fc;
	int r;

	settings_init(&s);
	r = config_file_parse("fuzz", (const char *)data, size, &s, &e);
	if (r < 0) {
		check_message(r, &e);
		settings_release(&s);
		return 0;
	}
	require(s.cpu_count >= 1 && s.nr_drives <= WIRE_MAX_DRIVES, "bounds");
	fc = settings_to_fc(&s);
	require(fc, "is written in Firecracker's form");
	json_decref(fc);
	first = print(&s);
	settings_init(&again);
	r = config_file_parse("again", first, strlen(first), &again, &e);
	if (r == 0) {
		second = print(&again);
		require(strcmp(first, second) == 0, "reads the same");
		free(second);
	} else {
		/* Ids of Firecracker's form, which sets this, may be any text; Volt's may not. */
		require(s.has_root_appended, "reads again");
	}
	settings_release(&again);
	settings_release(&s);
	free(first);
	return 0;
}
