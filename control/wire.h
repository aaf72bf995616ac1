/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control and machine say to each other. Besides it they share metrics_page.h alone.
 *
 * Both are processes of one binary, joined by a SOCK_SEQPACKET socket pair; a message is one
 * struct, sent whole, with its descriptors beside it. Control sends `struct machine_config` once,
 * then `struct vm_cmd`s. Machine answers with `struct vm_event`s. Machine is the process a guest
 * may have taken over, so control checks the size and every field of an event; machine trusts
 * control.
 *
 * The structs hold numbers, flags and descriptor slots, no pointers: a slot is an index into the
 * descriptors that came with the message, or WIRE_NO_FD.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	WIRE_VERSION = 1,
	WIRE_NO_FD = -1,
	WIRE_MAX_DRIVES = 16,
	WIRE_MAX_QUEUES = 8, /* of one device */
	WIRE_MAX_IOTHREADS = 8,
	WIRE_IOTHREAD_BYTES = 16, /* a thread's name, 15 characters and the NUL */
	WIRE_NO_IOTHREAD = -1, /* the loop thread does the work */
	WIRE_ID_BYTES = 65, /* 64 characters and the NUL */
	WIRE_CMDLINE_BYTES = 65536,
	WIRE_TEXT_BYTES = 1024,
	WIRE_FILE_BYTES = 64, /* of a file's name in a log line */
	WIRE_MAX_CPUS = 255,
	WIRE_MAX_CPUID = 256,
	WIRE_MAX_MSRS = 512,
	WIRE_MAX_CAPABILITIES = 32,
	WIRE_NO_AFFINITY = 0xffff,
	WIRE_SOCKET_FD = 3, /* where machine finds its end after exec */
};

/* argv[0] that makes the binary a machine process. */
#define WIRE_MACHINE_ARGV0 "volt-vmm-machine"

enum boot_protocol {
	BOOT_PROTOCOL_AUTO,
	BOOT_PROTOCOL_PVH, /* 32-bit entry through the Xen PHYS32_ENTRY note */
	BOOT_PROTOCOL_LINUX64, /* 64-bit Linux boot protocol */
};

enum kernel_decompress {
	KERNEL_DECOMPRESS_AUTO, /* by the host when the kernel's own way does not fit into memory */
	KERNEL_DECOMPRESS_GUEST, /* a bzImage unpacks itself */
	KERNEL_DECOMPRESS_HOST,
};

enum hugepages {
	HUGEPAGES_AUTO, /* transparent huge pages where the host allows them */
	HUGEPAGES_OFF, /* 4 KiB pages only */
	HUGEPAGES_THP, /* transparent huge pages, an error where the host forbids them */
	HUGEPAGES_2M, /* pages of the host's reserved pool, an error when it has too few */
};

enum machine_purpose {
	MACHINE_RUN = 1, /* run a VM */
	MACHINE_CPU_DUMP, /* answer with what the host's CPU offers a guest, and end */
};

/* One leaf of CPUID: the bits of `filter` take the value in `value`, the others stay. */
struct cpuid_modifier {
	uint32_t leaf;
	uint32_t subleaf;
	uint32_t flags; /* KVM_CPUID_FLAG_ */
	uint32_t filter[4]; /* eax, ebx, ecx, edx */
	uint32_t value[4];
};

struct msr_modifier {
	uint32_t index;
	uint32_t reserved;
	uint64_t filter;
	uint64_t value;
};

/* A capability of KVM that must be there, or (is_removed) need not be. */
struct kvm_capability {
	uint32_t number;
	uint32_t is_removed;
};

/*
 * What a CPU template says. Follows the configuration as a message of its own when has_cpu_template
 * is set, and is machine's answer to MACHINE_CPU_DUMP.
 */
