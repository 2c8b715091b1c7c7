// SPDX-License-Identifier: Apache-2.0
/*
 * rule_kinds.c - one value of each kind of keys.def, from its node to the member of a struct.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/rules/rule_int.h"
#include "common/cli.h"
#include "common/policy.h"
#include "common/scan.h"
#include "common/suggest.h"

#define DURATION_MAX (UINT64_C(366) * 24 * 3600 * 1000000000)

/* What is there instead of what was wanted. */
static void no_value(struct rule_reader *rr, const struct rule_key *k, uint32_t node)
{
	if (rr->y->nodes[node].type == YAML_SCALAR)
		rule_fail(rr, node, "'%.60s' is not what %s wants: %s", yaml_text(rr->y, node),
			  k->name, rule_kind_words[k->kind]);
	else
		rule_fail(rr, node, "%s wants %s", k->name, rule_kind_words[k->kind]);
}

static bool scalar(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
		   const char **ret)
{
	*ret = yaml_text(rr->y, node);
	if (rr->y->nodes[node].type == YAML_SCALAR && **ret)
		return true;
	no_value(rr, k, node);
	return false;
}

/* ---- text ---- */

static void read_text(struct rule_reader *rr, const struct rule_key *k, uint32_t node, void *member)
{
	struct rule_text *t = member;
	const char *s;

	if (!scalar(rr, k, node, &s))
		return;
	*t = (struct rule_text){rule_keep(rr, s, strlen(s)), node, rule_place(rr->y, node)};
}

static void read_string(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
			void *member)
{
	const char **to = member;
	const char *s;

	if (scalar(rr, k, node, &s))
		*to = rule_keep(rr, s, strlen(s));
}

static void read_texts(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
		       void *member)
{
	const struct yaml *y = rr->y;
	struct rule_texts *t = member;

	if (y->nodes[node].type == YAML_SCALAR) {
		t->n = 1;
		read_string(rr, k, node, &t->v[0]);
		return;
	}
	if (y->nodes[node].type != YAML_SEQ || y->nodes[node].n > RULE_TEXTS_MAX) {
		no_value(rr, k, node);
		return;
	}
	for (uint32_t i = y->nodes[node].first; i; i = y->nodes[i].next)
		read_string(rr, k, i, &t->v[t->n++]);
}

static bool is_name(const char *s)
{
	return s[0] >= 'a' && s[0] <= 'z' && strlen(s) < RULE_NAME_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static void read_name(struct rule_reader *rr, const struct rule_key *k, uint32_t node, void *member)
{
	const char *s;

	if (!scalar(rr, k, node, &s))
		return;
	if (is_name(s))
		read_string(rr, k, node, member);
	else
		no_value(rr, k, node);
}

static void read_names(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
		       void *member)
{
	const struct yaml *y = rr->y;
	struct rule_names *names = member;

	if (y->nodes[node].type != YAML_SEQ || !y->nodes[node].n ||
	    y->nodes[node].n > RULE_CHAIN_MAX) {
		no_value(rr, k, node);
		return;
	}
	for (uint32_t i = y->nodes[node].first; i; i = y->nodes[i].next)
		read_text(rr, k, i, &names->v[names->n++]);
}

static bool is_uuid(const char *s)
{
	if (strlen(s) != 36)
		return false;
	for (unsigned int i = 0; i < 36; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : scan_hex_digit(s[i]) < 0)
			return false;
	}
	return true;
}

static bool is_version(const char *s)
{
	unsigned int dots = 0;

	for (; *s; s++) {
		if (*s == '.' && s[1] >= '0' && s[1] <= '9')
			dots++;
		else if (*s < '0' || *s > '9')
			return false;
	}
	return dots == 2;
}

static void read_checked(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
			 void *member)
{
	struct policy_rule rate;
	const char *s;
	bool ok;

	if (!scalar(rr, k, node, &s))
		return;
	ok = k->kind == RK_UUID	     ? is_uuid(s)
	     : k->kind == RK_VERSION ? is_version(s)
				     : policy_scan_rate(s, &rate) == 0;
	if (ok)
		read_string(rr, k, node, member);
	else
		no_value(rr, k, node);
}

