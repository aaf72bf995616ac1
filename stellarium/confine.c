/* SPDX-License-Identifier: Apache-2.0 */
/* The program's own sandbox: see confine.h. */
#include "stellarium/confine.h"

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#include "jail/landlock.h"
#include "jail/layer.h"

int confine(const char *store_path, const char *folder, struct err *e)
{
	const struct jail_path_rule rules[] = {
		{ store_path, JAIL_ACCESS_MOVE }, /* fsck --repair moves to quarantine/ */
		{ folder, JAIL_ACCESS_WRITE },
	};
	const struct jail_landlock_plan plan = {
		.rules = rules,
		.nr_rules = folder ? 2 : 1,
		.is_scoped = true,
	};
	int r;

	if (!jail_is_built())
		return 0;
	tzset(); /* reads the time zone, which it could not later */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot set no_new_privs");
	r = jail_landlock(&plan, e);
	/* A kernel without it is no reason not to read a store. */
	return r == -ENOSYS ? 0 : r;
}