struct cpu_template {
	uint32_t nr_cpuid;
	uint32_t nr_msrs;
	uint32_t nr_capabilities;
	uint32_t reserved;
	struct cpuid_modifier cpuid[WIRE_MAX_CPUID];
	struct msr_modifier msrs[WIRE_MAX_MSRS];
	struct kvm_capability capabilities[WIRE_MAX_CAPABILITIES];
};

enum block_engine {
	BLOCK_ENGINE_AUTO, /* io_uring where the host has it */
	BLOCK_ENGINE_SYNC, /* preadv() and pwritev() */
	BLOCK_ENGINE_URING, /* io_uring, or an error */
};

enum block_cache {
	BLOCK_CACHE_WRITEBACK, /* a flush reaches the disk */
	BLOCK_CACHE_UNSAFE, /* no flush is offered, and none done */
};

/* All zeroes: no limit. See machine/backend/token_bucket.h. */
struct token_bucket_config {
	uint64_t size; /* tokens: bytes or operations */
	uint64_t refill_ms; /* in which an empty bucket becomes full */
	uint64_t one_time_burst; /* tokens on top, once */
};

struct rate_limiter_config {
	struct token_bucket_config bandwidth; /* in bytes */
	struct token_bucket_config ops;
};

struct drive_config {
	char id[WIRE_ID_BYTES];
	bool is_root;
	bool is_read_only;
	bool is_direct; /* the descriptor has O_DIRECT */
	enum block_engine engine;
	enum block_cache cache;
	uint32_t queue_count; /* 1 to WIRE_MAX_QUEUES */
	int32_t iothread; /* index into machine_config.iothreads, or WIRE_NO_IOTHREAD */
	int32_t fd_slot;
	struct rate_limiter_config limit;
};

struct machine_config {
	uint32_t version; /* WIRE_VERSION */
	enum machine_purpose purpose;
	uint32_t log_level; /* enum log_level: what is above it need not be sent */
	uint32_t cpu_count; /* 1 to 255 */
	uint64_t memory_bytes; /* a multiple of 4096 */
	uint64_t boot_timer_start_us; /* CLOCK_MONOTONIC; 0: no boot timer */
	enum boot_protocol boot_protocol;
	enum kernel_decompress kernel_decompress;
	enum hugepages hugepages;
	bool is_memory_shared; /* a sealed memfd instead of private memory */
	bool has_dirty_log; /* KVM notes which pages the guest writes */
	bool has_prefault; /* touch all guest memory before the guest runs */
	bool has_pit; /* an 8254 timer */
	bool has_cpu_template; /* struct cpu_template follows as the next message */
	uint16_t affinity[WIRE_MAX_CPUS]; /* host CPU of each vCPU, or WIRE_NO_AFFINITY */
	bool has_acpi; /* false: MP table only, virtio devices on the command line */
	int32_t kvm_slot; /* /dev/kvm */
	int32_t kernel_slot;
	int32_t initrd_slot; /* or WIRE_NO_FD */
	int32_t console_out_slot; /* where serial output goes, or WIRE_NO_FD */
	struct token_bucket_config console_limit; /* of serial output, in bytes */
	int32_t console_in_slot; /* where serial input comes from, or WIRE_NO_FD */
	int32_t seccomp_slot; /* a filter of the user's for all threads, or WIRE_NO_FD */
	uint32_t allowed_missing; /* layers of the sandbox (jail/layer.h) that need not be there */
	bool is_alone_on_core; /* no other process runs on the same core meanwhile */
	bool is_memory_locked; /* guest memory is never swapped out */
	int32_t metrics_slot; /* struct machine_metrics (metrics_page.h), or WIRE_NO_FD */
	uint32_t iothread_count;
	char iothreads[WIRE_MAX_IOTHREADS][WIRE_IOTHREAD_BYTES]; /* their names */
	uint32_t drive_count;
	struct drive_config drives[WIRE_MAX_DRIVES]; /* in the order the guest sees them */
	char cmdline[WIRE_CMDLINE_BYTES]; /* NUL-terminated */
};

