/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child that reads the index: opens it, gives up all rights, answers. See fsck_child.h.
 *
 * Drops: every system call but those of serve_calls. Must still work: memory, answering, ending.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "stellar/fsck_wire.h"
#include "stellar/index_impl.h"

enum { SERVE_FD = 3, ANSWER_SECONDS = 60, MAX_PAGES_LOOKED_AT = INT32_MAX };

struct server {
	struct index *index;
	struct index_reader *reader;
	struct wire_row rows[FSCK_FIND_MAX];
	struct wire_pack packs[FSCK_FIND_MAX];
	uint32_t walked; /* rows that wait to be sent */
};

/* --- confinement --------------------------------------------------------------------------- */

static const int serve_calls[] = {
	SYS_read, /* questions */
	SYS_write, /* answers */
	SYS_setitimer, /* an end to each answer */
	SYS_exit_group, /* the end */
	SYS_exit,	SYS_rt_sigreturn, /* signals of the C library */
	SYS_brk, /* memory */
	SYS_mmap,	SYS_munmap,	  SYS_mremap,
	SYS_mprotect,	SYS_madvise,	  SYS_futex, /* locks of the C library */
};

#if defined(__x86_64__)
enum { THIS_ARCH = (int)AUDIT_ARCH_X86_64 };
#elif defined(__aarch64__)
enum { THIS_ARCH = (int)AUDIT_ARCH_AARCH64 };
#endif

static int confine(void)
{
	struct sock_filter code[ARRAY_LEN(serve_calls) + 6];
	struct sock_fprog program = { .filter = code };
	unsigned n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)THIS_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < ARRAY_LEN(serve_calls); i++)
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (uint32_t)serve_calls[i],
							 (uint8_t)(ARRAY_LEN(serve_calls) - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}

/* Nothing of the parent's but the socket; crashes are quiet. */
static void leave_parent(int fd)
{
	static const int signals[] = { SIGSEGV, SIGBUS,	 SIGABRT, SIGILL,  SIGFPE,
				       SIGTRAP, SIGPROF, SIGTERM, SIGPIPE, SIGSYS };
	const struct rlimit none = { 0, 0 };
	sigset_t all;
	int null;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		signal(signals[i], SIG_DFL);
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGINT, SIG_IGN); /* of a terminal: the parent decides */
	setrlimit(RLIMIT_CORE, &none);
	null = memfd_create("null", MFD_CLOEXEC); /* what LMDB says before it aborts */
	for (int i = 0; i <= STDERR_FILENO; i++)
		null >= 0 ? dup2(null, i) : close(i);
	if (fd != SERVE_FD)
		dup2(fd, SERVE_FD);
	close_range(SERVE_FD + 1, ~0U, 0);
}

/* Time on the processor: slow disks do not count. */
static void limit_time(void)
{
	const struct itimerval limit = { .it_value = { .tv_sec = ANSWER_SECONDS } };

	setitimer(ITIMER_PROF, &limit, NULL);
}

/* --- answers ------------------------------------------------------------------------------- */

