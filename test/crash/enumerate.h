/* SPDX-License-Identifier: Apache-2.0 */
/* Which crashes are tried, and in which order. */
#pragma once

#include "test/crash/replay.h"

struct crash_enumeration {
	const struct crash_log *log;
	const struct replay *replay;
	size_t first; /* the shortest prefix */
	unsigned randoms; /* random choices of each prefix */
	uint64_t seed;
	bool (*try_state)(void *opaque, size_t prefix, const struct crash_choice *choice);
	void *opaque;
};

/*
 * Calls try_state() until that returns false or nothing is left: for each prefix first all that can
 * be lost lost or kept, then each op alone lost, kept, torn or the last of its directory, and
 * random choices. It goes in rounds, of which each visits all prefixes in mixed order: when a budget
 * ends, no part of the log has been left out.
 */
void crash_enumerate(const struct crash_enumeration *r);
