/* SPDX-License-Identifier: Apache-2.0 */
/* The pvpanic port: see pvpanic.h. */
#include "machine/dev/pvpanic.h"

#include <string.h>

#include "control/metrics_page.h"
#include "control/wire.h"

enum { PVPANIC_BITS = PANIC_PANICKED | PANIC_CRASH_LOADED };

/* Which bits we know: a driver writes no others. */
static void pvpanic_read(void *dev, uint64_t offset, void *data, uint32_t len)
{
	const uint8_t bits = PVPANIC_BITS;

	(void)dev;
	memset(data, 0xff, len);
	if (offset == 0 && len > 0)
		memcpy(data, &bits, sizeof(bits));
}

static void pvpanic_write(void *dev, uint64_t offset, const void *data, uint32_t len)
{
	struct pvpanic *p = dev;
	uint8_t what;

	if (offset != 0 || len == 0)
		return;
	memcpy(&what, data, sizeof(what));
	what &= PVPANIC_BITS;
	if (what == 0 || atomic_exchange(&p->has_panicked, true))
		return;
	if (p->panics)
		metric_add_shared(p->panics, 1);
	p->fn(p->opaque, what);
}

const struct bus_ops pvpanic_bus_ops = { .read = pvpanic_read, .write = pvpanic_write };
