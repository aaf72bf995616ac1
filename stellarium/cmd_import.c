/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes into the store: see cmd.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "stellar/image.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"
#include "stellarium/text.h"

/* An image's name when the user gives none: "/a/disk.img" is "disk". */
struct image_name {
	char text[ROOT_NAME_MAX + 2]; /* one too long is still too long */
};

static bool is_stream(const char *path)
{
	return strcmp(path, "-") == 0;
}

static struct image_name name_of(const struct options *o)
{
	static const char *const endings[] = { ".img", ".raw" };
	const char *path = o->operands[0];
	const char *slash = strrchr(path, '/');
	struct image_name name;
	size_t len;

	snprintf(name.text, sizeof(name.text), "%s", o->name ? o->name : slash ? slash + 1 : path);
	len = strlen(name.text);
	for (size_t i = 0; !o->name && i < 2; i++) {
		const size_t ending = strlen(endings[i]);

		if (len > ending && strcmp(name.text + len - ending, endings[i]) == 0) {
			name.text[len - ending] = '\0';
			break;
		}
	}
	return name;
}

int cmd_import_check(const struct options *o, struct err *e)
{
	struct err why = { 0 };

	if (is_stream(o->operands[0]) && !o->name)
		return err_set(e, -EINVAL,
			       "what comes from standard input has no name; give --name NAME");
	if (root_check_name(name_of(o).text, &why) < 0)
		return err_set(e, -EINVAL, "%.400s%s", why.msg,
			       o->name ? "" : "; give --name NAME");
	return 0;
}

/* The descriptor, which is the caller's, or -errno. */
static int open_source(const char *path, struct err *e)
{
	auto_fd int fd = is_stream(path) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot open %s",
				 is_stream(path) ? "standard input" : quote(path).text);
	if (S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR,
			       "%s is a folder; an image is a file, a block device or - for "
			       "standard input",
			       quote(path).text);
	if (is_stream(path) && isatty(fd))
		return err_set(e, -EINVAL,
			       "standard input is a terminal; connect it to a file or a pipe");
	return take_fd(&fd);
}

static json_t *to_json(const struct import_result *result, double seconds)
{
	char id[CHUNK_ID_HEX_BYTES];

	id_to_hex(&result->root.image_id, id);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "name",
			 result->root.name, "id", id, "bytes", (json_int_t)result->root.bytes,
			 "data_bytes", (json_int_t)result->data_bytes, "zero_bytes",
			 (json_int_t)result->zero_bytes, "chunks", (json_int_t)result->chunks,
			 "new_chunks", (json_int_t)result->new_chunks, "new_raw_bytes",
			 (json_int_t)result->new_raw_bytes, "new_stored_bytes",
			 (json_int_t)result->new_stored_bytes, "seconds", seconds);
}

static int print(const struct options *o, const struct import_result *result, double seconds)
{
	const struct root *root = &result->root;

	if (o->is_json)
		return cmd_finish_json(to_json(result, seconds), EXIT_STATUS_OK);
	if (!o->is_quiet)
		printf("%s: %s, %s of them data; %s new, which take %s; %.1f s, %s\n", root->name,
		       text_size(root->bytes).text, text_size(result->data_bytes).text,
		       text_size(result->new_raw_bytes).text,
		       text_size(result->new_stored_bytes).text, seconds,
		       text_rate(root->bytes, seconds).text);
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_import(struct options *o)
{
	const struct image_name name = name_of(o);
	const char *path = o->operands[0];
	struct import_result result = { 0 };
	struct session s = { 0 };
	struct progress progress;
	struct err e = { 0 };
	auto_fd int fd = open_source(path, &e);
	double seconds;
	int r = fd < 0 ? fd : session_open(&s, o, STORE_READ_WRITE, NULL, &e);

	if (r < 0) {
		session_close(&s);
		return cmd_fail(&e);
	}
	progress_begin(&progress, name.text, o->is_quiet);
	const struct import_options options = {
		.chunking = o->chunking,
		.codec = o->codec,
		.has_codec = o->has_codec,
		.may_replace = o->is_forced,
		.work = cmd_work(o, &progress),
	};
	r = import_image(s.store, fd, is_stream(path) ? "standard input" : path, name.text,
			 &options, &result, &e);
	r = cmd_explain_taken(r, &e);
	seconds = progress_end(&progress);
	session_close(&s);
	return r < 0 ? cmd_fail(&e) : print(o, &result, seconds);
}
