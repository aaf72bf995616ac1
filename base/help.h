/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of --help, in lines of at most 79 columns, from the tables of verbs and options. */
#pragma once

#include <stdio.h>

#include "base/verb.h"

/* Puts the word behind @column, or on a new line that begins with @indent spaces. */
int help_put_word(FILE *to, int column, int indent, const char *word, size_t len);

/* Plain sentences as a paragraph. */
void help_put_text(FILE *to, const char *text);

/* A line of the list of options. */
void help_put_option(FILE *to, const struct option_spec *spec);

/* "verbs: " and the words that verbs start with. */
void help_put_verbs(FILE *to, const struct verb_list *list);

/* Of one verb. Groups that have a title are left out when @others says where they are. */
void help_put_verb(FILE *to, const struct verb_list *list, const struct verb *verb,
		   const char *others);

/* Of all verbs whose first word is @topic. */
void help_put_topic(FILE *to, const struct verb_list *list, const char *topic);
