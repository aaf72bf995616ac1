/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's /machine-config, /boot-source and /cpu-config: see fc.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "control/cpu_template.h"
#include "control/json/fc_parts.h"
#include "control/values.h"

enum { PAGES_NONE, PAGES_TRANSPARENT, PAGES_2M };

static const char *const pages_names[] = {
	[PAGES_NONE] = "None",
	[PAGES_TRANSPARENT] = "Transparent",
	[PAGES_2M] = "2M",
	NULL,
};

enum { TEMPLATE_V1N1 = 5, TEMPLATE_NONE };

static const char *const template_names[] = {
	"C3", "T2", "T2S", "T2CL", "T2A", [TEMPLATE_V1N1] = "V1N1", [TEMPLATE_NONE] = "None", NULL,
};

struct machine_body {
	uint8_t cpu_count;
	uint64_t memory_mib;
	bool has_smt;
	uint32_t template; /* of template_names */
	bool has_dirty_log;
	uint32_t pages; /* of pages_names */
};

enum { HAS_CPUS, HAS_MEMORY, HAS_SMT, HAS_TEMPLATE, HAS_DIRTY_LOG, HAS_PAGES, MACHINE_FIELDS };

#define MACHINE_TABLE(needed)                                                                      \
	[HAS_CPUS] = { "vcpu_count", JSON_FIELD_U8,                                                \
		       needed,	     offsetof(struct machine_body, cpu_count),                     \
		       NULL,	     NULL },                                                       \
	[HAS_MEMORY] = { "mem_size_mib", JSON_FIELD_USIZE,                                         \
			 needed,	 offsetof(struct machine_body, memory_mib),                \
			 NULL,		 NULL },                                                   \
	[HAS_SMT] = { "smt", JSON_FIELD_BOOL, false, offsetof(struct machine_body, has_smt), NULL, \
		      NULL },                                                                      \
	[HAS_TEMPLATE] = { "cpu_template", JSON_FIELD_WORD,                                        \
			   false,	   offsetof(struct machine_body, template),                \
			   template_names, NULL },                                                 \
	[HAS_DIRTY_LOG] = { "track_dirty_pages",                                                   \
			    JSON_FIELD_BOOL,                                                       \
			    false,                                                                 \
			    offsetof(struct machine_body, has_dirty_log),                          \
			    NULL,                                                                  \
			    NULL },                                                                \
	[HAS_PAGES] = { "huge_pages", JSON_FIELD_WORD,                                             \
			false,	      offsetof(struct machine_body, pages),                        \
			pages_names,  NULL }

static const struct json_field put_fields[MACHINE_FIELDS] = { MACHINE_TABLE(true) };
static const struct json_field patch_fields[MACHINE_FIELDS] = { MACHINE_TABLE(false) };

static const struct json_shape put_shape = { "MachineConfig", put_fields, MACHINE_FIELDS, false,
					     false };
static const struct json_shape patch_shape = { "MachineConfigUpdate", patch_fields, MACHINE_FIELDS,
					       false, false };

static enum hugepages pages_of(uint32_t pages)
{
	static const enum hugepages kinds[] = {
		[PAGES_NONE] = HUGEPAGES_OFF,
		[PAGES_TRANSPARENT] = HUGEPAGES_THP,
		[PAGES_2M] = HUGEPAGES_2M,
	};

	return kinds[pages];
}

