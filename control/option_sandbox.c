/* SPDX-License-Identifier: Apache-2.0 */
/* Options about the confinement of the virtual machine: a group of the command line, see options.h. */
#include "base/bytes.h"
#include "control/option_set.h"

static const struct option_spec rows[] = {
	{
		.name = "--sandbox-allow-missing",
		.arg = "LAYERS",
		.help = "layers of the sandbox that need not be there",
		.details =
			"Layers of the sandbox that need not be there, with commas between them: "
			"namespaces, root, capabilities, landlock, limits, seccomp. Without it a "
			"run is refused when the host cannot provide a layer. What is missing is "
			"in the log, in the state and in the metrics as long as the virtual "
			"machine runs. volt-vmm sandbox explain says what each layer is and what "
			"it needs.",
		.kind = OPTION_TEXT,
		.rank = OPTION_ADVANCED,
		.set = option_set_sandbox_missing,
	},
	{
		.name = "--core-scheduling",
		.help = "no other process on the same core meanwhile",
		.details = "No other process runs on a core at the same time as this virtual "
			   "machine, in the other hardware threads of the core (core scheduling). "
			   "A run is refused where the host has none.",
		.kind = OPTION_FLAG,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.is_alone_on_core),
		.set = option_set_flag,
	},
	{
		.name = "--memory-lock",
		.help = "never swap guest memory out",
		.details = "Never swap guest memory out: what the guest has touched stays in the "
			   "host's memory. The limit of locked memory (ulimit -l) has to allow "
			   "for it.",
		.kind = OPTION_FLAG,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.is_memory_locked),
		.set = option_set_flag,
	},
	{
		.name = "--seccomp-filter",
		.arg = "PATH",
		.help = "a system call filter on top of the own one",
		.details = "A filter of system calls that every thread of the guest's process gets "
			   "on top of the own one: a raw BPF program, as seccomp_export_bpf(3) "
			   "and seccompiler-bin --split-output write it. It can forbid more, not "
			   "allow more.",
		.kind = OPTION_PATH,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.seccomp_path),
		.set = option_set_path,
	},
};

const struct option_group option_group_sandbox = {
	.title = "The sandbox",
	.rows = rows,
	.nr = ARRAY_LEN(rows),
};
