/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the machine's configuration and opens its files: see config.h. */
#include "control/config.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/fdmsg.h"
#include "base/quote.h"
#include "control/cpu_template.h"
#include "control/open.h"
#include "control/seccomp_filter.h"

static_assert((int)LAUNCH_MAX_FDS <= (int)FDMSG_MAX_FDS, "all descriptors travel in one message");

/* What a file of the configuration is used for, to find one that is used twice. */
struct file_use {
	const char *what; /* static */
	const char *path; /* borrowed from the settings */
	bool is_written;
	struct stat st;
};

struct builder {
	struct launch *out;
	struct file_use uses[LAUNCH_MAX_FDS];
	size_t nr_uses;
};

/*
 * Moves *@fd into the launch and returns its slot. There is room for all that config_build() opens.
 */
static int32_t add_fd(struct launch *l, int *fd)
{
	assert(l->nr_fds < LAUNCH_MAX_FDS);
	l->fds[l->nr_fds] = take_fd(fd);
	return (int32_t)l->nr_fds++;
}

int launch_add_console(struct launch *l, int fd, struct err *e)
{
	auto_fd int owned_fd = fd;
	int32_t slot;

	if (l->nr_fds == LAUNCH_MAX_FDS)
		return err_set(e, -ENOSPC, "no room for the console among %d descriptors",
			       LAUNCH_MAX_FDS);
	slot = add_fd(l, &owned_fd);
	l->config.console_in_slot = slot;
	l->config.console_out_slot = slot;
	return 0;
}

int launch_add_metrics(struct launch *l, int fd, struct err *e)
{
	auto_fd int owned_fd = fd;

	if (l->nr_fds == LAUNCH_MAX_FDS)
		return err_set(e, -ENOSPC, "no room for the counters among %d descriptors",
			       LAUNCH_MAX_FDS);
	l->config.metrics_slot = add_fd(l, &owned_fd);
	return 0;
}

