/* SPDX-License-Identifier: Apache-2.0 */
/* Names of layers: see layer.h. */
#include "jail/layer.h"

#include <stdio.h>
#include <string.h>

static const char *const names[JAIL_LAYERS] = {
	[JAIL_NAMESPACES] = "namespaces",
	[JAIL_ROOT] = "root",
	[JAIL_CAPABILITIES] = "capabilities",
	[JAIL_LANDLOCK] = "landlock",
	[JAIL_LIMITS] = "limits",
	[JAIL_SECCOMP] = "seccomp",
};

bool jail_is_built(void)
{
#ifdef VOLT_SANITIZED
	return false;
#else
	return true;
#endif
}

const char *jail_layer_name(enum jail_layer layer)
{
	return names[layer];
}

int jail_layer_find(const char *name, unsigned int len)
{
	for (int i = 0; i < JAIL_LAYERS; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return i;
	}
	return -1;
}

char *jail_layer_list(uint32_t mask, char *buf, unsigned int size)
{
	unsigned int used = 0;

	buf[0] = '\0';
	for (int i = 0; i < JAIL_LAYERS && used < size; i++) {
		if (mask & 1u << i)
			used += (unsigned int)snprintf(buf + used, size - used, "%s%s",
						       used > 0 ? ", " : "", names[i]);
	}
	return buf;
}
