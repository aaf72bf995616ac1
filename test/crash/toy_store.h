/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of two files in a folder, right or broken in one of the ways in which stores are: what
 * crash_run() and fail_run() must find.
 */
#pragma once

#include "test/crash/crash.h"

enum toy_fault {
	TOY_RIGHT,
	TOY_NO_SYNC, /* no fdatasync before the rename */
	TOY_NO_DIR_SYNC, /* no fsync of the folder after it */
	TOY_EARLY_NOTE, /* says that it is done before that fsync */
	TOY_FOOTER_TRUSTED, /* takes a file for whole when its last sector is */
	TOY_IN_PLACE, /* writes over what is there */
	TOY_UNLINK_FIRST, /* removes the old file, then renames the new one */
	TOY_SYNC_AGAIN, /* takes a second fdatasync's word after the first one failed */
	TOY_IGNORES_WRITE, /* takes no notice of a failed write */
	TOY_IGNORES_DIR_SYNC, /* or a failed fsync of the folder */
	TOY_LEAKS, /* leaves the file open when something fails */
	TOY_SHORT_WRITE, /* takes a short write for a whole one */
	TOY_STUCK, /* cannot begin again when the temporary file is there */
	TOY_DIES, /* reads past the end of a file that is too short */
	TOY_HANGS, /* waits for a file that is too short to become longer */
	TOY_MAPS, /* maps the file for writing, so that nobody knows what was written */
	TOY_UNSEEN, /* writes in a way that the recorder does not see, which it must say */
	TOY_NR,
};

extern const char *const toy_fault_names[TOY_NR];

/* Puts version 2 of a file over version 1, and adds another, each by a rename. */
struct crash_scenario toy_scenario(const enum toy_fault *fault);
