/* SPDX-License-Identifier: Apache-2.0 */
/* The exit port: see exit_port.h. */
#include "machine/dev/exit_port.h"

#include <string.h>

static void exit_port_read(void *dev, uint64_t offset, void *data, uint32_t len)
{
	(void)dev;
	memset(data, 0xff, len);
	if (offset == 0 && len > 0)
		memset(data, EXIT_PORT_SIGNATURE, 1);
}

static void exit_port_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	const struct exit_port *p = dev;
	uint8_t status;

	if (offset != 0 || len == 0)
		return;
	memcpy(&status, data, sizeof(status));
	p->end.fn(p->end.opaque, GUEST_END_EXIT, status);
}

const struct bus_ops exit_port_bus_ops = { .read = exit_port_read, .write = exit_port_write };
