/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing CPU templates: see cpu_template.h. */
#include "control/cpu_template.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/cpuid_bits.h"
#include "base/file.h"
#include "base/quote.h"
#include "base/suggest.h"
#include "control/open.h"

enum {
	CPUID_FLAGS_MAX = 7, /* the three KVM_CPUID_FLAG_ bits there are */
	CAPABILITY_MAX = INT32_MAX, /* what KVM_CHECK_EXTENSION takes */
	PLACE_BYTES = 80,
};

/* The template that is being read, and where in it: "cpuid_modifiers[3].modifiers[0]". */
struct reader {
	const char *name; /* borrowed */
	struct cpu_template *out;
	char place[PLACE_BYTES];
	struct err *e;
};

static int refuse(const struct reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(const struct reader *r, const char *fmt, ...)
{
	char what[ERR_MSG_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return err_set(r->e, -EBADMSG, "CPU template %s: %s%s%s", quote(r->name).text, r->place,
		       r->place[0] ? ": " : "", what);
}

static void enter(struct reader *r, const char *list, size_t index)
{
	size_t used = strlen(r->place);

	snprintf(r->place + used, sizeof(r->place) - used, "%s%s[%zu]", used > 0 ? "." : "", list,
		 index);
}

/* Whether each key of @object is one of @keys (NULL at the end). */
static int check_keys(const struct reader *r, json_t *object, const char *const *keys)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		const char *nearest = NULL;
		size_t i = 0;

		for (; keys[i] && strcmp(keys[i], key) != 0; i++)
			nearest = suggest_nearer(key, strlen(key), nearest, keys[i]);
		if (!keys[i])
			return refuse(r, "unknown key %s; the nearest is \"%s\"", quote(key).text,
				      nearest);
	}
	return 0;
}

static int check_object(const struct reader *r, json_t *value, const char *const *keys)
{
	if (!json_is_object(value))
		return refuse(r, "is no JSON object; write {...}");
	return check_keys(r, value, keys);
}

/* The list under @key; NULL in *@list when there is none. */
static int get_list(const struct reader *r, json_t *object, const char *key, size_t max,
		    json_t **list)
{
	*list = json_object_get(object, key);
	if (!*list)
		return 0;
	if (!json_is_array(*list))
		return refuse(r, "\"%s\" is no JSON array; write [...]", key);
	if (json_array_size(*list) > max)
		return refuse(r, "\"%s\" has %zu items; at most %zu fit", key,
			      json_array_size(*list), max);
	return 0;
}

static int get_text(const struct reader *r, json_t *object, const char *key, const char **text)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		return refuse(r, "\"%s\" is missing", key);
	if (!json_is_string(value))
		return refuse(r, "\"%s\" is no JSON string; write it in quotes", key);
	*text = json_string_value(value);
	return 0;
}

/* Digits of @base, 2 or 16, all of them: false when there are none, others, or too many. */
static bool read_digits(const char *text, unsigned base, uint32_t *number)
{
	uint64_t sum = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		const char *digits = "0123456789abcdef";
		const char *digit =
			strchr(digits, *text >= 'A' && *text <= 'F' ? *text + 32 : *text);

		if (!digit || (unsigned)(digit - digits) >= base)
			return false;
		sum = sum * base + (unsigned)(digit - digits);
		if (sum > UINT32_MAX)
			return false;
	}
	*number = (uint32_t)sum;
	return true;
}

static int get_number(const struct reader *r, json_t *object, const char *key, uint32_t *number)
{
	const char *text = "";
	int err = get_text(r, object, key, &text);

	if (err < 0)
		return err;
	if ((strncmp(text, "0x", 2) == 0 && read_digits(text + 2, 16, number)) ||
	    (strncmp(text, "0b", 2) == 0 && read_digits(text + 2, 2, number)))
		return 0;
	return refuse(r, "\"%s\" is %s; give a number of at most 32 bits such as \"0x1a\"", key,
		      quote(text).text);
}

