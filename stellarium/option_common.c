/* SPDX-License-Identifier: Apache-2.0 */
/* Options of many verbs: see options.h. */
#include <stddef.h>

#include "base/bytes.h"
#include "stellarium/option_set.h"

static const struct option_spec common_rows[] = {
	{
		.name = "--json",
		.help = "print JSON",
		.details = "Print one JSON object or array in place of text. Errors stay lines on "
			   "standard error.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_json),
		.set = option_set_flag,
	},
	{
		.name = "--quiet",
		.help = "no progress bar, no summary",
		.details = "Show no progress bar, and print nothing about a success that is not "
			   "asked for.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_quiet),
		.set = option_set_flag,
	},
	{
		.name = "--help",
		.help = "print this help and exit",
		.details = "Print a summary of the options and exit; -h is the same.",
		.kind = OPTION_FLAG,
		.set = option_set_help,
	},
	{
		.name = "--version",
		.help = "print the version and exit",
		.details = "Print the version of the program and of the format, and exit.",
		.kind = OPTION_FLAG,
		.set = option_set_version,
	},
};

static const struct option_spec store_rows[] = {
	{
		.name = "--store",
		.arg = "DIR",
		.help = "folder of the store (or STELLARIUM_STORE)",
		.details = "The folder of the store. Without it, the environment variable "
			   "STELLARIUM_STORE names it.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, store_path),
		.set = option_set_text,
	},
	{
		.name = "--key-file",
		.arg = "PATH",
		.help = "key is in this file, 32 to 4096 bytes",
		.details = "The key of an encrypted store is what this file holds: 32 to 4096 "
			   "bytes, best from /dev/urandom.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, key),
		.set = option_set_key_path,
	},
	{
		.name = "--key-fd",
		.arg = "N",
		.help = "key can be read from descriptor N",
		.details = "The same, read from the inherited descriptor N to its end.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, key),
		.set = option_set_key_fd,
	},
	{
		.name = "--passphrase-file",
		.arg = "PATH",
		.help = "passphrase in this file",
		.details = "The key of an encrypted store is a passphrase, which this file holds: "
			   "1 to 1024 bytes. One newline at the end is not part of it.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, key),
		.set = option_set_key_path,
	},
	{
		.name = "--passphrase-fd",
		.arg = "N",
		.help = "passphrase from descriptor N",
		.details = "The same, read from the inherited descriptor N to its end.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, key),
		.set = option_set_key_fd,
	},
};

static const struct option_spec threads_rows[] = {
	{
		.name = "--threads",
		.arg = "N",
		.help = "threads to work with (all processors)",
		.details = "How many threads work, 1 to 1024: one for each processor that this "
			   "process may use without it.",
		.kind = OPTION_TEXT,
		.set = option_set_threads,
	},
};

const struct option_group option_group_common = { "Options of all verbs", common_rows,
						  ARRAY_LEN(common_rows) };
const struct option_group option_group_store = { "The store and its key", store_rows,
						 ARRAY_LEN(store_rows) };
const struct option_group option_group_threads = { NULL, threads_rows, ARRAY_LEN(threads_rows) };
