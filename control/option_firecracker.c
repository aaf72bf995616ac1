/* SPDX-License-Identifier: Apache-2.0 */
/* Options for programs that were written for Firecracker: see options.h. */
#include "base/bytes.h"
#include "control/option_set.h"

static const char *const level_names[] = { "off", "error", "warn", "info", "debug", "trace", NULL };

static const struct option_spec rows[] = {
	{
		.name = "--level",
		.arg = "LEVEL",
		.help = "off, error, warn, info, debug or trace",
		.details = "The level of the log, in any case: off, error, warn (or warning), "
			   "info, debug or trace.",
		.kind = OPTION_CHOICE,
		.rank = OPTION_COMPATIBLE,
		.choices = level_names,
		.set = option_set_logger_level,
	},
	{
		.name = "--module",
		.arg = "PREFIX",
		.help = "log lines from these source files only",
		.details = "Log only lines whose source file's path starts like this.",
		.kind = OPTION_TEXT,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, settings.logger.module),
		.set = option_set_logger_module,
	},
	{
		.name = "--show-level",
		.help = "log lines show their level",
		.details = "Show the level in log lines.",
		.kind = OPTION_FLAG,
		.rank = OPTION_COMPATIBLE,
		.set = option_set_show_level,
	},
	{
		.name = "--show-log-origin",
		.help = "log lines show file and line",
		.details = "Show in log lines which source file and line they come from.",
		.kind = OPTION_FLAG,
		.rank = OPTION_COMPATIBLE,
		.set = option_set_show_origin,
	},
	{
		.name = "--http-api-max-payload-size",
		.arg = "BYTES",
		.help = "largest body of an API request",
		.details = "The largest body of a request to the API, in bytes: 51200 without it.",
		.kind = OPTION_TEXT,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, max_body_bytes),
		.set = option_set_bytes,
	},
	{
		.name = "--mmds-size-limit",
		.arg = "BYTES",
		.help = "most metadata for the guest",
		.details = "How much metadata for the guest is kept, in bytes: as much as a "
			   "request can hold without it.",
		.kind = OPTION_TEXT,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, max_mmds_bytes),
		.set = option_set_bytes,
	},
	{
		.name = "--metadata",
		.arg = "PATH",
		.help = "metadata for the guest, a JSON object",
		.details = "A file with metadata for the guest, one JSON object: the same as a "
			   "request PUT /mmds.",
		.kind = OPTION_PATH,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, metadata_path),
		.set = option_set_borrowed,
	},
	{
		.name = "--no-seccomp",
		.help = "ignored",
		.details = "Accepted, with a line in the log, and not used: this program's own "
			   "confinement stays.",
		.kind = OPTION_FLAG,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, has_no_seccomp),
		.set = option_set_flag,
	},
	{
		.name = "--start-time-us",
		.arg = "MICROSECONDS",
		.help = "when this program was started, for metrics",
		.details = "When this program was started, for the metrics.",
		.kind = OPTION_TEXT,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, launcher.start_us),
		.set = option_set_number,
	},
	{
		.name = "--start-time-cpu-us",
		.arg = "MICROSECONDS",
		.help = "CPU time of this process then, for metrics",
		.details = "The CPU time of this process when it was started, for the metrics.",
		.kind = OPTION_TEXT,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, launcher.start_cpu_us),
		.set = option_set_number,
	},
	{
		.name = "--parent-cpu-time-us",
		.arg = "MICROSECONDS",
		.help = "CPU time of the process before it, for metrics",
		.details = "The CPU time of the process that started this one, for the metrics.",
		.kind = OPTION_TEXT,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, launcher.parent_cpu_us),
		.set = option_set_number,
	},
	{
		.name = "--boot-timer",
		.help = "log when the guest says that it has booted",
		.details = "Give the guest a device at the address 0xc0000000: when it writes the "
			   "byte 123 there, the time since the start is logged, at level info.",
		.kind = OPTION_FLAG,
		.rank = OPTION_COMPATIBLE,
		.offset = offsetof(struct options, has_boot_timer),
		.set = option_set_flag,
	},
	{
		.name = "--enable-pci",
		.help = "PCI bus; leave it out, and devices are on virtio-mmio",
		.details = "Devices on a PCI bus. Refused: this version has none. Without it, "
			   "devices are on virtio-mmio.",
		.kind = OPTION_FLAG,
		.rank = OPTION_COMPATIBLE,
		.set = option_set_unavailable,
	},
	{
		.name = "--snapshot-version",
		.help = "print the snapshot version of that release",
		.details = "Print the version of the snapshot format that belongs to the release "
			   "whose API this is. This program cannot take snapshots yet.",
		.kind = OPTION_FLAG,
		.rank = OPTION_COMPATIBLE,
		.set = option_set_snapshot_version,
	},
	{
		.name = "--describe-snapshot",
		.arg = "PATH",
		.help = "snapshots that it could describe",
		.details = "Print the format version of a snapshot. Refused: this version has no "
			   "snapshots.",
		.kind = OPTION_PATH,
		.rank = OPTION_COMPATIBLE,
		.set = option_set_unavailable,
	},
};

const struct option_group option_group_firecracker = {
	.title = "For programs written for Firecracker",
	.rows = rows,
	.nr = ARRAY_LEN(rows),
};
