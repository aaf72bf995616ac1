/* SPDX-License-Identifier: Apache-2.0 */
/* Options of single verbs: see options.h. */
#include <stddef.h>

#include "base/bytes.h"
#include "stellarium/option_set.h"

static const struct option_spec init_rows[] = {
	{
		.name = "--encrypt",
		.help = "encrypt it; asks for a passphrase without a key",
		.details =
			"Encrypt the store, with a random master key that the given key protects. "
			"Without any of the options for keys a passphrase is asked for, twice.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_encrypted),
		.set = option_set_flag,
	},
	{
		.name = "--chunking",
		.arg = "HOW",
		.help = "fixed:4K to 4M, or fastcdc:4K to 1M",
		.details = "How images are cut when an import does not say: at the multiples of a "
			   "size, fixed:4K to fixed:4M, or by content, fastcdc:4K to fastcdc:1M. "
			   "Sizes are powers of two.",
		.kind = OPTION_TEXT,
		.set = option_set_chunking,
	},
	{
		.name = "--codec",
		.arg = "CODEC",
		.help = "none, lz4, zstd[:1-19] or auto[:1-19]",
		.details = "How chunks are compressed when an import does not say: none, lz4, zstd "
			   "or zstd:1 to zstd:19, or auto, which leaves out what does not shrink.",
		.kind = OPTION_TEXT,
		.set = option_set_codec,
	},
};

static const struct option_spec import_rows[] = {
	{
		.name = "--name",
		.arg = "NAME",
		.help = "name of the image (the file's name)",
		.details = "The name of the image. Without it, the name of the file without "
			   "folders and without .img or .raw at its end.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, name),
		.set = option_set_text,
	},
	{
		.name = "--force",
		.help = "replace an image of this name",
		.details = "Replace the image that has this name, all at once.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_forced),
		.set = option_set_flag,
	},
	{
		.name = "--chunking",
		.arg = "HOW",
		.help = "fixed:4K to 4M, or fastcdc:4K to 1M",
		.details = "How the image is cut, in place of the store's way: see init.",
		.kind = OPTION_TEXT,
		.set = option_set_chunking,
	},
	{
		.name = "--codec",
		.arg = "CODEC",
		.help = "none, lz4, zstd[:1-19] or auto[:1-19]",
		.details = "How its chunks are compressed, in place of the store's way: see init.",
		.kind = OPTION_TEXT,
		.set = option_set_codec,
	},
};

static const struct option_spec export_rows[] = {
	{
		.name = "--force",
		.help = "replace a file; overwrite a block device",
		.details = "Replace the file that is there, when the new one is whole; write to a "
			   "block device, which is overwritten in place.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_forced),
		.set = option_set_flag,
	},
	{
		.name = "--no-sync",
		.help = "do not wait until it is on the disk",
		.details = "Do not wait until the file is on the disk. It may be incomplete after "
			   "a crash of the machine, though not after one of this program.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, has_no_sync),
		.set = option_set_flag,
	},
};

static const struct option_spec cat_rows[] = {
	{
		.name = "--offset",
		.arg = "BYTES",
		.help = "where to begin (0)",
		.details = "The first byte, 0 without it. A number may end in K, M, G or T.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, offset),
		.set = option_set_size,
	},
	{
		.name = "--bytes",
		.arg = "BYTES",
		.help = "how many (to the end)",
		.details = "How many bytes: to the end without it, or when the image has fewer.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, bytes),
		.set = option_set_size,
	},
};

static const struct option_spec diff_rows[] = {
	{
		.name = "--ranges",
		.help = "list which ranges of bytes differ",
		.details =
			"List the ranges that differ too: offset and length in bytes, a line each.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, has_ranges),
		.set = option_set_flag,
	},
};

static const struct option_spec tag_rows[] = {
	{
		.name = "--force",
		.help = "take the name from another image",
		.details = "Give the name to this image even if another one has it.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_forced),
		.set = option_set_flag,
	},
};

static const struct option_spec gc_rows[] = {
	{
		.name = "--dry-run",
		.help = "only say what would go",
		.details = "Change nothing, only say what would go.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_dry_run),
		.set = option_set_flag,
	},
	{
		.name = "--live-percent",
		.arg = "N",
		.help = "repack packs with less than this alive (50)",
		.details = "Repack packs of whose bytes less than N per cent are in use: 0 only "
			   "removes those with none, 100 leaves no waste.",
		.kind = OPTION_TEXT,
		.set = option_set_percent,
	},
};

