// SPDX-License-Identifier: Apache-2.0
#include "collector/alerts/ruleset.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static void say_all(struct ruleset_errors *errs, const struct rule_files *f)
{
	for (uint32_t i = 0; i < f->n_errors; i++) {
		const struct file_errors *fe = &f->errors[i];

		for (uint32_t e = 0; e < fe->errs.count && e < CONFIG_ERRORS_MAX; e++) {
			const struct config_error *ce = &fe->errs.list[e];

			if (!*fe->file) /* the set's: the text begins with the file */
				say(errs, "%s", ce->text);
			else if (ce->line)
				say(errs, "%s:%u:%u: %s", fe->file, ce->line, ce->col, ce->text);
			else
				say(errs, "%s: %s", fe->file, ce->text);
		}
	}
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
	if (!w->list && !strcmp(w->key, "mode"))
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
		const int rc = add_word(r, w, &why);

		if (rc == -ENOMEM)
			return rc;
		if (rc)
			say(errs, "%s:%u:%u: %s %s: %s", s->path ?: "", w->line, w->col,
			    w->list ? "list" : "rule", w->name, why);
	}
	return 0;
}

/* Modes are of this site, not of whoever wrote the rule. */
static void set_modes(struct ruleset *r, const struct settings *s, struct ruleset_errors *errs)
{
	const struct collector_own *own = collector_own(s);

	for (uint32_t i = 0; i < own->n_words; i++) {
		const struct collector_rule_word *w = &own->words[i];
		struct rule *rule;

		if (w->list)
			continue;
		rule = (struct rule *)(uintptr_t)rules_find(&r->files.set,
							    w->name); /* of our set */
		if (!rule)
			say(errs, "%s:%u:%u: there is no rule '%s'", s->path ?: "", w->line, w->col,
			    w->name);
		else if (!strcmp(w->key, "mode"))
			rule->mode =
				(uint8_t)cli_word("draft|detect|shadow|canary|prevent", w->value);
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

static uint64_t fingerprint(const struct settings *s)
{
	const struct setting_value *v = &s->v[CSET_RULES_DIRECTORIES];
	const struct collector_own *own = collector_own(s);

	sum = UINT64_C(0xcbf29ce484222325);
	for (unsigned int id = CSET_RULES_AHEAD; id <= CSET_RULES_BEHIND; id++) {
		const uint64_t ns = settings_num(s, id);

		mix(&ns, sizeof(ns));
	}
	for (uint32_t i = 0; i < v->n; i++)
		(void)nftw(v->list[i], mix_file, DEPTH, 0); /* what can't be read has no part */
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

static int read_all(struct ruleset *r, const struct settings *s, struct ruleset_errors *errs)
{
	const struct setting_value *v = &s->v[CSET_RULES_DIRECTORIES];
	int rc = add_words(r, s, errs);

	for (uint32_t i = 0; i < v->n && !rc; i++)
		if (strcmp(v->list[i], "none") != 0)
			rc = rule_files_read(&r->files, v->list[i]);
	if (!rc)
		rc = rule_files_link(&r->files);
	if (rc == -ENOMEM)
		return rc;
	say_all(errs, &r->files);
	if (!rc)
		set_modes(r, s, errs);
	return errs->n ? -EINVAL : rc;
}

int ruleset_load(const struct settings *s, struct ruleset **ret, struct ruleset_errors *errs)
{
	struct ruleset *r = calloc(1, sizeof(*r));
	int rc;

	*errs = (struct ruleset_errors){};
	if (!r)
		return -ENOMEM;
	r->holders = 1;
	r->fingerprint = fingerprint(s);
	site_init(&r->site);
	rule_files_init(&r->files, &r->site);
	rc = read_all(r, s, errs);
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
