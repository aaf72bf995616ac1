/* SPDX-License-Identifier: Apache-2.0 */
/* What secret.c and secret_ask.c share. */
#pragma once

#include "stellarium/secret.h"

/* Gives @s its memory. 0 or -ENOMEM. */
int secret_allocate(struct secret *s, struct err *e);
