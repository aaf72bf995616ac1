/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settings to what machine needs: `struct machine_config` and the open descriptors its slots
 * name. All files are opened and checked here, before anything is started, so that a wrong path
 * costs nothing and leaves nothing behind.
 *
 * A stock kernel's default command line is `console=ttyS0 reboot=k panic=-1 quiet loglevel=3`: log
 * and shell on the serial port (left out when there is none), reboot through the keyboard
 * controller, a panic ends the VM at once, and no boot messages, which cost most of the boot time
 * of a serial port (level 3, because a stock kernel calls the lack of PCI an error). With a root
 * disk comes ` root=/dev/vda rw` or `ro`: the root disk is always the first.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "control/settings.h"
#include "control/wire.h"

/* /dev/kvm, kernel, initrd, console in and out, page of counters, seccomp filter, and the drives. */
enum { LAUNCH_MAX_FDS = 7 + WIRE_MAX_DRIVES };

/* Everything that starts a machine. Large, for its command line: keep it off the stack. */
struct launch {
	struct machine_config config;
	struct cpu_template cpu_template; /* for config.has_cpu_template; untouched without it */
	enum console_kind console;
	int fds[LAUNCH_MAX_FDS]; /* owned; a slot in config is an index */
	size_t nr_fds;
};

/*
 * Opens what @o names and fills *@out, which needs no preparation; the command line behind its NUL
 * is left untouched, so that its pages need not exist. For CONSOLE_STDIO the caller brings the
 * console with launch_add_console(). Returns 0, or -errno with @e filled and nothing open; -EBADMSG
 * for a CPU template or seccomp filter that is malformed, which is an error of usage.
 */
int config_build(const struct settings *s, struct launch *out, struct err *e);

/* Makes @fd, which it takes even on failure, input and output of the console. 0 or -errno. */
int launch_add_console(struct launch *l, int fd, struct err *e);

/* Makes @fd, which it takes even on failure, machine's page of counters. 0 or -errno. */
int launch_add_metrics(struct launch *l, int fd, struct err *e);

/* Closes the descriptors; config stays. Accepts a zeroed object, and may be called twice. */
void launch_release(struct launch *l);
