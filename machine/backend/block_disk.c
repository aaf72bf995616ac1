/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be known of a file that serves as a disk: see block_disk.h. */
#include "machine/backend/block_disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bytes.h"

enum {
	PAGE_BYTES = 4096,
	DIRECT_ALIGN_BYTES = 4096, /* no disk in use has larger blocks */
};

static bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static int check_access(const struct block_disk *disk, int *flags, struct err *e)
{
	*flags = fcntl(disk->fd, F_GETFL);
	if (*flags < 0)
		return err_errno(e, -errno, "drive '%s': bad descriptor", disk->id);
	if ((*flags & O_ACCMODE) == O_WRONLY || (*flags & O_PATH))
		return err_set(e, -EBADF, "drive '%s': not open for reading", disk->id);
	/* An append-only descriptor would write each request at the end, wherever it belongs. */
	if (!disk->is_read_only && ((*flags & O_ACCMODE) != O_RDWR || (*flags & O_APPEND)))
		return err_set(e, -EBADF, "drive '%s': not open for writing; make it read-only",
			       disk->id);
	return 0;
}

static uint32_t sane_block(uint64_t bytes)
{
	return is_power_of_two(bytes) && bytes >= BLOCK_SECTOR_BYTES && bytes <= 64 * KIB
		       ? (uint32_t)bytes
		       : PAGE_BYTES;
}

static int examine_device(struct block_disk *disk, struct err *e)
{
	unsigned int physical = 0;
	int logical = 0;

	disk->is_block_device = true;
	if (ioctl(disk->fd, BLKGETSIZE64, &disk->capacity_bytes) < 0 ||
	    ioctl(disk->fd, BLKSSZGET, &logical) < 0 || ioctl(disk->fd, BLKPBSZGET, &physical) < 0)
		return err_errno(e, -errno, "drive '%s': cannot read its size", disk->id);
	disk->allocate_align_bytes = sane_block((uint64_t)logical);
	disk->physical_block_bytes = sane_block(physical);
	return 0;
}

static int examine(struct block_disk *disk, struct err *e)
{
	struct stat st;

	/* glibc's fstat() is a call with a path, which machine's filter would let lead anywhere. */
	if (syscall(SYS_fstat, disk->fd, &st) < 0)
		return err_errno(e, -errno, "drive '%s': cannot read its size", disk->id);
	if (S_ISBLK(st.st_mode))
		return examine_device(disk, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "drive '%s': neither a regular file nor a block device",
			       disk->id);
	disk->capacity_bytes = (uint64_t)st.st_size;
	disk->allocate_align_bytes = 1;
	disk->physical_block_bytes = sane_block((uint64_t)st.st_blksize);
	return 0;
}

/* The smallest alignment with which a direct read works, of file, length and memory alike. */
static uint32_t try_direct_align(int fd)
{
	void *memory = NULL;
	uint32_t align = BLOCK_SECTOR_BYTES;

	if (posix_memalign(&memory, DIRECT_ALIGN_BYTES, 2 * DIRECT_ALIGN_BYTES) != 0)
		return DIRECT_ALIGN_BYTES;
	for (; align < DIRECT_ALIGN_BYTES; align *= 2) {
		const struct iovec iov = { (char *)memory + align, align };

		if (preadv2(fd, &iov, 1, 0, 0) >= 0)
			break;
	}
	free(memory);
	return align;
}

/*
 * What a direct descriptor needs: asked of the kernel (6.1 and later), or tried: for a file that
 * comes later, a filter stands before statx().
 */