static int check_machine(const struct settings *s, const struct machine_body *b, struct err *e)
{
	if (b->cpu_count == 0 || b->cpu_count > FC_MAX_CPUS ||
	    (b->has_smt && b->cpu_count > 1 && b->cpu_count % 2 == 1))
		return err_set(e, FC_REFUSED,
			       "The number of vCPUs must be greater than 0, less than %d and must "
			       "be 1 or an even number if SMT is enabled.",
			       FC_MAX_CPUS);
	if (b->memory_mib == 0 || (b->pages == PAGES_2M && b->memory_mib % 2 != 0))
		return err_set(e, FC_REFUSED,
			       "The memory size (MiB) is either 0, or not a multiple of the "
			       "configured page size.");
	if (b->memory_mib < VALUE_MEMORY_MIN_BYTES / MIB ||
	    b->memory_mib > VALUE_MEMORY_MAX_BYTES / MIB)
		return err_set(e, FC_REFUSED,
			       "The memory size (MiB) is %" PRIu64 "; it must be from %" PRIu64
			       " to %" PRIu64 ".",
			       b->memory_mib, VALUE_MEMORY_MIN_BYTES / MIB,
			       VALUE_MEMORY_MAX_BYTES / MIB);
	if (s->balloon.is_present && s->balloon.amount_mib > b->memory_mib)
		return err_set(e, FC_REFUSED,
			       "The memory size (MiB) is smaller than the previously set balloon "
			       "device target size.");
	if (b->template == TEMPLATE_V1N1)
		return err_set(e, FC_REFUSED,
			       "The CPU template V1N1 is for aarch64; this host is x86-64.");
	return 0;
}

/* What is not given stays, but for those of a PUT that have a default, which are in @b. */
static int apply_machine(struct fc_request *r, const struct machine_body *b, uint64_t given,
			 struct err *e)
{
	struct settings *s = r->settings;
	int err = check_machine(s, b, e);

	if (err < 0)
		return err;
	if (given & 1u << HAS_TEMPLATE) {
		const bool is_none = b->template == TEMPLATE_NONE;

		r->is_deprecated = true;
		err = settings_set_text(&s->cpu_template,
					is_none ? NULL : template_names[b->template], e);
		if (err < 0)
			return err;
		free(s->custom_template);
		s->custom_template = NULL;
	}
	s->cpu_count = b->cpu_count;
	if (given & 1u << HAS_MEMORY)
		s->memory_bytes = b->memory_mib * MIB;
	s->has_smt = b->has_smt;
	s->has_dirty_log = b->has_dirty_log;
	if (given & 1u << HAS_PAGES)
		s->hugepages = pages_of(b->pages);
	return 0;
}

int fc_machine_put(struct fc_request *r, struct err *e)
{
	struct machine_body b = { .template = TEMPLATE_NONE };
	uint64_t given = 0;
	const int err = json_read(&r->body, &put_shape, &b, &given, e);

	return err < 0 ? err : apply_machine(r, &b, given | 1u << HAS_PAGES, e);
}

static uint32_t pages_now(const struct settings *s)
{
	switch (s->hugepages) {
	case HUGEPAGES_AUTO:
	case HUGEPAGES_OFF:
		break;
	case HUGEPAGES_THP:
		return PAGES_TRANSPARENT;
	case HUGEPAGES_2M:
		return PAGES_2M;
	}
	return PAGES_NONE;
}

int fc_machine_patch(struct fc_request *r, struct err *e)
{
	const struct settings *s = r->settings;
	struct machine_body b = {
		.cpu_count = (uint8_t)s->cpu_count,
		.memory_mib = s->memory_bytes / MIB,
		.has_smt = s->has_smt,
		.template = TEMPLATE_NONE,
		.has_dirty_log = s->has_dirty_log,
		.pages = pages_now(s),
	};
	uint64_t given = 0;
	const int err = json_read(&r->body, &patch_shape, &b, &given, e);

	if (err < 0)
		return err;
	if (given == 0)
		return err_set(e, -EBADR, "Empty PATCH request.");
	return apply_machine(r, &b, given, e);
}

/* A template that is no name of Firecracker's is "None" to its clients. */
static const char *template_now(const struct settings *s)
{
	for (size_t i = 0; s->cpu_template && template_names[i]; i++) {
		if (strcmp(template_names[i], s->cpu_template) == 0)
			return template_names[i];
	}
	return s->cpu_template || s->custom_template ? "None" : NULL;
}

json_t *fc_machine_get(const struct settings *s)
{
	return json_pack("{s:I, s:I, s:b, s:s*, s:b, s:s}", "vcpu_count", (json_int_t)s->cpu_count,
			 "mem_size_mib", (json_int_t)(s->memory_bytes / MIB), "smt",
			 (int)s->has_smt, "cpu_template", template_now(s), "track_dirty_pages",
			 (int)s->has_dirty_log, "huge_pages", pages_names[pages_now(s)]);
}

