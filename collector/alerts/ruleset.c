// SPDX-License-Identifier: Apache-2.0
#include "collector/alerts/ruleset.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "collector/packs/feed.h"
#include "common/filter.h"

#define DEPTH 8

/* ---- what went wrong ---- */

static void say(struct ruleset_errors *errs, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct ruleset_errors *errs, const char *fmt, ...)
{
	const size_t at = strlen(errs->text), left = sizeof(errs->text) - at;
	va_list args;
	int n;

	errs->n++;
	va_start(args, fmt);
	n = vsnprintf(errs->text + at, left, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n + 1 >= left) {
		errs->text[at] = 0; /* counted all the same */
		return;
	}
	errs->text[at + (size_t)n] = '\n';
	errs->text[at + (size_t)n + 1] = 0;
}

static void say_one(void *arg, const char *text)
{
	say(arg, "%s", text);
}

/* ---- the site ---- */

/* A text that stays as long as the set. */
static char *keep(struct ruleset *r, const char *a, const char *middle, const char *b)
{
	char **more = reallocarray(r->texts, r->n_texts + 1, sizeof(*more));

	if (!more)
		return NULL;
	r->texts = more;
	if (asprintf(&r->texts[r->n_texts], "%s%s%s", a, middle, b) < 0)
		return NULL;
	return r->texts[r->n_texts++];
}

static int add_word(struct ruleset *r, const struct collector_rule_word *w, const char **ret_why)
{
	char name[2 * RULE_NAME_MAX + 2], *text;

	*ret_why = "";
	if (!w->list && !w->pack && !strcmp(w->key, "mode"))
		return 0; /* when the rules are there */
	if (w->list) {
		text = keep(r, w->name, !strcmp(w->key, "file") ? "=@" : "=", w->value);
		return text ? site_list(&r->site, text, ret_why) : -ENOMEM;
	}
	snprintf(name, sizeof(name), "%s.%s", w->name, w->key);
	text = keep(r, name, "=", w->value);
	return text ? site_param(&r->site, text, ret_why) : -ENOMEM;
}

static int add_words(struct ruleset *r, const struct settings *s, struct ruleset_errors *errs)
{
	const struct collector_own *own = collector_own(s);

	for (uint32_t i = 0; i < own->n_words; i++) {
		const struct collector_rule_word *w = &own->words[i];
		const char *why;
		const int rc = w->pack ? 0 : add_word(r, w, &why);

		if (rc == -ENOMEM)
			return rc;
		if (rc)
			say(errs, "%s:%u:%u: %s %s: %s", s->path ?: "", w->line, w->col,
			    w->list ? "list" : "rule", w->name, why);
	}
	return 0;
}

/* ---- feeds ---- */

static bool speaks_of(const struct collector_own *own, const char *list)
{
	for (uint32_t i = 0; i < own->n_words; i++)
		if (own->words[i].list && !strcmp(own->words[i].name, list))
			return true;
	return false;
}