static void read_word(struct rule_reader *rr, const struct rule_key *k, uint32_t node, void *member)
{
	uint8_t *to = member;
	struct suggest near;
	const char *s;
	char words[128], *at = words;
	int n;

	if (!scalar(rr, k, node, &s))
		return;
	n = cli_word(k->words, s);
	if (n >= 0) {
		*to = (uint8_t)n;
		return;
	}
	suggest_init(&near, s, strlen(s));
	snprintf(words, sizeof(words), "%s", k->words);
	for (char *end; at; at = end) {
		end = strchr(at, '|');
		if (end)
			*end++ = 0;
		suggest_try(&near, at);
	}
	if (near.best)
		rule_fail(rr, node, "%s is never '%.60s', did you mean '%s'?", k->name, s,
			  near.best);
	else
		rule_fail(rr, node, "%s is never '%.60s', but one of %s", k->name, s, k->words);
}

/* ---- numbers ---- */

static void read_number(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
			void *member)
{
	uint64_t *to = member;
	const char *s;
	int r;

	if (!scalar(rr, k, node, &s))
		return;
	if (k->kind == RK_DURATION)
		r = scan_duration_ns(s, 0, DURATION_MAX, to);
	else if (k->kind == RK_COUNT)
		r = scan_u64(s, 0, 16u << 20, to);
	else
		r = scan_u64(s, 1, UINT64_MAX, to);
	if (r == -ERANGE)
		rule_fail(rr, node, "'%.60s' is beyond what %s can be", s, k->name);
	else if (r)
		no_value(rr, k, node);
}

static void read_durations(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
			   void *member)
{
	const struct yaml *y = rr->y;
	struct rule_ladder *l = member;

	if (y->nodes[node].type != YAML_SEQ || !y->nodes[node].n ||
	    y->nodes[node].n > RULE_LADDER_MAX) {
		no_value(rr, k, node);
		return;
	}
	for (uint32_t i = y->nodes[node].first; i; i = y->nodes[i].next) {
		const char *s = yaml_text(y, i);

		if (scan_duration_ns(s, 0, DURATION_MAX, &l->ns[l->n]))
			no_value(rr, k, i);
		l->n++;
	}
}

/* ---- fields ---- */

static int find_field(struct rule_reader *rr, uint32_t node)
{
	const char *s = yaml_text(rr->y, node);
	const int f = filter_field_find(s, strlen(s));
	struct suggest near;

	if (f >= 0)
		return f;
	suggest_init(&near, s, strlen(s));
	for (int i = 0; i < _FF_MAX; i++)
		suggest_try(&near, flow_fields[i].path);
	if (near.best)
		rule_fail(rr, node, "unknown field '%.60s', did you mean '%s'?", s, near.best);
	else
		rule_fail(rr, node, "unknown field '%.60s'", s);
	return -1;
}

static bool groups_by(enum flow_type t)
{
	return t != FT_STRS && t != FT_ALPN && t != FT_QUERIES && t != FT_VLAN && t != FT_CID &&
	       t != FT_TIME;
}

static void read_field(struct rule_reader *rr, uint32_t node, struct rule_fields *to)
{
	const int f = find_field(rr, node);

	if (f < 0)
		return;
	if (!groups_by(flow_fields[f].type)) {
		rule_fail(rr, node, "flows can't be grouped by %s", flow_fields[f].path);
		return;
	}
	for (uint32_t i = 0; i < to->n; i++)
		if (to->v[i] == f)
			rule_fail(rr, node, "%s is there twice", flow_fields[f].path);
	to->v[to->n++] = (uint8_t)f;
}

static void read_fields(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
			void *member)
{
	const struct yaml *y = rr->y;
	struct rule_fields *to = member;

	to->at = rule_place(y, node);
	if (y->nodes[node].type == YAML_SCALAR && *yaml_text(y, node)) {
		read_field(rr, node, to);
		return;
	}
	if (y->nodes[node].type != YAML_SEQ) {
		no_value(rr, k, node);
		return;
	}
	if (y->nodes[node].n > RULE_BY_MAX) {
		rule_fail(rr, node, "more than %u fields", RULE_BY_MAX);
		return;
	}
	for (uint32_t i = y->nodes[node].first; i; i = y->nodes[i].next)
		read_field(rr, i, to);
}

