// SPDX-License-Identifier: Apache-2.0
/*
 * rule_keys.c - the table of keys, and maps read by it: unknown keys, missing keys, values.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/packs/pack.h"
#include "collector/rules/rule_int.h"
#include "common/suggest.h"

#define STRUCT_FILE	 struct rule_file
#define STRUCT_GROUP	 struct rule_group
#define STRUCT_RULE	 struct rule
#define STRUCT_WINDOW	 struct rule_window
#define STRUCT_CORRELATE struct rule_correlate
#define STRUCT_PARAM	 struct rule_param
#define STRUCT_EVIDENCE	 struct rule_evidence
#define STRUCT_DROP	 struct rule_action
#define STRUCT_LIMIT	 struct rule_action
#define STRUCT_RESET	 struct rule_action
#define STRUCT_CAPTURE	 struct rule_action
#define STRUCT_MIRROR	 struct rule_action
#define STRUCT_TEST	 struct rule_test
#define STRUCT_FLOWS	 struct rule_flows
#define STRUCT_EXPECT	 struct rule_expect
#define STRUCT_EVENTS	 struct rule_events
#define STRUCT_PACK	 struct pack_meta
#define STRUCT_LIST	 struct pack_list
#define STRUCT_FEED	 struct pack_feed
#define NEEDED		 1
#define OPTIONAL	 0

const struct rule_key rule_keys[] = {
#define KEY(object, key, member, kind, need, words, doc) \
	{RO_##object, RK_##kind, need, offsetof(STRUCT_##object, member), key, words, doc},
#include "collector/rules/keys.def"
#undef KEY
};

const unsigned int rule_keys_n = sizeof(rule_keys) / sizeof(rule_keys[0]);

const char *const rule_object_names[_RO_MAX] = {
	[RO_FILE] = "the file",	    [RO_GROUP] = "a group",	  [RO_RULE] = "a rule",
	[RO_WINDOW] = "window",	    [RO_CORRELATE] = "correlate", [RO_PARAM] = "a parameter",
	[RO_EVIDENCE] = "evidence", [RO_DROP] = "drop",		  [RO_LIMIT] = "limit",
	[RO_RESET] = "reset",	    [RO_CAPTURE] = "capture",	  [RO_MIRROR] = "mirror",
	[RO_TEST] = "a test",	    [RO_FLOWS] = "flows",	  [RO_EXPECT] = "expect",
	[RO_EVENTS] = "filter",	    [RO_PACK] = "pack.yaml",	  [RO_LIST] = "a list",
	[RO_FEED] = "feed",
};

const char *rule_action_word(unsigned int type)
{
	return rule_object_names[type];
}

const char *const rule_kind_words[_RK_MAX] = {
	[RK_TEXT] = "text",
	[RK_TEXTS] = "text, or a list of texts",
	[RK_NAME] = "a name of small letters, digits and -",
	[RK_NAMES] = "a list of names",
	[RK_UUID] = "a UUID such as 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01",
	[RK_VERSION] = "a version such as 1.0.0",
	[RK_WORD] = "one of its words",
	[RK_DURATION] = "a duration such as 30s or 5m",
	[RK_DURATIONS] = "a list of durations such as [10m, 1h]",
	[RK_SIZE] = "a number of bytes such as 64Mi",
	[RK_COUNT] = "a number such as 4096",
	[RK_RATE] = "a rate such as 1000pps or 10Mbps",
	[RK_VALUE] = "a number, duration or word",
	[RK_FIELDS] = "a list of fields such as [src.ip, dst.port]",
	[RK_SCOPE] = "an address among the fields of by, or pair",
	[RK_FILTER] = "a filter",
	[RK_HAVING] = "comparisons of aggregates such as count() >= 20",
	[RK_SET] = "a list of addresses, networks and \"@lists\"",
	[RK_PARAMS] = "a map of parameters",
	[RK_PAIRS] = "a map of words to text",
	[RK_ACTIONS] = "a list of actions such as - drop: {...}",
	[RK_OBJECT] = "a map",
	[RK_LIST] = "a list",
	[RK_SKIP] = "a list",
};

/* ---- memory ---- */

struct rule_chunk {
	struct rule_chunk *next;
	size_t used, cap;
	char bytes[];
};

