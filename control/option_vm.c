/* SPDX-License-Identifier: Apache-2.0 */
/* Options that say what the virtual machine is: a group of the command line, see options.h. */
#include "base/bytes.h"
#include "control/option_set.h"

static const char *const boot_protocol_names[] = {
	[BOOT_PROTOCOL_AUTO] = "auto",
	[BOOT_PROTOCOL_PVH] = "pvh",
	[BOOT_PROTOCOL_LINUX64] = "linux64",
	NULL,
};

static const char *const hugepages_names[] = {
	[HUGEPAGES_AUTO] = "auto",
	[HUGEPAGES_OFF] = "off",
	[HUGEPAGES_THP] = "thp",
	[HUGEPAGES_2M] = "2m",
	NULL,
};

static const char *const kernel_decompress_names[] = {
	[KERNEL_DECOMPRESS_AUTO] = "auto",
	[KERNEL_DECOMPRESS_GUEST] = "guest",
	[KERNEL_DECOMPRESS_HOST] = "host",
	NULL,
};

static const char *const console_words[] = { "stdio", "none", "file:", NULL };

static const struct option_spec rows[] = {
	{
		.name = "--kernel",
		.arg = "PATH",
		.help = "bzImage or ELF vmlinux to boot",
		.details = "The kernel to boot: a bzImage, or an ELF vmlinux, which may be "
			   "compressed (gzip, xz, zstd, lz4). It need not be built for this "
			   "program.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, settings.kernel_path),
		.set = option_set_path,
	},
	{
		.name = "--initrd",
		.arg = "PATH",
		.help = "initial RAM disk",
		.details = "The initial RAM disk, loaded as it is.",
		.kind = OPTION_PATH,
		.offset = offsetof(struct options, settings.initrd_path),
		.set = option_set_path,
	},
	{
		.name = "--cmdline",
		.arg = "TEXT",
		.help = "kernel command line, in place of the default",
		.details =
			"The whole kernel command line, in place of the default, which is "
			"\"console=ttyS0 reboot=k panic=-1 quiet loglevel=3\", less the console "
			"without a serial port, and with \"root=/dev/vda rw\" (or ro) when there "
			"is a root disk.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, settings.cmdline),
		.set = option_set_cmdline,
	},
	{
		.name = "--cmdline-append",
		.arg = "TEXT",
		.help = "words to add at the end of the command line",
		.details = "Words to add at the end of the kernel command line, be it the default "
			   "or one that was given.",
		.kind = OPTION_TEXT,
		.offset = offsetof(struct options, settings.cmdline_append),
		.set = option_set_cmdline,
	},
	{
		.name = "--rootfs",
		.arg = "PATH[,WORD]...",
		.help = "root disk: /dev/vda in the guest",
		.details = "The root disk: a raw image or a block device, which the guest sees as "
			   "/dev/vda. It has the id rootfs. What may follow the path is described "
			   "at --drive.",
		.kind = OPTION_PATH,
		.set = option_set_rootfs,
	},
	{
		.name = "--drive",
		.arg = "PATH[,WORD]...",
		.help = "another disk; may be repeated",
		.details =
			"Another disk; may be repeated, up to 16 disks with the root disk. The "
			"guest sees them in the order given, behind the root disk. A comma in "
			"the path is written twice. Behind it may follow: ro, the guest cannot "
			"write; id=ID, 1 to 64 letters, digits, underscores or hyphens (drive1, "
			"drive2 and so on without it); cache=writeback (the default: what the "
			"guest flushes is on the disk) or cache=unsafe (no flush is done); "
			"engine=auto, sync or io_uring; direct=on, past the host's page cache; "
			"queues=N, 1 to 8; iothread=NAME, a thread of that name serves the disk; "
			"lock=off, other virtual machines may use the image at the same time; "
			"bw=SIZE[:REFILL_MS[:BURST]] and ops=N[:REFILL_MS[:BURST]], limits of "
			"bytes and operations in REFILL_MS milliseconds (1000), with BURST more "
			"once.",
		.kind = OPTION_PATH,
		.is_repeatable = true,
		.set = option_set_drive,
	},
	{
		.name = "--memory",
		.arg = "SIZE",
		.help = "guest memory with its unit (default 128M)",
		.details =
			"Guest memory: a number with its unit, B, K, M, G or T, from 16M to 512G "
			"and a multiple of 4K. The default is 128M. Host memory is used as the "
			"guest touches it.",
		.kind = OPTION_TEXT,
		.set = option_set_memory,
	},
	{
		.name = "--cpus",
		.arg = "N",
		.help = "virtual CPUs, 1 to 255 (default 1)",
		.details = "Virtual CPUs, 1 to 255. The default is 1.",
		.kind = OPTION_TEXT,
		.set = option_set_cpus,
	},
	{
		.name = "--console",
		.arg = "WHERE",
		.help = "serial port: stdio (default), none, file:PATH",
		.details = "Where the serial port is connected: stdio, the default; none; or "
			   "file:PATH, which is created if need be and written to at its end, and "
			   "gives the guest no input.",
		.kind = OPTION_CHOICE,
		.choices = console_words,
		.set = option_set_console,
	},
	{
		.name = "--boot-protocol",
		.arg = "NAME",
		.help = "auto (default), pvh or linux64",
		.details = "How the kernel is entered: pvh, through its PVH note; linux64, by the "
			   "64-bit Linux boot protocol; or auto, the default, by what the file "
			   "offers.",
		.kind = OPTION_CHOICE,
		.choices = boot_protocol_names,
		.offset = offsetof(struct options, settings.boot_protocol),
		.rank = OPTION_ADVANCED,
		.set = option_set_choice,
	},
	{
		.name = "--kernel-decompress",
		.arg = "WHO",
		.help = "who unpacks it: auto (default), guest or host",
		.details =
			"Who unpacks a compressed kernel: guest, a bzImage unpacks itself; host, "
			"it is unpacked before the guest starts, and then runs at fixed "
			"addresses (no KASLR); or auto, the default: the host where a bzImage "
			"has no memory to unpack itself, is to be entered by PVH, or the file is "
			"a compressed ELF vmlinux (gzip, xz, zstd, lz4), and the guest "
			"otherwise.",
		.kind = OPTION_CHOICE,
		.choices = kernel_decompress_names,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.kernel_decompress),
		.set = option_set_choice,
	},
	{
		.name = "--no-acpi",
		.help = "describe the machine without ACPI tables",
		.details =
			"Describe the machine by an MP table only, without ACPI tables, and "
			"announce disks on the kernel command line. A command line with the word "
			"acpi=off does the same.",
		.kind = OPTION_FLAG,
		.rank = OPTION_ADVANCED,
		.set = option_set_no_acpi,
	},
	{
		.name = "--hugepages",
		.arg = "KIND",
		.help = "auto (default), off, thp or 2m",
		.details =
			"What backs guest memory: 2m, pages of 2 MiB from the host's pool "
			"(vm.nr_hugepages); thp, transparent huge pages; off, pages of 4 KiB; or "
			"auto, the default: the pool if it has enough pages, else transparent "
			"huge pages where the host has them.",
		.kind = OPTION_CHOICE,
		.choices = hugepages_names,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.hugepages),
		.set = option_set_choice,
	},
	{
		.name = "--prefault",
		.help = "back all guest memory before the guest runs",
		.details =
			"Back all guest memory before the guest runs, so that it never waits for "
			"a page.",
		.kind = OPTION_FLAG,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.has_prefault),
		.set = option_set_flag,
	},
	{
		.name = "--memory-shared",
		.help = "keep guest memory in a sealed memfd",
		.details = "Keep guest memory in a memfd, sealed against resizing, that other "
			   "processes can be given; without it the memory is private.",
		.kind = OPTION_FLAG,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.is_memory_shared),
		.set = option_set_flag,
	},
	{
		.name = "--track-dirty-pages",
		.help = "let KVM note which pages the guest writes",
		.details = "Let KVM note which pages the guest writes; their number is logged (at "
			   "level info) when the guest is paused and when it ends. Costs a fault "
			   "for each first write.",
		.kind = OPTION_FLAG,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.has_dirty_log),
		.set = option_set_flag,
	},
	{
		.name = "--cpu-template",
		.arg = "NAME|FILE",
		.help = "what the guest's CPU is to look like",
		.details = "What the guest's CPU is to look like: a file with a CPU template (JSON "
			   "as Firecracker's), or one of the built-in C3, T2, T2A, T2CL and T2S. A "
			   "run is refused when the host cannot provide what the template wants; "
			   "volt-vmm cpu check says what that is.",
		.kind = OPTION_PATH,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.cpu_template),
		.set = option_set_path,
	},
	{
		.name = "--cpu-affinity",
		.arg = "LIST",
		.help = "host CPUs for the vCPUs, in order",
		.details = "The host CPU of each vCPU, in order, for example 0-3,6: as many as "
			   "--cpus says. Without it the host's scheduler decides.",
		.kind = OPTION_TEXT,
		.rank = OPTION_ADVANCED,
		.set = option_set_cpu_affinity,
	},
	{
		.name = "--pit",
		.help = "give the guest an 8254 timer",
		.details = "Give the guest an 8254 timer, for kernels that cannot do without one. "
			   "It is there without being asked for when the kernel command line has "
			   "noapic, nolapic, no-kvmclock or notsc.",
		.kind = OPTION_FLAG,
		.rank = OPTION_ADVANCED,
		.offset = offsetof(struct options, settings.has_pit),
		.set = option_set_flag,
	},
};

const struct option_group option_group_vm = {
	.title = "The virtual machine",
	.rows = rows,
	.nr = ARRAY_LEN(rows),
};
