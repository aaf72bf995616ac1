/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as the user describes it: see drive_value.h. */
#include "control/drive_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "base/quote.h"
#include "base/suggest.h"
#include "control/values.h"

enum { WORD_BYTES = 128, REFILL_DEFAULT_MS = 1000 };

const char *const drive_engine_names[] = {
	[BLOCK_ENGINE_AUTO] = "auto",
	[BLOCK_ENGINE_SYNC] = "sync",
	[BLOCK_ENGINE_URING] = "io_uring",
	NULL,
};

const char *const drive_cache_names[] = {
	[BLOCK_CACHE_WRITEBACK] = "writeback",
	[BLOCK_CACHE_UNSAFE] = "unsafe",
	NULL,
};

static const char *const switch_names[] = { "off", "on", NULL };

/* What is being read, for messages: "--drive 'disk.img': bw=". */
struct context {
	const char *what;
	struct drive_value *drive;
	const char *name; /* of the word at hand, with its "=" */
};

struct suboption {
	const char *name; /* with "=" when it takes a value */
	const char *form; /* for messages */
	bool is_for_root;
	int (*set)(const struct context *c, const char *value, struct err *e);
};

static int refuse(const struct context *c, const char *value, const char *wanted, struct err *e)
{
	return err_set(e, -EINVAL, "%s %s: %s%s: %s", c->what, quote(c->drive->path).text, c->name,
		       quote(value).text, wanted);
}

static int choose(const struct context *c, const char *value, const char *const *names,
		  struct err *e)
{
	struct err why = { 0 };
	const int choice = value_choice(c->name, value, names, &why);

	if (choice < 0)
		return err_set(e, choice, "%s %s: %s", c->what, quote(c->drive->path).text,
			       why.msg);
	return choice;
}

static int set_ro(const struct context *c, const char *value, struct err *e)
{
	(void)value;
	(void)e;
	c->drive->is_read_only = true;
	return 0;
}

static int set_id(const struct context *c, const char *value, struct err *e)
{
	const size_t len = strlen(value);

	if (!value_is_id(value, len))
		return err_set(e, -EINVAL,
			       "%s %s: bad id %s; an id has 1 to %d letters, digits, '_' or '-'",
			       c->what, quote(c->drive->path).text, quote(value).text,
			       WIRE_ID_BYTES - 1);
	memcpy(c->drive->id, value, len + 1);
	return 0;
}

static int set_engine(const struct context *c, const char *value, struct err *e)
{
	const int choice = choose(c, value, drive_engine_names, e);

	if (choice >= 0)
		c->drive->engine = (enum block_engine)choice;
	return choice;
}

static int set_cache(const struct context *c, const char *value, struct err *e)
{
	const int choice = choose(c, value, drive_cache_names, e);

	if (choice >= 0)
		c->drive->cache = (enum block_cache)choice;
	return choice;
}

static int set_direct(const struct context *c, const char *value, struct err *e)
{
	const int choice = choose(c, value, switch_names, e);

	if (choice >= 0)
		c->drive->is_direct = choice == 1;
	return choice;
}

static int set_lock(const struct context *c, const char *value, struct err *e)
{
	const int choice = choose(c, value, switch_names, e);

	if (choice >= 0)
		c->drive->has_no_lock = choice == 0;
	return choice;
}

static int set_queues(const struct context *c, const char *value, struct err *e)
{
	uint64_t n;

	if (parse_u64(value, &n) < 0 || n < 1 || n > WIRE_MAX_QUEUES)
		return refuse(c, value, "give a number from 1 to 8", e);
	c->drive->queue_count = (uint32_t)n;
	return 0;
}

static int set_iothread(const struct context *c, const char *value, struct err *e)
{
	const size_t len = strlen(value);

	if (!value_is_id(value, len) || len >= sizeof(c->drive->iothread))
		return refuse(c, value, "a thread's name has 1 to 15 letters, digits, '_' or '-'",
			      e);
	memcpy(c->drive->iothread, value, len + 1);
	return 0;
}

int drive_value_bucket(const char *text, bool is_bytes, struct token_bucket_config *bucket)
{
	int (*const parse)(const char *, uint64_t *) = is_bytes ? parse_size : parse_u64;
	struct token_bucket_config b = { .refill_ms = REFILL_DEFAULT_MS };
	char copy[WORD_BYTES];
	char *rest = copy;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	if (parse(strsep(&rest, ":"), &b.size) < 0 || b.size == 0)
		return -EINVAL;
	if (rest && (parse_u64(strsep(&rest, ":"), &b.refill_ms) < 0 || b.refill_ms == 0))
		return -EINVAL;
	if (rest && (parse(rest, &b.one_time_burst) < 0 || b.one_time_burst == 0))
		return -EINVAL;
	*bucket = b;
	return 0;
}

