/* SPDX-License-Identifier: Apache-2.0 */
/* A raw file or block device as a disk, by io_uring: see block_uring.h. */
#include "machine/backend/block_uring.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "machine/backend/block_disk.h"
#include "machine/backend/block_job.h"

enum {
	FILE_SLOT = 0, /* of the registered files; there is one */
	BOUNCE_BUFFERS = 16,
	LONE_WRITE_BYTES_MAX = 128 << 10, /* larger ones take a disk long enough for the ring */
	URING_WORKERS = 8, /* enough for slow operations side by side; each is a thread */
	URING_WORKERS_OTHER = 1, /* for what is no file, so unused; 0 would keep the default */
	URING_CMD_DISCARD = 0x12 << 8, /* BLOCK_URING_CMD_DISCARD, _IO(0x12, 0) of Linux 6.12 */
};

/* A request in flight. It is on one list at a time, or with the kernel. */
struct slot {
	struct slot *next; /* borrowed: the backend's, as we are */
	struct block_job job;
	struct block_step step; /* the one under way */
};

/* First in, first out. */
struct slot_list {
	struct slot *first;
	struct slot *last; /* meaningful if there is a first */
};

struct block_uring {
	struct block_backend backend; /* first: a backend pointer is a block_uring pointer */
	struct block_disk disk;
	struct io_uring ring;
	bool has_ring;
	int event_fd; /* owned; signalled by completions, except while we look for them ourselves */

	bool has_shortcuts; /* constant */

	/* Under the caller's lock. */
	struct slot *lone; /* the first of a batch, not queued yet: see may_go_alone() */
	bool is_pumping;
	int error; /* 0, or why the ring takes nothing any more */
	struct slot_list free;
	struct slot_list queued; /* in the submission queue, in its order */
	struct slot_list waiting; /* for a bounce buffer */
	struct slot slots[]; /* as many as requests_max */
};

static void list_push(struct slot_list *list, struct slot *slot)
{
	slot->next = NULL;
	if (list->first)
		list->last->next = slot;
	else
		list->first = slot;
	list->last = slot;
}

static struct slot *list_pop(struct slot_list *list)
{
	struct slot *slot = list->first;

	if (slot)
		list->first = slot->next;
	return slot;
}

static void prepare(struct io_uring_sqe *sqe, const struct block_step *step)
{
	switch (step->op) {
	case BLOCK_STEP_READ:
		if (step->iov_count == 1)
			io_uring_prep_read(sqe, FILE_SLOT, step->iov->iov_base,
					   (unsigned)step->iov->iov_len, step->offset_bytes);
		else
			io_uring_prep_readv(sqe, FILE_SLOT, step->iov, step->iov_count,
					    step->offset_bytes);
		break;
	case BLOCK_STEP_WRITE:
		if (step->iov_count == 1)
			io_uring_prep_write(sqe, FILE_SLOT, step->iov->iov_base,
					    (unsigned)step->iov->iov_len, step->offset_bytes);
		else
			io_uring_prep_writev(sqe, FILE_SLOT, step->iov, step->iov_count,
					     step->offset_bytes);
		break;
	case BLOCK_STEP_SYNC:
		io_uring_prep_fsync(sqe, FILE_SLOT, IORING_FSYNC_DATASYNC);
		break;
	case BLOCK_STEP_ALLOCATE:
		io_uring_prep_fallocate(sqe, FILE_SLOT, step->mode, (off_t)step->offset_bytes,
					(off_t)step->len_bytes);
		break;
	case BLOCK_STEP_DISCARD:
		io_uring_prep_rw(IORING_OP_URING_CMD, sqe, FILE_SLOT, NULL, 0, 0);
		sqe->cmd_op = URING_CMD_DISCARD;
		sqe->addr = step->offset_bytes;
		sqe->addr3 = step->len_bytes;
		break;
	}
}

/* Puts the job's next step into the submission queue. There is room: one entry for each slot. */
static void queue_step(struct block_uring *u, struct slot *slot)
{
	struct io_uring_sqe *sqe;

	list_push(&u->queued, slot);
	if (u->error)
		return; /* push() ends it */
	sqe = io_uring_get_sqe(&u->ring);
	assert(sqe);
	slot->step = block_job_step(&slot->job);
	prepare(sqe, &slot->step);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, slot);
}

