/* SPDX-License-Identifier: Apache-2.0 */
/* Choices and ops as text, see replay.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/crash/replay.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const char *const data_names[] = {
	[DATA_KEPT] = "kept",	  [DATA_LOST] = "lost",	    [DATA_ZERO] = "zero",
	[DATA_ONE_LOST] = "less", [DATA_ONE_KEPT] = "only", [DATA_ONE_HEAD] = "head",
	[DATA_ONE_TAIL] = "tail", [DATA_RANDOM] = "random",
};

static const char *const dirs_names[] = {
	[DIRS_KEPT] = "kept", [DIRS_LOST] = "lost",	[DIRS_CUT] = "cut",
	[DIRS_ONLY] = "only", [DIRS_RANDOM] = "random",
};

void crash_choice_text(const struct crash_choice *c, char buf[static CRASH_CHOICE_BYTES])
{
	snprintf(buf, CRASH_CHOICE_BYTES, "%s:%" PRIu32 "/%s:%" PRIu32 "/%" PRIu64,
		 data_names[c->data], c->data_op, dirs_names[c->dirs], c->dir_op, c->seed);
}

/* Reads "NAME:NUMBER/" at *@text and moves behind it. */
static int parse_part(const char **text, const char *const names[], size_t nr, uint32_t *op)
{
	for (size_t i = 0; i < nr; i++) {
		size_t len = strlen(names[i]);
		char *end;

		if (strncmp(*text, names[i], len) != 0 || (*text)[len] != ':')
			continue;
		*op = (uint32_t)strtoul(*text + len + 1, &end, 10);
		if (*end != '/')
			return -EINVAL;
		*text = end + 1;
		return (int)i;
	}
	return -EINVAL;
}

bool crash_choice_parse(const char *text, struct crash_choice *c)
{
	int data = parse_part(&text, data_names, ARRAY_LEN(data_names), &c->data_op);
	int dirs;
	char *end;

	if (data < 0)
		return false;
	dirs = parse_part(&text, dirs_names, ARRAY_LEN(dirs_names), &c->dir_op);
	if (dirs < 0)
		return false;
	c->data = (enum crash_data)data;
	c->dirs = (enum crash_dirs)dirs;
	c->seed = strtoull(text, &end, 10);
	return end != text && *end == '\0';
}

/* What @object was called last before op @before, "?" if nothing. */
static const char *name_of(const struct crash_log *log, uint32_t object, size_t before)
{
	for (size_t i = before + 1; i > 0; i--) {
		const struct crash_op *op = &log->ops[i - 1];

		if (op->kind == CRASH_LINK && op->target == object)
			return op->name;
		if ((op->kind == CRASH_RENAME || op->kind == CRASH_EXCHANGE) &&
		    op->target == object)
			return op->name2;
	}
	return object == CRASH_ROOT ? "." : "?";
}

void crash_op_text(const struct crash_log *log, size_t number, char *buf, size_t size)
{
	static const char *const verbs[] = {
		[CRASH_WRITE] = "write",       [CRASH_TRUNCATE] = "truncate",
		[CRASH_ZERO] = "zero",	       [CRASH_MAPPED] = "map",
		[CRASH_LINK] = "link",	       [CRASH_UNLINK] = "unlink",
		[CRASH_RENAME] = "rename",     [CRASH_EXCHANGE] = "exchange",
		[CRASH_SYNC] = "sync",	       [CRASH_SYNC_FAILED] = "failed sync",
		[CRASH_SYNC_ALL] = "sync all", [CRASH_LEFT_OUT] = "nothing",
		[CRASH_NOTE] = "note",
	};
	const struct crash_op *op = &log->ops[number];
	int n = snprintf(buf, size, "%zu %s%s", number, verbs[op->kind],
			 op->is_durable ? " durably" : "");
	size_t done = n < 0 || (size_t)n >= size ? size : (size_t)n;
	const char *where = name_of(log, op->object, number);

	buf += done;
	size -= done;
	switch (op->kind) {
	case CRASH_WRITE:
	case CRASH_ZERO:
		snprintf(buf, size, " #%u %s, %" PRIu64 " bytes at %" PRIu64, op->object, where,
			 op->len, op->offset);
		break;
	case CRASH_TRUNCATE:
		snprintf(buf, size, " #%u %s to %" PRIu64 " bytes", op->object, where, op->len);
		break;
	case CRASH_LINK:
		snprintf(buf, size, " %s/%s to #%u", where, op->name, op->target);
		break;
	case CRASH_UNLINK:
		snprintf(buf, size, " %s/%s", where, op->name);
		break;
	case CRASH_RENAME:
	case CRASH_EXCHANGE:
		snprintf(buf, size, " #%u %s/%s to %s/%s", op->target, where, op->name,
			 name_of(log, op->object2, number), op->name2);
		break;
	case CRASH_MAPPED:
	case CRASH_SYNC:
	case CRASH_SYNC_FAILED:
		snprintf(buf, size, " #%u %s", op->object, where);
		break;
	case CRASH_SYNC_ALL:
	case CRASH_LEFT_OUT:
		break;
	case CRASH_NOTE:
		snprintf(buf, size, " '%s'", op->name);
		break;
	}
}
