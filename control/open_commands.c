/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that machine has not answered yet: see open_commands.h. */
#include "control/open_commands.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fdmsg.h"
#include "base/log.h"

static void finish(session_done *done, void *opaque, int code, const char *text)
{
	if (done)
		done(opaque, code, text, 0);
}

static struct open_command *find(struct open_commands *c, uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(c->entries); i++) {
		if (c->entries[i].id == id)
			return &c->entries[i];
	}
	return NULL;
}

void open_commands_send(struct open_commands *c, int wire_fd, struct vm_cmd *cmd, int fd,
			session_done *done, void *opaque)
{
	struct open_command *entry = find(c, 0);
	int r;

	if (!entry) {
		finish(done, opaque, -EAGAIN, "too many commands wait for the machine process");
		return;
	}
	if (++c->last_id == 0)
		c->last_id = 1;
	cmd->id = c->last_id;
	r = fdmsg_try_send(wire_fd, cmd, sizeof(*cmd), &fd, fd >= 0);
	if (r < 0) {
		log_warn("the machine process takes no commands: %s", strerror(-r));
		finish(done, opaque, r, "the machine process takes no commands");
		return;
	}
	*entry = (struct open_command){ cmd->id, cmd->kind, done, opaque };
}

bool open_commands_take(struct open_commands *c, uint32_t id, struct open_command *command)
{
	struct open_command *entry = id == 0 ? NULL : find(c, id);

	if (!entry)
		return false;
	*command = *entry;
	*entry = (struct open_command){ 0 };
	return true;
}

void open_commands_fail(struct open_commands *c, int code, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(c->entries); i++) {
		struct open_command command;

		if (open_commands_take(c, c->entries[i].id, &command))
			finish(command.done, command.opaque, code, text);
	}
}
