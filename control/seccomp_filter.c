/* SPDX-License-Identifier: Apache-2.0 */
/* A user's filter of system calls: see seccomp_filter.h. */
#include "control/seccomp_filter.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"
#include "control/open.h"
#include "jail/seccomp.h"

#define WANTED                                                                                \
	"give a raw BPF program (struct sock_filter, 8 bytes each), as seccomp_export_bpf() " \
	"writes it"

enum { INSTRUCTION_BYTES = 8, TRY_TIMEOUT_MS = 2000 };

static bool has_word(const void *data, size_t bytes, const char *word)
{
	return memmem(data, bytes, word, strlen(word)) != NULL;
}

/* Firecracker's seccompiler-bin makes one file of three programs, with the names of their threads. */
static bool is_firecracker_form(const void *data, size_t bytes)
{
	return has_word(data, bytes, "vmm") && has_word(data, bytes, "vcpu") &&
	       has_word(data, bytes, "api");
}

static bool is_json(const char *data, size_t bytes)
{
	size_t at = 0;

	while (at < bytes && isspace((unsigned char)data[at]))
		at++;
	return at < bytes && data[at] == '{';
}

int seccomp_filter_check_form(const char *path, const void *data, size_t bytes, struct err *e)
{
	if (is_json(data, bytes))
		return err_set(
			e, -EBADMSG,
			"seccomp filter %s is JSON, the source of a filter; %s, or compile "
			"it with seccompiler-bin --split-output and give one of its programs",
			quote(path).text, WANTED);
	if (is_firecracker_form(data, bytes))
		return err_set(
			e, -EBADMSG,
			"seccomp filter %s is in Firecracker's compiled form, with a program "
			"for each of its threads; this program has other threads and one "
			"filter for all: %s (seccompiler-bin --split-output does, too)",
			quote(path).text, WANTED);
	if (bytes > SECCOMP_FILTER_MAX_BYTES)
		return err_set(e, -EBADMSG,
			       "seccomp filter %s is too large: more than 4096 instructions "
			       "(%d bytes); %s",
			       quote(path).text, SECCOMP_FILTER_MAX_BYTES, WANTED);
	if (bytes == 0 || bytes % INSTRUCTION_BYTES != 0)
		return err_set(e, -EBADMSG,
			       "seccomp filter %s has %zu bytes, not a multiple of %d; %s",
			       quote(path).text, bytes, INSTRUCTION_BYTES, WANTED);
	return 0;
}

/* In a child: nothing but the filter can keep its failure from being told. */
static _Noreturn void try_to_apply(int fd, const void *data, size_t bytes)
{
	struct err e = { 0 };
	int code = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		code = -errno;
	if (code == 0)
		code = jail_filter_custom(data, bytes, &e);
	if (code < 0)
		file_write_full(fd, &code, sizeof(code));
	_exit(0); /* which the filter may end otherwise */
}

/* Only the kernel knows whether it takes a program: has a child apply it. 0 or -errno. */
static int try_in_child(const void *data, size_t bytes)
{
	int code = 0, pipes[2], r;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	auto_fd int from_child = pipes[0];
	auto_fd int to_parent = pipes[1];
	struct pollfd answer = { .fd = from_child, .events = POLLIN };
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		try_to_apply(to_parent, data, bytes);
	cleanup_fd(&to_parent);
	do
		r = poll(&answer, 1, TRY_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	n = r > 0 ? read(from_child, &code, sizeof(code)) : 0;
	/* A filter that lets no process end has been applied: the child goes round in circles. */
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return n == sizeof(code) ? code : 0;
}

static int seal(const void *data, size_t bytes, struct err *e)
{
	auto_fd int fd = memfd_create("seccomp-filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot copy the seccomp filter");
	r = file_write_full(fd, data, bytes);
	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "cannot copy the seccomp filter") : take_fd(&fd);
}

int seccomp_filter_open(const char *path, struct err *e)
{
	auto_fd int fd = open_image("seccomp filter", path, e);
	auto_free char *data = NULL;
	ssize_t bytes;
	int r;

	if (fd < 0)
		return fd;
	data = malloc(SECCOMP_FILTER_MAX_BYTES + 1);
	if (!data)
		return err_set(e, -ENOMEM, "out of memory");
	bytes = file_pread_full(fd, data, SECCOMP_FILTER_MAX_BYTES + 1, 0);
	if (bytes < 0)
		return err_errno(e, (int)bytes, "cannot read seccomp filter %s", quote(path).text);
	r = seccomp_filter_check_form(path, data, (size_t)bytes, e);
	if (r < 0)
		return r;
	r = try_in_child(data, (size_t)bytes);
	if (r == -EINVAL)
		return err_set(e, -EBADMSG,
			       "seccomp filter %s is no valid BPF program for seccomp(2); %s",
			       quote(path).text, WANTED);
	if (r < 0)
		return err_errno(e, r, "cannot try seccomp filter %s", quote(path).text);
	return seal(data, (size_t)bytes, e);
}
