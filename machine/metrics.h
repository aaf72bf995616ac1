/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine's end of the page of counters (control/metrics_page.h). There is always one to count on:
 * without a page from control it is memory of our own that nobody reads.
 */
#pragma once

#include "base/err.h"
#include "control/metrics_page.h"

/* Maps the page @fd, which stays the caller's; -1: a private one. 0 or -errno with @e filled. */
int metrics_map(struct machine_metrics **out, int fd, struct err *e);

/* Accepts NULL. */
void metrics_unmap(struct machine_metrics *metrics);

/* CLOCK_MONOTONIC in microseconds. */
uint64_t metrics_now_us(void);

/* Notes that @phase has been reached now. */
void metrics_reach(struct machine_metrics *metrics, enum boot_phase phase);
