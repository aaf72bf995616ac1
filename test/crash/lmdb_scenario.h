/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB by itself, as a program that is known to be right, and that is not ours: its static archive is
 * what the recorder must see the calls of. With MDB_NOSYNC it is known to be wrong.
 */
#pragma once

#include "test/crash/crash.h"

/* Transactions of which each changes all that there is. @flags of mdb_env_open(). */
struct crash_scenario lmdb_scenario(const unsigned *flags);