static void finish(struct block_uring *u, struct slot *slot, int result)
{
	struct block_request *request = slot->job.request;

	block_job_end(&slot->job);
	list_push(&u->free, slot);
	if (u->waiting.first && block_job_get_memory(&u->waiting.first->job))
		queue_step(u, list_pop(&u->waiting));
	request->done(request, result);
}

/* The kernel will not take any more: what waits for it ends here. */
static void give_up(struct block_uring *u, int error)
{
	struct slot_list queued = u->queued;

	u->error = error;
	u->queued = (struct slot_list){ 0 };
	for (struct slot *slot; (slot = list_pop(&queued));)
		finish(u, slot, error);
}

static bool is_passing(int error)
{
	return error == -EAGAIN || error == -EBUSY || error == -EINTR || error == -ENOMEM;
}

/*
 * Hands the queued steps to the kernel. False when it is short of memory and some stay queued. Then
 * we wake ourselves up, so that other devices get their turn before the next attempt.
 */
static bool push(struct block_uring *u)
{
	while (u->queued.first) {
		int accepted = u->error ? u->error : io_uring_submit(&u->ring);

		if (accepted < 0 && !is_passing(accepted)) {
			give_up(u, accepted);
		} else if (accepted <= 0) {
			eventfd_write(u->event_fd, 1);
			return false;
		}
		for (; accepted > 0; accepted--)
			list_pop(&u->queued);
	}
	return true;
}

/*
 * What io_uring cannot do: a discard before Linux 6.12, anything when the kernel could not have a
 * thread for it (ECANCELED: a limit of the pids cgroup or RLIMIT_NPROC), and EAGAIN, which means
 * nothing for a disk but has been seen.
 */
static bool has_to_be_done_here(const struct block_step *step, int64_t result)
{
	return result == -ECANCELED || result == -EAGAIN ||
	       (step->op == BLOCK_STEP_DISCARD && result < 0);
}

static void reap(struct block_uring *u)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct slot *slot = io_uring_cqe_get_data(cqe);
		int64_t result = cqe->res;
		int r;

		io_uring_cqe_seen(&u->ring, cqe);
		if (has_to_be_done_here(&slot->step, result))
			result = block_step_run(&slot->step, u->disk.fd);
		r = block_job_step_done(&slot->job, result);
		if (r == BLOCK_JOB_GOES_ON)
			queue_step(u, slot);
		else
			finish(u, slot, r);
	}
}

static void do_now(struct block_uring *u, struct slot *slot)
{
	int r = BLOCK_JOB_GOES_ON;

	while (r == BLOCK_JOB_GOES_ON) {
		slot->step = block_job_step(&slot->job);
		r = block_job_step_done(&slot->job, block_step_run(&slot->step, u->disk.fd));
	}
	finish(u, slot, r);
}

/* What is cached is had by one plain system call. */
static void read_cached(struct block_uring *u, struct slot *slot)
{
	ssize_t n;
	int r;

	slot->step = block_job_step(&slot->job);
	n = preadv2(u->disk.fd, slot->step.iov, (int)slot->step.iov_count,
		    (off_t)slot->step.offset_bytes, RWF_NOWAIT);
	r = n > 0 ? block_job_step_done(&slot->job, n) : BLOCK_JOB_GOES_ON;
	if (r == BLOCK_JOB_GOES_ON)
		queue_step(u, slot); /* whatever kept it, the ring will see it too */
	else
		finish(u, slot, r);
}

/*
 * A batch of one. To wait for a direct write is quicker than the ring: the kernel ends a write
 * nobody waits for in a worker of its own (iomap), then wakes this thread, which gets the eventfd.
 */
static void start_lone(struct block_uring *u, bool may_wait)
{
	struct slot *slot = u->lone;

	u->lone = NULL;
	if (slot->job.request->op == BLOCK_READ)
		read_cached(u, slot);
	else if (may_wait)
		do_now(u, slot);
	else
		queue_step(u, slot);
}

/*
 * Hands over and finishes until neither finds anything to do. The kernel stores a completion, then
 * looks at the switch of the eventfd; we turn the switch on, then look for completions. With a full
 * barrier on both sides one of the two sees the other, so none is left lying.
 */
static void pump(struct block_uring *u, bool may_wait)
{
	bool is_stuck;

	/* From inside done(): the outer one goes on until nothing is left. */
	if (u->is_pumping)
		return;
	u->is_pumping = true;
	do {
		if (u->lone)
			start_lone(u, may_wait);
		may_wait = false; /* for one that comes of it */
		io_uring_cq_eventfd_toggle(&u->ring, false);
		is_stuck = !push(u);
		reap(u);
		io_uring_cq_eventfd_toggle(&u->ring, true);
		atomic_thread_fence(memory_order_seq_cst);
	} while (u->lone || io_uring_cq_ready(&u->ring) > 0 || (u->queued.first && !is_stuck));
	u->is_pumping = false;
}