/* Whether `by` has it is checked when the rule has been read. */
static void read_scope(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
		       void *member)
{
	uint8_t *to = member;
	const char *s;
	int f;

	if (!scalar(rr, k, node, &s))
		return;
	if (!strcmp(s, "pair")) {
		*to = RULE_SCOPE_PAIR;
		return;
	}
	f = find_field(rr, node);
	if (f < 0)
		return;
	if (flow_fields[f].type == FT_IP)
		*to = (uint8_t)f;
	else
		rule_fail(rr, node, "'%.60s' is no address: scope wants %s", s,
			  rule_kind_words[RK_SCOPE]);
}

/* A YAML list of texts, or one text, as the values of a set in the filter language. */
static void read_set(struct rule_reader *rr, const struct rule_key *k, uint32_t node, void *member)
{
	const struct yaml *y = rr->y;
	struct rule_text *t = member;
	char text[4096];
	size_t len = 0;

	if (y->nodes[node].type == YAML_SCALAR) {
		read_text(rr, k, node, member);
		return;
	}
	if (y->nodes[node].type != YAML_SEQ) {
		no_value(rr, k, node);
		return;
	}
	for (uint32_t i = y->nodes[node].first; i; i = y->nodes[i].next) {
		const uint32_t n = y->nodes[i].len;

		if (y->nodes[i].type != YAML_SCALAR || !n || len + n + 3 > sizeof(text)) {
			no_value(rr, k, i);
			return;
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
					yaml_text(y, i));
	}
	if (len)
		*t = (struct rule_text){rule_keep(rr, text, len), node, rule_place(y, node)};
}

/* ---- maps ---- */

static void read_params(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
			void *member)
{
	const struct yaml *y = rr->y;
	struct rule_params *to = member;

	if (y->nodes[node].type != YAML_MAP) {
		no_value(rr, k, node);
		return;
	}
	for (uint32_t key = y->nodes[node].first, value; key; key = y->nodes[value].next) {
		const char *s = yaml_text(y, key);
		struct rule_param *p = &to->v[to->n];

		value = y->nodes[key].next;
		if (to->n == RULE_PARAMS_MAX) {
			rule_fail(rr, key, "more than %u parameters", RULE_PARAMS_MAX);
			return;
		}
		if (!*s || strlen(s) >= RULE_NAME_MAX ||
		    strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(s)) {
			rule_fail(rr, key, "'%.60s': a parameter is small letters, digits and _",
				  s);
			continue;
		}
		p->name = rule_keep(rr, s, strlen(s));
		to->n++;
		rule_read_object(rr, RO_PARAM, value, p);
	}
}

/* One text, or several with commas between them. */
static const char *read_joined(struct rule_reader *rr, const struct rule_key *k, uint32_t node)
{
	const struct yaml *y = rr->y;
	char text[1024];
	size_t len = 0;
	const char *s;

	if (y->nodes[node].type == YAML_SCALAR)
		return scalar(rr, k, node, &s) ? rule_keep(rr, s, strlen(s)) : NULL;
	for (uint32_t i = y->nodes[node].first; i; i = y->nodes[i].next) {
		if (y->nodes[node].type != YAML_SEQ || y->nodes[i].type != YAML_SCALAR ||
		    len + y->nodes[i].len + 3 > sizeof(text)) {
			no_value(rr, k, i);
			return NULL;
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
					yaml_text(y, i));
	}
	return rule_keep(rr, text, len);
}

static void read_pairs(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
		       void *member)
{
	const struct yaml *y = rr->y;
	struct rule_pairs *to = member;

	if (y->nodes[node].type != YAML_MAP) {
		no_value(rr, k, node);
		return;
	}
	for (uint32_t key = y->nodes[node].first, value; key; key = y->nodes[value].next) {
		const char *s = yaml_text(y, key);

		value = y->nodes[key].next;
		if (to->n == RULE_PAIRS_MAX || !is_name(s)) {
			rule_fail(rr, key,
				  "'%.60s': at most %u keys of small letters, digits and -", s,
				  RULE_PAIRS_MAX);
			return;
		}
		to->v[to->n].key = rule_keep(rr, s, strlen(s));
		to->v[to->n].value = read_joined(rr, k, value);
		to->v[to->n].at = rule_place(y, value);
		to->n++;
	}
}

