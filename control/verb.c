/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs: see verb.h. */
#include "control/verb.h"

#include <limits.h>

#include "base/bytes.h"
#include "control/cmd.h"
#include "control/options.h"

static const struct option_group *const run_groups[] = {
	&option_group_vm,
	&option_group_program,
	&option_group_sandbox,
	&option_group_firecracker,
	&option_group_help,
	&option_group_version,
	NULL,
};
static const struct option_group *const ps_groups[] = { &option_group_list, &option_group_help,
							NULL };
static const struct option_group *const client_groups[] = { &option_group_client,
							    &option_group_help, NULL };
static const struct option_group *const state_groups[] = { &option_group_client, &option_group_list,
							   &option_group_help, NULL };
static const struct option_group *const shutdown_groups[] = { &option_group_client,
							      &option_group_shutdown,
							      &option_group_help, NULL };
static const struct option_group *const show_groups[] = {
	&option_group_config_show,
	&option_group_vm,
	&option_group_program,
	&option_group_sandbox,
	&option_group_firecracker,
	&option_group_help,
	NULL,
};
static const struct option_group *const check_groups[] = { &option_group_list, &option_group_help,
							   NULL };
static const struct option_group *const plain_groups[] = { &option_group_help, NULL };

static const struct verb table[] = {
	{
		.name = "run",
		.summary = "run a virtual machine (also without a verb)",
		.details = "Runs a Linux microVM until it powers off; on a terminal, Ctrl-A x ends "
			   "it.",
		.example = "--kernel vmlinuz --rootfs disk.ext4 --memory 256M --cpus 2",
		.groups = run_groups,
		.check = cmd_run_check,
		.run = cmd_run,
	},
	{
		.name = "ps",
		.summary = "list this user's running VMs",
		.details = "Lists the running virtual machines of this user: name, process id, "
			   "state, time since the start, and API socket.",
		.example = "ps --json",
		.groups = ps_groups,
		.run = cmd_ps,
	},
	{
		.name = "state",
		.operands = "VM",
		.operand_kind = VERB_VM,
		.max_operands = 1,
		.summary = "say whether a VM runs or is paused",
		.details = "Prints the state of a virtual machine: Running, Paused and so on, and "
			   "which layers of the sandbox it lacks, if any.",
		.example = "state vm-4711",
		.groups = state_groups,
		.run = cmd_state,
	},
	{
		.name = "pause",
		.operands = "VM",
		.operand_kind = VERB_VM,
		.max_operands = 1,
		.summary = "stop a VM's vCPUs for a while",
		.details = "Pauses a virtual machine: its vCPUs stand still when the command "
			   "returns.",
		.example = "pause vm-4711",
		.groups = client_groups,
		.run = cmd_pause,
	},
	{
		.name = "resume",
		.operands = "VM",
		.operand_kind = VERB_VM,
		.max_operands = 1,
		.summary = "let a paused VM go on",
		.details = "Lets a paused virtual machine go on.",
		.example = "resume vm-4711",
		.groups = client_groups,
		.run = cmd_resume,
	},
	{
		.name = "shutdown",
		.operands = "VM",
		.operand_kind = VERB_VM,
		.max_operands = 1,
		.summary = "ask the guest to shut down, and wait",
		.details = "Asks the guest to shut down, by Ctrl-Alt-Del, and waits for the end. "
			   "The exit status is 1 when the virtual machine still runs after the "
			   "timeout.",
		.example = "shutdown --timeout 10 vm-4711 || volt-vmm shutdown --force vm-4711",
		.groups = shutdown_groups,
		.run = cmd_shutdown,
	},
	{
		.name = "metrics",
		.operands = "VM",
		.operand_kind = VERB_VM,
		.max_operands = 1,
		.summary = "print a VM's metrics",
		.details = "Prints the metrics of a virtual machine in Prometheus' text format.",
		.example = "metrics vm-4711",
		.groups = client_groups,
		.run = cmd_metrics,
	},
	{
		.name = "config get",
		.operands = "VM",
		.operand_kind = VERB_VM,
		.max_operands = 1,
		.summary = "print a VM's configuration",
		.details = "Prints the configuration of a virtual machine that runs or waits to be "
			   "started, as JSON in Volt's form.",
		.example = "config get vm-4711",
		.groups = client_groups,
		.run = cmd_config_get,
	},
	{
		.name = "config check",
		.operands = "FILE",
		.operand_kind = VERB_FILE,
		.min_operands = 1,
		.max_operands = 1,
		.summary = "say what is wrong with a configuration file",
		.details = "Reads a configuration file and says what is wrong with it. In "
			   "Firecracker's form, the files that it names must be there. The exit "
			   "status is 2 when something is wrong.",
		.example = "config check vm.json",
		.groups = check_groups,
		.run = cmd_config_check,
	},
	{
		.name = "config show",
		.summary = "print the configuration that options make",
		.details = "Prints the configuration that a run with the same options would have, "
			   "as a file for --config-file.",
		.example = "config show --config-file vm.json --memory 1G > big.json",
		.groups = show_groups,
		.run = cmd_config_show,
	},
	{
		.name = "sandbox status",
		.operands = "[VM]",
		.operand_kind = VERB_VM,
		.max_operands = 1,
		.summary = "say which layers of the sandbox there are",
		.details = "Says which layers of the sandbox this host offers to this user, or, of "
			   "a virtual machine, which it has, as seen in /proc for every thread. "
			   "The exit status is 1 when one is missing.",
		.example = "sandbox status vm-4711",
		.groups = state_groups,
		.run = cmd_sandbox_status,
	},
	{
		.name = "sandbox explain",
		.operands = "[LAYER]",
		.operand_kind = VERB_LAYER,
		.max_operands = 1,
		.summary = "say what a layer takes away and what it needs",
		.details = "Says of each layer of the sandbox, or of one, what it takes away, what "
			   "still works and what it needs from the host; of seccomp, also which "
			   "system calls each kind of thread may use, and why.",
		.example = "sandbox explain landlock",
		.groups = check_groups,
		.run = cmd_sandbox_explain,
	},
	{
		.name = "cpu dump",
		.operands = "[FILE]",
		.operand_kind = VERB_FILE,
		.max_operands = 1,
		.summary = "write what this host can offer a guest, as a template",
		.details = "Writes what this host can offer a guest, as a CPU template in JSON, to "
			   "a file or to standard output.",
		.example = "cpu dump $(hostname).json",
		.groups = plain_groups,
		.run = cmd_cpu_dump,
	},
	{
		.name = "cpu baseline",
		.operands = "FILE...",
		.operand_kind = VERB_FILE,
		.min_operands = 1,
		.max_operands = INT_MAX,
		.summary = "write the common denominator of several dumps",
		.details = "Writes the common denominator of the dumps of several hosts: a "
			   "template that all of them can provide.",
		.example = "cpu baseline *.json > fleet",
		.groups = plain_groups,
		.run = cmd_cpu_baseline,
	},
	{
		.name = "cpu check",
		.operands = "TEMPLATE",
		.operand_kind = VERB_TEMPLATE,
		.min_operands = 1,
		.max_operands = 1,
		.summary = "list what a template wants and this host lacks",
		.details = "Lists, bit by bit, what a template (a file, or the name of a built-in "
			   "one: C3, T2, T2A, T2CL, T2S) wants that this host cannot provide. The "
			   "exit status is 1 when there is something.",
		.example = "cpu check T2CL",
		.groups = check_groups,
		.run = cmd_cpu_check,
	},
};

const struct verb_list volt_verbs = { "volt-vmm", table, ARRAY_LEN(table) };
