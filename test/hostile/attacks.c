/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all attacks, and what surrounds each: see attacks.h. */
#include "test/hostile/attacks.h"

const struct attack_list *const attack_lists[ATTACK_LISTS] = {
	&attacks_index,	   &attacks_table, &attacks_edge,    &attacks_setup, &attacks_status,
	&attacks_register, &attacks_storm, &attacks_request, &attacks_race,
};

/* Whether a device with this outcome goes on without a reset. */
static bool is_running_after(enum outcome outcome)
{
	return outcome == OUTCOME_DONE || outcome == OUTCOME_IOERR || outcome == OUTCOME_UNSUPP ||
	       outcome == OUTCOME_IGNORED;
}

enum outcome attack_run(struct driver *d, const struct attack *a)
{
	enum outcome outcome;

	d->where = 0;
	MUST(d, driver_start(d));
	driver_build(d, VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_SECTOR_BYTES);
	outcome = a->run(d, a->row);
	if (is_running_after(outcome))
		MUST(d, driver_reads_well(d));
	MUST(d, driver_start(d));
	MUST(d, driver_reads_well(d));
	return outcome;
}

const char *attack_outcome_name(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_DONE:
		return "done";
	case OUTCOME_IOERR:
		return "I/O error";
	case OUTCOME_UNSUPP:
		return "unsupported";
	case OUTCOME_NEEDS_RESET:
		return "needs reset";
	case OUTCOME_IGNORED:
		return "ignored";
	case OUTCOME_SURVIVED:
		return "survived";
	case OUTCOME_STUCK:
		return "STUCK";
	case OUTCOME_BROKEN:
		return "BROKEN";
	}
	return "?";
}
