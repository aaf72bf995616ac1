/* SPDX-License-Identifier: Apache-2.0 */
/* Crashes and failing calls of the store: see crash.h, store_story.h, and --help. */
#include "test/crash/store_story.h"

#define INIT                      \
	{                         \
		.kind = STEP_INIT \
	}
#define IMPORT(n, i)                                            \
	{                                                       \
		.kind = STEP_IMPORT, .name = (n), .number = (i) \
	}
#define TAG(n, m)                                           \
	{                                                   \
		.kind = STEP_TAG, .name = (n), .name2 = (m) \
	}
#define REMOVE(n)                                \
	{                                        \
		.kind = STEP_REMOVE, .name = (n) \
	}
#define GC                      \
	{                       \
		.kind = STEP_GC \
	}
#define CLOSE                      \
	{                          \
		.kind = STEP_CLOSE \
	}
#define REBUILD                      \
	{                            \
		.kind = STEP_REBUILD \
	}
#define KEY(i)                                  \
	{                                       \
		.kind = STEP_KEY, .number = (i) \
	}
#define TRAIN                      \
	{                          \
		.kind = STEP_TRAIN \
	}
#define STEP(k)                  \
	{                        \
		.kind = STEP_##k \
	}

static const struct story stories[] = {
	{ .name = "init", .act = { INIT } },
	{ .name = "init-encrypted", .is_encrypted = true, .act = { INIT } },
	{ .name = "import", .before = { INIT }, .act = { IMPORT("a", 1) } },
	{ .name = "import-dedup",
	  .before = { INIT, IMPORT("a", 1) },
	  .act = { IMPORT("b", 2), IMPORT("again", 1) } },
	{ .name = "import-replace",
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2) },
	  .act = { IMPORT("a", 3) } },
	{ .name = "import-packs",
	  .pack_bytes = 64 << 10,
	  .before = { INIT, IMPORT("a", 1) },
	  .act = { IMPORT("b", 2), CLOSE, IMPORT("c", 3) } },
	{ .name = "import-cdc-zstd",
	  .chunking = "fastcdc:8K",
	  .codec = "zstd",
	  .before = { INIT, IMPORT("a", 1) },
	  .act = { IMPORT("b", 2) } },
	{ .name = "import-encrypted",
	  .is_encrypted = true,
	  .codec = "lz4",
	  .before = { INIT, IMPORT("a", 1) },
	  .act = { IMPORT("b", 2), CLOSE } },
	{ .name = "tag",
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), TAG("b", "t") },
	  .act = { TAG("a", "new"), TAG("a", "t") } },
	{ .name = "remove",
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), TAG("a", "t") },
	  .act = { REMOVE("a"), REMOVE("b"), IMPORT("b", 3) } },
	{ .name = "gc",
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), IMPORT("c", 3), REMOVE("a"),
		      REMOVE("c") },
	  .act = { GC, CLOSE, IMPORT("d", 1), REMOVE("b"), GC } },
	{ .name = "gc-packs",
	  .codec = "auto",
	  .pack_bytes = 64 << 10,
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), IMPORT("c", 3), STEP(LEFTOVER),
		      REMOVE("b") },
	  .act = { GC } },
	{ .name = "gc-encrypted",
	  .is_encrypted = true,
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), REMOVE("a") },
	  .act = { GC } },
	{ .name = "adopt",
	  .before = { INIT, IMPORT("a", 1), STEP(SAVE_INDEX), IMPORT("b", 2), IMPORT("c", 3),
		      STEP(OLD_INDEX) },
	  .act = { TAG("b", "t"), CLOSE, IMPORT("d", 4) } },
	{ .name = "rebuild",
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), REMOVE("a") },
	  .act = { REBUILD } },
	{ .name = "rebuild-spoilt",
	  .is_encrypted = true,
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), STEP(SPOIL_INDEX) },
	  .act = { REBUILD, IMPORT("c", 3) } },
	{ .name = "repair",
	  .codec = "lz4",
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), STEP(SPOIL_COPIES) },
	  .act = { STEP(REPAIR) } },
	{ .name = "repair-index",
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), STEP(SPOIL_COPIES), STEP(SPOIL_INDEX) },
	  .act = { REBUILD, STEP(REPAIR) } },
	{ .name = "key",
	  .is_encrypted = true,
	  .before = { INIT, IMPORT("a", 1) },
	  .act = { KEY(1), IMPORT("b", 2) } },
	{ .name = "train",
	  .codec = "zstd",
	  .chunking = "fixed:4K",
	  .before = { INIT, IMPORT("a", 1), IMPORT("b", 2), IMPORT("c", 3) },
	  .act = { TRAIN, IMPORT("d", 4) } },
};

enum { NR = sizeof(stories) / sizeof(stories[0]) };

int main(int argc, char **argv)
{
	struct crash_scenario scenarios[NR];
	const struct crash_scenario *list[NR];

	for (size_t i = 0; i < NR; i++) {
		scenarios[i] = story_scenario(&stories[i]);
		list[i] = &scenarios[i];
	}
	return crash_main(argc, argv, list, NR);
}
