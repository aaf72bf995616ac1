/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stellarium that has gone bad, as traitor.h says of volt-vmm: it tries one thing where it would
 * begin to read a store. The environment says what:
 *
 *	VOLT_TRAITOR_ATTEMPT	name of an attempt
 *	VOLT_TRAITOR_THREAD	who tries it: store, fsck or child (which reads the index for fsck)
 *	VOLT_TRAITOR_LAYERS	which layers of the sandbox there are, a mask (jail/layer.h)
 *	VOLT_TRAITOR_REPORT	a file for the result: a struct attempt_report
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "jail/layer.h"
#include "jail/seccomp.h"
#include "stellar/fsck.h"
#include "stellar/index.h"
#include "stellar/store.h"
#include "test/traitor/traitor.h"

static struct attempt_report *report;

static long execute(void)
{
	return execl("/bin/true", "true", NULL);
}

static long map_code(void)
{
	return mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

static long make_code(void)
{
	void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 1, PROT_READ | PROT_EXEC);
}

static long start_process(void)
{
	const long pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static long start_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static long use_network(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long signal_other(void)
{
	return kill(getppid(), 0);
}

static long trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long type_for_user(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "");
}

static long make_ring(void)
{
	return syscall(SYS_io_uring_setup, 0, NULL);
}

static long open_file(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static long set_process(void)
{
	return prctl(PR_SET_NAME, "traitor");
}

static const struct {
	const char *name;
	long (*attempt)(void);
} attempts[] = {
	{ "execute", execute },
	{ "map-code", map_code },
	{ "make-code", make_code },
	{ "start-process", start_process },
	{ "start-namespace", start_namespace },
	{ "use-network", use_network },
	{ "signal-other", signal_other },
	{ "trace", trace },
	{ "type-for-user", type_for_user },
	{ "make-ring", make_ring },
	{ "open-file", open_file },
	{ "set-process", set_process },
};

static const char *word(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static void act(const char *thread)
{
	if (!report || report->state != 0 || strcmp(thread, word("VOLT_TRAITOR_THREAD")) != 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		if (strcmp(attempts[i].name, word("VOLT_TRAITOR_ATTEMPT")) != 0)
			continue;
		report->state = ATTEMPT_BEGUN;
		report->value = outcome(attempts[i].attempt());
		report->state = ATTEMPT_RETURNED;
	}
}

/* Before main(): what is opened then stays. */
__attribute__((constructor)) static void map_report(void)
{
	const int fd = open(word("VOLT_TRAITOR_REPORT"), O_RDWR | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED
			   : mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	report = map == MAP_FAILED ? NULL : map;
}

REAL(int, jail_filter, enum jail_thread thread, int *listener_fd, struct err *e)
{
	if (strtoul(word("VOLT_TRAITOR_LAYERS"), NULL, 0) & 1u << JAIL_SECCOMP)
		return __real_jail_filter(thread, listener_fd, e);
	return err_set(e, -ENOSYS, "left out");
}

REAL(int, store_open, struct store **out, const char *path, enum store_mode mode,
     const struct key_input *key, struct err *e)
{
	act("store");
	return __real_store_open(out, path, mode, key, e);
}

REAL(int, fsck_run, const char *path, const struct key_input *key,
     const struct fsck_options *options, struct fsck_result *result, struct err *e)
{
	act("fsck");
	return __real_fsck_run(path, key, options, result, e);
}

/* The child of fsck begins with it when it has confined itself. */
REAL(int, index_stats, struct index_reader *r, struct index_stats *out, struct err *e)
{
	act("child");
	return __real_index_stats(r, out, e);
}
