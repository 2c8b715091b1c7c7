// SPDX-License-Identifier: Apache-2.0
/*
 * settings_mirror.c - the mirror among the settings: sections [mirror-filter NAME], numbered entries that accept or
 * reject, [mirror NUMBER], sessions, and [mirror-target NAME], where rules may have packets mirrored to. What a session
 * is: loader/mirror/want.h; here it gets places in the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/scan.h"
#include "common/suggest.h"
#include "loader/settings.h"

struct mirror_filter {
	const struct config_section *sec;
	uint32_t n; /* 0: something in it is wrong, which has been said */
	struct policy_rule rules[MIRROR_RULES];
};

struct reader {
	const struct settings *s;
	struct config_errors *errs;
	struct mirror_filter *filters;
	uint32_t n_filters;
	struct mirror_images *to;
};

/* A session on its way. */
struct session {
	const struct config_section *sec;
	const struct config_entry *filter, *match, *direction; /* NULL: not given */
	struct mirror_image *image;
};

static const struct {
	const char *word;
	enum policy_direction direction;
} directions[] = {{"ingress", DIR_INGRESS}, {"egress", DIR_EGRESS}, {"both", DIR_BOTH}};

#define N_DIRECTIONS (sizeof(directions) / sizeof(directions[0]))

/* ---- filters ---- */

/* "ingress.100" */
static int take_key(const char *key, uint8_t *ret_direction, uint64_t *ret_number)
{
	const char *dot = strchr(key, '.');

	for (size_t i = 0; dot && i < N_DIRECTIONS; i++) {
		const size_t n = strlen(directions[i].word);

		if (n != (size_t)(dot - key) || memcmp(key, directions[i].word, n) != 0)
			continue;
		*ret_direction = (uint8_t)directions[i].direction;
		return scan_u64(dot + 1, 1, MIRROR_NUMBER_MAX, ret_number);
	}
	return -EINVAL;
}

/* The filter's text at @at of the entry's value becomes @ret; what is wrong is told at its place. Return: how many. */
static int take_match(const struct reader *r, const struct config_entry *e, size_t at,
		      uint8_t direction, struct policy_rule *ret)
{
	struct filter_error err;
	int n;

	if (!e->value[at]) { /* every packet */
		ret[0] = (struct policy_rule){.number = 1,
					      .action = POLICY_DO_MIRROR,
					      .direction = direction,
					      .key = RULE_BY_NONE,
					      .name = "mirror",
					      .origin = "local"};
		return 1;
	}
	n = mirror_rules(e->value + at, direction, ret, &err);
	if (n < 0)
		config_error(r->errs, e->line,
			     e->value_col + e->quoted + (uint32_t)at +
				     (err.line <= 1 && err.column ? err.column - 1 : 0),
			     "%s", n == -ENOMEM ? "no memory" : err.message);
	return n;
}

/* "accept proto tcp and dst port 443". False: something is wrong. */
static bool take_entry(const struct reader *r, const struct config_entry *e, uint8_t direction,
		       struct mirror_filter *to)
{
	static struct policy_rule rules[MIRROR_RULES];
	const size_t word = strcspn(e->value, " \t");
	const bool accepts = word == 6 && !memcmp(e->value, "accept", word);
	int n;

	if (!accepts && (word != 6 || memcmp(e->value, "reject", word) != 0)) {
		config_error(
			r->errs, e->line, e->value_col,
			"'%.*s': want accept or reject, and which packets: accept proto tcp and dst port 443",
			word < 40 ? (int)word : 40, e->value);
		return false;
	}
	n = take_match(r, e, word + strspn(e->value + word, " \t"), direction, rules);
	if (n < 0)
		return false;
	if (to->n + (uint32_t)n > MIRROR_RULES) {
		config_error(
			r->errs, e->line, e->value_col,
			"the filter makes more than %u entries, which is what a session has room for",
			MIRROR_RULES);
		return false;
	}
	for (int i = 0; i < n; i++) {
		rules[i].action = accepts ? POLICY_DO_MIRROR : POLICY_PASS;
		rules[i].number = to->n + 1;
		to->rules[to->n++] = rules[i];
	}
	return true;
}

