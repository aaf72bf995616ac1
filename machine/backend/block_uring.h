/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw file or host block device as a disk, by io_uring: the caller's thread waits for the host's
 * disk only where it says that it may, and a batch of requests costs one system call.
 *
 * submit() only notes; commit() hands the batch to the kernel and finishes at once what is ready,
 * which is everything that was in the page cache, without a wake-up through completion_fd. For the
 * time of that it tells the kernel not to signal the eventfd; afterwards it looks again, because
 * what finished in between gave no signal.
 *
 * The ring can be made before a sandbox and used inside it, where it must not be a way out:
 * io_uring operations do not pass seccomp. So it is restricted for good, before it takes the first
 * request, to the operations of a disk on the one file that is registered.
 *
 * Traps:
 *   - The kernel does slow work in threads of its own (iou-wrk-*), which belong to this process,
 *     and count in its pids cgroup; there are a few at most. When they cannot be had, a step is
 *     done in the caller's thread.
 *   - tmpfs, and buffered writes on ext4, are always such slow work: the synchronous engine is
 *     several times faster there. This one is for disks that make a thread wait.
 *   - A thread that submits has to enter the kernel now and then, or completions come late: the
 *     thread of an event loop, not of a vCPU. When it ends, its requests are cancelled. A
 *     completion may interrupt whatever it waits in (EINTR).
 *   - Guest memory is not registered as fixed buffers. That would pin all of it, and break
 *     ballooning, snapshots by copy-on-write and overcommitment.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "machine/backend/block.h"

enum { BLOCK_URING_REQUESTS_MAX = 4096 };

/*
 * As block_file_open(). With @has_shortcuts, what the host's page cache can take or give at once does
 * not go through the ring, which would only add to its cost: writes that are not direct, a read that
 * comes alone and is cached, and everything on a file system that lives in memory. Nor does a direct
 * write that comes alone, if it is small and block_commit_wait() ends its batch. @requests_max, 1 to
 * BLOCK_URING_REQUESTS_MAX: how many requests the caller may have in flight; one more ends in -EBUSY.
 * All memory for them is allocated here.
 *
 * -ENOSYS or -EPERM: this kernel has no usable io_uring, or it is not allowed here;
 * block_file_open() would work.
 */
int block_uring_open(struct block_backend **out, int fd, bool is_read_only, unsigned requests_max,
		     bool has_shortcuts, const char *id, struct err *e);
