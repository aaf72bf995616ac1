/* SPDX-License-Identifier: Apache-2.0 */
/* What the generators of manual pages (mdoc(7)) share. */
#pragma once

#include "base/verb.h"

/* Writes plain sentences: each on a line of its own, none of it taken for markup. */
void mdoc_put_text(const char *text);

/* An option in a synopsis. */
void mdoc_put_option(const struct option_spec *spec);

/* The items of a list of options. */
void mdoc_put_rows(const struct option_group *group);

/*
 * A verb as an item of a list, with a list of its own options: those of groups without a title, but
 * for --help. @others is said when there are groups that have one.
 */
void mdoc_put_verb(const struct verb *verb, const char *others);

/* An exit status as an item of a list. */
void mdoc_put_status(const char *status, const char *meaning);
