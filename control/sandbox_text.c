/* SPDX-License-Identifier: Apache-2.0 */
/* Texts about the sandbox: see sandbox_text.h. */
#include "control/sandbox_text.h"

#include <inttypes.h>
#include <stdio.h>

static const struct sandbox_layer_text texts[JAIL_LAYERS] = {
	[JAIL_NAMESPACES] = {
		.takes = "Sight of all other processes, their signals and ptrace; every network "
			 "device, address and abstract socket; System V and POSIX IPC; the host "
			 "name; the cgroup tree; as an unprivileged user, every privilege over the "
			 "host.",
		.keeps = "Descriptors that were opened before, /dev/kvm among them.",
		.needs = "As root, nothing. Else user namespaces: Linux with CONFIG_USER_NS, "
			 "sysctl user.max_user_namespaces above 0 (and the other "
			 "user.max_*_namespaces), on Debian kernel.unprivileged_userns_clone=1, on "
			 "Ubuntu kernel.apparmor_restrict_unprivileged_userns=0 or a profile that "
			 "allows userns.",
	},
	[JAIL_ROOT] = {
		.takes = "Every path of the host: the only directory is empty and read-only.",
		.keeps = "Descriptors that were opened before.",
		.needs = "The namespaces, and the right to mount in them.",
	},
	[JAIL_CAPABILITIES] = {
		.takes = "Every capability, also for what might be executed; root's user and group "
			 "id (nobody's, 65534, take their place); set-user-id programs.",
		.keeps = "Descriptors that were opened before.",
		.needs = "Nothing.",
	},
	[JAIL_LANDLOCK] = {
		.takes = "Every path, even if the empty root were left; TCP ports (Linux 6.7); "
			 "ioctl of devices opened later (6.10); abstract sockets and signals of "
			 "processes outside (6.12).",
		.keeps = "Descriptors that were opened before; signals between its own threads.",
		.needs = "Linux 5.13 with CONFIG_SECURITY_LANDLOCK and landlock in the list of "
			 "security modules: lsm= on the kernel's command line, or CONFIG_LSM.",
	},
	[JAIL_LIMITS] = {
		.takes = "Core dumps; being traced by others of the same user; descriptors, threads "
			 "and priorities beyond those that are planned; every descriptor that was "
			 "inherited by accident; speculation past stores and indirect branches.",
		.keeps = "Kernel threads that work for the process (io_uring, KVM).",
		.needs = "Linux 5.9, for close_range().",
	},
	[JAIL_SECCOMP] = {
		.takes = "Every system call, and every use of one, that the kind of thread does not "
			 "need. The first forbidden one ends the virtual machine.",
		.keeps = "The calls below, each for its reason.",
		.needs = "Linux with CONFIG_SECCOMP_FILTER. From Linux 5.0 on the call is reported "
			 "with its name and arguments; before, the kernel ends the process with "
			 "SIGSYS.",
	},
};

const struct sandbox_layer_text *sandbox_layer_text(enum jail_layer layer)
{
	return &texts[layer];
}

const char *sandbox_thread_text(enum jail_thread thread)
{
	static const char *const names[JAIL_THREADS] = {
		[JAIL_THREAD_VCPU] = "of the guest's process, one for each virtual CPU",
		[JAIL_THREAD_LOOP] = "of the guest's process: its main thread, with most devices",
		[JAIL_THREAD_IO] = "of the guest's process: those that serve disks (iothread=)",
		[JAIL_THREAD_CONTROL] = "the program that the user has started",
		[JAIL_THREAD_STORE] = "of the program stellarium",
		[JAIL_THREAD_FSCK] = "of stellarium fsck",
	};

	return names[thread];
}

char *sandbox_condition(const struct jail_syscall *row, char text[static SANDBOX_CONDITION_BYTES])
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < JAIL_CHECKS_MAX && used < SANDBOX_CONDITION_BYTES; i++) {
		const struct jail_check *check = &row->checks[i];
		const bool is_whole = check->mask == UINT64_MAX || check->mask == UINT32_MAX;
		char mask[32] = "";

		if (check->mask == 0)
			continue;
		if (!is_whole)
			snprintf(mask, sizeof(mask), " & %#" PRIx64, check->mask);
		used += (size_t)snprintf(text + used, SANDBOX_CONDITION_BYTES - used,
					 "%sargument %" PRIu32 "%s is %#" PRIx64,
					 used > 0 ? ", " : "", check->argument, mask, check->value);
	}
	return text;
}
