/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a running virtual machine: see target.h. */
#include "control/target.h"

#include <errno.h>
#include <string.h>

#include "base/quote.h"
#include "control/options.h"
#include "control/verb.h"

static int find_by_name(const char *name, struct registry_entry *entry, struct err *e)
{
	struct registry registry;
	int r;

	if (strchr(name, '/'))
		return err_set(e, -EINVAL, "%s is no name; give --api-sock %s", quote(name).text,
			       quote(name).text);
	r = registry_open(&registry, e);
	if (r == 0)
		r = registry_find(&registry, name, entry, e);
	registry_close(&registry);
	if (r == 0 && entry->api_path[0] == '\0')
		return err_set(e, -ENOTSUP, "the virtual machine '%s' has no API socket",
			       entry->id);
	return r;
}

int target_open(const struct options *o, struct target *t, struct err *e)
{
	const char *path = o->api_path;
	int r = 0;

	*t = (struct target){ .client = { .fd = -1, .timeout_ms = CLIENT_TIMEOUT_MS } };
	if ((o->nr_operands == 1) == (path != NULL))
		return err_set(e, -EINVAL,
			       "%s needs one virtual machine: its name (volt-vmm ps lists them) or "
			       "--api-sock PATH",
			       o->verb->name);
	if (!path) {
		r = find_by_name(o->operands[0], &t->entry, e);
		path = t->entry.api_path;
	}
	return r < 0 ? r : client_open(&t->client, path, e);
}

int target_ask(const struct options *o, const char *method, const char *path, const char *body,
	       struct client_answer *answer, struct err *e)
{
	struct target t;
	int r = target_open(o, &t, e);

	*answer = (struct client_answer){ 0 };
	if (r == 0)
		r = client_call(&t.client, method, path, body, answer, e);
	if (r == 0 && answer->status >= 300) {
		r = client_refusal(&t.client, answer, e);
		client_answer_release(answer);
	}
	client_close(&t.client);
	return r;
}