static void give(const void *buf, size_t len)
{
	const uint8_t *at = buf;

	while (len > 0) {
		const ssize_t n = write(SERVE_FD, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		at += n;
		len -= (size_t)n;
	}
	limit_time();
}

static void take(void *buf, size_t len)
{
	uint8_t *at = buf;

	while (len > 0) {
		const ssize_t n = read(SERVE_FD, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		at += n;
		len -= (size_t)n;
	}
	limit_time();
}

static void answer(int code, const struct err *why, uint32_t count)
{
	struct wire_answer a = { .code = code, .count = count };

	if (why)
		snprintf(a.msg, sizeof(a.msg), "%.250s", why->msg);
	give(&a, sizeof(a));
}

static void answer_packs(struct server *s, uint32_t number)
{
	struct err e = { 0 };
	struct index_pack info, again;
	uint32_t count = 0;
	int r = 1;

	while (count < FSCK_FIND_MAX && r > 0) {
		r = index_next_pack(s->reader, number, &info, &e);
		if (r <= 0)
			break;
		r = index_find_pack_id(s->reader, &info.id, &again, &e);
		s->packs[count] = (struct wire_pack){
			.id = info.id,
			.bytes = info.bytes,
			.number = info.number,
			.count = info.count,
			.back = r > 0 ? again.number : 0,
		};
		count++;
		r = r < 0 ? r : info.number < UINT32_MAX;
		number = info.number + 1;
	}
	if (r < 0) {
		answer(r, &e, 0);
		return;
	}
	answer(0, NULL, count);
	give(s->packs, count * sizeof(*s->packs));
}

static struct wire_row make_row(const struct chunk_id *id, const struct index_entry *entry,
				bool is_found)
{
	return (struct wire_row){
		.id = *id,
		.offset = entry->offset,
		.pack = entry->pack,
		.number = entry->number,
		.stored_bytes = entry->stored_bytes,
		.raw_bytes = entry->raw_bytes,
		.kind = entry->kind,
		.codec = entry->codec,
		.is_sealed = entry->is_sealed,
		.is_found = is_found,
	};
}

static void answer_find(struct server *s, uint32_t count)
{
	struct err e = { 0 };
	int r = 0;

	if (count > FSCK_FIND_MAX)
		_exit(1);
	take(s->rows, count * sizeof(*s->rows));
	for (uint32_t i = 0; i < count && r >= 0; i++) {
		struct index_entry entry = { 0 };
		const struct chunk_id id = s->rows[i].id;

		r = index_find(s->reader, &id, &entry, &e);
		s->rows[i] = make_row(&id, &entry, r > 0);
	}
	answer(r < 0 ? r : 0, &e, r < 0 ? 0 : count);
	if (r >= 0)
		give(s->rows, count * sizeof(*s->rows));
}

static int add_walked(void *opaque, const struct chunk_id *id, const struct index_entry *entry)
{
	struct server *s = opaque;

	s->rows[s->walked++] = make_row(id, entry, true);
	if (s->walked == FSCK_FIND_MAX) {
		answer(0, NULL, s->walked);
		give(s->rows, s->walked * sizeof(*s->rows));
		s->walked = 0;
	}
	return 0;
}

static void answer_walk(struct server *s)
{
	struct err e = { 0 };
	int r;

	s->walked = 0;
	r = index_each_chunk(s->reader, add_walked, s, &e);
	if (r == 0 && s->walked > 0) {
		answer(0, NULL, s->walked);
		give(s->rows, s->walked * sizeof(*s->rows));
	}
	answer(r, &e, 0);
}

/* --- what it says of itself ---------------------------------------------------------------- */

/* Counts the rows of a database, which must rise. */
static int count_rows(struct server *s, MDB_dbi dbi, uint64_t *count, struct err *e)
{
	MDB_cursor *cursor;
	MDB_val key, value, before = { 0 };
	int code = mdb_cursor_open(s->reader->txn, dbi, &cursor);

	*count = 0;
	while (code == 0 && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (*count > 0 && mdb_cmp(s->reader->txn, dbi, &before, &key) >= 0)
			code = MDB_CORRUPTED;
		before = key;
		(*count)++;
	}
	return code == MDB_NOTFOUND ? 0 : index_error(code, e, "read");
}

/* Adds what the list of free pages has, each once, to @pages, a bit for each page. */
static int add_free_pages(struct server *s, uint8_t *pages, size_t page_count, uint64_t *total)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int code = mdb_cursor_open(s->reader->txn, 0, &cursor);

	while (code == 0 && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		size_t count, page;

		if (value.mv_size < sizeof(count))
			return -EUCLEAN;
		memcpy(&count, value.mv_data, sizeof(count));
		if (count > value.mv_size / sizeof(page) - 1)
			return -EUCLEAN;
		for (size_t i = 1; i <= count; i++) {
			memcpy(&page, (const uint8_t *)value.mv_data + i * sizeof(page),
			       sizeof(page));
			if (page < 2 || page >= page_count || pages[page / 8] >> page % 8 & 1)
				return -EUCLEAN;
			pages[page / 8] |= (uint8_t)(1 << page % 8);
			(*total)++;
		}
	}
	return code == MDB_NOTFOUND ? 0 : -EUCLEAN;
}

/* Whether pages in use and free ones are all there are; pages 0 and 1 say so. */
static bool has_lost_pages(struct server *s)
{
	const MDB_dbi all[] = {
		0, 1, s->index->chunks, s->index->packs, s->index->numbers, s->index->meta
	};
	MDB_envinfo info;
	uint8_t *pages;
	uint64_t total = 2;
	int r = 0;

	if (mdb_env_info(s->index->env, &info) != 0 || info.me_last_pgno > MAX_PAGES_LOOKED_AT)
		return true;
	pages = calloc(info.me_last_pgno / 8 + 1, 1);
	if (!pages)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(all) && r == 0; i++) {
		MDB_stat st;

		r = mdb_stat(s->reader->txn, all[i], &st);
		if (r == 0)
			total += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
	}
	if (r == 0)
		r = add_free_pages(s, pages, info.me_last_pgno + 1, &total);
	free(pages);
	/* Writers may have gone on: then the counts are not of one state. */
	if (info.me_last_txnid != mdb_txn_id(s->reader->txn))
		return false;
	return r != 0 || total != info.me_last_pgno + 1;
}