static int get_bitmap(const struct reader *r, json_t *object, unsigned width, uint64_t *filter,
		      uint64_t *value)
{
	const char *text = "";
	unsigned nr = 0;
	int err = get_text(r, object, "bitmap", &text);

	if (err < 0)
		return err;
	*filter = 0;
	*value = 0;
	if (strncmp(text, "0b", 2) != 0)
		return refuse(r, "bitmap %s does not start with 0b", quote(text).text);
	for (const char *c = text + 2; *c; c++) {
		if (*c == '_')
			continue;
		if (!strchr("01x", *c))
			return refuse(r, "bitmap %s: character %zu is none of 0, 1, x and _",
				      quote(text).text, (size_t)(c - text) + 1);
		if (nr++ == width)
			return refuse(r, "bitmap %s has more than %u bits", quote(text).text,
				      width);
		*filter = *filter << 1 | (*c != 'x');
		*value = *value << 1 | (*c == '1');
	}
	if (nr == 0)
		return refuse(r, "bitmap %s has no bits", quote(text).text);
	return 0;
}

/* Ranges that CPUs and hypervisors use: basic, hypervisor, extended, and Centaur's. */
static bool is_leaf(uint32_t leaf)
{
	return (leaf & 0xffffff00) == 0x0 || (leaf & 0xffffff00) == 0x40000000 ||
	       (leaf & 0xffffff00) == 0x80000000 || (leaf & 0xffffff00) == 0xc0000000;
}

static int get_register(const struct reader *r, json_t *object, uint32_t *reg)
{
	const char *text = "";
	int err = get_text(r, object, "register", &text);

	if (err < 0)
		return err;
	for (*reg = 0; *reg < CPUID_REGISTERS; ++*reg) {
		if (strcmp(text, cpuid_register_name(*reg)) == 0)
			return 0;
	}
	return refuse(r, "register %s is none of eax, ebx, ecx and edx", quote(text).text);
}

/* Adds to what earlier modifiers want of the same bits; they must not want the opposite. */
static int merge(const struct reader *r, const char *what, uint64_t filter, uint64_t value,
		 uint64_t *old_filter, uint64_t *old_value)
{
	uint64_t conflict = (value ^ *old_value) & filter & *old_filter;

	if (conflict)
		return refuse(r, "contradicts an earlier modifier of %s in bit %d", what,
			      __builtin_ctzll(conflict));
	*old_filter |= filter;
	*old_value |= value;
	return 0;
}

static int read_register(struct reader *r, json_t *item, struct cpuid_modifier *m)
{
	static const char *const keys[] = { "register", "bitmap", NULL };
	uint64_t filter = 0, value = 0, old_filter, old_value;
	char what[64];
	uint32_t reg = 0;
	int err = check_object(r, item, keys);

	if (err == 0)
		err = get_register(r, item, &reg);
	if (err == 0)
		err = get_bitmap(r, item, 32, &filter, &value);
	if (err < 0)
		return err;
	snprintf(what, sizeof(what), "leaf 0x%" PRIx32 " subleaf 0x%" PRIx32 " %s", m->leaf,
		 m->subleaf, cpuid_register_name(reg));
	old_filter = m->filter[reg];
	old_value = m->value[reg];
	err = merge(r, what, filter, value, &old_filter, &old_value);
	m->filter[reg] = (uint32_t)old_filter;
	m->value[reg] = (uint32_t)old_value;
	return err;
}

/* "leaf", "subleaf" and "flags" of an item. */
static int read_leaf(const struct reader *r, json_t *item, struct cpuid_modifier *m)
{
	json_t *flags = json_object_get(item, "flags");
	int err = get_number(r, item, "leaf", &m->leaf);

	if (err == 0)
		err = get_number(r, item, "subleaf", &m->subleaf);
	if (err < 0)
		return err;
	if (!is_leaf(m->leaf))
		return refuse(r,
			      "unknown leaf 0x%" PRIx32
			      "; leaves are 0x0 to 0xff, and as many from "
			      "0x40000000, 0x80000000 and 0xc0000000",
			      m->leaf);
	if (m->subleaf > 0xff)
		return refuse(r, "unknown subleaf 0x%" PRIx32 "; the highest is 0xff", m->subleaf);
	if (!json_is_integer(flags) || json_integer_value(flags) < 0 ||
	    json_integer_value(flags) > CPUID_FLAGS_MAX)
		return refuse(r, "\"flags\" must be a number from 0 to %d", CPUID_FLAGS_MAX);
	m->flags = (uint32_t)json_integer_value(flags);
	return 0;
}

