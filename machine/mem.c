/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM: see mem.h. */
#include "machine/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "machine/x86/layout.h"

enum {
	HUGE_PAGE_BYTES = 2 << 20,
	SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
};

/*
 * AMD hosts with an IOMMU reserve the 12 GiB below 1 TiB. The largest guest ends far below, so
 * there is no second hole to leave.
 */
static_assert(MEM_MAX_BYTES + (LAYOUT_HIGH_RAM_START - LAYOUT_LOW_RAM_MAX) < 1012 * GIB,
	      "guest RAM stays below the HyperTransport hole");

static int open_memfd(struct mem *mem, bool is_huge, struct err *e)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

	mem->memfd =
		memfd_create("guest-memory", is_huge ? flags | MFD_HUGETLB | MFD_HUGE_2MB : flags);
	if (mem->memfd < 0)
		return err_errno(e, -errno, "cannot make a memfd for guest memory");
	/* Whoever maps it may not make our pages vanish: that would be a SIGBUS for us. */
	if (ftruncate(mem->memfd, (off_t)mem->mapping_bytes) < 0 ||
	    fcntl(mem->memfd, F_ADD_SEALS, SEALS) < 0)
		return err_errno(e, -errno, "cannot size and seal guest memory of %" PRIu64 " MiB",
				 mem->mapping_bytes / MIB);
	return 0;
}

