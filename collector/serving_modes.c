// SPDX-License-Identifier: Apache-2.0
/*
 * serving_modes.c - the modes of rules in the running collector: who asks, and whoever changes one has the rules
 * read again.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/book_int.h"
#include "collector/serving_rules_int.h"

static bool is_done(const json_t *answer)
{
	return !strcmp(book_text(json_array_get(answer, 0), "type"), "done");
}

/* What somebody says of a rule as it is at work is not to be of files that nobody could read. */
static json_t *change(struct serving_rules *v, const json_t *request,
		      const struct endpoint_peer *peer)
{
	struct ruleset_errors *errs = calloc(1, sizeof(*errs));
	json_t *answer = NULL;
	int r;

	if (!errs)
		return NULL;
	pthread_mutex_lock(&v->reading);
	r = ruleset_try(v->settings, NULL, errs);
	if (!r)
		answer = book_ask(v->book, request, peer);
	pthread_mutex_unlock(&v->reading);
	if (r)
		answer = book_refuse(
			"conflict", "the files of rules have errors, so no mode is changed: %.280s",
			*errs->text ? errs->text : strerror(-r));
	free(errs);
	return answer;
}

json_t *serving_modes_ask(struct serving_rules *v, const json_t *request,
			  const struct endpoint_peer *peer)
{
	const char *what = book_text(request, "what");
	char said[PACKS_SAID];
	json_t *answer;

	if (cli_word("promote|demote|set", what) < 0)
		return book_ask(v->book, request, peer);
	answer = change(v, request, peer);
	if (!is_done(answer) || !serving_rules_again(v, said))
		return answer;
	json_decref(answer);
	return book_refuse("rules", "the mode is written down, and the rules can't be read: %.300s",
			   said);
}
