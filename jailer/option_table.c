/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options: see options.h. */
#include "base/bytes.h"
#include "jailer/option_set.h"

static const char *const versions[] = { "1", "2", NULL };
static const char *const limits[] = { "fsize=", "no-file=", NULL };

const struct jailer_option jailer_option_table[] = {
	{
		.name = "--id",
		.arg = "ID",
		.help = "name of the jail and of the virtual machine",
		.details = "The name of the jail, of its cgroup and of the virtual machine: 1 to "
			   "64 letters, digits and hyphens.",
		.is_required = true,
		.set = jailer_set_id,
	},
	{
		.name = "--exec-file",
		.arg = "PATH",
		.help = "program to run, for example /usr/bin/firecracker",
		.details = "The program to run. It is copied into the jail, under the last part "
			   "of this path, so that no two virtual machines share its memory. It "
			   "must be linked statically, or find its libraries in the jail.",
		.is_required = true,
		.is_path = true,
		.set = jailer_set_program,
	},
	{
		.name = "--uid",
		.arg = "UID",
		.help = "user to run it as, a number",
		.details = "The user that the program runs as, and that the jail belongs to: a "
			   "number. Without root, the caller's own.",
		.is_required = true,
		.set = jailer_set_uid,
	},
	{
		.name = "--gid",
		.arg = "GID",
		.help = "group to run it as, a number",
		.details = "The group, as with --uid. There are no supplementary groups; without "
			   "root, the caller keeps those it has.",
		.is_required = true,
		.set = jailer_set_gid,
	},
	{
		.name = "--chroot-base-dir",
		.arg = "PATH",
		.help = "folder of jails (/srv/jailer)",
		.details = "The folder that jails are made in, /srv/jailer without this option. "
			   "It must be there.",
		.is_path = true,
		.set = jailer_set_base,
	},
	{
		.name = "--netns",
		.arg = "PATH",
		.help = "network namespace to join, a file",
		.details = "A file of a network namespace, for example /var/run/netns/NAME, that "
			   "the program runs in.",
		.is_path = true,
		.set = jailer_set_netns,
	},
	{
		.name = "--daemonize",
		.help = "run in a session of its own, without streams",
		.details = "Run the program in a session of its own with /dev/null as its "
			   "standard streams, and end when it has been started.",
		.set = jailer_set_daemon,
	},
	{
		.name = "--new-pid-ns",
		.help = "run as the first process of a PID namespace",
		.details = "Run the program as the first process of a new PID namespace, and end "
			   "when it has been started.",
		.set = jailer_set_pid_namespace,
	},
	{
		.name = "--cgroup",
		.arg = "FILE=VALUE",
		.help = "setting of its cgroup, for example cpu.max=50000",
		.details = "A setting of the program's cgroup: the value to write into a file of "
			   "it, for example memory.max=268435456. Several may be given. With any, "
			   "the cgroup <parent>/<id> is made, in each hierarchy that a setting "
			   "needs. The value may hold further equals signs.",
		.is_repeatable = true,
		.set = jailer_set_cgroup,
	},
	{
		.name = "--cgroup-version",
		.arg = "1|2",
		.help = "version of cgroups to use (1)",
		.details = "The version of cgroups that --cgroup means, 1 without this option. "
			   "With 2 and no --cgroup, the program joins the parent cgroup if that "
			   "exists.",
		.choices = versions,
		.set = jailer_set_cgroup_version,
	},
	{
		.name = "--parent-cgroup",
		.arg = "PATH",
		.help = "cgroup above its own (the program's name)",
		.details = "The cgroup that the program's own is made in, a path from the mount "
			   "point of the hierarchy: the program's name without this option.",
		.set = jailer_set_parent_cgroup,
	},
	{
		.name = "--resource-limit",
		.arg = "NAME=N",
		.help = "fsize=BYTES, or no-file=N (2048)",
		.details = "A limit of the program's: fsize, the largest file it may write, in "
			   "bytes; or no-file, how many files it may have open, 2048 without "
			   "this option. Several may be given.",
		.is_repeatable = true,
		.choices = limits,
		.set = jailer_set_limit,
	},
	{
		.name = "--cleanup",
		.help = "remove the jail and the cgroups of --id",
		.details = "Run nothing: remove what runs with this --id, --exec-file, "
			   "--chroot-base-dir and --parent-cgroup have left, the jail's folder "
			   "with all that is in it and the cgroups. Refused while a process is "
			   "in the jail.",
		.set = jailer_set_cleanup,
	},
	{
		.name = "--version",
		.help = "print the version",
		.details = "Print the version: in the first line the release of Firecracker that "
			   "the command line is compatible with.",
		.set = jailer_set_version,
	},
	{
		.name = "--help",
		.help = "print this text",
		.details = "Print a summary of the options; -h is the same.",
		.set = jailer_set_help,
	},
};

const size_t jailer_option_count = ARRAY_LEN(jailer_option_table);
