// SPDX-License-Identifier: Apache-2.0
/*
 * feed_judge.c - is what a feed has brought to be taken? And how feeds are written in the configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/packs/feed.h"
#include "collector/rules/rule_int.h"
#include "common/commands.h"
#include "common/scan.h"

#define SECOND	 UINT64_C(1000000000)
#define LONGEST	 (UINT64_C(3660) * 86400 * SECOND)
#define BAD_PART 10u /* one of so many lines may be bad */

/* IANA's special-purpose registries (RFC 6890) and multicast: nobody can be met under them from afar. */
static const char special[] =
	"0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16,"
	"224.0.0.0/4,240.0.0.0/4,::/127,fc00::/7,fe80::/10,ff00::/8";

const struct pack_feed feed_default = {.every_ns = 3600 * SECOND,
				       .timeout_ns = 60 * SECOND,
				       .max_entries = 100000,
				       .max_bytes = 16u << 20};

static const struct {
	const char *word, *doc;
} bads[_FEED_BAD_MAX] = {
	{"", ""},
#define BAD(id, word, doc) {word, doc},
#include "collector/packs/feed_bad.def"
#undef BAD
};

const char *feed_bad_word(enum feed_bad b)
{
	return bads[b].word;
}

void feed_reference(void)
{
	for (unsigned int i = FEED_GOOD + 1; i < _FEED_BAD_MAX; i++) {
		printf("_%s_\n\t", bads[i].word);
		reference_put_sentence(bads[i].doc);
		puts("\n");
	}
}

/* ---- addresses that no feed has ---- */

int feed_own_add(struct feed_own *o, const char *values)
{
	char one[128];

	while (values && *values) {
		const size_t len = strcspn(values, ",");
		struct list_range *v = reallocarray(o->v, o->n + 1, sizeof(*v));
		const char *from = values + strspn(values, " ");

		if (!v)
			return -ENOMEM;
		o->v = v;
		snprintf(one, sizeof(one), "%.*s", (int)(values + len - from), from);
		one[strcspn(one, " ")] = 0;
		o->n += !list_range(one, &v[o->n]);
		values += len + (values[len] == ',');
	}
	return 0;
}

void feed_own_done(struct feed_own *o)
{
	free(o->v);
	*o = (struct feed_own){};
}

/* The first value that has an address of them; NULL: none. */
static const char *find_own(const struct list_parse *p, const struct feed_own *o,
			    char one[LIST_VALUE])
{
	struct list_range r;

	for (const char *at = p->text; *at; at += strcspn(at, "\n") + 1) {
		snprintf(one, LIST_VALUE, "%.*s", (int)strcspn(at, "\n"), at);
		if (list_range(one, &r))
			continue;
		for (uint32_t i = 0; i < o->n; i++)
			if (list_ranges_meet(&r, &o->v[i]))
				return one;
	}
	return NULL;
}

/* ---- judging ---- */

static uint32_t lines_of(const struct feed_body *b)
{
	uint32_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->bytes[i] == '\n';
	return n + (b->len && b->bytes[b->len - 1] != '\n');
}

static int judge_addresses(const struct list_parse *p, const struct feed_own *own, char *why)
{
	struct feed_own none = {};
	char one[LIST_VALUE];
	int r = feed_own_add(&none, special), bad = FEED_GOOD;

	if (!r && find_own(p, &none, one)) {
		snprintf(why, FEED_WHY, "%.100s is in it, which nobody has in the Internet", one);
		bad = FEED_PRIVATE;
	} else if (!r && find_own(p, own, one)) {
		snprintf(why, FEED_WHY,
			 "%.100s is in it, which is of @local, @never_block or @admin", one);
		bad = FEED_OWN;
	}
	feed_own_done(&none);
	return r ?: bad;
}

