/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings ask of the host: see host.h. */
#include "control/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define POOL_FREE_PATH "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
#define POOL_RESERVED_PATH "/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages"
#define THP_PATH "/sys/kernel/mm/transparent_hugepage/enabled"

/* A small text file of the kernel; "" when it is not there. */
static void read_text(const char *path, char *text, size_t size)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n < 0 ? 0 : n] = '\0';
}

static uint64_t read_number(const char *path)
{
	char text[32];

	read_text(path, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

static int check_affinity(const struct settings *s, struct err *e)
{
	cpu_set_t allowed;

	if (s->nr_affinity == 0)
		return 0;
	if (s->nr_affinity != s->cpu_count)
		return err_set(e, -EINVAL,
			       "--cpu-affinity names %" PRIu32 " host CPUs for %" PRIu32
			       " vCPUs (--cpus); give one for each",
			       s->nr_affinity, s->cpu_count);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return err_errno(e, -errno, "cannot tell which host CPUs there are");
	for (uint32_t i = 0; i < s->nr_affinity; i++) {
		if (!CPU_ISSET(s->affinity[i], &allowed))
			return err_set(e, -EINVAL,
				       "--cpu-affinity: there is no host CPU %u for us; %d can be "
				       "used, see taskset -p $$",
				       s->affinity[i], CPU_COUNT(&allowed));
	}
	return 0;
}

static int check_pool(const struct settings *s, struct err *e)
{
	const uint64_t wanted = s->memory_bytes / (2 * MIB);
	uint64_t free_pages = read_number(POOL_FREE_PATH);
	uint64_t reserved = read_number(POOL_RESERVED_PATH);

	if (s->memory_bytes % (2 * MIB) != 0)
		return err_set(e, -EINVAL,
			       "--hugepages 2m: %" PRIu64 " KiB of memory are no multiple of 2 MiB "
			       "(--memory)",
			       s->memory_bytes / KIB);
	free_pages -= min_u64(free_pages, reserved);
	if (free_pages < wanted)
		return err_set(e, -EINVAL,
			       "--hugepages 2m: the host's pool has %" PRIu64
			       " free pages of 2 MiB, the guest needs %" PRIu64
			       "; enlarge it with sysctl vm.nr_hugepages",
			       free_pages, wanted);
	return 0;
}

static int check_thp(struct err *e)
{
	char text[64];

	read_text(THP_PATH, text, sizeof(text));
	if (text[0] != '\0' && !strstr(text, "[never]"))
		return 0;
	return err_set(e, -EINVAL,
		       "--hugepages thp: the host has no transparent huge pages; write madvise to "
		       "%s, or give auto",
		       THP_PATH);
}

void host_allow_locked_memory(void)
{
	const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit limit;

	if (setrlimit(RLIMIT_MEMLOCK, &any) == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

int host_check(const struct settings *s, struct err *e)
{
	int r = check_affinity(s, e);

	if (r == 0 && s->hugepages == HUGEPAGES_2M)
		r = check_pool(s, e);
	if (r == 0 && s->hugepages == HUGEPAGES_THP)
		r = check_thp(e);
	return r;
}