void launch_release(struct launch *l)
{
	for (size_t i = 0; i < l->nr_fds; i++)
		cleanup_fd(&l->fds[i]);
	l->nr_fds = 0;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev; /* a device may have several nodes */
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether bytes written to it are there to be read: not so for a FIFO or a terminal. */
static bool is_storage(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISBLK(st->st_mode);
}

/*
 * Moves *@fd into the launch. A file that is written may have no other use, under whatever name:
 * two writers destroy a file system, and a reader sees it change under its feet.
 */
static int add_file(struct builder *b, const char *what, const char *path, bool is_written, int *fd,
		    int32_t *slot, struct err *e)
{
	struct file_use *use = &b->uses[b->nr_uses];

	assert(b->nr_uses < LAUNCH_MAX_FDS);
	*use = (struct file_use){ .what = what, .path = path, .is_written = is_written };
	if (fstat(*fd, &use->st) < 0)
		return err_errno(e, -errno, "cannot examine %s %s", what, quote(path).text);
	for (size_t i = 0; i < b->nr_uses && is_storage(&use->st); i++) {
		const struct file_use *other = &b->uses[i];

		if ((other->is_written || is_written) && is_same_file(&other->st, &use->st))
			return err_set(
				e, -EBUSY,
				"%s %s is the same file as %s %s; a file that is written can "
				"be used once only",
				what, quote(path).text, other->what, quote(other->path).text);
	}
	b->nr_uses++;
	*slot = add_fd(b->out, fd);
	return 0;
}

static int add_image(struct builder *b, const char *what, const char *path, int32_t *slot,
		     struct err *e)
{
	auto_fd int fd = open_image(what, path, e);

	return fd < 0 ? fd : add_file(b, what, path, false, &fd, slot, e);
}

/* The index of the thread @name, which is added when it is new. */
static int find_iothread(struct machine_config *config, const char *name, int32_t *index,
			 struct err *e)
{
	*index = WIRE_NO_IOTHREAD;
	if (*name == '\0')
		return 0;
	for (uint32_t i = 0; i < config->iothread_count; i++) {
		if (strcmp(config->iothreads[i], name) == 0) {
			*index = (int32_t)i;
			return 0;
		}
	}
	if (config->iothread_count == WIRE_MAX_IOTHREADS)
		return err_set(e, -EINVAL, "iothread '%s': too many; at most %d can be named", name,
			       WIRE_MAX_IOTHREADS);
	*index = (int32_t)config->iothread_count++;
	memcpy(config->iothreads[*index], name, strlen(name) + 1);
	return 0;
}

static int add_drive(struct builder *b, const struct drive_value *from, struct drive_config *to,
		     struct err *e)
{
	auto_fd int fd = open_drive(from->path, from->is_read_only, from->is_direct, e);
	int r;

	if (fd < 0)
		return fd;
	r = from->may_be_empty ? 0 : open_check_filled(fd, from->path, e);
	if (r < 0)
		return r;
	r = add_file(b, "drive", from->path, !from->is_read_only, &fd, &to->fd_slot, e);
	if (r == 0 && !from->has_no_lock)
		r = open_lock_drive(b->out->fds[to->fd_slot], from->path, from->is_read_only, e);
	if (r == 0)
		r = find_iothread(&b->out->config, from->iothread, &to->iothread, e);
	if (r < 0)
		return r;
	memcpy(to->id, from->id, sizeof(to->id));
	to->is_root = from->is_root;
	to->is_read_only = from->is_read_only;
	to->is_direct = from->is_direct;
	to->engine = from->engine;
	to->cache = from->cache;
	to->queue_count = from->queue_count;
	to->limit = from->limit;
	return 0;
}

static int add_drives(struct builder *b, const struct settings *s, struct err *e)
{
	struct machine_config *config = &b->out->config;

	for (size_t i = 0; i < s->nr_drives; i++) {
		int r = add_drive(b, &s->drives[i], &config->drives[i], e);

		if (r < 0)
			return r;
		config->drive_count++;
	}
	return 0;
}

static int add_kvm(struct builder *b, struct err *e)
{
	auto_fd int fd = open_kvm("/dev/kvm", e);

	if (fd < 0)
		return fd;
	b->out->config.kvm_slot = add_fd(b->out, &fd);
	return 0;
}

/* A copy, so it has no part in the uses of files. */
static int add_filter(struct builder *b, const char *path, struct err *e)
{
	auto_fd int fd = -1;

	if (!path)
		return 0;
	fd = seccomp_filter_open(path, e);
	if (fd < 0)
		return fd;
	b->out->config.seccomp_slot = add_fd(b->out, &fd);
	return 0;
}

static int add_console(struct builder *b, const struct console_value *console, struct err *e)
{
	auto_fd int fd = -1;

	if (console->kind != CONSOLE_FILE)
		return 0;
	fd = open_console(console->path, e);
	return fd < 0 ? fd
		      : add_file(b, "console file", console->path, true, &fd,
				 &b->out->config.console_out_slot, e);
}

/*
 * Cuts the next word of a kernel command line, which may have quotes (lib/cmdline.c of Linux).
 * Returns its length; 0 at the end and at the "--" behind which words are for init
 * (kernel/params.c).
 */
static size_t cmdline_word(const char *line)
{
	bool is_quoted = false;
	size_t len = 0;

	for (; line[len] && (is_quoted || line[len] != ' '); len++)
		is_quoted ^= line[len] == '"';
	return len == 2 && memcmp(line, "--", len) == 0 ? 0 : len;
}

/* How many bytes of the line are words for the kernel. */
static int cmdline_kernel_part(const char *line)
{
	const char *end = line;

	for (;;) {
		const char *word = end + strspn(end, " ");
		const size_t len = cmdline_word(word);

		if (len == 0)
			return (int)(*word ? end - line : word - line);
		end = word + len;
	}
}

enum { CMDLINE_ROOT_BYTES = 128 };

/* What says where the root file system is, if that is not the user's own business. */
static void cmdline_root(char words[static CMDLINE_ROOT_BYTES], const struct settings *s)
{
	const struct drive_value *root = &s->drives[0];

	words[0] = '\0';
	if (s->nr_drives == 0 || !root->is_root || (s->cmdline && !s->has_root_appended))
		return;
	snprintf(words, CMDLINE_ROOT_BYTES, "root=%s%s %s", root->partuuid ? "PARTUUID=" : "",
		 root->partuuid ? root->partuuid : "/dev/vda", root->is_read_only ? "ro" : "rw");
}

static int cmdline_build(char line[static WIRE_CMDLINE_BYTES], const struct settings *s,
			 struct err *e)
{
	const char *append = s->cmdline_append ? s->cmdline_append : "";
	const char *base = s->cmdline;
	char root[CMDLINE_ROOT_BYTES];
	const char *init;
	int kernel_part;
	int len;

	if (!base)
		base = s->console.kind == CONSOLE_NONE
			       ? "reboot=k panic=-1 quiet loglevel=3"
			       : "console=ttyS0 reboot=k panic=-1 quiet loglevel=3";
	cmdline_root(root, s);
	kernel_part = root[0] ? cmdline_kernel_part(base) : (int)strlen(base);
	init = base + kernel_part;
	len = snprintf(line, WIRE_CMDLINE_BYTES, "%.*s%s%s%s%s%s%s", kernel_part, base,
		       kernel_part > 0 && root[0] ? " " : "", root,
		       *init && *init != ' ' ? " " : "", init,
		       (*base || root[0]) && *append ? " " : "", append);
	if (len < 0 || len >= WIRE_CMDLINE_BYTES)
		return err_set(e, -E2BIG, "the kernel command line has %d bytes; at most %d fit",
			       len, WIRE_CMDLINE_BYTES - 1);
	return 0;
}

/* Whether @wanted is a word of the line for the kernel. */
static bool cmdline_has_word(const char *line, const char *wanted)
{
	for (;;) {
		size_t len;

		line += strspn(line, " ");
		len = cmdline_word(line);
		if (len == 0)
			return false;
		if (len == strlen(wanted) && memcmp(line, wanted, len) == 0)
			return true;
		line += len;
	}
}

/* What kvmclock and the local APIC's timer do without a PIT, these words of the user forbid. */
static bool cmdline_needs_pit(const char *line)
{
	static const char *const words[] = { "noapic", "nolapic", "no-kvmclock", "notsc" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (cmdline_has_word(line, words[i]))
			return true;
	}
	return false;
}

/* The console file comes last: it is the only step that leaves something behind, a new file. */
static int build(struct builder *b, const struct settings *s, struct err *e)
{
	struct machine_config *config = &b->out->config;
	int r = cmdline_build(config->cmdline, s, e);

	config->has_cpu_template = s->custom_template || s->cpu_template;
	if (s->custom_template)
		b->out->cpu_template = *s->custom_template;
	else if (r == 0 && s->cpu_template)
		r = cpu_template_load(s->cpu_template, &b->out->cpu_template, e);
	if (r == 0)
		r = add_image(b, "kernel", s->kernel_path, &config->kernel_slot, e);
	if (r == 0 && s->initrd_path)
		r = add_image(b, "initrd", s->initrd_path, &config->initrd_slot, e);
	if (r == 0)
		r = add_drives(b, s, e);
	if (r == 0)
		r = add_filter(b, s->seccomp_path, e);
	if (r == 0)
		r = add_kvm(b, e);
	if (r == 0)
		r = add_console(b, &s->console, e);
	if (r < 0)
		return r;
	b->out->console = s->console.kind;
	config->console_limit = s->console.limit;
	config->version = WIRE_VERSION;
	config->cpu_count = s->cpu_count;
	config->memory_bytes = s->memory_bytes;
	config->boot_protocol = s->boot_protocol;
	config->kernel_decompress = s->kernel_decompress;
	config->purpose = MACHINE_RUN;
	config->hugepages = s->hugepages;
	config->is_memory_shared = s->is_memory_shared;
	config->has_dirty_log = s->has_dirty_log;
	config->has_prefault = s->has_prefault;
	config->allowed_missing = s->allowed_missing;
	config->is_alone_on_core = s->is_alone_on_core;
	config->is_memory_locked = s->is_memory_locked;
	config->has_pit = s->has_pit || cmdline_needs_pit(config->cmdline);
	for (uint32_t i = 0; i < s->nr_affinity; i++)
		config->affinity[i] = s->affinity[i];
	config->has_acpi = s->has_acpi && !cmdline_has_word(config->cmdline, "acpi=off");
	return 0;
}

/* All but the command line, most of which is never used. */
static void launch_init(struct launch *l)
{
	struct machine_config *config = &l->config;

	memset(config, 0, offsetof(struct machine_config, cmdline));
	config->kvm_slot = WIRE_NO_FD;
	config->kernel_slot = WIRE_NO_FD;
	config->initrd_slot = WIRE_NO_FD;
	config->console_out_slot = WIRE_NO_FD;
	config->console_in_slot = WIRE_NO_FD;
	config->metrics_slot = WIRE_NO_FD;
	config->seccomp_slot = WIRE_NO_FD;
	for (size_t i = 0; i < WIRE_MAX_DRIVES; i++)
		config->drives[i].fd_slot = WIRE_NO_FD;
	for (size_t i = 0; i < WIRE_MAX_CPUS; i++)
		config->affinity[i] = WIRE_NO_AFFINITY;
	config->cmdline[0] = '\0';
	l->console = CONSOLE_NONE;
	l->nr_fds = 0;
}

int config_build(const struct settings *s, struct launch *out, struct err *e)
{
	struct builder b = { .out = out };
	int r;

	launch_init(out);
	r = build(&b, s, e);
	if (r < 0)
		launch_release(out);
	return r;
}
