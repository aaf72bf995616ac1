/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: `stellarium [option...] VERB [option...] [operand...]`.
 *
 * Const tables say what verbs (verbs.c) and options (option_table.c) there are; see base/verb.h and
 * base/option.h. Options that all verbs have, and those that say which store, may stand before the
 * verb. Options and operands may be mixed; "--" ends the options. Values are checked as they are
 * read, but no file is opened here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/option.h"
#include "base/verb.h"
#include "stellar/chunk.h"
#include "stellar/codec.h"

enum options_action {
	OPTIONS_RUN, /* what the verb does */
	OPTIONS_HELP,
	OPTIONS_VERSION,
};

enum key_source {
	KEY_SOURCE_NONE,
	KEY_SOURCE_KEY_FILE,
	KEY_SOURCE_KEY_FD,
	KEY_SOURCE_PASSPHRASE_FILE,
	KEY_SOURCE_PASSPHRASE_FD,
};

/* Where a key comes from, as the user said it. */
struct key_choice {
	enum key_source source;
	const char *option; /* "--key-file" */
	const char *path; /* of a file */
	int fd;
};

/* Texts are borrowed from argv; NULL means "not given". */
struct options {
	enum options_action action;
	const struct verb *verb; /* NULL: help about `topic`, or the program */
	const char *topic; /* first word of verbs that have two */
	const char **operands; /* owned */
	int nr_operands;

	/* of all verbs */
	bool is_json;
	bool is_quiet;
	const char *store_path; /* --store, else STELLARIUM_STORE */
	struct key_choice key;
	unsigned threads; /* 0: one for each processor */

	/* of some */
	struct key_choice new_key;
	bool is_encrypted;
	struct chunk_params chunking; /* method 0: not given */
	struct codec_params codec;
	bool has_codec;
	const char *name;
	bool is_forced;
	bool has_no_sync;
	uint64_t offset;
	uint64_t bytes; /* UINT64_MAX: to the end */
	bool has_ranges;
	bool is_dry_run;
	unsigned live_percent;
	bool may_repair;
	bool must_rebuild_index;
	bool is_quick;
	uint64_t dictionary_bytes;
	bool is_hash_only;
	const char *folder;
};

enum {
	OPTIONS_LIVE_PERCENT = 50,
	OPTIONS_DICTIONARY_BYTES = 112 << 10,
	OPTIONS_THREADS_MAX = 1024,
};

extern const struct verb_list stellarium_verbs;

/* Options of all verbs, and of those that open a store. */
extern const struct option_group option_group_common, option_group_store, option_group_threads;

extern const struct option_group option_group_init, option_group_import, option_group_export;
extern const struct option_group option_group_cat, option_group_diff, option_group_tag;
extern const struct option_group option_group_gc, option_group_fsck, option_group_new_key;
extern const struct option_group option_group_dictionary, option_group_bench;

/*
 * Fills @out from the command line and the environment. 0, or -errno (-EINVAL: the command line is
 * wrong) with @e filled and @out empty. Prints nothing.
 */
int options_parse(int argc, char *const argv[], struct options *out, struct err *e);

/* Accepts a zeroed object, and may be called twice. */
void options_release(struct options *o);

/* Prints the --help text that @o asks for: lines of at most 79 columns. */
void options_help(const struct options *o, FILE *to);

void options_version(FILE *to);