static int get_next(struct server *s, uint32_t *next, struct err *e)
{
	MDB_val key = { sizeof(INDEX_KEY_NEXT), (void *)(uintptr_t)INDEX_KEY_NEXT }, value;
	const int code = mdb_get(s->reader->txn, s->index->meta, &key, &value);
	le32 stored;

	*next = 1;
	if (code == MDB_NOTFOUND)
		return 0;
	if (code != 0 || value.mv_size != sizeof(stored))
		return index_error(code ? code : MDB_CORRUPTED, e, "read");
	memcpy(&stored, value.mv_data, sizeof(stored));
	*next = le32_get(stored);
	return 1;
}

static int look_at_all(struct server *s, struct wire_hello *h, struct err *e)
{
	struct index_stats stats = { 0 };
	MDB_stat main = { 0 };
	int r = index_stats(s->reader, &stats, e);
	const int has_next = r < 0 ? r : get_next(s, &h->next, e);

	r = has_next < 0 ? has_next : count_rows(s, s->index->numbers, &h->numbers, e);
	if (r == 0)
		r = count_rows(s, s->index->meta, &h->meta, e);
	if (r == 0 && mdb_env_stat(s->index->env, &main) != 0)
		r = index_error(MDB_CORRUPTED, e, "read");
	if (r < 0)
		return r;
	h->meta -= (uint64_t)has_next;
	h->chunks = stats.chunks;
	h->packs = stats.packs;
	h->databases = main.ms_entries;
	h->transaction = mdb_txn_id(s->reader->txn);
	h->has_lost_pages = has_lost_pages(s);
	return 0;
}

_Noreturn void fsck_serve_index(int fd, const char *path, const uint8_t *uuid)
{
	struct server *s = calloc(1, sizeof(*s));
	struct wire_hello hello = { 0 };
	struct wire_request q;
	struct err e = { 0 };
	int r;

	leave_parent(fd);
	limit_time();
	if (!s)
		_exit(1);
	r = index_open(&s->index, path, uuid, INDEX_READ_ONLY, &e);
	if (r == 0)
		r = index_reader_new(&s->reader, s->index, &e);
	if (r == 0) {
		r = confine();
		if (r < 0)
			err_errno(&e, r, "cannot confine the process that reads the index");
	}
	if (r == 0)
		r = look_at_all(s, &hello, &e);
	answer(r, &e, 0);
	if (r < 0)
		_exit(0);
	give(&hello, sizeof(hello));
	for (;;) {
		take(&q, sizeof(q));
		if (q.op == WIRE_PACKS)
			answer_packs(s, q.value);
		else if (q.op == WIRE_FIND)
			answer_find(s, q.value);
		else if (q.op == WIRE_WALK)
			answer_walk(s);
		else
			_exit(1);
	}
}
