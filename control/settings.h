/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one configuration of a VM as its user wrote it: paths, names and numbers, nothing opened yet.
 *
 * The command line, configuration files and both APIs fill this struct, each value checked as it
 * comes in (values.h, drive_value.h), so that a value is good or bad in all of them alike.
 * config_build() (config.h) opens what it names and makes of it what machine gets.
 *
 * Devices that this program does not build yet are here too: they are checked and kept, and
 * settings_missing() names one when a VM is to be started with it.
 *
 * Strings are owned; NULL means "not given".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "control/drive_value.h"
#include "control/wire.h"

enum {
	SETTINGS_MAX_NETS = 8,
	SETTINGS_MAX_PMEMS = 8,
	SETTINGS_MAC_BYTES = 6,
};

enum console_kind {
	CONSOLE_STDIO,
	CONSOLE_NONE,
	CONSOLE_FILE,
};

struct console_value {
	enum console_kind kind;
	char *path; /* owned; for CONSOLE_FILE */
	struct token_bucket_config limit; /* of output, in bytes: what is above it is dropped */
};

struct net_value {
	char *id; /* owned, like the next */
	char *host_dev_name;
	uint8_t mac[SETTINGS_MAC_BYTES];
	bool has_mac;
	uint16_t mtu; /* 0: not given */
	struct rate_limiter_config rx_limit;
	struct rate_limiter_config tx_limit;
};

struct pmem_value {
	char *id; /* owned, like the next */
	char *path;
	bool is_root;
	bool is_read_only;
	struct rate_limiter_config limit;
};

struct vsock_value {
	uint32_t guest_cid; /* 3 or more; 0: no vsock device */
	char *uds_path; /* owned */
};

struct balloon_value {
	bool is_present;
	uint32_t amount_mib;
	bool has_deflate_on_oom;
	uint16_t stats_interval_s;
	bool has_hinting;
	bool has_reporting;
};

struct entropy_value {
	bool is_present;
	struct rate_limiter_config limit;
};

struct memory_hotplug_value {
	uint32_t total_mib; /* 0: none */
	uint32_t block_mib;
	uint32_t slot_mib;
};

struct mmds_value {
	bool is_present;
	bool is_v2;
	bool has_imds_compat;
	uint8_t ipv4[4];
	char *net_ids[SETTINGS_MAX_NETS]; /* owned */
	size_t nr_net_ids;
};

enum logger_level {
	LOGGER_OFF,
	LOGGER_ERROR,
	LOGGER_WARN,
	LOGGER_INFO,
	LOGGER_DEBUG,
	LOGGER_TRACE,
};

enum logger_format {
	LOGGER_TEXT,
	LOGGER_JSON,
};

struct logger_value {
	bool is_present; /* somebody has asked for a log of his own; the rest is the default before */
	bool has_level;
	enum logger_level level; /* LOGGER_INFO for API clients who do not say */
	enum logger_format format;
	bool has_level_shown;
	bool has_origin_shown;
	char *path; /* owned, like the next; NULL: standard error */
	char *module; /* a prefix: lines from elsewhere are left out */
};

struct metrics_value {
	char *path; /* owned; NULL: no metrics lines */
	bool has_instance_id; /* lines say which VM they are from */
	char *properties; /* owned: a JSON object that goes into each line; NULL: none */
};

struct settings {
	/* the machine */
	uint64_t memory_bytes;
	uint32_t cpu_count;
	bool has_smt; /* as an API client set it; topology is always one thread per core */
	char *cpu_template; /* a name or path */
	struct cpu_template *custom_template; /* owned: one that was given whole */
	enum hugepages hugepages;
	bool is_memory_shared;
	bool has_dirty_log;
	bool has_prefault;
	bool has_pit;
	bool has_acpi;
	uint16_t affinity[WIRE_MAX_CPUS]; /* host CPUs, the first of which are in use */
	uint32_t nr_affinity; /* 0: any host CPU */

	/* its confinement, which a client of the API may change but does not by saying nothing of it */
	uint32_t allowed_missing; /* layers of the sandbox (jail/layer.h) that need not be there */
	bool is_alone_on_core;
	bool is_memory_locked;
	char *seccomp_path; /* owned: a filter on top of ours; NULL: none */

	/* what it boots */
	char *kernel_path;
	char *initrd_path;
	char *cmdline; /* NULL: the default; may be "" */
	char *cmdline_append;
	bool has_root_appended; /* `root=` is added to `cmdline`, as Firecracker does for its clients */
	enum boot_protocol boot_protocol;
	enum kernel_decompress kernel_decompress;

	/* its devices */
	struct console_value console;
	struct drive_value drives[WIRE_MAX_DRIVES]; /* the root first; ids are unique */
	size_t nr_drives;
	struct net_value nets[SETTINGS_MAX_NETS];
	size_t nr_nets;
	struct pmem_value pmems[SETTINGS_MAX_PMEMS];
	size_t nr_pmems;
	struct vsock_value vsock;
	struct balloon_value balloon;
	struct entropy_value entropy;
	struct memory_hotplug_value memory_hotplug;
	struct mmds_value mmds;

	/* what is told about it */
	struct logger_value logger;
	struct metrics_value metrics;
};

/* Defaults: 128 MiB, one vCPU, the console on standard input and output. */
void settings_init(struct settings *s);

/* Accepts a zeroed object, and may be called twice. */
void settings_release(struct settings *s);

/* Puts a copy of @text (NULL: nothing) in place of *@slot. 0 or -ENOMEM with @e filled. */
int settings_set_text(char **slot, const char *text, struct err *e);

/*
 * Adds @drive, or puts it in place of the one with its id. The root comes first. Takes what @drive
 * owns on success and leaves it zeroed. -EEXIST: there is another root; -ENOSPC: no room.
 */
int settings_put_drive(struct settings *s, struct drive_value *drive);

/* Gives @s, which is new, the confinement of @from. 0 or -ENOMEM with @e filled. */
int settings_copy_confinement(struct settings *s, const struct settings *from, struct err *e);

/* The drive with this id; NULL when there is none. */
struct drive_value *settings_find_drive(struct settings *s, const char *id);

/*
 * The same for network interfaces and pmem devices, which stay in the order in which they came.
 * -ENOSPC: no room.
 */
int settings_put_net(struct settings *s, struct net_value *net);
int settings_put_pmem(struct settings *s, struct pmem_value *pmem);

/* Those with this id; NULL when there are none. */
struct net_value *settings_find_net(struct settings *s, const char *id);
struct pmem_value *settings_find_pmem(struct settings *s, const char *id);

/* The pmem device that is the root; NULL when there is none. */
const struct pmem_value *settings_root_pmem(const struct settings *s);

/* Accept zeroed objects, and may be called twice. */
void net_value_release(struct net_value *net);
void pmem_value_release(struct pmem_value *pmem);

/*
 * What the settings ask for that this program has not got: "network interface 'eth0'"; NULL when
 * there is nothing of the kind. The text is written to @buf.
 */
const char *settings_missing(const struct settings *s, char *buf, size_t size);
