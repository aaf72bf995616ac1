/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs: see options.h. */
#include <limits.h>

#include "base/bytes.h"
#include "stellarium/cmd.h"
#include "stellarium/options.h"

/* The first two are also what may stand before the verb: see options.c. */
static const struct option_group *const plain_groups[] = { &option_group_common, NULL };
static const struct option_group *const store_groups[] = { &option_group_common,
							   &option_group_store, NULL };
static const struct option_group *const init_groups[] = { &option_group_common, &option_group_store,
							  &option_group_init, NULL };
static const struct option_group *const import_groups[] = {
	&option_group_common, &option_group_store, &option_group_import, &option_group_threads, NULL
};
static const struct option_group *const export_groups[] = {
	&option_group_common, &option_group_store, &option_group_export, &option_group_threads, NULL
};
static const struct option_group *const cat_groups[] = { &option_group_common, &option_group_store,
							 &option_group_cat, &option_group_threads,
							 NULL };
static const struct option_group *const diff_groups[] = { &option_group_common, &option_group_store,
							  &option_group_diff, NULL };
static const struct option_group *const tag_groups[] = { &option_group_common, &option_group_store,
							 &option_group_tag, NULL };
static const struct option_group *const gc_groups[] = { &option_group_common, &option_group_store,
							&option_group_gc, &option_group_threads,
							NULL };
static const struct option_group *const fsck_groups[] = { &option_group_common, &option_group_store,
							  &option_group_fsck, &option_group_threads,
							  NULL };
static const struct option_group *const key_groups[] = { &option_group_common, &option_group_store,
							 &option_group_new_key, NULL };
static const struct option_group *const dictionary_groups[] = { &option_group_common,
								&option_group_store,
								&option_group_dictionary, NULL };
static const struct option_group *const bench_groups[] = { &option_group_common,
							   &option_group_bench,
							   &option_group_threads, NULL };