/* The modifier of a leaf, which may have been mentioned before. The caller has seen to the room. */
static struct cpuid_modifier *leaf_of(struct cpu_template *t, const struct cpuid_modifier *key)
{
	for (uint32_t i = 0; i < t->nr_cpuid; i++) {
		if (t->cpuid[i].leaf == key->leaf && t->cpuid[i].subleaf == key->subleaf)
			return &t->cpuid[i];
	}
	t->cpuid[t->nr_cpuid] = *key;
	return &t->cpuid[t->nr_cpuid++];
}

static int read_cpuid(struct reader *r, json_t *item)
{
	static const char *const keys[] = { "leaf", "subleaf", "flags", "modifiers", NULL };
	const size_t place_len = strlen(r->place);
	struct cpuid_modifier key = { 0 };
	struct cpuid_modifier *m;
	json_t *list = NULL;
	int err = check_object(r, item, keys);

	if (err == 0)
		err = read_leaf(r, item, &key);
	if (err == 0)
		err = get_list(r, item, "modifiers", WIRE_MAX_CPUID, &list);
	if (err == 0 && !list)
		err = refuse(r, "\"modifiers\" is missing");
	if (err < 0)
		return err;
	m = leaf_of(r->out, &key);
	for (size_t i = 0; err == 0 && i < json_array_size(list); i++) {
		enter(r, "modifiers", i);
		err = read_register(r, json_array_get(list, i), m);
		if (err == 0)
			r->place[place_len] = '\0';
	}
	return err;
}

static int read_msr(struct reader *r, json_t *item)
{
	static const char *const keys[] = { "addr", "bitmap", NULL };
	struct msr_modifier m = { 0 };
	struct cpu_template *t = r->out;
	char what[32];
	int err = check_object(r, item, keys);

	if (err == 0)
		err = get_number(r, item, "addr", &m.index);
	if (err == 0)
		err = get_bitmap(r, item, 64, &m.filter, &m.value);
	if (err < 0)
		return err;
	snprintf(what, sizeof(what), "MSR 0x%" PRIx32, m.index);
	for (uint32_t i = 0; i < t->nr_msrs; i++) {
		if (t->msrs[i].index == m.index)
			return merge(r, what, m.filter, m.value, &t->msrs[i].filter,
				     &t->msrs[i].value);
	}
	t->msrs[t->nr_msrs++] = m;
	return 0;
}

/* "121" wants a capability, "!121" says that it need not be there. */
static int read_capability(struct reader *r, json_t *item)
{
	struct cpu_template *t = r->out;
	const char *text = json_string_value(item);
	struct kvm_capability c = { .is_removed = text && text[0] == '!' };
	uint64_t number = 0;

	if (!text)
		return refuse(r, "is no JSON string; write \"121\" or \"!121\"");
	text += c.is_removed;
	if (*text == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 10)
		return refuse(r, "%s is no capability's number, such as \"121\" or \"!121\"",
			      quote(json_string_value(item)).text);
	number = strtoull(text, NULL, 10);
	if (number > CAPABILITY_MAX)
		return refuse(r, "capability %" PRIu64 " is above %d", number, CAPABILITY_MAX);
	c.number = (uint32_t)number;
	for (uint32_t i = 0; i < t->nr_capabilities; i++) {
		if (t->capabilities[i].number != c.number)
			continue;
		if (t->capabilities[i].is_removed != c.is_removed)
			return refuse(r, "capability %" PRIu32 " is both wanted and removed",
				      c.number);
		return 0;
	}
	t->capabilities[t->nr_capabilities++] = c;
	return 0;
}

