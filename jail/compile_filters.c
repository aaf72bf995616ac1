/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build tool: compiles the table of policy.h to a BPF program for each kind of thread, by
 * libseccomp, and prints them as C arrays for seccomp.c; and the names of all system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "jail/policy.h"

enum { BY_TREE = 2, PRIORITY_FIRST = 255, NAMES = 512 };

static int add_row(scmp_filter_ctx filter, const struct jail_syscall *row, size_t index)
{
	const int number = seccomp_syscall_resolve_name(row->name);
	struct scmp_arg_cmp checks[JAIL_CHECKS_MAX];
	unsigned int nr_checks = 0;

	if (number < 0)
		return -ENOENT;
	for (size_t i = 0; i < JAIL_CHECKS_MAX && row->checks[i].mask != 0; i++) {
		const struct jail_check *check = &row->checks[i];

		checks[nr_checks++] = (struct scmp_arg_cmp){
			.arg = check->argument,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = check->mask,
			.datum_b = check->value,
		};
	}
	/* What comes first in the table is what is called most. */
	seccomp_syscall_priority(filter, number,
				 (uint8_t)(index < PRIORITY_FIRST ? PRIORITY_FIRST - index : 0));
	return seccomp_rule_add_array(
		filter, row->error ? SCMP_ACT_ERRNO((unsigned)row->error) : SCMP_ACT_ALLOW, number,
		nr_checks, checks);
}

static int print_program(scmp_filter_ctx filter, const char *name)
{
	auto_fd int fd = memfd_create("bpf", MFD_CLOEXEC);
	struct sock_filter op;
	int r = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);

	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return r < 0 ? r : -errno;
	printf("static const struct sock_filter filter_%s[] = {\n", name);
	while (read(fd, &op, sizeof(op)) == (ssize_t)sizeof(op))
		printf("\t{ 0x%02x, %u, %u, 0x%08" PRIx32 " },\n", op.code, op.jt, op.jf, op.k);
	printf("};\n");
	return 0;
}

static int compile(enum jail_thread thread)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	const struct jail_syscall *rows;
	size_t nr;
	int r = filter ? 0 : -ENOMEM;

	rows = jail_policy(&nr);
	/* Calls of another architecture's ABI end the process like all that is not allowed. */
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/*
	 * A tree, not a list: when a filter is installed the kernel runs it for every number there is,
	 * to know which calls it always allows.
	 */
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, BY_TREE);
	for (size_t i = 0; r == 0 && i < nr; i++) {
		if (rows[i].threads & 1u << thread)
			r = add_row(filter, &rows[i], i);
		if (r < 0)
			fprintf(stderr, "compile-filters: %s of %s: %s\n", rows[i].name,
				jail_thread_name(thread), strerror(-r));
	}
	if (r == 0)
		r = print_program(filter, jail_thread_name(thread));
	if (filter)
		seccomp_release(filter);
	return r;
}

/* One string, so that the program has no pointers to relocate: each name ends with a comma. */
static void print_names(void)
{
	printf("static const char syscall_names[] =\n");
	for (int i = 0; i < NAMES; i++) {
		auto_free char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		printf("\t\"%s,\"\n", name ? name : "");
	}
	printf("\t;\n");
}

int main(void)
{
	printf("/* Made by compile_filters.c from policy.c. */\n");
	print_names();
	for (int i = 0; i < JAIL_THREADS; i++) {
		int r = compile((enum jail_thread)i);

		if (r < 0) {
			fprintf(stderr, "compile-filters: %s\n", strerror(-r));
			return 1;
		}
	}
	return 0;
}