/* What the site's feeds have brought, beside what stands in the configuration. */
static int add_feeds(struct ruleset *r, const struct settings *s)
{
	const struct collector_own *own = collector_own(s);
	struct timespec now;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	for (uint32_t i = 0; i < own->n_feeds && !rc; i++) {
		const struct pack_list *l = &own->feeds[i];
		const char *values = speaks_of(own, l->name) ? site_values(&r->site, l->name) : "";
		char *fed = feed_values_read(settings_text(s, CSET_STORE_DIR), l,
					     (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
		char *name = keep(r, l->name, "=", values), *text;
		const char *why;

		for (char *at = fed; at && *at; at++)
			if (*at == '\n')
				*at = at[1] ? ',' : 0;
		text = name ? keep(r, name, *values && fed && *fed ? "," : "", fed ?: "") : NULL;
		rc = text ? site_list(&r->site, text, &why) : -ENOMEM;
		free(fed);
	}
	return rc == -E2BIG ? 0 : rc; /* that there are too many has been said of the others */
}

int ruleset_feeds(const struct ruleset *r, const struct settings *s, const struct pack_list ***ret,
		  uint32_t *ret_n)
{
	const struct collector_own *own = collector_own(s);
	const struct pack_list **v;
	uint32_t n = own->n_feeds;

	for (uint32_t i = 0; i < r->packs.n; i++)
		n += r->packs.v[i].n_lists;
	v = calloc(n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (n = 0; n < own->n_feeds; n++)
		v[n] = &own->feeds[n];
	for (uint32_t i = 0; i < r->packs.n; i++)
		for (uint32_t k = 0; k < r->packs.v[i].n_lists; k++) {
			const struct pack_list *l = &r->packs.v[i].lists[k];
			bool other = speaks_of(own, l->name);

			for (uint32_t o = 0; o < own->n_feeds; o++)
				other |= !strcmp(own->feeds[o].name, l->name);
			if (feed_source(&l->feed) && !other)
				v[n++] = l;
		}
	*ret = v;
	*ret_n = n;
	return 0;
}

/* ---- packs ---- */

static bool has_list(const struct pack *p, const char *name)
{
	for (uint32_t i = 0; i < p->n_lists; i++)
		if (!strcmp(p->lists[i].name, name))
			return true;
	return false;
}

/* What the site says of a list comes later, and before what a pack does. */
static int add_lists(struct ruleset *r, const struct settings *s, struct ruleset_errors *errs)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->packs.n && !rc; i++) {
		const struct pack *p = &r->packs.v[i];

		for (uint32_t k = 0; k < i; k++)
			for (uint32_t l = 0; l < p->n_lists; l++)
				if (has_list(&r->packs.v[k], p->lists[l].name))
					say(errs, "pack %s: list '%s' is also in pack %s",
					    p->meta.name, p->lists[l].name,
					    r->packs.v[k].meta.name);
		rc = packs_bind_lists(&r->site, p, settings_text(s, CSET_STORE_DIR));
		if (rc == -E2BIG) {
			say(errs, "pack %s: more than %u lists in all", p->meta.name, SITE_MAX);
			rc = 0;
		}
	}
	return rc;
}

/* Parameters of a pack are known by its own name. */
static int add_pack_words(struct ruleset *r, const struct settings *s, struct ruleset_errors *errs)
{
	const struct collector_own *own = collector_own(s);
	int rc = 0;

	for (uint32_t i = 0; i < own->n_words && !rc; i++) {
		const struct collector_rule_word *w = &own->words[i];
		const char *why;

		if (!w->pack)
			continue;
		rc = add_word(r, w, &why);
		if (rc && rc != -ENOMEM) {
			say(errs, "%s:%u:%u: pack %s: %s", s->path ?: "", w->line, w->col, w->name,
			    why);
			rc = 0;
		}
	}
	return rc;
}

static void check_pack_words(struct ruleset *r, const struct settings *s,
			     struct ruleset_errors *errs)
{
	const struct collector_own *own = collector_own(s);

	for (uint32_t i = 0; i < own->n_words; i++) {
		const struct collector_rule_word *w = &own->words[i];
		const struct pack *p = NULL;
		uint32_t k = 0;

		if (!w->pack)
			continue;
		for (uint32_t n = 0; n < r->packs.n && !p; n++)
			if (!strcmp(r->packs.v[n].meta.name, w->name))
				p = &r->packs.v[n];
		while (p && k < p->meta.params.n && strcmp(p->meta.params.v[k].name, w->key) != 0)
			k++;
		if (!p)
			say(errs, "%s:%u:%u: there is no pack '%s'", s->path ?: "", w->line, w->col,
			    w->name);
		else if (k == p->meta.params.n)
			say(errs, "%s:%u:%u: pack '%s' has no parameter '%s'", s->path ?: "",
			    w->line, w->col, w->name, w->key);
	}
}

/* Their files are looked at no more. */
static int read_packs(struct ruleset *r, const struct settings *s)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->packs.n && !rc; i++)
		rc = packs_rules(s, &r->packs.v[i], &r->files);
	for (uint32_t i = 0; i < r->packs.n; i++)
		pack_forget(&r->packs.v[i]);
	return rc;
}