static const struct option_spec fsck_rows[] = {
	{
		.name = "--repair",
		.help = "mend what can be mended",
		.details = "Mend what can be mended. Nobody else may have the store open.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, may_repair),
		.set = option_set_flag,
	},
	{
		.name = "--rebuild-index",
		.help = "make the index anew from the packs",
		.details = "Make the index anew from the packs, whatever it says. Nobody else may "
			   "have the store open.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, must_rebuild_index),
		.set = option_set_flag,
	},
	{
		.name = "--quick",
		.help = "do not read what chunks hold",
		.details = "Check structures only: what chunks hold is not read.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_quick),
		.set = option_set_flag,
	},
};

static const struct option_spec new_key_rows[] = {
	{
		.name = "--new-key-file",
		.arg = "PATH",
		.help = "new key is in this file, 32 to 4096 bytes",
		.details = "The new key is what this file holds: 32 to 4096 bytes, best from "
			   "/dev/urandom.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, new_key),
		.set = option_set_key_path,
	},
	{
		.name = "--new-key-fd",
		.arg = "N",
		.help = "new key can be read from descriptor N",
		.details = "The same, read from the inherited descriptor N to its end.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, new_key),
		.set = option_set_key_fd,
	},
	{
		.name = "--new-passphrase-file",
		.arg = "PATH",
		.help = "passphrase in this file",
		.details = "The new key is a passphrase, which this file holds: 1 to 1024 bytes. "
			   "One newline at the end is not part of it.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, new_key),
		.set = option_set_key_path,
	},
	{
		.name = "--new-passphrase-fd",
		.arg = "N",
		.help = "passphrase from descriptor N",
		.details = "The same, read from the inherited descriptor N to its end.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, new_key),
		.set = option_set_key_fd,
	},
};

static const struct option_spec dictionary_rows[] = {
	{
		.name = "--bytes",
		.arg = "BYTES",
		.help = "size of the dictionary, 1K to 1M (112K)",
		.details = "The size of the dictionary: 1K to 1M, 112K without it.",
		.kind = OPTION_TEXT,
		.set = option_set_dictionary_bytes,
	},
};

static const struct option_spec bench_rows[] = {
	{
		.name = "--hash-only",
		.help = "only BLAKE3: no store, no codecs",
		.details = "Measure BLAKE3 only.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_hash_only),
		.set = option_set_flag,
	},
	{
		.name = "--bytes",
		.arg = "BYTES",
		.help = "how much of the data (256M)",
		.details = "How many bytes are measured with: the first 256M of the data without "
			   "it. They are "
			   "held in memory.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, bytes),
		.set = option_set_size,
	},
	{
		.name = "--folder",
		.arg = "DIR",
		.help = "where to make the store (TMPDIR or /tmp)",
		.details = "The folder that the store is made in and removed from: the disk that "
			   "is measured. Without it, TMPDIR, or /tmp.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, folder),
		.set = option_set_text,
	},
	{
		.name = "--chunking",
		.arg = "HOW",
		.help = "fixed:4K to 4M, or fastcdc:4K to 1M",
		.details = "How the image is cut, in place of init's way.",
		.kind = OPTION_TEXT,
		.set = option_set_chunking,
	},
	{
		.name = "--codec",
		.arg = "CODEC",
		.help = "none, lz4, zstd[:1-19] or auto[:1-19]",
		.details = "How its chunks are compressed in the store, in place of init's way.",
		.kind = OPTION_TEXT,
		.set = option_set_codec,
	},
};

const struct option_group option_group_init = { NULL, init_rows, ARRAY_LEN(init_rows) };
const struct option_group option_group_import = { NULL, import_rows, ARRAY_LEN(import_rows) };
const struct option_group option_group_export = { NULL, export_rows, ARRAY_LEN(export_rows) };
const struct option_group option_group_cat = { NULL, cat_rows, ARRAY_LEN(cat_rows) };
const struct option_group option_group_diff = { NULL, diff_rows, ARRAY_LEN(diff_rows) };
const struct option_group option_group_tag = { NULL, tag_rows, ARRAY_LEN(tag_rows) };
const struct option_group option_group_gc = { NULL, gc_rows, ARRAY_LEN(gc_rows) };
const struct option_group option_group_fsck = { NULL, fsck_rows, ARRAY_LEN(fsck_rows) };
const struct option_group option_group_new_key = { NULL, new_key_rows, ARRAY_LEN(new_key_rows) };
const struct option_group option_group_dictionary = { NULL, dictionary_rows,
						      ARRAY_LEN(dictionary_rows) };
const struct option_group option_group_bench = { NULL, bench_rows, ARRAY_LEN(bench_rows) };
