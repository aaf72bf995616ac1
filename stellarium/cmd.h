/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs do: each returns an exit status (exit_status.h). Messages go to the log, results to
 * standard output, and what cannot be written there is an error.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "stellar/store.h"
#include "stellarium/options.h"
#include "stellarium/progress.h"
#include "stellarium/secret.h"

int cmd_init(struct options *o);
int cmd_import(struct options *o);
int cmd_export(struct options *o);
int cmd_ls(struct options *o);
int cmd_show(struct options *o);
int cmd_cat(struct options *o);
int cmd_diff(struct options *o);
int cmd_tag(struct options *o);
int cmd_rm(struct options *o);
int cmd_gc(struct options *o);
int cmd_fsck(struct options *o);
int cmd_stats(struct options *o);
int cmd_key_change(struct options *o);
int cmd_dictionary_train(struct options *o);
int cmd_bench(struct options *o);

/* What is wrong with the options as a whole: 0 or -EINVAL. */
int cmd_init_check(const struct options *o, struct err *e);
int cmd_import_check(const struct options *o, struct err *e);
int cmd_fsck_check(const struct options *o, struct err *e);

/* An open store and its key. */
struct session {
	struct store *store;
	struct secret secret;
};

/*
 * Reads the key of the store, or asks for it on the terminal if need be. @is_damaged: what the store
 * says of itself is not needed; one that says nothing gets the key that was given. 0 or -errno.
 */
int session_find_key(struct session *s, const struct options *o, bool is_damaged, struct err *e);

/*
 * Takes away from this process what it will not need (confine.h), and opens the store. @folder (may
 * be NULL) is a further folder in which files will be made. 0, or -errno with @e filled.
 */
int session_enter(struct session *s, const struct options *o, enum store_mode mode,
		  const char *folder, struct err *e);

/* Both, one after the other. */
int session_open(struct session *s, const struct options *o, enum store_mode mode,
		 const char *folder, struct err *e);

/* Accepts a zeroed one, and one that a function here has failed for. */
void session_close(struct session *s);

/* A new key, by @choice or from the terminal. */
int session_new_key(struct secret *key, const struct key_choice *choice, const char *store_path,
		    struct err *e);

/* How long work tells @progress how far it is; see cancel.h. */
struct work_control cmd_work(const struct options *o, struct progress *progress);

/* Passes @r on; when it says that a name is taken, @e gets what works. */
int cmd_explain_taken(int r, struct err *e);

/* Logs @e, or the signal that is behind it, and returns the status that goes with it. */
int cmd_fail(const struct err *e);

/* Prints @json (NULL: there is no memory for it), which it takes, and finishes. */
int cmd_finish_json(json_t *json, int status);

/* What was printed only counts when all of it has arrived. @status if it has, else 1. */
int cmd_finish(int status);
