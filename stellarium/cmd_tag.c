/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images, given and taken: see cmd.h. */

#include "stellarium/cancel.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"

int cmd_tag(struct options *o)
{
	const char *name = o->operands[0], *new_name = o->operands[1];
	struct session s = { 0 };
	struct err e = { 0 };
	int r = root_check_name(new_name, &e);

	if (r == 0)
		r = session_open(&s, o, STORE_READ_WRITE, NULL, &e);
	if (r == 0)
		r = cmd_explain_taken(store_tag(s.store, name, new_name, o->is_forced, &e), &e);
	session_close(&s);
	if (r < 0)
		return cmd_fail(&e);
	if (o->is_json)
		return cmd_finish_json(json_pack("{s:s, s:s}", "image", name, "name", new_name),
				       EXIT_STATUS_OK);
	return EXIT_STATUS_OK;
}

/* Goes on after a name that cannot be removed, since the others can be. */
int cmd_rm(struct options *o)
{
	json_t *removed = json_array();
	struct session s = { 0 };
	struct err e = { 0 };
	int status = EXIT_STATUS_OK;
	int r = session_open(&s, o, STORE_READ_WRITE, NULL, &e);

	if (r < 0)
		status = cmd_fail(&e);
	for (int i = 0; r == 0 && i < o->nr_operands && !cancel_signal(); i++) {
		if (store_remove(s.store, o->operands[i], &e) < 0)
			status = cmd_fail(&e);
		else
			json_array_append_new(removed, json_string(o->operands[i]));
	}
	session_close(&s);
	if (r == 0 && o->is_json)
		return cmd_finish_json(json_pack("{s:o}", "removed", removed), status);
	json_decref(removed);
	return status;
}