/* Maps ordinary pages so that guest and host addresses agree on where a huge page starts. */
static int map_pages(struct mem *mem, struct err *e)
{
	const uint64_t slack = HUGE_PAGE_BYTES;
	const int kind = mem->memfd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	uint8_t *area, *start;
	void *p;

	area = mmap(NULL, mem->mapping_bytes + slack, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		goto fail;
	start = area + (align_up((uintptr_t)area, slack) - (uintptr_t)area);
	p = mmap(start, mem->mapping_bytes, PROT_READ | PROT_WRITE,
		 kind | MAP_FIXED | MAP_NORESERVE, mem->memfd, 0);
	if (p == MAP_FAILED) {
		munmap(area, mem->mapping_bytes + slack);
		goto fail;
	}
	if (start > area)
		munmap(area, (size_t)(start - area));
	munmap(start + mem->mapping_bytes, (size_t)(area + slack - start));
	mem->mapping = p;
	return 0;
fail:
	return err_errno(e, -errno, "cannot reserve %" PRIu64 " MiB of guest memory",
			 mem->mapping_bytes / MIB);
}

/* The pool's pages are reserved here and now: a page missing later would kill us with a signal. */
static int map_pool(struct mem *mem, bool is_shared, struct err *e)
{
	const int kind = is_shared ? MAP_SHARED
				   : MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB;
	void *p;
	int r;

	if (mem->mapping_bytes % HUGE_PAGE_BYTES != 0)
		return err_set(e, -EINVAL,
			       "%" PRIu64 " KiB of guest memory are no multiple of 2 MiB, which "
			       "huge pages need",
			       mem->mapping_bytes / KIB);
	if (is_shared) {
		r = open_memfd(mem, true, e);
		if (r < 0)
			return r;
	}
	p = mmap(NULL, mem->mapping_bytes, PROT_READ | PROT_WRITE, kind, mem->memfd, 0);
	if (p == MAP_FAILED)
		return err_errno(e, -errno,
				 "the host's pool of 2 MiB pages cannot hold %" PRIu64
				 " MiB of guest memory (vm.nr_hugepages)",
				 mem->mapping_bytes / MIB);
	mem->mapping = p;
	return 0;
}

static int set_thp(struct mem *mem, const struct mem_config *config, struct err *e)
{
	const int advice = config->hugepages == HUGEPAGES_OFF ? MADV_NOHUGEPAGE : MADV_HUGEPAGE;

	if (madvise(mem->mapping, mem->mapping_bytes, advice) == 0)
		return 0;
	if (config->hugepages == HUGEPAGES_THP)
		return err_errno(e, -errno, "the host has no transparent huge pages");
	return 0;
}

/* From the dearest kind of page that @config allows down to the plainest. */
static int map_memory(struct mem *mem, const struct mem_config *config, struct err *e)
{
	struct err why = { 0 };
	int r;

	if (config->hugepages == HUGEPAGES_2M)
		return map_pool(mem, config->is_shared, e);
	if (config->hugepages == HUGEPAGES_AUTO) {
		if (map_pool(mem, config->is_shared, &why) == 0)
			return 0;
		log_info("%s; transparent huge pages are used where the host has them", why.msg);
		cleanup_fd(&mem->memfd);
	}
	if (config->is_shared) {
		r = open_memfd(mem, false, e);
		if (r < 0)
			return r;
	}
	r = map_pages(mem, e);
	return r < 0 ? r : set_thp(mem, config, e);
}

static int prefault(const struct mem *mem, struct err *e)
{
	if (madvise(mem->mapping, mem->mapping_bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	return err_errno(e, -errno, "cannot back all of the %" PRIu64 " MiB of guest memory now",
			 mem->mapping_bytes / MIB);
}

/* What is not there yet is locked when it comes: memory is still used as the guest touches it. */
static int lock_memory(const struct mem *mem, struct err *e)
{
	if (mlock2(mem->mapping, mem->mapping_bytes, MLOCK_ONFAULT) == 0)
		return 0;
	return err_errno(e, -errno,
			 "cannot lock %" PRIu64 " MiB of guest memory; raise the limit of locked "
			 "memory (ulimit -l, LimitMEMLOCK=)",
			 mem->mapping_bytes / MIB);
}

int mem_init_as(struct mem *mem, const struct mem_config *config, struct err *e)
{
	const uint64_t low = min_u64(config->bytes, LAYOUT_LOW_RAM_MAX);
	int r;

	*mem = (struct mem){ .mapping_bytes = config->bytes, .memfd = -1 };
	if (config->bytes == 0 || config->bytes > MEM_MAX_BYTES || config->bytes % 4096 != 0)
		return err_set(e, -EINVAL, "a guest cannot have %" PRIu64 " bytes of memory",
			       config->bytes);
	r = map_memory(mem, config, e);
	if (r == 0 && config->has_prefault)
		r = prefault(mem, e);
	if (r < 0) {
		mem_release(mem);
		return r;
	}
	mem->regions[mem->nr_regions++] = (struct mem_region){ 0, low, mem->mapping };
	if (config->bytes > low)
		mem->regions[mem->nr_regions++] =
			(struct mem_region){ LAYOUT_HIGH_RAM_START, config->bytes - low,
					     (uint8_t *)mem->mapping + low };
	/* Guest secrets belong in no core dump, and no child of ours needs them. */
	madvise(mem->mapping, config->bytes, MADV_DONTDUMP);
	madvise(mem->mapping, config->bytes, MADV_DONTFORK);
	/* Pages that are merged with equal ones of others tell by the time of a write that they were. */
	madvise(mem->mapping, config->bytes, MADV_UNMERGEABLE);
	r = config->is_locked ? lock_memory(mem, e) : 0;
	if (r < 0)
		mem_release(mem);
	return r;
}

int mem_init(struct mem *mem, uint64_t bytes, struct err *e)
{
	const struct mem_config plain = { .bytes = bytes, .hugepages = HUGEPAGES_OFF };

	return mem_init_as(mem, &plain, e);
}

void mem_release(struct mem *mem)
{
	if (mem->mapping)
		munmap(mem->mapping, mem->mapping_bytes);
	if (mem->memfd > 0)
		close(mem->memfd);
	*mem = (struct mem){ .memfd = -1 };
}

void *mem_ptr(const struct mem *mem, struct gpa gpa, uint64_t len)
{
	uint64_t end;

	if (len == 0 || !ck_add(gpa.v, len, &end))
		return NULL;
	for (size_t i = 0; i < mem->nr_regions; i++) {
		const struct mem_region *r = &mem->regions[i];

		if (gpa.v >= r->start && end <= r->start + r->len_bytes)
			return r->host + (gpa.v - r->start);
	}
	return NULL;
}

int mem_read(const struct mem *mem, struct gpa from, void *to, uint64_t len)
{
	const void *p = mem_ptr(mem, from, len);

	if (!p)
		return -EFAULT;
	memcpy(to, p, len);
	return 0;
}

int mem_write(const struct mem *mem, struct gpa to, const void *from, uint64_t len)
{
	void *p = mem_ptr(mem, to, len);

	if (!p)
		return -EFAULT;
	memcpy(p, from, len);
	return 0;
}

int mem_pread(const struct mem *mem, struct gpa to, int fd, uint64_t offset, uint64_t len)
{
	void *p = mem_ptr(mem, to, len);
	ssize_t n;

	if (!p)
		return -EFAULT;
	n = file_pread_full(fd, p, len, (off_t)offset);
	if (n < 0)
		return (int)n;
	return (uint64_t)n == len ? 0 : -ENODATA;
}

uint64_t mem_low_bytes(const struct mem *mem)
{
	return mem->nr_regions ? mem->regions[0].len_bytes : 0;
}

uint64_t mem_end(const struct mem *mem)
{
	const struct mem_region *last;

	if (!mem->nr_regions)
		return 0;
	last = &mem->regions[mem->nr_regions - 1];
	return last->start + last->len_bytes;
}