enum vm_cmd_kind {
	VM_CMD_STOP = 1, /* end the VM now, without asking the guest; answered by VM_EVENT_ENDED */
	VM_CMD_PAUSE, /* done when no vCPU is in the guest */
	VM_CMD_RESUME,
	VM_CMD_REPLACE_DRIVE, /* drive; its new file is the descriptor that comes with it */
	VM_CMD_LIMIT_DRIVE, /* drive, limit, and which of its buckets are meant */
	VM_CMD_CTRL_ALT_DEL, /* done when the keys are on their way */
};

/* All but STOP are answered by one VM_EVENT_DONE, not always in the order in which they came. */
struct vm_cmd {
	uint32_t kind; /* enum vm_cmd_kind */
	uint32_t id; /* comes back with the answer */
	uint32_t drive; /* index into machine_config.drives */
	bool has_bandwidth;
	bool has_ops;
	struct rate_limiter_config limit;
};

enum vm_event_kind {
	VM_EVENT_LOG = 1, /* level, line, file, text */
	VM_EVENT_CONFINED, /* layers, landlock_abi, text: why those that are missing are */
	VM_EVENT_GUARDED, /* with descriptors that report forbidden system calls, jail/seccomp.h */
	VM_EVENT_RUNNING, /* the vCPUs are about to enter the guest for the first time */
	VM_EVENT_DONE, /* id, code and, when that is an error, text */
	VM_EVENT_ENDED, /* reason, status, text; the last message */
	VM_EVENT_FAULT, /* drive, fault, text: at most so many in a second, see virtio/device.h */
	VM_EVENT_PANIC, /* status: PANIC_; once, and the guest goes on with what it does then */
};

/* What goes wrong with a device while the VM goes on. */
enum device_fault {
	DEVICE_FAULT_NEEDS_RESET = 1, /* its driver broke the protocol: it stopped until a reset */
	DEVICE_FAULT_IO_ERROR, /* the host failed a request */
};

/* What a guest's kernel says of its panic: the bits of the pvpanic port. */
enum {
	PANIC_PANICKED = 1 << 0,
	PANIC_CRASH_LOADED = 1 << 1, /* it panicked, and a crash kernel takes over */
};

enum vm_end_reason {
	VM_END_FAILED = 1, /* the VM could not be built, or the host failed it: text says why */
	VM_END_POWER_OFF,
	VM_END_REBOOT,
	VM_END_EXIT_PORT, /* status: the byte the guest wrote */
	VM_END_CRASH, /* triple fault or an exit KVM could not handle: text says which */
	VM_END_STOPPED, /* VM_CMD_STOP */
	VM_END_PANIC, /* as POWER_OFF, REBOOT or CRASH, after a panic: text says which */
};

struct vm_event {
	uint32_t kind; /* enum vm_event_kind */
	uint32_t level; /* enum log_level, for VM_EVENT_LOG */
	uint32_t reason; /* enum vm_end_reason, for VM_EVENT_ENDED */
	uint32_t status; /* 0 to 255, for VM_EVENT_ENDED and VM_EVENT_PANIC */
	uint32_t drive; /* index into machine_config.drives, for VM_EVENT_FAULT, like the next */
	uint32_t fault; /* enum device_fault */
	uint32_t id; /* of the command, for VM_EVENT_DONE */
	int32_t code; /* 0 or -errno, for VM_EVENT_DONE */
	uint32_t micros; /* for DONE and RUNNING: from the command or configuration to its end */
	uint32_t
		layers; /* of the sandbox that are in force, for VM_EVENT_CONFINED, like the next */
	uint32_t landlock_abi; /* 0: no Landlock */
	uint32_t line; /* of the source, for VM_EVENT_LOG, like the next */
	char file[WIRE_FILE_BYTES];
	char text[WIRE_TEXT_BYTES];
};

/*
 * Entry of the machine process; never returns to the guest's control. The return value is the exit
 * status.
 */
int machine_main(void);
