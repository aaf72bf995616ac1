/* SPDX-License-Identifier: Apache-2.0 */
/* What the generators of manual pages (mdoc(7)) share. */
#pragma once

/* Writes plain sentences: each on a line of its own, none of it taken for markup. */
void mdoc_put_text(const char *text);
