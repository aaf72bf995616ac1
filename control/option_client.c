/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the verbs that run no virtual machine, and those of all verbs: see options.h. */
#include "base/bytes.h"
#include "control/option_set.h"

static const struct option_spec client_rows[] = {
	{
		.name = "--api-sock",
		.arg = "PATH",
		.help = "the VM that listens there, in place of its name",
		.details = "The virtual machine that listens at this socket, in place of its name.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, api_path),
		.set = option_set_borrowed,
	},
};

static const struct option_spec shutdown_rows[] = {
	{
		.name = "--force",
		.help = "end the VM at once, without asking the guest",
		.details = "End the virtual machine at once, without asking the guest.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_forced),
		.set = option_set_flag,
	},
	{
		.name = "--timeout",
		.arg = "SECONDS",
		.help = "how long to wait for the end (default 60)",
		.details = "How long to wait for the end: 60 seconds without it. 0 does not wait.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, timeout_s),
		.set = option_set_timeout,
	},
};

static const struct option_spec list_rows[] = {
	{
		.name = "--json",
		.help = "print JSON",
		.details = "Print JSON.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_json),
		.set = option_set_flag,
	},
};

static const struct option_spec config_show_rows[] = {
	{
		.name = "--firecracker",
		.help = "in Firecracker's form instead of Volt's",
		.details = "Print Firecracker's form in place of Volt's, which has less.",
		.kind = OPTION_FLAG,
		.offset = offsetof(struct options, is_firecracker_form),
		.set = option_set_flag,
	},
};

static const struct option_spec help_rows[] = {
	{
		.name = "--help",
		.help = "print this help and exit",
		.details = "Print a summary of the options and exit.",
		.kind = OPTION_FLAG,
		.set = option_set_help,
	},
};

static const struct option_spec version_rows[] = {
	{
		.name = "--version",
		.help = "print the version and exit",
		.details = "Print the version and exit. Under the name firecracker the first line "
			   "has the version of the API that this program is compatible with.",
		.kind = OPTION_FLAG,
		.set = option_set_version,
	},
};

const struct option_group option_group_client = { NULL, client_rows, ARRAY_LEN(client_rows) };
const struct option_group option_group_shutdown = { NULL, shutdown_rows, ARRAY_LEN(shutdown_rows) };
const struct option_group option_group_list = { NULL, list_rows, ARRAY_LEN(list_rows) };
const struct option_group option_group_config_show = { NULL, config_show_rows,
						       ARRAY_LEN(config_show_rows) };
const struct option_group option_group_help = { NULL, help_rows, ARRAY_LEN(help_rows) };
const struct option_group option_group_version = { NULL, version_rows, ARRAY_LEN(version_rows) };
