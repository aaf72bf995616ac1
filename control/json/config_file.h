/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files, `--config-file`, in two forms:
 *
 *	{ "version": 1, "kernel": "vmlinuz", "memory": "256M" }		Volt's
 *	{ "boot-source": { "kernel_image_path": "vmlinuz" }, "drives": [] }	Firecracker's
 *
 * A "version" at the top tells them apart. Volt's form has everything that `struct settings` has,
 * by the names of the command line; docs/configuration.md describes it. Unknown keys are errors
 * there. Firecracker's form is read as Firecracker does: unknown sections are ignored, and ids may
 * be any text.
 *
 * Thread: any.
 */
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "control/json/json.h"
#include "control/settings.h"

enum { CONFIG_FILE_MAX_BYTES = 1 << 20 };

/*
 * Puts what the file @path says in place of *@s, all of it: options that are to win over the file
 * are applied after. 0; -EBADMSG: malformed; -EINVAL and others: a value is refused, or the file
 * cannot be read. @e names the file; *@s is unchanged on failure.
 */
int config_file_load(const char *path, struct settings *s, struct err *e);

/* The same for text; @name is for messages. */
int config_file_parse(const char *name, const char *text, size_t len, struct settings *s,
		      struct err *e);

/*
 * Volt's form as the body of a request: a new configuration in place of *@s, which is unchanged on
 * failure. The confinement stays as it was where the new one says nothing of it: nobody loses a
 * filter by a request about memory. -EBADMSG or -EINVAL with the place in the text.
 */
int settings_from_volt(const struct json_node *body, struct settings *s, struct err *e);

/* All of the settings in Volt's form: a new reference, or NULL when there is no memory. */
json_t *settings_to_volt(const struct settings *s);

/* settings_to_fc() is in control/json/fc.h. */
