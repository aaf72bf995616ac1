/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the kernel command line into keys and values; pure functions over text. */
#include "init/cmdline.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* A word while it is being cut: as cmdline_arg, but writable. */
struct word {
	char *key;
	char *value;
};

/* The kernel's ctype table is Latin-1: its no-break space is a space too. */
static bool is_space(char ch)
{
	return ch == ' ' || (ch >= '\t' && ch <= '\r') || (unsigned char)ch == 0xa0;
}

static char *skip_spaces(char *s)
{
	while (is_space(*s))
		s++;
	return s;
}

static char fold(char ch)
{
	return ch == '-' ? '_' : ch;
}

/* Compares n characters of two keys; '-' and '_' are the same. */
static bool is_same_key(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fold(a[i]) != fold(b[i]))
			return false;
		if (!a[i])
			return true;
	}
	return true;
}

/* The end of the word at s, and the place of its first '=' (NULL without one). */
static char *word_end(char *s, char **equals)
{
	bool in_quote = false;

	*equals = NULL;
	for (; *s && (in_quote || !is_space(*s)); s++) {
		if (*s == '"')
			in_quote = !in_quote;
		if (*s == '=' && !*equals)
			*equals = s;
	}
	return s;
}

/*
 * Cuts the word at s out of the line and returns the rest. Three shapes carry quotes:
 * "key=some value"   key="some value"   key=some" "value (these last quotes stay, as in the kernel)
 */
static char *cut_word(char *s, struct word *w)
{
	bool is_quoted = *s == '"';
	char *equals;
	char *end = word_end(s, &equals);
	char *rest = *end ? skip_spaces(end + 1) : end;

	*end = '\0';
	if (is_quoted) {
		s++;
		if (end > s && end[-1] == '"')
			end[-1] = '\0';
	}
	w->key = s;
	w->value = NULL;
	if (!equals || equals == s)
		return rest;
	*equals = '\0';
	w->value = equals + 1;
	if (equals[1] == '"') {
		w->value++;
		if (end > equals + 2 && end[-1] == '"')
			end[-1] = '\0';
	}
	return rest;
}

/* Makes one piece again of a word that init gets whole; the quotes around its value are gone. */
static void join_word(struct word *w)
{
	char *equals = w->key + strlen(w->key);

	if (!w->value)
		return;
	*equals = '=';
	memmove(equals + 1, w->value, strlen(w->value) + 1);
	w->value = NULL;
}

int cmdline_parse(struct cmdline *c, const char *text, size_t len)
{
	bool is_past_dashes = false;

	c->nr_args = 0;
	c->nr_words = 0;
	len = strnlen(text, len);
	if (len >= sizeof(c->text))
		return -E2BIG;
	memcpy(c->text, text, len);
	c->text[len] = '\0';

	/* A word and its separator take two bytes, so args cannot overflow. */
	for (char *s = skip_spaces(c->text); *s;) {
		struct word w;

		s = cut_word(s, &w);
		if (!is_past_dashes && !w.value && strcmp(w.key, "--") == 0) {
			is_past_dashes = true;
			continue;
		}
		if (is_past_dashes)
			join_word(&w);
		c->args[c->nr_args + c->nr_words] = (struct cmdline_arg){ w.key, w.value };
		if (is_past_dashes)
			c->nr_words++;
		else
			c->nr_args++;
	}
	return 0;
}

/* The place of the last word with this key, counted from 1; 0 if the key is absent. */
static size_t find_last(const struct cmdline *c, const char *key)
{
	for (size_t i = c->nr_args; i > 0; i--) {
		if (is_same_key(c->args[i - 1].key, key, SIZE_MAX))
			return i;
	}
	return 0;
}

const char *cmdline_get(const struct cmdline *c, const char *key)
{
	size_t place = find_last(c, key);

	if (!place)
		return NULL;
	return c->args[place - 1].value ? c->args[place - 1].value : "";
}

