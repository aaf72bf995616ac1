/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter of system calls that a user may put on top of ours (--seccomp-filter): a raw BPF program
 * for seccomp(2), an array of struct sock_filter, as seccomp_export_bpf(3) writes it.
 *
 * What is checked here is what machine gets: a copy, which nobody can change.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

enum { SECCOMP_FILTER_MAX_BYTES = 4096 * 8 }; /* BPF_MAXINSNS */

/*
 * Reads and checks the file. Returns a sealed memfd, which is the caller's, or -errno with @e filled;
 * -EBADMSG: the file is no filter. Thread: the only one, for it forks.
 */
int seccomp_filter_open(const char *path, struct err *e);

/*
 * Says what @bytes of @data are, as far as that can be told without the kernel: 0, a program as far
 * as its size goes; -EBADMSG with @e filled, which names the file @path.
 */
int seccomp_filter_check_form(const char *path, const void *data, size_t bytes, struct err *e);