static int read_list(struct reader *r, json_t *root, const char *key, size_t max,
		     int (*read_item)(struct reader *r, json_t *item))
{
	json_t *list;
	int err = get_list(r, root, key, max, &list);

	for (size_t i = 0; err == 0 && i < json_array_size(list); i++) {
		r->place[0] = '\0';
		enter(r, key, i);
		err = read_item(r, json_array_get(list, i));
	}
	if (err == 0)
		r->place[0] = '\0';
	return err;
}

static int read_template(struct reader *r, json_t *root)
{
	static const char *const keys[] = { "kvm_capabilities", "cpuid_modifiers", "msr_modifiers",
					    NULL };
	static const char *const foreign[] = { "reg_modifiers", "vcpu_features", NULL };
	int err;

	if (!json_is_object(root))
		return refuse(r, "is no JSON object; write {...}");
	for (size_t i = 0; foreign[i]; i++) {
		if (json_object_get(root, foreign[i]))
			return refuse(r, "\"%s\" is for aarch64; this host is x86-64", foreign[i]);
	}
	err = check_keys(r, root, keys);
	if (err == 0)
		err = read_list(r, root, "kvm_capabilities", WIRE_MAX_CAPABILITIES,
				read_capability);
	if (err == 0)
		err = read_list(r, root, "cpuid_modifiers", WIRE_MAX_CPUID, read_cpuid);
	if (err == 0)
		err = read_list(r, root, "msr_modifiers", WIRE_MAX_MSRS, read_msr);
	return err;
}

int cpu_template_parse(const char *name, const char *text, size_t len, struct cpu_template *out,
		       struct err *e)
{
	struct reader r = { .name = name, .out = out, .e = e };
	json_error_t json_error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &json_error);
	int err;

	*out = (struct cpu_template){ 0 };
	if (!root)
		return refuse(&r, "line %d, column %d: %s", json_error.line, json_error.column,
			      quote(json_error.text).text);
	err = read_template(&r, root);
	json_decref(root);
	return err;
}

static int load_file(const char *path, struct cpu_template *out, struct err *e)
{
	auto_fd int fd = open_image("CPU template", path, e);
	auto_free char *text = NULL;
	ssize_t n;

	if (fd < 0) {
		if (fd == -ENOENT)
			return err_set(
				e, fd,
				"there is no CPU template %s: no file of this path, and built "
				"in are C3, T2, T2A, T2CL and T2S",
				quote(path).text);
		return fd;
	}
	text = malloc(CPU_TEMPLATE_MAX_BYTES + 1);
	if (!text)
		return err_errno(e, -ENOMEM, "cannot hold CPU template %s", quote(path).text);
	n = file_pread_full(fd, text, CPU_TEMPLATE_MAX_BYTES + 1, 0);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read CPU template %s", quote(path).text);
	if (n > CPU_TEMPLATE_MAX_BYTES)
		return err_set(e, -EBADMSG, "CPU template %s has more than %d bytes",
			       quote(path).text, CPU_TEMPLATE_MAX_BYTES);
	return cpu_template_parse(path, text, (size_t)n, out, e);
}

int cpu_template_load(const char *name_or_path, struct cpu_template *out, struct err *e)
{
	size_t len;
	const char *text = cpu_template_builtin(name_or_path, &len);

	if (text)
		return cpu_template_parse(name_or_path, text, len, out, e);
	return load_file(name_or_path, out, e);
}

const struct cpuid_modifier *cpu_template_find_leaf(const struct cpu_template *t, uint32_t leaf,
						    uint32_t subleaf)
{
	for (uint32_t i = 0; i < t->nr_cpuid; i++) {
		if (t->cpuid[i].leaf == leaf && t->cpuid[i].subleaf == subleaf)
			return &t->cpuid[i];
	}
	return NULL;
}

const struct msr_modifier *cpu_template_find_msr(const struct cpu_template *t, uint32_t index)
{
	for (uint32_t i = 0; i < t->nr_msrs; i++) {
		if (t->msrs[i].index == index)
			return &t->msrs[i];
	}
	return NULL;
}
