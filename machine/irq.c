/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt lines: see irq.h. */
#include "machine/irq.h"

#include <unistd.h>

#include "control/metrics_page.h"

void irq_raise(const struct irq *irq)
{
	const uint64_t one = 1;
	ssize_t n;

	if (irq->fd < 0)
		return;
	if (irq->raised)
		metric_add_shared(irq->raised, 1);
	/* Fails only when the counter would overflow: the edge is pending already then. */
	n = write(irq->fd, &one, sizeof(one));
	(void)n;
}
