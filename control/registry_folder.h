/* SPDX-License-Identifier: Apache-2.0 */
/* The folder behind the registry (registry.h): its place, and whose it is. */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* Makes it if need be; its path is in @path. Returns a descriptor or -errno with @e. */
int registry_folder_open(char *path, size_t size, struct err *e);