/* What the page cache takes without waiting for a disk, or nothing but memory is behind. */
static bool is_for_now(const struct block_uring *u, const struct block_request *request)
{
	if (!u->has_shortcuts)
		return false;
	return u->disk.is_in_memory || (request->op == BLOCK_WRITE && !u->disk.is_direct);
}

/* The first of a batch is dealt with otherwise if it stays the only one. */
static bool may_go_alone(const struct block_uring *u, const struct block_request *request)
{
	if (!u->has_shortcuts || u->lone || u->queued.first)
		return false;
	if (u->disk.is_direct)
		return request->op == BLOCK_WRITE && request->len_bytes <= LONE_WRITE_BYTES_MAX;
	return request->op == BLOCK_READ;
}

static void start(struct block_uring *u, struct slot *slot)
{
	const struct block_request *request = slot->job.request;

	if (is_for_now(u, request)) {
		do_now(u, slot);
		return;
	}
	if (may_go_alone(u, request)) {
		u->lone = slot;
		return;
	}
	if (u->lone) {
		queue_step(u, u->lone);
		u->lone = NULL;
	}
	queue_step(u, slot);
}

static void uring_submit(struct block_backend *backend, struct block_request *request)
{
	struct block_uring *u = (struct block_uring *)backend;
	struct slot *slot = u->error ? NULL : list_pop(&u->free);
	int r;

	if (!slot) {
		request->done(request, u->error ? u->error : -EBUSY);
		return;
	}
	r = block_job_begin(&slot->job, &u->disk, request);
	if (r != BLOCK_JOB_GOES_ON)
		finish(u, slot, r);
	else if (block_job_get_memory(&slot->job))
		start(u, slot);
	else
		list_push(&u->waiting, slot);
}

static void uring_commit(struct block_backend *backend, bool may_wait)
{
	pump((struct block_uring *)backend, may_wait);
}

static void uring_complete(struct block_backend *backend)
{
	struct block_uring *u = (struct block_uring *)backend;
	eventfd_t count;

	eventfd_read(u->event_fd, &count); /* before looking: what comes later signals anew */
	pump(u, false);
}

/* Puts @fd where the ring's operations look for their file; -1 takes the one there out. */
static int put_file(struct block_uring *u, int fd)
{
	const int r = io_uring_register_files_update(&u->ring, FILE_SLOT, &fd, 1);

	return r < 0 ? r : 0;
}

static int uring_replace(struct block_backend *backend, int fd, struct err *e)
{
	struct block_uring *u = (struct block_uring *)backend;
	struct block_disk next;
	int r = block_disk_open_next(&u->disk, &next, fd, backend->request_align_bytes, e);

	if (r < 0)
		return r;
	r = put_file(u, fd);
	if (r < 0) {
		put_file(u, u->disk.fd);
		next.fd = -1; /* stays the caller's */
		block_disk_close(&next);
		return err_errno(e, r, "drive '%s': cannot give the new file to io_uring",
				 u->disk.id);
	}
	block_disk_close(&u->disk);
	u->disk = next;
	backend->capacity_bytes = next.capacity_bytes;
	return 0;
}

static void uring_close(struct block_backend *backend)
{
	struct block_uring *u = (struct block_uring *)backend;

	if (u->has_ring) {
		/* The kernel takes a ring apart later; the file must be free at once. */
		put_file(u, -1);
		io_uring_queue_exit(&u->ring);
	}
	if (u->event_fd >= 0)
		close(u->event_fd);
	block_disk_close(&u->disk);
	free(u);
}

static const struct block_backend_ops uring_ops = {
	.submit = uring_submit,
	.commit = uring_commit,
	.complete = uring_complete,
	.replace = uring_replace,
	.close = uring_close,
};