bool cmdline_has(const struct cmdline *c, const char *key)
{
	return find_last(c, key) > 0;
}

bool cmdline_beats(const struct cmdline *c, const char *key, const char *rival)
{
	return find_last(c, key) > find_last(c, rival);
}

const char *cmdline_word(const struct cmdline *c, size_t nth)
{
	return nth < c->nr_words ? c->args[c->nr_args + nth].key : NULL;
}

int cmdline_command(const struct cmdline *c, char *buf, size_t size)
{
	const char *text = cmdline_get(c, "volt.cmd64");
	int r;

	if (text && *text) {
		r = base64url_decode(text, buf, size);
		return r < 0 ? r : r > 0;
	}
	text = cmdline_get(c, "volt.cmd");
	if (!text || !*text)
		return 0;
	if (strlen(text) >= size)
		return -E2BIG;
	memcpy(buf, text, strlen(text) + 1);
	return 1;
}

/* Appends to the string that ends at buf + *len; false if it does not fit. */
static bool append(char *buf, size_t size, size_t *len, const char *text)
{
	size_t n = strlen(text);

	if (n >= size - *len)
		return false;
	memcpy(buf + *len, text, n + 1);
	*len += n;
	return true;
}

/* Appends " param=value". A value with spaces had quotes around it, and needs them again. */
static bool append_param(char *buf, size_t size, size_t *len, const char *param, const char *value)
{
	const char *quote = "";

	if (!append(buf, size, len, " ") || !append(buf, size, len, param))
		return false;
	if (!value)
		return true;
	if (strpbrk(value, " \t\n\v\f\r") && !strchr(value, '"'))
		quote = "\"";
	return append(buf, size, len, "=") && append(buf, size, len, quote) &&
	       append(buf, size, len, value) && append(buf, size, len, quote);
}

int cmdline_module_params(const struct cmdline *c, const char *module, char *buf, size_t size)
{
	size_t name_len = strlen(module);
	size_t start = strlen(buf);
	size_t len = start;

	for (size_t i = 0; i < c->nr_args; i++) {
		const struct cmdline_arg *arg = &c->args[i];

		if (strcspn(arg->key, ".") != name_len || arg->key[name_len] != '.' ||
		    !is_same_key(arg->key, module, name_len))
			continue;
		if (!append_param(buf, size, &len, arg->key + name_len + 1, arg->value)) {
			buf[start] = '\0';
			return -E2BIG;
		}
	}
	return 0;
}

/* The six bits a character stands for, or -1. */
static int base64url_bits(char ch)
{
	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a' + 26;
	if (ch >= '0' && ch <= '9')
		return ch - '0' + 52;
	if (ch == '-')
		return 62;
	return ch == '_' ? 63 : -1;
}

int base64url_decode(const char *in, char *out, size_t size)
{
	size_t in_len = strcspn(in, "=");
	size_t pad = strlen(in + in_len);
	size_t len = 0;
	uint32_t held = 0;
	unsigned int nr_held = 0;

	/* One left-over character is 6 bits, no byte; padding fills the last group up to 4. */
	if (in_len % 4 == 1 || strspn(in + in_len, "=") != pad ||
	    (pad > 0 && (pad > 2 || (in_len + pad) % 4)))
		return -EINVAL;
	if (in_len * 3 / 4 >= size)
		return -E2BIG;

	for (size_t i = 0; i < in_len; i++) {
		int bits = base64url_bits(in[i]);

		if (bits < 0)
			return -EINVAL;
		held = held << 6 | (uint32_t)bits;
		nr_held += 6;
		if (nr_held < 8)
			continue;
		nr_held -= 8;
		out[len] = (char)(held >> nr_held & 0xff);
		if (!out[len++])
			return -EINVAL;
	}
	/* Two texts must not stand for one command: unused bits are zero. */
	if (held & ((1u << nr_held) - 1))
		return -EINVAL;
	out[len] = '\0';
	return (int)len;
}