/* Modes are of this site, not of whoever wrote the rule. */
static void set_modes(struct ruleset *r, const struct settings *s, struct ruleset_errors *errs)
{
	const struct collector_own *own = collector_own(s);

	for (uint32_t i = 0; i < own->n_words; i++) {
		const struct collector_rule_word *w = &own->words[i];
		struct rule *rule;

		if (w->list || w->pack)
			continue;
		rule = (struct rule *)(uintptr_t)rules_find(&r->files.set,
							    w->name); /* of our set */
		if (!rule)
			say(errs, "%s:%u:%u: there is no rule '%s'", s->path ?: "", w->line, w->col,
			    w->name);
		else if (!strcmp(w->key, "mode")) {
			rule->mode =
				(uint8_t)cli_word("draft|detect|shadow|canary|prevent", w->value);
			rule->mode_set = true;
		}
	}
}

static bool acts_on_sources(const struct rule_set *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const struct rule *r = &set->v[i];

		for (uint32_t a = 0; r->mode >= RM_SHADOW && a < r->actions.n; a++)
			if (r->actions.v[a].type <= RO_RESET)
				return true;
	}
	return false;
}

/* ---- has anything changed? ---- */

static __thread uint64_t sum; /* nftw() takes no argument */

static void mix(const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) /* FNV-1a */
		sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
}

static int mix_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)at;
	mix(path, strlen(path) + 1);
	if (type == FTW_F) {
		mix(&st->st_size, sizeof(st->st_size));
		mix(&st->st_ino, sizeof(st->st_ino));
		mix(&st->st_mtim, sizeof(st->st_mtim));
	}
	return 0;
}

static void mix_feed(const struct pack_list *l)
{
	const struct pack_feed *f = &l->feed;
	const uint64_t numbers[] = {l->names,	   f->every_ns,	   f->jitter_ns, f->expire_ns,
				    f->timeout_ns, f->max_entries, f->max_bytes, f->format};

	mix(l->name, strlen(l->name) + 1);
	mix(feed_source(f), strlen(feed_source(f)) + 1);
	mix(f->ca ?: "", strlen(f->ca ?: "") + 1);
	mix(numbers, sizeof(numbers));
}

static uint64_t fingerprint(const struct settings *s)
{
	static const char *const kept[] = {"feeds", "rules"};
	const struct setting_value *v = &s->v[CSET_RULES_DIRECTORIES];
	const struct collector_own *own = collector_own(s);
	char packs[4096];

	sum = UINT64_C(0xcbf29ce484222325);
	for (unsigned int id = CSET_RULES_AHEAD; id <= CSET_RULES_BEHIND; id++) {
		const uint64_t ns = settings_num(s, id);

		mix(&ns, sizeof(ns));
	}
	for (uint32_t i = 0; i < v->n; i++)
		(void)nftw(v->list[i], mix_file, DEPTH, 0); /* what can't be read has no part */
	(void)nftw(packs_directory(s, packs, sizeof(packs)), mix_file, DEPTH, 0);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		snprintf(packs, sizeof(packs), "%s/%s", settings_text(s, CSET_STORE_DIR), kept[i]);
		(void)nftw(packs, mix_file, DEPTH, 0);
	}
	if (collector_path(s, CSET_PACKS_KEYS))
		(void)nftw(collector_path(s, CSET_PACKS_KEYS), mix_file, DEPTH, 0);
	for (uint32_t i = 0; i < own->n_feeds; i++)
		mix_feed(&own->feeds[i]);
	for (uint32_t i = 0; i < own->n_words; i++) {
		const struct collector_rule_word *w = &own->words[i];

		mix(w->name, strlen(w->name) + 1);
		mix(w->key, strlen(w->key) + 1);
		mix(w->value, strlen(w->value) + 1);
		if (w->list && !strcmp(w->key, "file"))
			(void)nftw(w->value, mix_file, DEPTH, 0);
	}
	return sum;
}

void ruleset_set_mode(struct ruleset *r, const struct rule *rule, enum rule_mode mode)
{
	((struct rule *)(uintptr_t)rule)->mode = (uint8_t)mode; /* of our set */
	r->proof = acts_on_sources(&r->files.set);
	sum = r->fingerprint;
	mix(rule->id, strlen(rule->id) + 1);
	mix(&rule->mode, sizeof(rule->mode));
	r->fingerprint = sum;
}

/* ---- all of it ---- */

