/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to a store that nobody else may use meanwhile: its key and its dictionary. See cmd.h. */
#include <errno.h>
#include <stdio.h>

#include "base/quote.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"

static int finish(const struct options *o, const char *what)
{
	if (o->is_json)
		return cmd_finish_json(
			json_pack("{s:s, s:s}", "store", o->store_path, "changed", what),
			EXIT_STATUS_OK);
	if (!o->is_quiet)
		printf("store %s has a new %s\n", quote(o->store_path).text, what);
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_key_change(struct options *o)
{
	struct session s = { 0 };
	struct secret key = { 0 };
	struct err e = { 0 };
	int r = 0;

	/* Whatever may be wrong with it should be said before a passphrase is asked for. */
	if (o->new_key.source != KEY_SOURCE_NONE)
		r = secret_read(&key, &o->new_key, &e);
	if (r == 0)
		r = session_find_key(&s, o, false, &e);
	if (r == 0 && s.secret.input.kind == KEY_NONE)
		r = err_set(&e, -EINVAL,
			    "store %s is not encrypted; encryption begins with init --encrypt",
			    quote(o->store_path).text);
	if (r == 0 && o->new_key.source == KEY_SOURCE_NONE)
		r = session_new_key(&key, &o->new_key, o->store_path, &e);
	if (r == 0)
		r = session_enter(&s, o, STORE_EXCLUSIVE, NULL, &e);
	if (r == 0)
		r = store_change_key(s.store, &key.input, &e);
	session_close(&s);
	secret_release(&key);
	return r < 0 ? cmd_fail(&e) : finish(o, "key");
}

int cmd_dictionary_train(struct options *o)
{
	struct session s = { 0 };
	struct err e = { 0 };
	int r = session_open(&s, o, STORE_EXCLUSIVE, NULL, &e);

	if (r == 0)
		r = store_train_dictionary(s.store, o->dictionary_bytes, &e);
	session_close(&s);
	return r < 0 ? cmd_fail(&e) : finish(o, "dictionary");
}