static int find_direct_align(struct block_disk *disk, struct err *e)
{
	uint32_t range, memory;
	struct statx sx = { 0 };

	/* glibc's statx() would try another call instead. */
	if (syscall(SYS_statx, disk->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN) && sx.stx_dio_offset_align > 0) {
		range = sx.stx_dio_offset_align;
		memory = sx.stx_dio_mem_align;
	} else if (disk->is_block_device) {
		range = disk->allocate_align_bytes;
		memory = disk->allocate_align_bytes;
	} else {
		range = try_direct_align(disk->fd);
		memory = range;
	}
	if (!is_power_of_two(range) || !is_power_of_two(memory) || range > BLOCK_BOUNCE_BYTES ||
	    memory > BLOCK_BOUNCE_BYTES)
		return err_set(e, -ENOTSUP,
			       "drive '%s': direct I/O needs an alignment of %" PRIu32
			       " bytes here, which is not supported; open it without",
			       disk->id, range > memory ? range : memory);
	disk->align_bytes = range > BLOCK_SECTOR_BYTES ? range : BLOCK_SECTOR_BYTES;
	disk->memory_align_bytes = memory;
	return 0;
}

static int check_size(const struct block_disk *disk, uint32_t align_bytes, struct err *e)
{
	const uint64_t bytes = disk->capacity_bytes;

	if (bytes > INT64_MAX)
		return err_set(e, -EFBIG, "drive '%s': its size %" PRIu64 " bytes is too large",
			       disk->id, bytes);
	if ((bytes & (align_bytes - 1)) != 0)
		return err_set(e, -EINVAL,
			       "drive '%s': its size %" PRIu64
			       " bytes is not a multiple of %" PRIu32
			       "%s; pad it, for example with truncate -s %" PRIu64,
			       disk->id, bytes, align_bytes,
			       align_bytes > BLOCK_SECTOR_BYTES ? ", the block size" : "",
			       align_up(bytes, align_bytes));
	return 0;
}

/*
 * Whether BLOCK_DISCARD works. The range asked about is behind the end: for a device so far that it
 * is refused as such (EINVAL), but only after the missing support would have been (EOPNOTSUPP).
 */
static bool probe_discard(const struct block_disk *disk)
{
	uint64_t behind[2] = { align_down(INT64_MAX, PAGE_BYTES), PAGE_BYTES };

	if (disk->is_read_only)
		return false;
	if (disk->is_block_device)
		return ioctl(disk->fd, BLKDISCARD, behind) < 0 && errno == EINVAL;
	return fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)disk->capacity_bytes, PAGE_BYTES) == 0;
}

static int allocate(struct block_disk *disk, unsigned bounce_count, struct err *e)
{
	const size_t align = max_u64(disk->memory_align_bytes, PAGE_BYTES);
	void *zeroes;

	/* Never written, so that all of it is the one zero page of the kernel. */
	zeroes = mmap(NULL, BLOCK_ZEROES_BYTES, PROT_READ,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (zeroes == MAP_FAILED)
		return err_set(e, -ENOMEM, "drive '%s': no memory", disk->id);
	disk->zeroes = zeroes;
	disk->bounce_count = bounce_count;
	disk->bounce_free = (uint32_t)((UINT64_C(1) << bounce_count) - 1);
	if (!disk->is_direct)
		return 0;
	disk->bounce = aligned_alloc(align, (size_t)bounce_count * BLOCK_BOUNCE_BYTES);
	if (!disk->bounce)
		return err_set(e, -ENOMEM, "drive '%s': no memory for bounce buffers", disk->id);
	return 0;
}

/* Whether @fd's file system keeps its files in memory alone. */
static bool lives_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC ||
					 fs.f_type == HUGETLBFS_MAGIC);
}

static int open_checked(struct block_disk *disk, unsigned bounce_count, uint32_t align_bytes,
			struct err *e)
{
	int flags;
	int r;