/* The entry whose number comes next after @after; NULL: there is none. */
static const struct config_entry *next_entry(const struct reader *r,
					     const struct config_section *sec, uint64_t after,
					     uint8_t *ret_direction, uint64_t *ret_number)
{
	const struct config_entry *e = config_entries(r->s->file, sec), *best = NULL;

	for (uint32_t i = 0; i < sec->entries; i++) {
		uint8_t direction;
		uint64_t number, place;

		if (take_key(e[i].key, &direction, &number))
			continue;
		place = number << 32 | i; /* those of one number are of two directions */
		if (place <= after || (best && place >= *ret_number))
			continue;
		best = &e[i];
		*ret_number = place;
		*ret_direction = direction;
	}
	return best;
}

static void read_filter(struct reader *r, const struct config_section *sec)
{
	struct mirror_filter *f = &r->filters[r->n_filters++];
	const struct config_entry *e = config_entries(r->s->file, sec);
	const uint32_t before = r->errs->count;
	uint64_t number = 0, at;
	uint8_t direction;

	f->sec = sec;
	for (uint32_t i = 0; i < sec->entries; i++)
		if (take_key(e[i].key, &direction, &at))
			config_error(
				r->errs, e[i].line, e[i].key_col,
				"'%.40s': want ingress.N, egress.N or both.N, with a number of 1 to %u",
				e[i].key, MIRROR_NUMBER_MAX);
	while ((e = next_entry(r, sec, number, &direction, &at))) {
		take_entry(r, e, direction, f);
		number = at;
	}
	if (r->errs->count == before) {
		bool any = false;

		for (uint32_t i = 0; i < f->n; i++)
			any |= f->rules[i].action == POLICY_DO_MIRROR;
		if (!any)
			config_error(
				r->errs, sec->line, sec->kind_col,
				"the filter accepts nothing: what no entry accepts is not mirrored");
	}
	if (r->errs->count != before)
		f->n = 0;
}

/* ---- sessions ---- */

static void take_filter(struct reader *r, struct session *x, const struct config_entry *e)
{
	struct suggest s;

	x->filter = e;
	suggest_init(&s, e->value, strlen(e->value));
	for (uint32_t i = 0; i < r->n_filters; i++) {
		const struct mirror_filter *f = &r->filters[i];

		suggest_try(&s, f->sec->name);
		if (strcmp(f->sec->name, e->value) != 0)
			continue;
		x->image->want.rules = f->n;
		memcpy(x->image->rules, f->rules, sizeof(f->rules));
		snprintf((char *)x->image->want.filter, sizeof(x->image->want.filter), "%.100s",
			 f->sec->name);
		return;
	}
	config_error(r->errs, e->line, e->value_col, "there is no [mirror-filter %.60s]%s%s%s",
		     e->value, s.best ? ", did you mean '" : "", s.best ?: "", s.best ? "'?" : "");
}

static void take_match_key(struct reader *r, struct session *x, const struct config_entry *e)
{
	(void)r; /* its direction may come later */
	x->match = e;
}

static void take_direction(struct reader *r, struct session *x, const struct config_entry *e)
{
	x->direction = e;
	for (size_t i = 0; i < N_DIRECTIONS; i++)
		if (!strcmp(e->value, directions[i].word))
			return;
	config_error(r->errs, e->line, e->value_col, "'%.40s': want ingress, egress or both",
		     e->value);
}

static void take_to(struct reader *r, struct session *x, const struct config_entry *e)
{
	const char *why;

	if (mirror_want_to(e->value, &x->image->want, &why))
		config_error(r->errs, e->line, e->value_col, "'%.60s': %s", e->value, why);
}