static const char *resolve(void *arg, char kind, const char *name)
{
	struct rule_files *f = arg;

	return kind == '@' ? f->binding.list(f->binding.arg, name) : NULL;
}

static int read_list(struct ruleset *r, const char *text, struct filter **ret,
		     struct ruleset_errors *errs)
{
	const struct filter_env env = {.resolve = resolve, .arg = &r->files};
	struct filter_error e;
	const int rc = filter_parse(text, strlen(text), &env, ret, &e);

	if (rc && rc != -ENOMEM)
		say(errs, "%s: %s", strchr(text, '@'), e.message);
	return rc;
}

static int read_directories(struct ruleset *r, const struct settings *s)
{
	const struct setting_value *v = &s->v[CSET_RULES_DIRECTORIES];
	int rc = 0;

	for (uint32_t i = 0; i < v->n && !rc; i++)
		if (strcmp(v->list[i], "none") != 0)
			rc = rule_files_read(&r->files, v->list[i]);
	return rc;
}

static int read_all(struct ruleset *r, const struct settings *s, const struct ruleset_trial *t,
		    struct ruleset_errors *errs)
{
	int rc = add_pack_words(r, s, errs);

	rc = rc ?: packs_open(s, t->pack, &r->files, &r->packs);
	if (rc == -EINVAL)
		rc = 0; /* said with the others */
	rc = rc ?: add_lists(r, s, errs) ?: add_words(r, s, errs);
	rc = rc ?: add_feeds(r, s);
	rc = rc ?: read_directories(r, s);
	rc = rc ?: own_rules_read(s, t->own, &r->files);
	rc = rc ?: read_packs(r, s);
	if (!rc)
		rc = rule_files_link(&r->files);
	if (rc == -ENOMEM)
		return rc;
	rule_files_each_error(&r->files, say_one, errs);
	if (!rc)
		set_modes(r, s, errs);
	if (!rc)
		check_pack_words(r, s, errs);
	return errs->n ? -EINVAL : rc;
}

int ruleset_load_as(const struct settings *s, const struct ruleset_trial *t, struct ruleset **ret,
		    struct ruleset_errors *errs)
{
	static const struct ruleset_trial as_it_is = {};
	struct ruleset *r = calloc(1, sizeof(*r));
	int rc;

	*errs = (struct ruleset_errors){};
	if (!r)
		return -ENOMEM;
	r->holders = 1;
	r->fingerprint = fingerprint(s);
	site_init(&r->site);
	rule_files_init(&r->files, &r->site);
	rc = read_all(r, s, t ?: &as_it_is, errs);
	rc = rc ?: read_list(r, "src.ip in @local", &r->local, errs);
	rc = rc ?: read_list(r, "src.ip in @never_block", &r->never, errs);
	if (rc) {
		ruleset_drop(r);
		return rc;
	}
	r->proof = acts_on_sources(&r->files.set);
	*ret = r;
	return 0;
}

int ruleset_load(const struct settings *s, struct ruleset **ret, struct ruleset_errors *errs)
{
	return ruleset_load_as(s, NULL, ret, errs);
}

int ruleset_try(const struct settings *s, const struct ruleset_trial *t,
		struct ruleset_errors *errs)
{
	struct ruleset *r = NULL;
	const int rc = ruleset_load_as(s, t, &r, errs);

	ruleset_drop(r);
	return rc;
}

struct ruleset *ruleset_hold(struct ruleset *r)
{
	__atomic_fetch_add(&r->holders, 1, __ATOMIC_RELAXED);
	return r;
}

void ruleset_drop(struct ruleset *r)
{
	if (!r || __atomic_sub_fetch(&r->holders, 1, __ATOMIC_ACQ_REL))
		return;
	filter_free(r->local);
	filter_free(r->never);
	rule_files_done(&r->files);
	packs_done(&r->packs);
	site_done(&r->site);
	while (r->n_texts)
		free(r->texts[--r->n_texts]);
	free(r->texts);
	free(r);
}

bool ruleset_has(const struct filter *f, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct flow_record r = {.family = memcmp(ip, mapped, sizeof(mapped)) ? 6 : 4};

	memcpy(r.src_ip, ip, 16);
	flow_set(&r, FF_SRC_IP);
	return filter_match(f, &r);
}