	r = check_access(disk, &flags, e);
	if (r < 0)
		return r;
	disk->is_direct = (flags & O_DIRECT) != 0;
	disk->is_in_memory = lives_in_memory(disk->fd);
	r = examine(disk, e);
	if (r == 0 && disk->is_direct)
		r = find_direct_align(disk, e);
	if (r < 0)
		return r;
	/* io_uring would answer -EAGAIN for what is not in the page cache. */
	if ((flags & O_NONBLOCK) && fcntl(disk->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return err_errno(e, -errno, "drive '%s': cannot make it blocking", disk->id);
	if (align_bytes > 0 && disk->align_bytes > align_bytes)
		return err_set(e, -EINVAL,
			       "drive '%s': its blocks are %" PRIu32
			       " bytes, but the guest was told %" PRIu32,
			       disk->id, disk->align_bytes, align_bytes);
	r = check_size(disk, (uint32_t)max_u64(disk->align_bytes, align_bytes), e);
	if (r < 0)
		return r;
	disk->can_discard = probe_discard(disk);
	disk->has_punch_zeroes = disk->can_discard;
	return allocate(disk, bounce_count, e);
}

/* @align_bytes: what the guest was told, or 0. */
static int open_disk(struct block_disk *disk, int fd, bool is_read_only, unsigned bounce_count,
		     const char *id, uint32_t align_bytes, struct err *e)
{
	int r;

	assert(bounce_count >= 1 && bounce_count <= BLOCK_BOUNCE_MAX);
	*disk = (struct block_disk){
		.fd = fd,
		.align_bytes = BLOCK_SECTOR_BYTES,
		.memory_align_bytes = 1,
		.is_read_only = is_read_only,
		.has_zero_range = true,
	};
	snprintf(disk->id, sizeof(disk->id), "%s", id);
	r = open_checked(disk, bounce_count, align_bytes, e);
	if (r < 0) {
		disk->fd = -1; /* stays the caller's */
		block_disk_close(disk);
	}
	return r;
}

int block_disk_open(struct block_disk *disk, int fd, bool is_read_only, unsigned bounce_count,
		    const char *id, struct err *e)
{
	return open_disk(disk, fd, is_read_only, bounce_count, id, 0, e);
}

int block_disk_open_next(const struct block_disk *disk, struct block_disk *next, int fd,
			 uint32_t align_bytes, struct err *e)
{
	return open_disk(next, fd, disk->is_read_only, disk->bounce_count, disk->id, align_bytes,
			 e);
}

void block_disk_close(struct block_disk *disk)
{
	if (disk->fd >= 0)
		close(disk->fd);
	if (disk->zeroes)
		munmap(disk->zeroes, BLOCK_ZEROES_BYTES);
	free(disk->bounce);
	disk->fd = -1;
	disk->zeroes = NULL;
	disk->bounce = NULL;
}

struct block_backend block_disk_backend(const struct block_disk *disk,
					const struct block_backend_ops *ops, int completion_fd)
{
	return (struct block_backend){
		.ops = ops,
		.capacity_bytes = disk->capacity_bytes,
		.physical_block_bytes =
			(uint32_t)max_u64(disk->physical_block_bytes, disk->align_bytes),
		.request_align_bytes = disk->align_bytes,
		.is_read_only = disk->is_read_only,
		.can_discard = disk->can_discard,
		.completion_fd = completion_fd,
	};
}

bool block_disk_fits(const struct block_disk *disk, const struct iovec *iov, size_t count)
{
	if (!disk->bounce)
		return true;
	for (size_t i = 0; i < count; i++) {
		if (((uintptr_t)iov[i].iov_base & (disk->memory_align_bytes - 1)) != 0 ||
		    (iov[i].iov_len & (disk->align_bytes - 1)) != 0)
			return false;
	}
	return true;
}

uint8_t *block_disk_take_bounce(struct block_disk *disk)
{
	const int n = __builtin_ffs((int)disk->bounce_free) - 1;

	if (n < 0)
		return NULL;
	disk->bounce_free &= ~(UINT32_C(1) << n);
	return disk->bounce + (size_t)n * BLOCK_BOUNCE_BYTES;
}

void block_disk_give_bounce(struct block_disk *disk, const uint8_t *buf)
{
	const size_t n = (size_t)(buf - disk->bounce) / BLOCK_BOUNCE_BYTES;

	disk->bounce_free |= UINT32_C(1) << n;
}