static void take_iface(struct reader *r, struct session *x, const struct config_entry *e)
{
	if (strlen(e->value) >= sizeof(x->image->want.iface))
		config_error(r->errs, e->line, e->value_col,
			     "'%.40s' is too long for the name of an interface", e->value);
	else
		memcpy(x->image->want.iface, e->value, strlen(e->value));
}

static void take_number(struct reader *r, const struct config_entry *e, uint64_t min, uint64_t max,
			uint32_t *ret)
{
	uint64_t v;

	if (scan_u64(e->value, min, max, &v))
		config_error(r->errs, e->line, e->value_col,
			     "'%.40s': want a number of %llu to %llu", e->value,
			     (unsigned long long)min, (unsigned long long)max);
	else
		*ret = (uint32_t)v;
}

static void take_length(struct reader *r, struct session *x, const struct config_entry *e)
{
	take_number(r, e, MIRROR_LENGTH_MIN, MIRROR_LENGTH_MAX, &x->image->want.length);
}

static void take_sample(struct reader *r, struct session *x, const struct config_entry *e)
{
	take_number(r, e, 1, MIRROR_SAMPLE_MAX, &x->image->want.sample);
}

static void take_budget(struct reader *r, struct session *x, const struct config_entry *e)
{
	if (mirror_want_budget(e->value, &x->image->want))
		config_error(r->errs, e->line, e->value_col, "'%.40s': want 10%%, 100Mbps or none",
			     e->value);
}

static void take_also(struct reader *r, struct session *x, const struct config_entry *e)
{
	x->image->want.also = !strcmp(e->value, "yes");
	if (!x->image->want.also && strcmp(e->value, "no") != 0)
		config_error(r->errs, e->line, e->value_col, "'%.40s': want yes or no", e->value);
}

static const struct mirror_key {
	const char *name;
	void (*take)(struct reader *r, struct session *x, const struct config_entry *e);
	const char *fallback, *doc;
	bool target; /* one of a target, too */
} keys[] = {
	{"filter", take_filter, "", "name of a section [mirror-filter NAME]; this or match", false},
	{"match", take_match_key, "",
	 "instead of one: a filter (weir-filter(5)), whose packets are mirrored", false},
	{"direction", take_direction, "both",
	 "with match: packets that come in (ingress), or go out (egress)", false},
	{"to", take_to, "",
	 "where copies go: vxlan:ADDR[:PORT],vni=N, geneve:ADDR[:PORT],vni=N, erspan:ADDR,id=N or iface:NAME; required",
	 true},
	{"iface", take_iface, "all that are watched", "packets of this interface alone", true},
	{"length", take_length, "as many as the way takes",
	 "bytes kept of a frame behind the tunnel's header", true},
	{"sample", take_sample, "1", "mirror 1 packet in N", true},
	{"budget", take_budget, "25%",
	 "at most so much of the link that leads to the target: 10%, 100Mbps, none", true},
	{"also", take_also, "no", "packets that an earlier session has picked, too", false},
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

void settings_mirror_keys(bool target,
			  void (*put)(const char *name, const char *fallback, const char *doc))
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (!target || keys[i].target)
			put(keys[i].name, keys[i].fallback, keys[i].doc);
}

static void take_session_key(struct reader *r, struct session *x, const struct config_entry *e,
			     bool target)
{
	struct suggest s;

	suggest_init(&s, e->key, strlen(e->key));
	for (size_t i = 0; i < N_KEYS; i++) {
		if (target && !keys[i].target)
			continue;
		suggest_try(&s, keys[i].name);
		if (strcmp(keys[i].name, e->key) != 0)
			continue;
		keys[i].take(r, x, e);
		return;
	}
	config_error(r->errs, e->line, e->key_col, "unknown key '%.60s'%s%s%s", e->key,
		     s.best ? ", did you mean '" : "", s.best ?: "", s.best ? "'?" : "");
}