static int set_bucket(const struct context *c, const char *value, bool is_bytes,
		      struct token_bucket_config *bucket, struct err *e)
{
	if (drive_value_bucket(value, is_bytes, bucket) < 0)
		return refuse(c, value, "give SIZE[:REFILL_MS[:BURST]], each above 0", e);
	return 0;
}

static int set_bandwidth(const struct context *c, const char *value, struct err *e)
{
	return set_bucket(c, value, true, &c->drive->limit.bandwidth, e);
}

static int set_ops(const struct context *c, const char *value, struct err *e)
{
	return set_bucket(c, value, false, &c->drive->limit.ops, e);
}

static const struct suboption suboptions[] = {
	{ "ro", "ro", true, set_ro },
	{ "id=", "id=ID", false, set_id },
	{ "engine=", "engine=auto|sync|io_uring", true, set_engine },
	{ "cache=", "cache=writeback|unsafe", true, set_cache },
	{ "direct=", "direct=on|off", true, set_direct },
	{ "queues=", "queues=N", true, set_queues },
	{ "iothread=", "iothread=NAME", true, set_iothread },
	{ "lock=", "lock=on|off", true, set_lock },
	{ "bw=", "bw=SIZE[:REFILL_MS[:BURST]]", true, set_bandwidth },
	{ "ops=", "ops=N[:REFILL_MS[:BURST]]", true, set_ops },
};

static bool is_named(const struct suboption *o, const char *word, size_t len)
{
	const size_t name_len = strlen(o->name);
	const bool takes_value = o->name[name_len - 1] == '=';

	return (takes_value ? len >= name_len : len == name_len) &&
	       memcmp(word, o->name, name_len) == 0;
}

static int refuse_word(const char *what, const struct drive_value *drive, const char *word,
		       size_t len, struct err *e)
{
	const char *nearest = NULL;
	const char *form = NULL;

	for (size_t i = 0; i < ARRAY_LEN(suboptions); i++) {
		const char *name = suboptions[i].name;

		if (drive->is_root && !suboptions[i].is_for_root)
			continue;
		nearest = suggest_nearer(word, len, nearest, name);
		if (nearest == name)
			form = suboptions[i].form;
	}
	return err_set(e, -EINVAL,
		       "%s %s: unknown suboption %s; the nearest is ',%s' (a comma in a path is "
		       "written ',,')",
		       what, quote(drive->path).text, quote_part(word, len).text, form);
}

/* One word of @len bytes; @seen has a bit for each suboption that was there already. */
static int set_word(const char *what, const char *word, size_t len, struct drive_value *drive,
		    uint32_t *seen, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(suboptions); i++) {
		const struct suboption *o = &suboptions[i];
		const struct context c = { .what = what, .drive = drive, .name = o->name };
		const size_t name_len = strlen(o->name);
		char value[WORD_BYTES] = "";
		int r;

		if (!is_named(o, word, len) || (drive->is_root && !o->is_for_root))
			continue;
		if (*seen & 1u << i)
			return err_set(e, -EINVAL, "%s %s: %s is given twice; keep one", what,
				       quote(drive->path).text, o->name);
		*seen |= 1u << i;
		/* A value that is cut is refused by its setter, or else here. */
		memcpy(value, word + name_len, min_u64(len - name_len, sizeof(value) - 1));
		r = o->set(&c, value, e);
		if (r >= 0 && len - name_len >= sizeof(value))
			r = err_set(e, -EINVAL, "%s %s: %s is too long", what,
				    quote(drive->path).text, quote_part(word, len).text);
		return r;
	}
	return refuse_word(what, drive, word, len, e);
}

/* Copies the path to @path, which has room for all of @text; returns what is behind it. */
static const char *cut_path(const char *text, char *path)
{
	while (*text && !(text[0] == ',' && text[1] != ',')) {
		if (*text == ',')
			text++;
		*path++ = *text++;
	}
	*path = '\0';
	return text;
}

void drive_value_init(struct drive_value *drive)
{
	*drive = (struct drive_value){
		.engine = BLOCK_ENGINE_AUTO,
		.cache = BLOCK_CACHE_WRITEBACK,
		.queue_count = 1,
	};
}

int drive_value_parse(const char *what, const char *text, bool is_root, struct drive_value *drive,
		      struct err *e)
{
	struct drive_value d;
	uint32_t seen = 0;
	int r;

	drive_value_init(&d);
	d.is_root = is_root;
	d.path = malloc(strlen(text) + 1);
	if (!d.path)
		return err_set(e, -ENOMEM, "%s: out of memory", what);
	text = cut_path(text, d.path);
	r = value_path(what, d.path, e);
	while (r >= 0 && *text == ',') {
		size_t len = strcspn(++text, ",");

		r = set_word(what, text, len, &d, &seen, e);
		text += len;
	}
	if (r < 0) {
		drive_value_release(&d);
		return r;
	}
	*drive = d;
	return 0;
}

void drive_value_release(struct drive_value *drive)
{
	free(drive->path);
	drive->path = NULL;
	free(drive->partuuid);
	drive->partuuid = NULL;
}