int feed_judge(const struct feed_asked *q, const struct feed_body *b, struct list_parse *ret,
	       char *why)
{
	const struct pack_list *l = q->list;
	int r;

	*ret = (struct list_parse){.names = l->names,
				   .format = l->feed.format,
				   .max_entries = (uint32_t)l->feed.max_entries};
	why[0] = 0;
	r = list_parse(b->bytes, b->len, ret);
	if (r == -E2BIG) {
		snprintf(why, FEED_WHY, "more than %u values are in it", ret->max_entries);
		return FEED_LARGE;
	}
	if (r)
		return r;
	if (ret->bad > lines_of(b) / BAD_PART) {
		snprintf(why, FEED_WHY, "%u of %u lines are wrong, the first is line %u: %s",
			 ret->bad, lines_of(b), ret->bad_line, ret->bad_why);
		return FEED_MALFORMED;
	}
	if (!ret->n) {
		snprintf(why, FEED_WHY, "there is no value in it");
		return FEED_EMPTY;
	}
	r = l->names ? FEED_GOOD : judge_addresses(ret, q->own, why);
	if (r || ret->n >= (q->had + 1) / 2)
		return r;
	snprintf(why, FEED_WHY, "%u values are left of %llu", ret->n, (unsigned long long)q->had);
	return FEED_SHRUNK;
}

/* ---- as the configuration has it ---- */

static const char *check_source(const struct pack_feed *d)
{
	if (!d->url == !d->file)
		return "a feed is a url or a file";
	if (d->file && d->file[0] != '/')
		return "file: want a path that begins with /";
	if (d->url && strncmp(d->url, "https://", 8) != 0 && strncmp(d->url, "http://", 7) != 0)
		return "url: want https:// or http://";
	return NULL;
}

static const char *check_times(const struct pack_feed *d)
{
	if (d->every_ns < SECOND || d->jitter_ns > d->every_ns)
		return "every is 1s at least, jitter no more than every";
	if (d->expire_ns && d->expire_ns < d->every_ns)
		return "expire is no less than every";
	if (!d->timeout_ns || d->timeout_ns > 3600 * SECOND)
		return "timeout is 1h at most";
	return NULL;
}

const char *feed_check(const struct pack_list *l)
{
	const struct pack_feed *d = &l->feed;

	if (!d->max_entries || d->max_entries > LIST_ENTRIES_MAX)
		return "max_entries is 1 to 1000000";
	if (!d->max_bytes || d->max_bytes > LIST_BYTES_MAX)
		return "max_bytes is 1 to 64Mi";
	if (d->format == PACK_HOSTS && !l->names)
		return "format hosts is of names: type: names";
	return check_source(d) ?: check_times(d);
}

static bool same_word(const char *key, const char *name)
{
	for (; *key && *name; key++, name++)
		if (*key != *name && !(*key == '-' && *name == '_'))
			return false;
	return *key == *name;
}

static int set_key(const struct rule_key *k, void *object, const char *value, char *why)
{
	void *member = (char *)object + k->offset;
	uint64_t v = 0;
	int r = 0, word;

	if (k->kind == RK_TEXT) {
		*(const char **)member = value;
		return 0;
	}
	if (k->kind == RK_WORD) {
		word = cli_word(k->words, value);
		r = word < 0 ? -EINVAL : 0;
		*(uint8_t *)member = (uint8_t)word;
	} else {
		r = k->kind == RK_DURATION ? scan_duration_ns(value, 0, LONGEST, &v)
					   : scan_u64(value, 0, UINT32_MAX, &v);
		*(uint64_t *)member = v;
	}
	if (r)
		snprintf(why, FEED_WHY, "%s '%.60s': want %s", k->name, value,
			 k->kind == RK_WORD ? k->words : rule_kind_words[k->kind]);
	return r;
}

int feed_key(struct pack_list *l, const char *key, const char *value, char why[FEED_WHY])
{
	if (!strcmp(key, "feed")) {
		*(value[0] == '/' ? &l->feed.file : &l->feed.url) = value;
		return 0;
	}
	for (unsigned int i = 0; i < rule_keys_n; i++) {
		const struct rule_key *k = &rule_keys[i];

		if (!same_word(key, k->name))
			continue;
		if (k->object == RO_LIST && !strcmp(k->name, "type"))
			return set_key(k, l, value, why);
		if (k->object == RO_FEED && k->kind != RK_OBJECT && strcmp(k->name, "url") != 0 &&
		    strcmp(k->name, "file") != 0)
			return set_key(k, &l->feed, value, why);
	}
	return -ENOENT;
}
