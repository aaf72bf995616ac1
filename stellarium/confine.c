/* SPDX-License-Identifier: Apache-2.0 */
/* The program's own sandbox: see confine.h. */
#include "stellarium/confine.h"

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#include "jail/landlock.h"
#include "jail/layer.h"
#include "jail/seccomp.h"

int confine(const char *store_path, const char *folder, enum jail_thread thread, struct err *e)
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
	/* A kernel without one of these is no reason not to read a store. */
	r = jail_landlock(&plan, e);
	if (r < 0 && r != -ENOSYS)
		return r;
	r = jail_filter(thread, NULL, e);
	return r == -ENOSYS || r == -EINVAL ? 0 : r;
}