/* What several keys say together. */
static void finish_match(struct reader *r, struct session *x)
{
	const struct config_entry *e = x->match;
	enum policy_direction way = DIR_BOTH;
	int n;

	for (size_t i = 0; x->direction && i < N_DIRECTIONS; i++)
		if (!strcmp(x->direction->value, directions[i].word))
			way = directions[i].direction;
	if (!e && !x->filter)
		config_error(r->errs, x->sec->line, x->sec->kind_col,
			     "what is to be mirrored? filter = NAME, or match = FILTER");
	else if (e && x->filter)
		config_error(r->errs, e->line, e->key_col, "filter is given too: one of them");
	else if (!e && x->direction)
		config_error(r->errs, x->direction->line, x->direction->key_col,
			     "the entries of the filter say it: ingress.N, egress.N");
	if (!e || x->filter)
		return;
	n = take_match(r, e, 0, (uint8_t)way, x->image->rules);
	x->image->want.rules = n > 0 ? (uint32_t)n : 0;
	snprintf((char *)x->image->want.filter, sizeof(x->image->want.filter), "%s", e->value);
	for (uint8_t *p = x->image->want.filter; *p; p++)
		if (*p < ' ') /* to be shown */
			*p = ' ';
}

static void read_session(struct reader *r, const struct config_section *sec)
{
	struct session x = {.sec = sec, .image = &r->to->at[r->to->n]};
	struct mirror_want *w = &x.image->want;
	const struct mirror_want *checked;
	const struct policy_rule *rules;
	const uint32_t before = r->errs->count;
	struct policy_error err;
	uint64_t number;

	if (scan_u64(sec->name, 1, MIRROR_NUMBER_MAX, &number)) {
		config_error(r->errs, sec->line, sec->name_col,
			     "'%.40s': a session has a number of 1 to %u, which is its priority",
			     sec->name, MIRROR_NUMBER_MAX);
		return;
	}
	memset(x.image, 0, sizeof(*x.image));
	*w = (struct mirror_want){
		.number = (uint32_t)number, .sample = 1, .budget_pct = 25, .for_s = 1};
	for (uint32_t i = 0; i < sec->entries; i++)
		take_session_key(r, &x, &config_entries(r->s->file, sec)[i], false);
	finish_match(r, &x);
	if (!w->to && r->errs->count == before)
		config_error(r->errs, sec->line, sec->kind_col,
			     "to whom? to = vxlan:192.0.2.10,vni=7");
	if (r->errs->count == before && w->rules &&
	    mirror_check(x.image, sizeof(*w) + w->rules * sizeof(x.image->rules[0]), &checked,
			 &rules, &err))
		config_error(r->errs, sec->line, sec->kind_col, "%.200s", err.text);
	w->for_s = 0;
	if (r->errs->count == before)
		r->to->n++;
}

/* ---- targets ---- */

static bool is_target_name(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0' &&
	       strlen(name) < POLICY_TARGET_MAX;
}

static void read_target(struct reader *r, const struct config_section *sec)
{
	static struct mirror_image image;
	struct session x = {.sec = sec, .image = &image};
	struct mirror_target *t = &r->to->target[r->to->n_targets];
	const uint32_t before = r->errs->count;

	memset(&image, 0, sizeof(image));
	image.want = (struct mirror_want){.sample = 1, .budget_pct = 25};
	for (uint32_t i = 0; i < sec->entries; i++)
		take_session_key(r, &x, &config_entries(r->s->file, sec)[i], true);
	if (!image.want.to && r->errs->count == before)
		config_error(r->errs, sec->line, sec->kind_col,
			     "to whom? to = vxlan:192.0.2.10,vni=7");
	if (!is_target_name(sec->name))
		config_error(r->errs, sec->line, sec->name_col,
			     "'%.40s': want small letters, digits and -, %u at most", sec->name,
			     POLICY_TARGET_MAX - 1);
	if (!settings_num(r->s, SET_POLICY_ENTRIES))
		config_error(r->errs, sec->line, sec->kind_col,
			     "a mirror needs policy.entries: with 0 weir only observes");
	if (r->errs->count != before)
		return;
	*t = (struct mirror_target){.want = image.want};
	memcpy(t->name, sec->name, strlen(sec->name));
	r->to->n_targets++;
}

