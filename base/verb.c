/* SPDX-License-Identifier: Apache-2.0 */
/* Finding verbs, and saying which there are: see verb.h. */
#include "base/verb.h"

#include <errno.h>
#include <string.h>

#include "base/quote.h"
#include "base/suggest.h"

bool verb_has_topic(const struct verb *verb, const char *word)
{
	const size_t len = strcspn(verb->name, " ");

	return strlen(word) == len && memcmp(verb->name, word, len) == 0;
}

size_t verb_new_topic(const struct verb_list *list, size_t i)
{
	const char *name = list->rows[i].name;
	const size_t len = strcspn(name, " ");

	if (i > 0 && strncmp(list->rows[i - 1].name, name, len) == 0 &&
	    list->rows[i - 1].name[len] == name[len])
		return 0;
	return len;
}

const struct verb *verb_find(const struct verb_list *list, char *const *words, int nr, int *used)
{
	*used = 0;
	for (size_t i = 0; nr > 0 && i < list->nr; i++) {
		const struct verb *verb = &list->rows[i];
		const char *second = strchr(verb->name, ' ');

		if (!verb_has_topic(verb, words[0]))
			continue;
		*used = 1;
		if (second && (nr < 2 || strcmp(second + 1, words[1]) != 0))
			continue;
		*used = second ? 2 : 1;
		return verb;
	}
	return NULL;
}

const struct option_spec *verb_option(const struct verb *verb, size_t i)
{
	return option_at(verb->groups, i);
}

int verb_refuse(const struct verb_list *list, const char *word, struct err *e)
{
	const char *nearest = NULL;

	for (size_t i = 0; i < list->nr; i++)
		nearest = suggest_nearer(word, strlen(word), nearest, list->rows[i].name);
	return err_set(e, -EINVAL, "there is no verb %s; the nearest is %s, --help lists all",
		       quote(word).text, nearest);
}

/* "dump, baseline or check" */
static void list_second_words(const struct verb_list *list, const char *topic, char *text,
			      size_t size)
{
	size_t used = 0, left = 0;

	for (size_t i = 0; i < list->nr; i++)
		left += verb_has_topic(&list->rows[i], topic);
	for (size_t i = 0; i < list->nr && used < size; i++) {
		if (!verb_has_topic(&list->rows[i], topic))
			continue;
		left--;
		used += (size_t)snprintf(text + used, size - used, "%s%s",
					 strchr(list->rows[i].name, ' ') + 1,
					 left > 1    ? ", "
					 : left == 1 ? " or "
						     : "");
	}
}

int verb_refuse_second(const struct verb_list *list, const char *topic, const char *word,
		       struct err *e)
{
	const char *nearest = NULL;
	char words[128] = "";

	list_second_words(list, topic, words, sizeof(words));
	if (!word)
		return err_set(e, -EINVAL, "%s needs a verb: %s", topic, words);
	for (size_t i = 0; i < list->nr; i++) {
		if (verb_has_topic(&list->rows[i], topic))
			nearest = suggest_nearer(word, strlen(word), nearest,
						 strchr(list->rows[i].name, ' ') + 1);
	}
	return err_set(e, -EINVAL, "%s has no verb %s; the nearest is %s, '%s %s --help' lists all",
		       topic, quote(word).text, nearest, list->program, topic);
}

int verb_refuse_operand(const struct verb_list *list, const struct verb *verb, const char *text,
			struct err *e)
{
	return err_set(e, -EINVAL, "unexpected argument %s; it is: %s %s [option...]%s%s",
		       quote(text).text, list->program, verb->name, verb->operands ? " " : "",
		       verb->operands ? verb->operands : "");
}

int verb_check_operands(const struct verb_list *list, const struct verb *verb, int nr,
			struct err *e)
{
	if (nr >= verb->min_operands)
		return 0;
	return err_set(e, -EINVAL, "%s needs %s; it is: %s %s [option...] %s", verb->name,
		       verb->operands, list->program, verb->name, verb->operands);
}