static int refuse(int r, const char *id, struct err *e)
{
	switch (r) {
	case -ENOSYS:
		return err_set(e, r, "drive '%s': this kernel has no io_uring; choose engine=sync",
			       id);
	case -EPERM:
		return err_set(e, r,
			       "drive '%s': io_uring is not allowed here, by sysctl "
			       "kernel.io_uring_disabled or a seccomp filter; choose engine=sync",
			       id);
	case -EINVAL:
		return err_set(e, -ENOSYS,
			       "drive '%s': the io_uring of this kernel is too old, Linux 5.10 is "
			       "needed; choose engine=sync",
			       id);
	case -ENOMEM:
		return err_set(e, r,
			       "drive '%s': no memory for io_uring; raise RLIMIT_MEMLOCK or choose "
			       "engine=sync",
			       id);
	default:
		return err_errno(e, r, "drive '%s': cannot set up io_uring", id);
	}
}

/* What the ring can do from now on, whoever comes to hold it. */
static int restrict_ring(struct io_uring *ring)
{
	/* The last one is for discard, and unknown before Linux 5.19. */
	static const uint8_t ops[] = { IORING_OP_READ,	   IORING_OP_READV, IORING_OP_WRITE,
				       IORING_OP_WRITEV,   IORING_OP_FSYNC, IORING_OP_FALLOCATE,
				       IORING_OP_URING_CMD };
	struct io_uring_restriction rules[ARRAY_LEN(ops) + 2] = { 0 };
	int r;

	rules[0].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	rules[0].sqe_flags = IOSQE_FIXED_FILE;
	rules[1].opcode = IORING_RESTRICTION_REGISTER_OP; /* for replace() and close() */
	rules[1].register_op = IORING_REGISTER_FILES_UPDATE;
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		rules[2 + i].opcode = IORING_RESTRICTION_SQE_OP;
		rules[2 + i].sqe_op = ops[i];
	}
	r = io_uring_register_restrictions(ring, rules, ARRAY_LEN(rules));
	if (r == -EINVAL)
		r = io_uring_register_restrictions(ring, rules, ARRAY_LEN(rules) - 1);
	return r;
}

static int make_ring(struct block_uring *u, unsigned requests_max)
{
	/*
	 * Completions need not interrupt this thread: it enters the kernel soon anyway. One thread
	 * builds the ring and another may use it, so IORING_SETUP_SINGLE_ISSUER is out.
	 */
	unsigned flags = IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN;
	unsigned workers[2] = { URING_WORKERS, URING_WORKERS_OTHER };
	int r;

	r = io_uring_queue_init(requests_max, &u->ring, flags);
	if (r == -EINVAL) /* before Linux 5.19 */
		r = io_uring_queue_init(requests_max, &u->ring, IORING_SETUP_R_DISABLED);
	if (r < 0)
		return r;
	u->has_ring = true;
	r = io_uring_register_files(&u->ring, &u->disk.fd, 1);
	if (r < 0)
		return r;
	r = io_uring_register_eventfd(&u->ring, u->event_fd);
	if (r < 0)
		return r;
	r = io_uring_register_iowq_max_workers(&u->ring, workers);
	if (r < 0 && r != -EINVAL) /* before Linux 5.15: as many as it likes */
		return r;
	r = restrict_ring(&u->ring);
	if (r < 0)
		return r;
	return io_uring_enable_rings(&u->ring);
}

int block_uring_open(struct block_backend **out, int fd, bool is_read_only, unsigned requests_max,
		     bool has_shortcuts, const char *id, struct err *e)
{
	struct block_uring *u;
	int r;

	assert(requests_max >= 1 && requests_max <= BLOCK_URING_REQUESTS_MAX);
	u = calloc(1, sizeof(*u) + requests_max * sizeof(u->slots[0]));
	if (!u)
		return err_set(e, -ENOMEM, "drive '%s': no memory", id);
	for (unsigned i = 0; i < requests_max; i++)
		list_push(&u->free, &u->slots[i]);
	u->has_shortcuts = has_shortcuts;
	u->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = u->event_fd < 0 ? -errno : 0;
	if (r < 0)
		err_errno(e, r, "drive '%s': cannot make an eventfd", id);
	u->disk.fd = -1;
	if (r == 0)
		r = block_disk_open(&u->disk, fd, is_read_only, BOUNCE_BUFFERS, id, e);
	if (r == 0) {
		r = make_ring(u, requests_max);
		if (r < 0)
			r = refuse(r, id, e);
	}
	if (r < 0) {
		u->disk.fd = -1; /* stays the caller's */
		uring_close(&u->backend);
		return r;
	}
	u->backend = block_disk_backend(&u->disk, &uring_ops, u->event_fd);
	u->backend.has_commit_wait = has_shortcuts && u->disk.is_direct && !is_read_only;
	*out = &u->backend;
	return 0;
}
