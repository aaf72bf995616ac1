/* SPDX-License-Identifier: Apache-2.0 */
/* Exit statuses of stellarium: the same for all verbs. */
#pragma once

enum exit_status {
	EXIT_STATUS_OK = 0,
	EXIT_STATUS_ERROR = 1, /* it could not be done, or not all of it */
	EXIT_STATUS_USAGE = 2, /* the command line is wrong; nothing was done */
	EXIT_STATUS_FOUND = 3, /* it was done, and the answer is: fsck, problems that remain; diff,
				* the images differ */
	EXIT_STATUS_SIGNAL = 128, /* plus the number of the signal that cancelled it */
};
