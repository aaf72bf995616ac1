/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program can be told to do: `volt-vmm VERB`. The first verb of the list, run, is also meant
 * when there is none.
 */
#pragma once

#include "base/verb.h"

extern const struct verb_list volt_verbs;
