// SPDX-License-Identifier: Apache-2.0
/*
 * policy_source.c - the form of policies that people write, see weir-policy(5): a statement a line, in
 * the words of `weir block` and of the filter language.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/num_text.h"
#include "common/policy.h"
#include "common/scan.h"
#include "common/suggest.h"

#define NS_PER_S  UINT64_C(1000000000)
#define UNTIL_S	  (UINT64_C(7) * 86400) /* of a policy that does not say */
#define LISTS_MAX 256u
#define LINE_MAX  (FILTER_TEXT_MAX + 1024u)

struct source {
	const struct policy_source *src;
	struct policy_draft *d;
	struct policy_source_error *err;
	struct policy_lists lists;
	unsigned int line;
	const char *line_start; /* of the copy at hand */
	uint32_t number;	/* of the next rule */
};

__attribute__((format(printf, 3, 4))) static int fail(struct source *s, const char *at,
						      const char *fmt, ...)
{
	va_list ap;

	s->err->line = s->line;
	s->err->column = at ? (unsigned int)(at - s->line_start) + 1 : 1;
	va_start(ap, fmt);
	vsnprintf(s->err->text, sizeof(s->err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* The next word at *at, which is moved behind it and what follows; ended by 0. NULL: none. */
static char *take_word(char **at)
{
	char *word = *at + strspn(*at, " \t"), *end = word + strcspn(word, " \t");

	if (!*word)
		return NULL;
	*at = end;
	if (*end) {
		*end = '\0';
		*at = end + 1 + strspn(end + 1, " \t");
	}
	return word;
}

/* Cut the last word off; NULL: there is only one. */
static char *cut_last(char *text)
{
	size_t len = strlen(text);

	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
	while (len && text[len - 1] != ' ' && text[len - 1] != '\t')
		len--;
	return len ? text + len : NULL;
}

/* "... WORD value" at the end of @text: the value, and the text without it. */
static char *cut_tail(char *text, const char *word)
{
	const size_t n = strlen(word);
	char *value = cut_last(text), *end = value;

	if (!value)
		return NULL;
	while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if ((size_t)(end - text) < n + 1 || memcmp(end - n, word, n) != 0 ||
	    (end[-(ptrdiff_t)n - 1] != ' ' && end[-(ptrdiff_t)n - 1] != '\t'))
		return NULL;
	end[-(ptrdiff_t)n] = '\0';
	return value;
}

/* ---- rates ---- */

int policy_scan_rate(const char *word, struct policy_rule *ret)
{
	const size_t len = strlen(word);
	char number[32];
	uint64_t rate, burst;

	if (len < 4 || len - 3 >= sizeof(number))
		return -EINVAL;
	if (!strcmp(word + len - 3, "pps"))
		ret->limit = LIMIT_PPS;
	else if (!strcmp(word + len - 3, "bps"))
		ret->limit = LIMIT_BPS;
	else
		return -EINVAL;
	memcpy(number, word, len - 3);
	number[len - 3] = '\0';
	if (scan_u64(number, 1, UINT64_C(1000000000000), &rate))
		return -EINVAL;
	/* what a second brings, and one full packet at least */
	burst = ret->limit == LIMIT_PPS ? rate : rate / 8;
	if (ret->limit == LIMIT_BPS && burst < 3000)
		burst = 3000;
	ret->rate = rate;
	ret->burst = burst < UINT32_MAX ? (uint32_t)burst : UINT32_MAX;
	return 0;
}

static int take_rate(struct source *s, struct policy_rule *r, char **at)
{
	char *word = take_word(at), *next;
	uint64_t burst;

	if (!word || policy_scan_rate(word, r))
		return fail(s, word, "limit wants a rate such as 100pps or 10Mbps");
	for (;;) {
		next = *at;
		if (!strncmp(next, "burst ", 6)) {
			take_word(at);
			word = take_word(at);
			if (!word || scan_u64(word, 1, UINT32_MAX, &burst))
				return fail(s, word, "burst wants a number of packets or bytes");
			r->burst = (uint32_t)burst;
		} else if (!strncmp(next, "per source ", 11)) {
			take_word(at);
			take_word(at);
			r->limit |= LIMIT_PER_SOURCE;
		} else {
			return 0;
		}
	}
}

void policy_rule_id(struct policy_rule *r, const char *filter)
{
	policy_id(filter, r->id);
	r->id[0] ^= r->action;
	r->id[1] ^= r->flags & RULE_SHADOW;
	r->id[2] ^= r->direction;
}

/* ---- statements ---- */

static void take_modifiers(struct policy_rule *r, char **at)
{
	r->direction = DIR_BOTH;
	for (;;) {
		if (!strncmp(*at, "shadow ", 7))
			r->flags |= RULE_SHADOW;
		else if (!strncmp(*at, "failsafe ", 9))
			r->flags |= RULE_FAILSAFE;
		else if (!strncmp(*at, "ingress ", 8))
			r->direction = DIR_INGRESS;
		else if (!strncmp(*at, "egress ", 7))
			r->direction = DIR_EGRESS;
		else
			return;
		take_word(at);
	}
}

static int put_name(struct source *s, struct policy_rule *r, const char *name)
{
	if (!name) {
		snprintf((char *)r->name, sizeof(r->name), "line-%u", s->line);
		return 0;
	}
	if (strlen(name) >= sizeof(r->name))
		return fail(s, name, "a name has at most %zu letters", sizeof(r->name) - 1);
	memcpy(r->name, name, strlen(name));
	return 0;
}

static int put_expiry(struct source *s, struct policy_rule *r, const char *duration)
{
	uint64_t ns;

	if (!duration) {
		if (r->action == POLICY_NEVER)
			return 0;
		return fail(s, NULL, "what is done needs an end: 'for 10m' behind the filter");
	}
	if (scan_duration_ns(duration, NS_PER_S, UINT64_MAX, &ns))
		return fail(s, duration, "'%.40s': want a duration such as 10m, 1s at least",
			    duration);
	r->expires = s->src->now + ns / NS_PER_S;
	return 0;
}

static int add_rule(struct source *s, struct policy_rule *r, const char *text)
{
	struct policy_filter_result got;
	int n;

	r->number = s->number;
	n = policy_add_filter(s->d, text, r, &s->lists, &got);
	if (n == -EINVAL || n == -E2BIG) {
		fail(s, text + got.error.column - 1, "%s", got.error.message);
		return n;
	}
	if (n)
		return n;
	if (r->action == POLICY_RESET && !policy_draft_is_tcp(s->d, s->number))
		return fail(s, text, "only TCP can be reset; this is about other packets too");
	s->number += got.rules;
	return s->number <= POLICY_NUMBER_MAX
		       ? 0
		       : fail(s, NULL, "more than %u rules", POLICY_NUMBER_MAX);
}

static int statement(struct source *s, uint8_t action, char *at)
{
	struct policy_rule r = {.action = action};
	char *name, *duration;
	int n = 0;

	if (action == POLICY_LIMIT)
		n = take_rate(s, &r, &at);
	if (n)
		return n;
	take_modifiers(&r, &at);
	name = cut_tail(at, "as");
	duration = cut_tail(at, "for");
	cut_last(at);
	if (!*at)
		return fail(s, at, "want a filter: what is to be %s?",
			    action == POLICY_PASS ? "passed" : "stopped");
	policy_rule_id(&r, at);
	n = put_name(s, &r, name);
	n = n ?: put_expiry(s, &r, duration);
	snprintf((char *)r.origin, sizeof(r.origin), "%s", s->src->origin);
	return n ?: add_rule(s, &r, at);
}

/* ---- what is about the whole ---- */

static int take_issuer(struct source *s, char *at)
{
	const char *word = take_word(&at);

	if (!word || *at || strlen(word) >= sizeof(s->d->head.issuer))
		return fail(s, word, "issuer wants one word of at most 31 letters");
	memcpy(s->d->head.issuer, word, strlen(word));
	return 0;
}

static int take_generation(struct source *s, char *at)
{
	const char *word = take_word(&at);
	uint64_t v;

	if (!word || *at || scan_u64(word, 1, UINT64_MAX, &v))
		return fail(s, word, "generation wants a number");
	s->d->head.generation = v;
	return 0;
}

static int take_until(struct source *s, char *at)
{
	const char *word = take_word(&at);
	uint64_t v;

	if (word && !scan_duration_ns(word, NS_PER_S, UINT64_MAX, &v))
		s->d->head.not_after = s->src->now + v / NS_PER_S;
	else if (word && !scan_time_us(word, &v))
		s->d->head.not_after = v / 1000000;
	else
		return fail(s, word,
			    "until wants a duration, or a time such as 2026-12-01T00:00:00Z");
	return *at ? fail(s, at, "what is '%.40s' for?", at) : 0;
}

static int take_list(struct source *s, char *at)
{
	const char *name = take_word(&at), *path = take_word(&at), *why = NULL;
	struct policy_list *list, *all;
	unsigned int line = 0;
	size_t len = 0;
	char *text;
	int r;

	if (!name || !path || *at || strlen(name) >= sizeof(list->name))
		return fail(s, name, "list wants a name and a file");
	if (s->lists.n == LISTS_MAX)
		return fail(s, name, "more than %u lists", LISTS_MAX);
	all = reallocarray(s->lists.v, s->lists.n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	s->lists.v = all;
	list = &all[s->lists.n++];
	*list = (struct policy_list){};
	memcpy(list->name, name, strlen(name));
	text = s->src->read ? s->src->read(s->src->arg, path, &len, &why) : NULL;
	if (!text)
		return fail(s, path, "%.80s: %s", path, why ?: "lists can't be read here");
	r = policy_scan_list(text, len, list, &line, &why);
	free(text);
	if (r) {
		snprintf(s->err->file, sizeof(s->err->file), "%s", path);
		snprintf(s->err->text, sizeof(s->err->text), "%s", why);
		s->err->line = line;
		s->err->column = 0;
	}
	return r;
}

static const struct {
	const char *word;
	uint8_t action;
	int (*take)(struct source *s, char *at); /* NULL: a statement */
} words[] = {
	{"drop", POLICY_DROP, NULL},
	{"limit", POLICY_LIMIT, NULL},
	{"reset", POLICY_RESET, NULL},
	{"pass", POLICY_PASS, NULL},
	{"never", POLICY_NEVER, NULL},
	{"issuer", 0, take_issuer},
	{"generation", 0, take_generation},
	{"until", 0, take_until},
	{"list", 0, take_list},
};

static int unknown(struct source *s, const char *word)
{
	struct suggest near;

	suggest_init(&near, word, strlen(word));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		suggest_try(&near, words[i].word);
	return fail(s, word, "unknown word '%.40s'%s%s%s", word,
		    near.best ? ", did you mean '" : "", near.best ?: "", near.best ? "'?" : "");
}

static int take_line(struct source *s, char *line)
{
	const char *whole = line + strspn(line, " \t");
	char *at = line, *word;

	s->line_start = line;
	if (!*whole || *whole == '#')
		return 0;
	word = take_word(&at);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		return words[i].take ? words[i].take(s, at) : statement(s, words[i].action, at);
	}
	return unknown(s, word);
}

static void free_lists(struct policy_lists *lists)
{
	for (uint32_t i = 0; i < lists->n; i++)
		free(lists->v[i].items.at);
	free(lists->v);
}

int policy_compile(const char *text, size_t len, const struct policy_source *src,
		   struct policy_draft *ret, struct policy_source_error *reterr)
{
	struct source s = {.src = src, .d = ret, .err = reterr, .number = 1};
	const char *at = text, *end = text + len;
	char *line = malloc(LINE_MAX);
	int r = line ? 0 : -ENOMEM;

	*reterr = (struct policy_source_error){};
	*ret = (struct policy_draft){};
	ret->head.not_before = 0;
	ret->head.not_after = src->now + UNTIL_S;
	for (s.line = 1; !r && at < end; s.line++) {
		const char *nl = memchr(at, '\n', (size_t)(end - at)), *stop = nl ?: end;
		size_t n = (size_t)(stop - at);

		if (n && at[n - 1] == '\r')
			n--;
		s.line_start = at;
		if (n >= LINE_MAX || memchr(at, '\0', n)) {
			r = fail(&s, at, n >= LINE_MAX ? "the line is too long" : "a byte of 0");
			break;
		}
		memcpy(line, at, n);
		line[n] = '\0';
		at = nl ? nl + 1 : end;
		r = take_line(&s, line);
	}
	if (r == -ENOMEM)
		snprintf(reterr->text, sizeof(reterr->text), "out of memory");
	free(line);
	free_lists(&s.lists);
	if (r)
		policy_draft_done(ret);
	return r;
}
