/* SPDX-License-Identifier: Apache-2.0 */
/* Options that say what this program does around the virtual machine: see options.h. */
#include "base/bytes.h"
#include "control/option_set.h"

static const char *const log_level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
	NULL,
};

static const char *const log_format_names[] = {
	[LOGGER_TEXT] = "text",
	[LOGGER_JSON] = "json",
	NULL,
};

static const struct option_spec rows[] = {
	{
		.name = "--config-file",
		.arg = "PATH",
		.help = "configuration in JSON; options here override it",
		.details = "A configuration in JSON, Volt's form or Firecracker's. Other options "
			   "override what it says, and disks are added to those it has. volt-vmm "
			   "config check tells whether a file is good, and volt-vmm config show "
			   "writes one.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, config_path),
		.set = option_set_borrowed,
	},
	{
		.name = "--id",
		.arg = "NAME",
		.help = "name of this VM, for ps and the other verbs",
		.details = "The name of the virtual machine, 1 to 64 letters, digits or hyphens: "
			   "no other that runs may have it. Without it the name is vm- with the "
			   "process id.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, id),
		.set = option_set_id,
	},
	{
		.name = "--api-sock",
		.arg = "PATH",
		.help = "Unix socket of the API, which can start the VM too",
		.details = "The Unix socket of the API, which must not exist yet, or fd:N, a "
			   "listening socket that was inherited. Without it the socket is in a "
			   "folder where volt-vmm ps finds it. When neither --kernel nor a "
			   "configuration file names a kernel, the virtual machine is configured "
			   "and started through this socket.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, api_path),
		.set = option_set_borrowed,
	},
	{
		.name = "--no-api",
		.help = "no API socket: no verb reaches this VM",
		.details =
			"Run without an API socket: no verb reaches this virtual machine, but for "
			"volt-vmm ps, which lists it.",
		.kind = OPTION_FLAG,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, has_no_api),
		.set = option_set_flag,
	},
	{
		.name = "--allow",
		.arg = "PATH[,ro]",
		.help = "what may be opened while the VM runs; may be repeated",
		.details =
			"A folder or file that this process may still open when the virtual "
			"machine runs, with ,ro only for reading; may be repeated. Without it "
			"that is the folders of disks, logs and sockets that the virtual machine "
			"was started with, so a disk can be exchanged for another file of its "
			"folder; under the name firecracker, it is all files.",
		.kind = OPTION_PATH,
		.rank = OPTION_ADVANCED,
		.is_repeatable = true,
		.set = option_set_allow,
	},
	{
		.name = "--pid-file",
		.arg = "PATH",
		.help = "file for the process id while the VM runs",
		.details = "A file that gets the process id of this program when the virtual "
			   "machine runs (or the API listens, when it is to start it), and is "
			   "removed at the end. An old one is replaced.",
		.kind = OPTION_PATH,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, pid_path),
		.set = option_set_borrowed,
	},
	{
		.name = "--log-path",
		.arg = "PATH",
		.help = "file or FIFO for the log",
		.details = "A file or FIFO for the log, in place of standard error. It is created "
			   "if need be and written to at its end.",
		.kind = OPTION_PATH,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.logger.path),
		.set = option_set_logger_path,
	},
	{
		.name = "--log-format",
		.arg = "FORMAT",
		.help = "text (default) or json",
		.details = "How log lines are written: text, the default, or json.",
		.kind = OPTION_CHOICE,
		.rank = OPTION_ADVANCED,
		.choices = log_format_names,
		.offset = offsetof(struct options, settings.logger.format),
		.set = option_set_logger_format,
	},
	{
		.name = "--metrics-path",
		.arg = "PATH",
		.help = "file or FIFO for metrics",
		.details = "A file or FIFO that gets a line of metrics in JSON every minute, as "
			   "Firecracker writes it.",
		.kind = OPTION_PATH,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.metrics.path),
		.set = option_set_path,
	},
	{
		.name = "--log-level",
		.arg = "LEVEL",
		.help = "error, warn (default), info or debug",
		.details = "How much is said on standard error: error, warn (the default), info or "
			   "debug.",
		.kind = OPTION_CHOICE,
		.choices = log_level_names,
		.offset = offsetof(struct options, log_level),
		.set = option_set_choice,
	},
};

const struct option_group option_group_program = {
	.title = "The program",
	.rows = rows,
	.nr = ARRAY_LEN(rows),
};