struct boot_body {
	const char *kernel_path;
	const char *initrd_path;
	const char *cmdline;
};

static const struct json_field boot_fields[] = {
	{ "kernel_image_path", JSON_FIELD_TEXT, true, offsetof(struct boot_body, kernel_path), NULL,
	  NULL },
	{ "initrd_path", JSON_FIELD_TEXT, false, offsetof(struct boot_body, initrd_path), NULL,
	  NULL },
	{ "boot_args", JSON_FIELD_TEXT, false, offsetof(struct boot_body, cmdline), NULL, NULL },
};

static const struct json_shape boot_shape = { "BootSourceConfig", boot_fields,
					      ARRAY_LEN(boot_fields), false, false };

/* The files are opened at the start; that they can be is said here, as Firecracker does. */
static int check_boot(const struct boot_body *b, struct err *e)
{
	struct err why = { 0 };

	if (access(b->kernel_path, R_OK) < 0)
		return fc_refuse_errno(e, "The kernel file cannot be opened", NULL);
	if (b->initrd_path && access(b->initrd_path, R_OK) < 0)
		return fc_refuse_errno(e,
				       "The initrd file cannot be opened due to invalid path or "
				       "invalid permissions. ",
				       NULL);
	if (b->cmdline && value_cmdline("boot_args", b->cmdline, &why) < 0)
		return err_set(e, FC_REFUSED, "The kernel command line is invalid: %s", why.msg);
	if (b->cmdline && strlen(b->cmdline) >= WIRE_CMDLINE_BYTES)
		return err_set(e, FC_REFUSED,
			       "The kernel command line is invalid: boot_args has %zu bytes; at "
			       "most %d fit",
			       strlen(b->cmdline), WIRE_CMDLINE_BYTES - 1);
	return 0;
}

int fc_boot_put(struct fc_request *r, struct err *e)
{
	struct settings *s = r->settings;
	struct boot_body b = { 0 };
	int err = json_read(&r->body, &boot_shape, &b, NULL, e);

	if (err == 0)
		err = check_boot(&b, e);
	if (err == 0)
		err = settings_set_text(&s->kernel_path, b.kernel_path, e);
	if (err == 0)
		err = settings_set_text(&s->initrd_path, b.initrd_path, e);
	if (err == 0)
		err = settings_set_text(&s->cmdline, b.cmdline, e);
	if (err == 0)
		s->has_root_appended = true;
	return err;
}

json_t *fc_boot_get(const struct settings *s)
{
	return json_pack("{s:o, s:o, s:o}", "kernel_image_path",
			 json_text_new(s->kernel_path ? s->kernel_path : ""), "initrd_path",
			 json_text_new(s->initrd_path), "boot_args", json_text_new(s->cmdline));
}

int fc_cpu_put(struct fc_request *r, struct err *e)
{
	auto_free struct cpu_template *template = malloc(sizeof(*template));
	struct settings *s = r->settings;
	const char *text;
	size_t len;
	int err;

	if (!template)
		return err_set(e, -ENOMEM, "out of memory");
	text = json_source(&r->body, &len);
	err = cpu_template_parse("cpu-config", text, len, template, e);
	if (err == 0)
		err = settings_set_text(&s->cpu_template, NULL, e);
	if (err < 0)
		return err;
	free(s->custom_template);
	s->custom_template = template;
	template = NULL;
	return 0;
}

json_t *fc_template_get(const struct cpu_template *t)
{
	char *text = NULL;
	json_t *json = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	cpu_template_print(t, to);
	if (fclose(to) == 0)
		json = json_loadb(text, size, 0, NULL);
	free(text);
	return json;
}

json_t *fc_cpu_get(const struct settings *s)
{
	const char *name = template_now(s);

	if (s->custom_template)
		return fc_template_get(s->custom_template);
	/* A template that GET /machine-config cannot name is the path of a file. */
	return s->cpu_template && strcmp(name, "None") == 0 ? json_text_new(s->cpu_template)
							    : json_null();
}