const char *rule_keep(struct rule_reader *rr, const char *s, size_t len)
{
	struct rule_chunk *c = rr->set->chunks;
	char *to;

	if (!c || c->cap - c->used < len + 1) {
		const size_t cap = len + 1 > 16384 ? len + 1 : 16384;

		c = malloc(sizeof(*c) + cap);
		if (!c) {
			rr->no_memory = true;
			return NULL;
		}
		*c = (struct rule_chunk){.next = rr->set->chunks, .cap = cap};
		rr->set->chunks = c;
	}
	to = c->bytes + c->used;
	memcpy(to, s, len);
	to[len] = 0;
	c->used += len + 1;
	return to;
}

const char *rule_set_keep(struct rule_set *set, const char *s)
{
	struct rule_reader rr = {.set = set};

	return rule_keep(&rr, s, strlen(s));
}

static void rule_done(struct rule *r)
{
	filter_free(r->filter);
	having_free(r->test);
	filter_tree_done(&r->exempt);
}

void rules_done(struct rule_set *set)
{
	for (uint32_t i = 0; i < set->n; i++)
		rule_done(&set->v[i]);
	for (struct rule_chunk *c = set->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(set->v);
	free(set->notes);
	*set = (struct rule_set){};
}

/* ---- messages ---- */

void rule_fail(struct rule_reader *rr, uint32_t node, const char *fmt, ...)
{
	const struct yaml_node *n = &rr->y->nodes[node];
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	config_error(rr->errs, n->line, n->column, "%s", text);
}

void rule_note(struct rule_set *set, const struct rule *r, struct rule_place at, const char *fmt,
	       ...)
{
	struct rule_note *to = reallocarray(set->notes, set->n_notes + 1, sizeof(*to));
	va_list ap;

	if (!to)
		return; /* a lint less */
	set->notes = to;
	to += set->n_notes++;
	*to = (struct rule_note){
		.file = r->file, .rule = r->id, .line = at.line, .column = at.column};
	va_start(ap, fmt);
	vsnprintf(to->text, sizeof(to->text), fmt, ap);
	va_end(ap);
}

/* ---- maps ---- */

static const struct rule_key *find_key(enum rule_object o, const char *name)
{
	for (unsigned int i = 0; i < rule_keys_n; i++)
		if (rule_keys[i].object == o && !strcmp(rule_keys[i].name, name))
			return &rule_keys[i];
	return NULL;
}

static void unknown_key(struct rule_reader *rr, enum rule_object o, uint32_t node)
{
	const char *word = yaml_text(rr->y, node);
	struct suggest near;

	suggest_init(&near, word, strlen(word));
	for (unsigned int i = 0; i < rule_keys_n; i++)
		if (rule_keys[i].object == o)
			suggest_try(&near, rule_keys[i].name);
	if (near.best)
		rule_fail(rr, node, "unknown key '%.60s' in %s, did you mean '%s'?", word,
			  rule_object_names[o], near.best);
	else
		rule_fail(rr, node, "unknown key '%.60s' in %s", word, rule_object_names[o]);
}

void rule_read_object(struct rule_reader *rr, enum rule_object o, uint32_t node, void *target)
{
	const struct yaml *y = rr->y;

	if (y->nodes[node].type != YAML_MAP) {
		rule_fail(rr, node, "%s is a map", rule_object_names[o]);
		return;
	}
	for (uint32_t key = y->nodes[node].first, value; key; key = y->nodes[value].next) {
		const struct rule_key *k = find_key(o, yaml_text(y, key));

		value = y->nodes[key].next;
		if (!k)
			unknown_key(rr, o, key);
		else
			rule_read_value(rr, k, value, (char *)target + k->offset);
	}
	for (unsigned int i = 0; i < rule_keys_n; i++)
		if (rule_keys[i].object == o && rule_keys[i].needed &&
		    !yaml_get(y, node, rule_keys[i].name))
			rule_fail(rr, node, "%s has no '%s': %s", rule_object_names[o],
				  rule_keys[i].name, rule_keys[i].doc);
}

/* ---- words ---- */

const char *rule_word(enum rule_object o, const char *key, unsigned int n)
{
	static _Thread_local char words[4][32]; /* so many may stand in one printf() */
	static _Thread_local unsigned int turn;
	char *word = words[turn++ % 4];
	const char *s = find_key(o, key)->words;

	for (; n && *s; s++)
		n -= *s == '|';
	snprintf(word, sizeof(words[0]), "%.*s", (int)strcspn(s, "|"), s);
	return word;
}

const char *rule_class_word(unsigned int class)
{
	static const char *const words[] = {"K", "A", "C"};

	return words[class];
}

const struct rule *rules_find(const struct rule_set *set, const char *name)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (!strcmp(set->v[i].name, name) || !strcmp(set->v[i].id, name))
			return &set->v[i];
	return NULL;
}
