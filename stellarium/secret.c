/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from files, and their memory: see secret.h. */
#include "stellarium/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "stellarium/secret_impl.h"

enum { MAP_BYTES = 8192 }; /* whole pages */
static_assert(SECRET_MAX_BYTES + 1 <= MAP_BYTES, "the longest key and a byte that is too much");

int secret_allocate(struct secret *s, struct err *e)
{
	void *map =
		mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return err_set(e, -ENOMEM, "out of memory");
	/* Both are a favour of the host's: a limit may be in the way. */
	mlock(map, MAP_BYTES);
	madvise(map, MAP_BYTES, MADV_DONTDUMP);
	s->bytes = map;
	return 0;
}

void secret_release(struct secret *s)
{
	if (s->bytes) {
		explicit_bzero(s->bytes, MAP_BYTES);
		munmap(s->bytes, MAP_BYTES);
	}
	*s = (struct secret){ 0 };
}

/* Reads to the end, but not more than is too much. Returns the count or -errno. */
static ssize_t read_all(int fd, uint8_t *bytes)
{
	size_t used = 0;

	while (used < SECRET_MAX_BYTES + 1) {
		ssize_t n = read(fd, bytes + used, SECRET_MAX_BYTES + 1 - used);

		if (n == 0)
			break;
		if (n < 0)
			return -errno;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

/* "--key-file 'k'" or "--key-fd 3" */
static struct quoted what(const struct key_choice *choice)
{
	struct quoted text;

	if (choice->path)
		snprintf(text.text, sizeof(text.text), "%s %.120s", choice->option,
			 quote(choice->path).text);
	else
		snprintf(text.text, sizeof(text.text), "%s %d", choice->option, choice->fd);
	return text;
}

static int check_length(struct secret *s, const struct key_choice *choice, size_t len,
			struct err *e)
{
	const bool is_key = choice->source == KEY_SOURCE_KEY_FILE ||
			    choice->source == KEY_SOURCE_KEY_FD;

	s->input = (struct key_input){ is_key ? KEY_BYTES : KEY_PASSPHRASE, s->bytes, len };
	if (is_key) {
		if (len >= SECRET_KEY_MIN_BYTES && len <= SECRET_MAX_BYTES)
			return 0;
		return err_set(e, -EINVAL, "%s: a key has %d to %d bytes, and this has %s%zu",
			       what(choice).text, SECRET_KEY_MIN_BYTES, SECRET_MAX_BYTES,
			       len > SECRET_MAX_BYTES ? "more than " : "",
			       len > SECRET_MAX_BYTES ? (size_t)SECRET_MAX_BYTES : len);
	}
	if (len > 0 && s->bytes[len - 1] == '\n')
		s->input.len--;
	if (s->input.len >= 1 && s->input.len <= SECRET_PASSPHRASE_MAX_BYTES)
		return 0;
	return err_set(e, -EINVAL, "%s: a passphrase has 1 to %d bytes, and this %s",
		       what(choice).text, SECRET_PASSPHRASE_MAX_BYTES,
		       s->input.len == 0 ? "is empty" : "has more");
}

int secret_read(struct secret *s, const struct key_choice *choice, struct err *e)
{
	auto_fd int opened = -1;
	int fd = choice->fd;
	ssize_t n;
	int r;

	if (choice->source == KEY_SOURCE_NONE)
		return 0;
	if (choice->path) {
		opened = open(choice->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (opened < 0)
			return err_errno(e, -errno, "cannot open %s", what(choice).text);
		fd = opened;
	}
	r = secret_allocate(s, e);
	if (r < 0)
		return r;
	n = read_all(fd, s->bytes);
	if (n < 0)
		r = err_errno(e, (int)n, "cannot read %s", what(choice).text);
	else
		r = check_length(s, choice, (size_t)n, e);
	if (r < 0)
		secret_release(s);
	return r;
}
