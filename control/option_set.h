/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setters for rows of the option tables (options.h). Those of the first list fill the member at the
 * row's `offset`; the others know where they belong. A setter leaves its member alone on failure.
 */
#pragma once

#include "control/options.h"

option_setter option_set_path; /* char *, owned by the settings: any text but "" */
option_setter option_set_allow; /* struct options.allowed: adds one */
option_setter option_set_borrowed; /* const char *, borrowed from argv: any text but "" */
option_setter option_set_cmdline; /* char *, owned by the settings: text for a kernel */
option_setter option_set_choice; /* an enum: the index of a word among the row's choices */
option_setter option_set_number; /* uint64_t, any */
option_setter option_set_bytes; /* uint64_t, from 1 to 1 GiB: a limit of the API's */

option_setter option_set_rootfs, option_set_drive, option_set_memory, option_set_cpus;
option_setter option_set_sandbox_missing, option_set_cpu_affinity, option_set_console,
	option_set_no_acpi;
option_setter option_set_id, option_set_timeout, option_set_help, option_set_version;
option_setter option_set_snapshot_version;
option_setter option_set_logger_path, option_set_logger_format, option_set_logger_level;
option_setter option_set_logger_module, option_set_show_level, option_set_show_origin;

/* For what this version has not got: the error says so. */
option_setter option_set_unavailable;
