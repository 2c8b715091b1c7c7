// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/sites.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/num_text.h"
#include "common/scan.h"

#define ZONES_MAX  1024u
#define CIDR_BYTES 64u

struct zone {
	char name[SITE_TEXT];
	char *list; /* "10.0.0.0/8, ..." */
	size_t len, cap;
};

struct sites {
	struct site *v;
	uint32_t n, cap;
	struct zone *zones;
	uint32_t zones_n;
	char *texts; /* names, each terminated; offset 0 is none */
	size_t texts_len, texts_cap;
	/* v is in the order of bits downwards; where each length begins, and how many there are */
	uint32_t first[130];
	uint8_t lengths[129];
	uint32_t lengths_n;
};

struct reader {
	struct sites *s;
	const char *line;
	uint32_t number;
	char *error;
};

__attribute__((format(printf, 3, 4))) static int bad(const struct reader *r, const char *at,
						     const char *fmt, ...)
{
	int n = snprintf(r->error, SITES_ERROR, "%u:%u: ", r->number,
			 (unsigned int)(at - r->line) + 1);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->error + n, SITES_ERROR - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* @array with room for @more octets or elements; NULL: no memory. */
static void *room(void *array, size_t n, size_t more, size_t *cap, size_t size)
{
	size_t want = *cap ?: 64;

	while (want < n + more)
		want *= 2;
	if (want == *cap)
		return array;
	array = reallocarray(array, want, size);
	if (array)
		*cap = want;
	return array;
}

/* The next word of the line, moved behind it. Return: its length. */
static size_t next_word(const char **p, const char *end, const char **ret)
{
	while (*p < end && (**p == ' ' || **p == '\t'))
		(*p)++;
	*ret = *p;
	while (*p < end && **p != ' ' && **p != '\t')
		(*p)++;
	return (size_t)(*p - *ret);
}

/* "10.0.0.0/8"; without a length, one address. */
static int read_network(const struct reader *r, const char *word, size_t len, struct site *ret)
{
	char text[CIDR_BYTES], *slash;
	uint64_t bits;
	bool v4;

	if (len >= sizeof(text))
		return bad(r, word, "no network");
	memcpy(text, word, len);
	text[len] = 0;
	slash = strchr(text, '/');
	if (slash)
		*slash = 0;
	v4 = !strchr(text, ':');
	if (address_ip(text, ret->ip))
		return bad(r, word, "'%s' is no address", text);
	bits = v4 ? 32 : 128;
	if (slash && scan_u64(slash + 1, 0, bits, &bits))
		return bad(r, word + (slash + 1 - text), "the prefix length is 0 to %d",
			   v4 ? 32 : 128);
	ret->bits = (uint8_t)(bits + (v4 ? 96 : 0));
	for (unsigned int bit = ret->bits; bit < 128; bit++)
		if (ret->ip[bit / 8] & 0x80 >> bit % 8)
			return bad(r, word, "bits are set behind the prefix");
	return 0;
}

static int find_zone(struct reader *r, const char *word, size_t len, uint16_t *ret)
{
	struct sites *s = r->s;
	struct zone *zones;

	if (len >= SITE_TEXT)
		return bad(r, word, "a zone's name is shorter than %u octets", SITE_TEXT);
	for (size_t i = 0; i < len; i++)
		if (!strchr("_-.", word[i]) && !(word[i] >= '0' && word[i] <= '9') &&
		    !((word[i] | 32) >= 'a' && (word[i] | 32) <= 'z'))
			return bad(r, word + i, "a zone's name has letters, digits and _-. only");
	for (*ret = 0; *ret < s->zones_n; (*ret)++)
		if (strlen(s->zones[*ret].name) == len && !memcmp(s->zones[*ret].name, word, len))
			return 0;
	if (s->zones_n == ZONES_MAX)
		return bad(r, word, "more than %u zones", ZONES_MAX);
	zones = reallocarray(s->zones, s->zones_n + 1, sizeof(*zones));
	if (!zones)
		return -ENOMEM;
	s->zones = zones;
	zones[s->zones_n] = (struct zone){};
	memcpy(zones[s->zones_n++].name, word, len);
	return 0;
}

static int add_to_list(struct zone *z, const char *word, size_t len)
{
	char *list = room(z->list, z->len, len + 3, &z->cap, 1);

	if (!list)
		return -ENOMEM;
	z->list = list;
	z->len += (size_t)snprintf(list + z->len, z->cap - z->len, "%s%.*s", z->len ? ", " : "",
				   (int)len, word);
	return 0;
}

static int add_name(struct reader *r, const char *word, size_t len, uint32_t *ret)
{
	struct sites *s = r->s;
	char *texts;

	*ret = 0;
	if (!len)
		return 0;
	if (len >= SITE_TEXT)
		return bad(r, word, "a name is shorter than %u octets", SITE_TEXT);
	texts = room(s->texts, s->texts_len ?: 1, len + 1, &s->texts_cap, 1);
	if (!texts)
		return -ENOMEM;
	s->texts = texts;
	*ret = (uint32_t)(s->texts_len ?: 1);
	memcpy(texts + *ret, word, len);
	texts[*ret + len] = 0;
	s->texts_len = *ret + len + 1;
	return 0;
}

static int add_site(struct sites *s, const struct site *one)
{
	size_t cap = s->cap;
	struct site *v = s->n < SITES_MAX ? room(s->v, s->n, 1, &cap, sizeof(*v)) : NULL;

	if (!v)
		return s->n < SITES_MAX ? -ENOMEM : -E2BIG;
	s->v = v;
	s->cap = (uint32_t)cap;
	v[s->n++] = *one;
	return 0;
}

static int read_line(struct reader *r, const char *end)
{
	const char *p = r->line, *cidr, *zone, *name, *more;
	const char *hash = memchr(p, '#', (size_t)(end - p));
	struct site one = {};
	size_t n, zone_len, name_len;
	int e;

	if (hash)
		end = hash;
	while (end > p && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	n = next_word(&p, end, &cidr);
	if (!n)
		return 0;
	e = read_network(r, cidr, n, &one);
	if (e)
		return e;
	zone_len = next_word(&p, end, &zone);
	if (!zone_len)
		return bad(r, zone, "the zone is missing: CIDR ZONE [NAME]");
	name_len = next_word(&p, end, &name);
	if (next_word(&p, end, &more))
		return bad(r, more, "nothing comes behind the name");
	e = find_zone(r, zone, zone_len, &one.zone);
	e = e ?: add_to_list(&r->s->zones[one.zone], cidr, n);
	e = e ?: add_name(r, name, name_len, &one.name);
	return e ?: add_site(r->s, &one);
}

static int order(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	if (x->bits != y->bits)
		return x->bits > y->bits ? -1 : 1;
	return memcmp(x->ip, y->ip, 16);
}

static void sort(struct sites *s)
{
	if (s->n)
		qsort(s->v, s->n, sizeof(s->v[0]), order);
	for (uint32_t i = 0; i < s->n; i++)
		if (!i || s->v[i].bits != s->v[i - 1].bits) {
			s->first[s->lengths_n] = i;
			s->lengths[s->lengths_n++] = s->v[i].bits;
		}
	s->first[s->lengths_n] = s->n;
}

int sites_parse(const char *text, size_t len, struct sites **ret, char *error)
{
	struct reader r = {.s = calloc(1, sizeof(*r.s)), .line = text, .error = error};
	const char *end = text + len;
	int e = r.s ? 0 : -ENOMEM;

	*error = 0;
	while (!e && r.line < end) {
		const char *nl = memchr(r.line, '\n', (size_t)(end - r.line));

		r.number++;
		e = read_line(&r, nl ?: end);
		r.line = nl ? nl + 1 : end;
	}
	if (e) {
		if (!*error)
			snprintf(error, SITES_ERROR, "%u:1: %s", r.number,
				 e == -E2BIG ? "too many networks" : "out of memory");
		sites_free(r.s);
		return e;
	}
	sort(r.s);
	*ret = r.s;
	return 0;
}

struct sites *sites_free(struct sites *s)
{
	if (!s)
		return NULL;
	for (uint32_t i = 0; i < s->zones_n; i++)
		free(s->zones[i].list);
	free(s->zones);
	free(s->texts);
	free(s->v);
	free(s);
	return NULL;
}

static void mask(const uint8_t *ip, unsigned int bits, uint8_t *ret)
{
	memset(ret, 0, 16);
	memcpy(ret, ip, bits / 8);
	if (bits % 8)
		ret[bits / 8] = (uint8_t)(ip[bits / 8] & 0xff00u >> bits % 8);
}

const struct site *sites_find(const struct sites *s, const uint8_t ip[static 16])
{
	for (uint32_t i = 0; i < s->lengths_n; i++) {
		struct site key = {.bits = s->lengths[i]};
		const struct site *found;

		mask(ip, key.bits, key.ip);
		found = bsearch(&key, s->v + s->first[i], s->first[i + 1] - s->first[i],
				sizeof(key), order);
		if (found)
			return found;
	}
	return NULL;
}

const char *sites_zone(const struct sites *s, uint16_t zone)
{
	return zone < s->zones_n ? s->zones[zone].name : NULL;
}

const char *sites_name(const struct sites *s, const struct site *site)
{
	return site->name ? s->texts + site->name : NULL;
}

const char *sites_list(const struct sites *s, const char *zone)
{
	for (uint32_t i = 0; i < s->zones_n; i++)
		if (!strcmp(s->zones[i].name, zone))
			return s->zones[i].list;
	return NULL;
}