static void add_target(struct reader *r, const struct config_section *sec)
{
	if (r->to->n_targets < MIRROR_TARGETS)
		read_target(r, sec);
	else
		config_error(r->errs, sec->line, sec->kind_col, "at most %u mirror targets",
			     MIRROR_TARGETS);
}

/* ---- all of them ---- */

/* Sessions that the interface of @w has; without one: that any has. */
static unsigned int sessions_with(const struct mirror_images *all, const struct mirror_want *w)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct mirror_want *o = &all->at[i].want;

		n += !o->iface[0] || !memcmp(o->iface, w->iface, sizeof(o->iface));
	}
	return n;
}

/* @sec has come last. */
static void check_room(const struct reader *r, const struct config_section *sec)
{
	for (uint32_t i = 0; i < r->to->n; i++) {
		const struct mirror_want *w = &r->to->at[i].want;

		if (sessions_with(r->to, w) <= MIRROR_PER_IFACE)
			continue;
		config_error(r->errs, sec->line, sec->kind_col,
			     "%s has more than %u sessions, which is the limit of an interface",
			     w->iface[0] ? (const char *)w->iface : "every interface",
			     MIRROR_PER_IFACE);
		return;
	}
}

static int by_number(const void *a, const void *b)
{
	const struct mirror_image *x = a, *y = b;

	return (x->want.number > y->want.number) - (x->want.number < y->want.number);
}

static bool has_number(const struct reader *r, const struct mirror_want *w)
{
	for (uint32_t i = 0; i + 1 < r->to->n; i++)
		if (r->to->at[i].want.number == w->number)
			return true;
	return false;
}

static void add_session(struct reader *r, const struct config_section *sec)
{
	const uint32_t n = r->to->n;

	if (n == MIRROR_SESSIONS) {
		config_error(r->errs, sec->line, sec->kind_col, "at most %u mirror sessions",
			     MIRROR_SESSIONS);
		return;
	}
	read_session(r, sec);
	if (r->to->n == n)
		return;
	if (has_number(r, &r->to->at[n].want))
		config_error(r->errs, sec->line, sec->name_col, "session %u is there already",
			     r->to->at[n].want.number);
	if (!settings_num(r->s, SET_POLICY_ENTRIES))
		config_error(r->errs, sec->line, sec->kind_col,
			     "a mirror needs policy.entries: with 0 weir only observes");
	check_room(r, sec);
}

static bool is_kind(const struct config_section *sec, const char *kind)
{
	return !strcmp(sec->kind, kind) && sec->name && *sec->name;
}

int settings_mirror_load(const struct settings *s, struct mirror_images *ret,
			 struct config_errors *errs)
{
	struct reader r = {.s = s, .errs = errs, .to = ret};
	const struct config *c = s->file;
	uint32_t n = 0;

	for (uint32_t i = 0; c && i < c->n_sections; i++)
		n += is_kind(&c->sections[i], "mirror-filter");
	r.filters = calloc(n ?: 1, sizeof(*r.filters));
	if (!r.filters)
		return -ENOMEM;
	for (uint32_t i = 0; c && i < c->n_sections; i++)
		if (is_kind(&c->sections[i], "mirror-filter"))
			read_filter(&r, &c->sections[i]);
	for (uint32_t i = 0; c && i < c->n_sections; i++)
		if (is_kind(&c->sections[i], "mirror"))
			add_session(&r, &c->sections[i]);
	for (uint32_t i = 0; c && i < c->n_sections; i++)
		if (is_kind(&c->sections[i], "mirror-target"))
			add_target(&r, &c->sections[i]);
	qsort(ret->at, ret->n, sizeof(ret->at[0]), by_number);
	free(r.filters);
	return 0;
}
