/* SPDX-License-Identifier: Apache-2.0 */
/* The program to run: see program.h. */
#include "jailer/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/quote.h"

enum { PROGRAM_HEADERS_MAX = 128 };

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { OUR_MACHINE = EM_AARCH64 };
#endif

/* The path of the loader that the program asks for (PT_INTERP). */
static int find_loader(struct program *p, const Elf64_Ehdr *head)
{
	for (unsigned int i = 0; i < head->e_phnum && i < PROGRAM_HEADERS_MAX; i++) {
		Elf64_Phdr ph;
		ssize_t n = file_pread_full(p->fd, &ph, sizeof(ph),
					    (off_t)(head->e_phoff + i * sizeof(ph)));

		if (n != (ssize_t)sizeof(ph))
			return -ENOEXEC;
		if (ph.p_type != PT_INTERP)
			continue;
		if (ph.p_filesz < 1 || ph.p_filesz >= sizeof(p->loader))
			return -ENOEXEC;
		n = file_pread_full(p->fd, p->loader, ph.p_filesz, (off_t)ph.p_offset);
		return n == (ssize_t)ph.p_filesz ? 0 : -ENOEXEC;
	}
	return 0;
}

static int read_head(struct program *p)
{
	Elf64_Ehdr head;
	ssize_t n = file_pread_full(p->fd, &head, sizeof(head), 0);

	if (n < 0)
		return (int)n;
	if (n != (ssize_t)sizeof(head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != OUR_MACHINE ||
	    head.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	return find_loader(p, &head);
}

int program_open(struct program *p, const char *path, struct err *e)
{
	struct stat st;
	int r;

	/* Opening a FIFO or a terminal must not wait for anybody. */
	*p = (struct program){ .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) };
	if (p->fd < 0 || fstat(p->fd, &st) < 0)
		return err_errno(e, -errno, "cannot open --exec-file %s", quote(path).text);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EACCES, "--exec-file %s is no regular file", quote(path).text);
	if (!(st.st_mode & 0111))
		return err_set(e, -EACCES, "--exec-file %s is not executable", quote(path).text);
	p->mode = st.st_mode & 0777;
	r = read_head(p);
	if (r == -ENOEXEC)
		return err_set(e, r, "--exec-file %s is no program for this processor",
			       quote(path).text);
	if (r < 0)
		return err_errno(e, r, "cannot read --exec-file %s", quote(path).text);
	return 0;
}

/* Something of that name may be there already: a copy of a client's, or a trap. */
static int make_way(int to, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, -errno, "cannot look at the jail");
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EEXIST, "the jail has a %s already, and it is no regular file",
			       quote(name).text);
	if (st.st_nlink != 1)
		return err_set(e, -EMLINK,
			       "the jail has a %s already, and it is a hard link to another file",
			       quote(name).text);
	if (unlinkat(to, name, 0) < 0)
		return err_errno(e, -errno, "cannot replace the jail's %s", quote(name).text);
	return 0;
}

static int copy_bytes(int to, int from)
{
	enum { PIECE = 16 << 20 };
	off_t at = 0;
	ssize_t n;

	do {
		n = sendfile(to, from, &at, PIECE);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

int program_copy(const struct program *p, int to, const char *name, struct err *e)
{
	auto_fd int fd = -1;
	int r = make_way(to, name, e);

	if (r < 0)
		return r;
	fd = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make the jail's %s", quote(name).text);
	r = copy_bytes(fd, p->fd);
	if (r == 0 && fchmod(fd, p->mode) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(to, name, 0);
		return err_errno(e, r, "cannot copy the program into the jail");
	}
	return 0;
}

int program_check_place(const struct program *p, int root, struct err *e)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	struct statvfs fs;
	auto_fd int fd = -1;

	if (fstatvfs(root, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
		return err_set(e, -EACCES, "the jail is on a file system mounted noexec");
	if (!*p->loader)
		return 0;
	fd = (int)syscall(SYS_openat2, root, p->loader, &how, sizeof(how));
	if (fd < 0)
		return err_set(e, -ENOENT,
			       "the program is not linked statically, and its loader %s is not in "
			       "the jail",
			       quote(p->loader).text);
	return 0;
}

void program_close(struct program *p)
{
	cleanup_fd(&p->fd);
}