static const struct verb table[] = {
	{
		.name = "init",
		.operands = "[DIR]",
		.operand_kind = VERB_FILE,
		.max_operands = 1,
		.summary = "make a store",
		.details = "Makes a store in a folder that does not exist or is empty: DIR, or the "
			   "one that --store names.",
		.example = "init --encrypt --key-file key.bin /srv/images",
		.groups = init_groups,
		.check = cmd_init_check,
		.run = cmd_init,
	},
	{
		.name = "import",
		.operands = "PATH|-",
		.operand_kind = VERB_FILE,
		.min_operands = 1,
		.max_operands = 1,
		.summary = "put a file, a block device or standard input into the store",
		.details = "Puts an image into the store: a file, a block device, or standard "
			   "input (-). It is there when all of it is; when the command fails or is "
			   "stopped, the store has nothing new.",
		.example = "import --name debian-12 disk.img",
		.groups = import_groups,
		.check = cmd_import_check,
		.run = cmd_import,
	},
	{
		.name = "export",
		.operands = "NAME PATH|-",
		.operand_kind = VERB_IMAGE,
		.min_operands = 2,
		.max_operands = 2,
		.summary = "write an image to a file, a block device or standard output",
		.details = "Writes an image to a new file, which appears when it is whole and has "
			   "holes where the image has zeros; to a block device; or to standard "
			   "output (-). Every byte is verified before it is written.",
		.example = "export debian-12 disk.img",
		.groups = export_groups,
		.run = cmd_export,
	},
	{
		.name = "ls",
		.summary = "list the images",
		.details = "Lists the images: name, length, when it was made, and the begin of its "
			   "id.",
		.example = "ls --json",
		.groups = store_groups,
		.run = cmd_ls,
	},
	{
		.name = "show",
		.operands = "NAME",
		.operand_kind = VERB_IMAGE,
		.min_operands = 1,
		.max_operands = 1,
		.summary = "tell about an image: length, chunks, what it takes",
		.details = "Tells about an image: its length and id, how it was cut, how many "
			   "chunks it has and what they take in the store. NAME is also id: and "
			   "the 64 digits of an image's id, here and wherever an image is read.",
		.example = "show debian-12",
		.groups = store_groups,
		.run = cmd_show,
	},
	{
		.name = "cat",
		.operands = "NAME",
		.operand_kind = VERB_IMAGE,
		.min_operands = 1,
		.max_operands = 1,
		.summary = "write bytes of an image to standard output",
		.details = "Writes an image, or a part of it, to standard output.",
		.example = "cat debian-12 --offset 1M --bytes 512 | xxd",
		.groups = cat_groups,
		.run = cmd_cat,
	},
	{
		.name = "diff",
		.operands = "A B",
		.operand_kind = VERB_IMAGE,
		.min_operands = 2,
		.max_operands = 2,
		.summary = "say which bytes and how many chunks of two images differ",
		.details = "Compares two images: how many bytes differ at equal places, and which "
			   "chunks only one of them has, wherever they are. The exit status is 3 "
			   "when the images differ.",
		.example = "diff --ranges debian-12 debian-12-upgraded",
		.groups = diff_groups,
		.run = cmd_diff,
	},
	{
		.name = "tag",
		.operands = "NAME NEW",
		.operand_kind = VERB_IMAGE,
		.min_operands = 2,
		.max_operands = 2,
		.summary = "give an image a further name",
		.details = "Gives the image NAME the further name NEW.",
		.example = "tag debian-12 production",
		.groups = tag_groups,
		.run = cmd_tag,
	},
	{
		.name = "rm",
		.operands = "NAME...",
		.operand_kind = VERB_IMAGE,
		.min_operands = 1,
		.max_operands = INT_MAX,
		.summary = "remove names of images",
		.details = "Removes names of images. What no name and no running process needs any "
			   "more is given back by gc.",
		.example = "rm debian-11 && stellarium gc",
		.groups = store_groups,
		.run = cmd_rm,
	},
	{
		.name = "gc",
		.summary = "give back the space of what no image needs",
		.details = "Gives back the space of chunks that no image and no running process "
			   "needs. Others may use the store meanwhile; when it is stopped, what it "
			   "has done is done, and the next one goes on.",
		.example = "gc --dry-run",
		.groups = gc_groups,
		.run = cmd_gc,
	},
	{
		.name = "fsck",
		.summary = "check all of the store, and repair it",
		.details = "Checks every byte of the store and prints each problem on a line. The "
			   "exit status is 3 when problems remain.",
		.example = "fsck --repair",
		.groups = fsck_groups,
		.check = cmd_fsck_check,
		.run = cmd_fsck,
	},
	{
		.name = "stats",
		.summary = "tell how much is stored, and what it takes",
		.details = "Tells what the store is and how much it holds: images, chunks, packs, "
			   "and the space that they take.",
		.example = "stats",
		.groups = store_groups,
		.run = cmd_stats,
	},
	{
		.name = "key change",
		.summary = "give an encrypted store a new key",
		.details = "Gives an encrypted store a new key or passphrase; the old one is "
			   "useless from then on. What is stored stays as it is. Without one of "
			   "the options a new passphrase is asked for, twice. Nobody else may have "
			   "the store open.",
		.example = "key change --key-file old.bin --new-key-file new.bin",
		.groups = key_groups,
		.run = cmd_key_change,
	},
	{
		.name = "dictionary train",
		.summary = "train a zstd dictionary on what the store holds",
		.details =
			"Trains a dictionary on a sample of the store's chunks; zstd uses it for "
			"chunks that are stored from then on, which pays when they are small. "
			"Nobody else may have the store open.",
		.example = "dictionary train --bytes 64K",
		.groups = dictionary_groups,
		.run = cmd_dictionary_train,
	},
	{
		.name = "bench",
		.operands = "[PATH]",
		.operand_kind = VERB_FILE,
		.max_operands = 1,
		.summary = "measure how fast all this is here",
		.details = "Measures on this machine how fast data is hashed, searched for zeros, "
			   "cut and compressed, then imports it into a temporary store and reads "
			   "it back. The data is the begin of the file PATH, or made up.",
		.example = "bench disk.img",
		.groups = bench_groups,
		.run = cmd_bench,
	},
	{
		.name = "help",
		.operands = "[VERB]",
		.operand_kind = VERB_NOTHING,
		.max_operands = 2,
		.summary = "print help about a verb",
		.details = "Prints what --help behind the verb prints.",
		.example = "help import",
		.groups = plain_groups,
	},
};

const struct verb_list stellarium_verbs = { "stellarium", table, ARRAY_LEN(table) };