static int action_type(const char *s)
{
	for (int o = RO_DROP; o <= RO_MIRROR; o++)
		if (!strcmp(s, rule_object_names[o]))
			return o;
	return -1;
}

static void read_action(struct rule_reader *rr, uint32_t node, struct rule_action *a)
{
	const struct yaml *y = rr->y;
	const uint32_t key = y->nodes[node].first;
	const char *s = key ? yaml_text(y, key) : "";
	struct suggest near;
	int type;

	a->at = rule_place(y, node);
	if (y->nodes[node].type != YAML_MAP || y->nodes[node].n != 2) {
		rule_fail(rr, node, "an action is one word with a map: drop: {...}");
		return;
	}
	type = action_type(s);
	if (type >= 0) {
		a->type = (uint8_t)type;
		a->scope_at = a->at;
		rule_read_object(rr, (enum rule_object)type, y->nodes[key].next, a);
		return;
	}
	suggest_init(&near, s, strlen(s));
	for (int o = RO_DROP; o <= RO_MIRROR; o++)
		suggest_try(&near, rule_object_names[o]);
	if (near.best)
		rule_fail(rr, key, "no action '%.60s', did you mean '%s'?", s, near.best);
	else
		rule_fail(rr, key, "no action '%.60s': drop, limit, reset, capture, mirror", s);
}

static void read_actions(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
			 void *member)
{
	const struct yaml *y = rr->y;
	struct rule_actions *to = member;

	if (y->nodes[node].type != YAML_SEQ || y->nodes[node].n > RULE_ACTIONS_MAX) {
		no_value(rr, k, node);
		return;
	}
	for (uint32_t i = y->nodes[node].first; i; i = y->nodes[i].next)
		read_action(rr, i, &to->v[to->n++]);
}

static void read_object(struct rule_reader *rr, const struct rule_key *k, uint32_t node,
			void *member)
{
	enum rule_object o = RO_EVIDENCE;

	if (!strcmp(k->words, "WINDOW")) {
		((struct rule_window *)member)->at = rule_place(rr->y, node);
		o = RO_WINDOW;
	} else if (!strcmp(k->words, "CORRELATE")) {
		((struct rule_correlate *)member)->at = rule_place(rr->y, node);
		o = RO_CORRELATE;
	} else if (!strcmp(k->words, "EVENTS")) {
		o = RO_EVENTS;
	} else if (!strcmp(k->words, "FEED")) {
		o = RO_FEED;
	}
	rule_read_object(rr, o, node, member);
}

/* ---- one value ---- */

typedef void read_fn(struct rule_reader *rr, const struct rule_key *k, uint32_t node, void *member);

void rule_read_value(struct rule_reader *rr, const struct rule_key *k, uint32_t node, void *member)
{
	static read_fn *const readers[_RK_MAX] = {
		[RK_TEXT] = read_string,   [RK_TEXTS] = read_texts,
		[RK_NAME] = read_name,	   [RK_NAMES] = read_names,
		[RK_UUID] = read_checked,  [RK_VERSION] = read_checked,
		[RK_WORD] = read_word,	   [RK_DURATION] = read_number,
		[RK_SIZE] = read_number,   [RK_COUNT] = read_number,
		[RK_RATE] = read_checked,  [RK_VALUE] = read_text,
		[RK_FIELDS] = read_fields, [RK_SCOPE] = read_scope,
		[RK_FILTER] = read_text,   [RK_HAVING] = read_text,
		[RK_SET] = read_set,	   [RK_PARAMS] = read_params,
		[RK_PAIRS] = read_pairs,   [RK_ACTIONS] = read_actions,
		[RK_OBJECT] = read_object, [RK_DURATIONS] = read_durations,
	};

	if (readers[k->kind]) /* lists are gone through by rules_read() */
		readers[k->kind](rr, k, node, member);
}
