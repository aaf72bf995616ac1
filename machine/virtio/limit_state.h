/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rate limiter in a snapshot. Limits and what is left of them come back as they were saved, so a
 * restored guest neither gets a new burst nor keeps the limits that the new configuration names.
 */
#pragma once

#include <stdint.h>

#include "machine/backend/rate_limiter.h"
#include "machine/snap/state.h"

/*
 * Saves or loads @limiter as fields of the section at hand. @now_ns is of the clock that it is used
 * with. Loaded values are checked; after an error the limiter is as it was.
 */
void limit_state(struct state *s, struct rate_limiter *limiter, uint64_t now_ns);
