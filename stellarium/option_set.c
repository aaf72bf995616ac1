/* SPDX-License-Identifier: Apache-2.0 */
/* Setters of options: see option_set.h. */
#include "stellarium/option_set.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "base/quote.h"

static void *member(struct options *o, const struct option_spec *spec)
{
	return (char *)o + spec->offset;
}

int option_set_text(struct options *o, const struct option_spec *spec, const char *value,
		    struct err *e)
{
	const char **text = member(o, spec);

	if (!*value)
		return err_set(e, -EINVAL, "%s is empty: %s %s", spec->name, spec->name, spec->arg);
	*text = value;
	return 0;
}

int option_set_size(struct options *o, const struct option_spec *spec, const char *value,
		    struct err *e)
{
	if (parse_size(value, member(o, spec)) < 0)
		return err_set(e, -EINVAL,
			       "%s %s: a number of bytes is needed, for example 4096, 64K or 1G",
			       spec->name, quote(value).text);
	return 0;
}

/* "--new-key-fd" names the key as "--new-key-file" does. */
static int choose_key(struct key_choice *key, const struct option_spec *spec,
		      enum key_source of_key, enum key_source of_passphrase, struct err *e)
{
	if (key->source != KEY_SOURCE_NONE)
		return err_set(e, -EINVAL, "%s and %s both give the key; use one of them",
			       key->option, spec->name);
	key->option = spec->name;
	key->source = strstr(spec->name, "passphrase") ? of_passphrase : of_key;
	return 0;
}

int option_set_key_path(struct options *o, const struct option_spec *spec, const char *value,
			struct err *e)
{
	struct key_choice *key = member(o, spec);

	if (!*value)
		return err_set(e, -EINVAL, "%s is empty: %s %s", spec->name, spec->name, spec->arg);
	key->path = value;
	return choose_key(key, spec, KEY_SOURCE_KEY_FILE, KEY_SOURCE_PASSPHRASE_FILE, e);
}

int option_set_key_fd(struct options *o, const struct option_spec *spec, const char *value,
		      struct err *e)
{
	struct key_choice *key = member(o, spec);
	uint64_t fd;

	if (parse_u64(value, &fd) < 0 || fd > INT_MAX)
		return err_set(e, -EINVAL, "%s %s: the number of an open descriptor is needed",
			       spec->name, quote(value).text);
	key->fd = (int)fd;
	return choose_key(key, spec, KEY_SOURCE_KEY_FD, KEY_SOURCE_PASSPHRASE_FD, e);
}

int option_set_chunking(struct options *o, const struct option_spec *spec, const char *value,
			struct err *e)
{
	struct err why = { 0 };
	int r = chunk_params_parse(&o->chunking, value, &why);

	return r < 0 ? err_set(e, r, "%s: %.400s", spec->name, why.msg) : 0;
}

int option_set_codec(struct options *o, const struct option_spec *spec, const char *value,
		     struct err *e)
{
	struct err why = { 0 };
	int r = codec_params_parse(&o->codec, value, &why);

	if (r < 0)
		return err_set(e, r, "%s: %.400s", spec->name, why.msg);
	o->has_codec = true;
	return 0;
}

static int number(const struct option_spec *spec, const char *value, uint64_t min, uint64_t max,
		  unsigned *to, struct err *e)
{
	uint64_t n;

	if (parse_u64(value, &n) < 0 || n < min || n > max)
		return err_set(e, -EINVAL, "%s %s: a number from %llu to %llu is needed",
			       spec->name, quote(value).text, (unsigned long long)min,
			       (unsigned long long)max);
	*to = (unsigned)n;
	return 0;
}

int option_set_threads(struct options *o, const struct option_spec *spec, const char *value,
		       struct err *e)
{
	return number(spec, value, 1, OPTIONS_THREADS_MAX, &o->threads, e);
}

int option_set_percent(struct options *o, const struct option_spec *spec, const char *value,
		       struct err *e)
{
	return number(spec, value, 0, 100, &o->live_percent, e);
}

int option_set_dictionary_bytes(struct options *o, const struct option_spec *spec,
				const char *value, struct err *e)
{
	uint64_t bytes;

	if (parse_size(value, &bytes) < 0 || bytes < KIB || bytes > MIB)
		return err_set(e, -EINVAL, "%s %s: a size from 1K to 1M is needed", spec->name,
			       quote(value).text);
	o->dictionary_bytes = bytes;
	return 0;
}

int option_set_help(struct options *o, const struct option_spec *spec, const char *value,
		    struct err *e)
{
	(void)spec;
	(void)value;
	(void)e;
	o->action = OPTIONS_HELP;
	return 0;
}

int option_set_version(struct options *o, const struct option_spec *spec, const char *value,
		       struct err *e)
{
	(void)spec;
	(void)value;
	(void)e;
	o->action = OPTIONS_VERSION;
	return 0;
}
