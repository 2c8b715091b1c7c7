// SPDX-License-Identifier: Apache-2.0
#include "collector/alerts/backtest_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/query/spec.h"
#include "collector/store/store.h"

struct asked {
	const struct backtest_asker *a;
	const json_t *request;
	struct site site;	 /* the collector's, with what the request says instead */
	struct rule_files files; /* of the request */
	const struct rule_set *rules;
	bool *told, *only; /* by rule; NULL: all. only: with those that correlations join */
	struct spec time;
	char *error;
	int put_failed;
};

static int wrong(struct asked *q, const char *what, const char *name)
{
	snprintf(q->error, STORE_ERROR, "%s%.64s", what, name);
	return -EINVAL;
}

static const json_t *member(const struct asked *q, const char *key)
{
	return json_object_get(q->request, key);
}

/* ---- rules ---- */

static void put_wrong(void *arg, const char *text)
{
	struct asked *q = arg;
	json_t *line = json_pack("{s:s, s:s}", "type", "wrong", "text", text);

	if (!line)
		q->put_failed = -ENOMEM;
	else if (q->put_failed)
		json_decref(line);
	else
		q->put_failed = q->a->put(q->a->arg, line);
}

/* What @name stands for, in one of the request's two tables. */
static int set_values(struct asked *q, const char *key,
		      int (*set)(struct site *s, const char *name, const char *value))
{
	json_t *table = (json_t *)(uintptr_t)member(q, key), *value;
	const char *name;

	if (table && !json_is_object(table))
		return wrong(q, "want an object: ", key);
	json_object_foreach(table, name, value)
	{
		if (!json_is_string(value))
			return wrong(q, "want a text: ", name);
		if (set(&q->site, name, json_string_value(value)))
			return wrong(q, "too many of them: ", key);
	}
	return 0;
}

static int read_files(struct asked *q, const json_t *files)
{
	const json_t *one;
	size_t i;
	int r = 0;

	json_array_foreach(files, i, one)
	{
		const json_t *text = json_object_get(one, "text");
		const char *name = json_string_value(json_object_get(one, "name"));

		if (!name || !json_is_string(text))
			return wrong(q, "want an object with name and text in ", "files");
		r = rule_files_text(&q->files, &(struct rule_source){name, json_string_value(text),
								     json_string_length(text)});
		if (r)
			return r;
	}
	r = rule_files_link(&q->files);
	if (r != -EINVAL)
		return r;
	rule_files_each_error(&q->files, put_wrong, q);
	(void)wrong(q, "the rules have errors", "");
	return q->put_failed ?: -EBADMSG;
}

static int find_rules(struct asked *q)
{
	const json_t *files = member(q, "files");
	int r;

	if (!files) {
		q->rules = ruleset_rules(q->a->set);
		return member(q, "lists") || member(q, "params")
			       ? wrong(q, "lists and parameters are for rules in ", "files")
			       : 0;
	}
	if (!json_is_array(files))
		return wrong(q, "want a list: ", "files");
	q->rules = &q->files.set;
	r = set_values(q, "lists", site_set_list);
	r = r ?: set_values(q, "params", site_set_param);
	return r ?: read_files(q, files);
}

/* ---- which of them ---- */

static int choose(struct asked *q)
{
	const json_t *names = member(q, "rules"), *name;
	size_t i;

	if (!names)
		return 0;
	if (!json_is_array(names))
		return wrong(q, "want a list: ", "rules");
	q->told = calloc(q->rules->n + 1, sizeof(*q->told));
	q->only = calloc(q->rules->n + 1, sizeof(*q->only));
	if (!q->told || !q->only)
		return -ENOMEM;
	json_array_foreach(names, i, name)
	{
		const char *word = json_string_value(name) ?: "";
		const struct rule *r = rules_find(q->rules, word);

		if (!r)
			return wrong(q, "there is no rule ", word);
		q->told[r - q->rules->v] = q->only[r - q->rules->v] = true;
		for (uint32_t k = 0; r->correlate.at.line && k < r->correlate.rules.n; k++)
			q->only[r->correlate.index[k]] = true;
	}
	return 0;
}

static int read_time(struct asked *q)
{
	static const char *const keys[] = {"from", "to", "last", "top"};
	char why[SPEC_ERROR];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	spec_init(&q->time, SPEC_FLOWS, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	(void)spec_set(&q->time, "top", "20", why); /* is right */
	if (member(q, "last") && member(q, "from"))
		return wrong(q, "last and from are two ways to say the same", "");
	if (!member(q, "last") && !member(q, "from"))
		(void)spec_set(&q->time, "last", BACKTEST_LAST, why); /* is right */
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const json_t *value = member(q, keys[i]);

		if (value && !json_is_string(value))
			return wrong(q, "want a text: ", keys[i]);
		if (value && spec_set(&q->time, keys[i], json_string_value(value), why)) {
			snprintf(q->error, STORE_ERROR, "%s: %.*s", keys[i], STORE_ERROR / 2, why);
			return -EINVAL;
		}
	}
	if (q->time.from_us >= q->time.to_us)
		return wrong(q, "the time from which is not before the time to which", "");
	return 0;
}

/* ---- all of it ---- */

static const char *local_of(const struct site *s)
{
	for (uint32_t i = 0; i < s->n_lists; i++)
		if (!strcmp(s->lists[i].name, "local"))
			return s->lists[i].value;
	return NULL;
}

static int run(struct asked *q)
{
	const struct backtest_asker *a = q->a;
	const struct backtest_cfg cfg = {.store = a->store,
					 .rules = q->rules,
					 .only = q->only,
					 .local = local_of(&q->site),
					 .from_us = q->time.from_us,
					 .to_us = q->time.to_us,
					 .progress = a->progress,
					 .arg = a->arg};
	struct backtest found;
	int r = backtest_run(&cfg, &found, q->error);

	if (!r)
		r = backtest_lines(&(struct backtest_lines){.rules = q->rules,
							    .found = &found,
							    .only = q->told,
							    .top = q->time.top,
							    .put = a->put,
							    .arg = a->arg});
	backtest_done(&found);
	return r;
}

int backtest_ask(const struct backtest_asker *a, const json_t *request, char *error)
{
	struct asked *q = calloc(1, sizeof(*q));
	int r;

	*error = 0;
	if (!q)
		return -ENOMEM;
	q->a = a;
	q->request = request;
	q->error = error;
	q->site = a->set->site; /* its texts are the set's */
	rule_files_init(&q->files, &q->site);
	r = read_time(q);
	r = r ?: find_rules(q);
	r = r ?: choose(q);
	r = r ?: run(q);
	rule_files_done(&q->files);
	free(q->told);
	free(q->only);
	free(q);
	return r;
}
