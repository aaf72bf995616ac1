/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from text: see values.h. */
#include "control/values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/quote.h"
#include "jail/layer.h"

static bool is_sane_mib(uint64_t n)
{
	return n >= VALUE_MEMORY_MIN_BYTES / MIB && n <= VALUE_MEMORY_MAX_BYTES / MIB;
}

int value_memory(const char *what, const char *text, uint64_t *bytes, struct err *e)
{
	uint64_t size = 0;
	uint64_t bare;
	int r = parse_size(text, &size);

	if (r == -EINVAL)
		return err_set(e, r,
			       "%s %s: not a size; give a number and a unit, for example 128M",
			       what, quote(text).text);
	if (r == -ERANGE || size > VALUE_MEMORY_MAX_BYTES)
		return err_set(e, -EINVAL, "%s %s: too much; at most %" PRIu64 "G can be given",
			       what, quote(text).text, VALUE_MEMORY_MAX_BYTES / GIB);
	if (size > 0 && parse_u64(text, &bare) == 0)
		return err_set(e, -EINVAL, "%s %s: give a unit, for example %" PRIu64 "M", what,
			       quote(text).text, is_sane_mib(bare) ? bare : 128);
	if (size < VALUE_MEMORY_MIN_BYTES)
		return err_set(e, -EINVAL, "%s %s: too little; at least %" PRIu64 "M are needed",
			       what, quote(text).text, VALUE_MEMORY_MIN_BYTES / MIB);
	if (size % VALUE_MEMORY_UNIT_BYTES != 0)
		return err_set(e, -EINVAL,
			       "%s %s: not a multiple of %d bytes; the next is %" PRIu64 "K", what,
			       quote(text).text, VALUE_MEMORY_UNIT_BYTES,
			       align_up(size, VALUE_MEMORY_UNIT_BYTES) / KIB);
	*bytes = size;
	return 0;
}

int value_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *number,
		 struct err *e)
{
	uint64_t n;

	if (parse_u64(text, &n) < 0 || n < min || n > max)
		return err_set(e, -EINVAL, "%s %s: give a number from %" PRIu64 " to %" PRIu64,
			       what, quote(text).text, min, max);
	*number = n;
	return 0;
}

/* One item, "3" or "0-3"; 0 or -EINVAL without a message. */
static int cut_cpu_range(const char *text, size_t len, uint64_t *first, uint64_t *last)
{
	char item[32];
	char *dash;

	if (len == 0 || len >= sizeof(item))
		return -EINVAL;
	memcpy(item, text, len);
	item[len] = '\0';
	dash = strchr(item, '-');
	if (dash)
		*dash++ = '\0';
	if (parse_u64(item, first) < 0 || parse_u64(dash ? dash : item, last) < 0)
		return -EINVAL;
	return *first <= *last && *last < VALUE_HOST_CPUS_MAX ? 0 : -EINVAL;
}

int value_cpu_list(const char *what, const char *text, uint16_t *cpus, uint32_t max, struct err *e)
{
	const char *item = text;
	uint32_t nr = 0;

	for (;;) {
		size_t len = strcspn(item, ",");
		uint64_t first, last;

		if (cut_cpu_range(item, len, &first, &last) < 0)
			return err_set(e, -EINVAL,
				       "%s %s: %s is no CPU or range of CPUs; give a list such as "
				       "0-3,6",
				       what, quote(text).text, quote_part(item, len).text);
		if (last - first >= max - nr)
			return err_set(e, -EINVAL, "%s %s: more than %" PRIu32 " CPUs", what,
				       quote(text).text, max);
		for (uint64_t cpu = first; cpu <= last; cpu++)
			cpus[nr++] = (uint16_t)cpu;
		if (item[len] == '\0')
			return (int)nr;
		item += len + 1;
	}
}

int value_path(const char *what, const char *text, struct err *e)
{
	if (*text == '\0')
		return err_set(e, -EINVAL, "%s '': the path is empty; give the path of a file",
			       what);
	return 0;
}

int value_cmdline(const char *what, const char *text, struct err *e)
{
	for (const char *s = text; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch < 0x20 || ch == 0x7f)
			return err_set(
				e, -EINVAL,
				"%s %s: control character 0x%02x at byte %zu; separate words "
				"with spaces",
				what, quote(text).text, (unsigned int)ch, (size_t)(s - text));
	}
	return 0;
}

int value_choice(const char *what, const char *text, const char *const *choices, struct err *e)
{
	char list[128] = "";
	size_t used = 0;

	for (int i = 0; choices[i]; i++) {
		if (strcmp(text, choices[i]) == 0)
			return i;
		if (used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 i > 0 ? ", " : "", choices[i]);
	}
	return err_set(e, -EINVAL, "%s %s: not one of %s", what, quote(text).text, list);
}

int value_layers(const char *what, const char *text, uint32_t *mask, struct err *e)
{
	uint32_t layers = 0;
	char all[VALUE_LAYERS_BYTES];

	for (const char *at = text; *at;) {
		const size_t len = strcspn(at, ",");
		const int layer = jail_layer_find(at, (unsigned int)len);

		if (layer < 0)
			return err_set(e, -EINVAL, "%s %s: there is no layer %s; the layers are %s",
				       what, quote(text).text, quote_part(at, len).text,
				       value_layers_print(JAIL_ALL_LAYERS, all));
		layers |= 1u << layer;
		/* A comma with nothing behind it is a name of nothing. */
		if (at[len] == ',' && at[len + 1] == '\0')
			return err_set(e, -EINVAL, "%s %s: a name is missing behind the last comma",
				       what, quote(text).text);
		at += len + (at[len] == ',');
	}
	*mask = layers;
	return 0;
}

char *value_layers_print(uint32_t mask, char text[static VALUE_LAYERS_BYTES])
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < JAIL_LAYERS && used < VALUE_LAYERS_BYTES; i++) {
		if (mask & 1u << i)
			used += (size_t)snprintf(text + used, VALUE_LAYERS_BYTES - used, "%s%s",
						 used > 0 ? "," : "",
						 jail_layer_name((enum jail_layer)i));
	}
	return text;
}

int value_console(const char *what, const char *text, struct console_value *console, struct err *e)
{
	static const char *const kinds[] = {
		[CONSOLE_STDIO] = "stdio",
		[CONSOLE_NONE] = "none",
		[CONSOLE_FILE] = "file:PATH",
		NULL,
	};
	static const char file_prefix[] = "file:";
	const size_t prefix_len = sizeof(file_prefix) - 1;
	int kind;

	if (strncmp(text, file_prefix, prefix_len) == 0) {
		if (text[prefix_len] == '\0')
			return err_set(e, -EINVAL, "%s 'file:': the path is empty; give file:PATH",
				       what);
		console->kind = CONSOLE_FILE;
		return settings_set_text(&console->path, text + prefix_len, e);
	}
	kind = value_choice(what, text, kinds, e);
	if (kind < 0)
		return kind;
	console->kind = (enum console_kind)kind;
	return settings_set_text(&console->path, NULL, e);
}

static bool is_id_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       ch == '_' || ch == '-';
}

bool value_is_id(const char *text, size_t len)
{
	bool is_good = len > 0 && len < WIRE_ID_BYTES;

	for (size_t i = 0; is_good && i < len; i++)
		is_good = is_id_char(text[i]);
	return is_good;
}
