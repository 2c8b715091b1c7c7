// SPDX-License-Identifier: Apache-2.0
/*
 * history.c - see history.h. A record lies in one piece, struct first, then its arrays, then its
 * letters, and points into itself: the ring never moves.
 */
#include "loader/control/history.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ALIGN 8u

static const enum flow_field strings[] = {
	FF_TLS_SNI,   FF_TLS_ALPN, FF_HTTP_HOST, FF_HTTP_METHOD, FF_HTTP_PATH,
	FF_DNS_QNAME, FF_RULE,	   FF_IFACE,	 FF_NODE,
};

#define STRINGS (sizeof(strings) / sizeof(strings[0]))

static uint32_t places_for(uint32_t max)
{
	return max < HISTORY_MIN ? HISTORY_MIN : max;
}

uint64_t history_memory(uint32_t max)
{
	return (uint64_t)places_for(max) *
	       (HISTORY_RECORD_BYTES + sizeof(*((struct history *)0)->pos));
}

int history_init(struct history *h, uint32_t max)
{
	*h = (struct history){.max = places_for(max)};
	h->cap = (size_t)h->max * HISTORY_RECORD_BYTES;
	h->pos = calloc(h->max, sizeof(*h->pos));
	h->mem = mmap(NULL, h->cap, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->mem == MAP_FAILED)
		h->mem = NULL;
	if (h->mem && h->pos)
		return 0;
	history_done(h);
	return -ENOMEM;
}

void history_done(struct history *h)
{
	if (h->mem)
		munmap(h->mem, h->cap);
	free(h->pos);
	*h = (struct history){};
}

static struct flow_str *string_of(struct flow_record *r, enum flow_field f)
{
	return (struct flow_str *)(void *)((char *)r + flow_fields[f].offset);
}

static size_t size_of(const struct flow_record *r)
{
	size_t n = sizeof(*r);

	for (size_t i = 0; i < STRINGS; i++)
		if (flow_has(r, strings[i]))
			n += string_of((struct flow_record *)r, strings[i])->len;
	for (unsigned int l = 0; l < FLOW_LISTS; l++)
		for (uint32_t i = 0; i < flow_list_n(r, l); i++)
			n += sizeof(struct flow_str) + flow_list(r, l)->v[i].len;
	if (flow_has(r, FF_DNS_QUERIES))
		for (uint32_t i = 0; i < r->dns_queries.n; i++)
			n += sizeof(struct flow_query) + r->dns_queries.v[i].qname.len;
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Move a string's letters to @to. Return: behind them. */
static char *keep_letters(struct flow_str *s, char *to)
{
	if (s->len)
		memcpy(to, s->s, s->len);
	s->s = to;
	return to + s->len;
}

static void pack(char *at, const struct flow_record *from)
{
	struct flow_record *r = (struct flow_record *)(void *)at;
	char *to = at + sizeof(*r);
	struct flow_str *strs[FLOW_LISTS];
	struct flow_query *queries;

	memcpy(r, from, sizeof(*r));
	if (!flow_has(r, FF_DNS_QUERIES))
		r->dns_queries.n = 0;
	queries = (struct flow_query *)(void *)to;
	to += r->dns_queries.n * sizeof(*queries);
	for (unsigned int l = 0; l < FLOW_LISTS; l++) {
		strs[l] = (struct flow_str *)(void *)to;
		to += flow_list_n(r, l) * sizeof(*strs[l]);
	}
	for (uint32_t i = 0; i < r->dns_queries.n; i++) {
		queries[i] = r->dns_queries.v[i];
		to = keep_letters(&queries[i].qname, to);
	}
	for (unsigned int l = 0; l < FLOW_LISTS; l++) {
		for (uint32_t i = 0; i < flow_list_n(r, l); i++) {
			strs[l][i] = flow_list(r, l)->v[i];
			to = keep_letters(&strs[l][i], to);
		}
		*flow_list(r, l) = (struct flow_strs){strs[l], flow_list_n(r, l)};
	}
	r->dns_queries.v = queries;
	for (size_t i = 0; i < STRINGS; i++)
		if (flow_has(r, strings[i]))
			to = keep_letters(string_of(r, strings[i]), to);
}

/* Records that lie in [from, to) go, oldest first. */
static void make_room(struct history *h, size_t from, size_t to)
{
	while (h->first < h->next) {
		const size_t at = h->pos[h->first % h->max];

		if (h->next - h->first < h->max && (at < from || at >= to))
			break;
		h->first++;
	}
}

void history_add(struct history *h, const struct flow_record *r)
{
	const size_t size = size_of(r);

	if (size > h->cap)
		return;
	if (size > h->cap - h->head) {
		make_room(h, h->head, h->cap); /* what is left at the end stays empty */
		h->head = 0;
	}
	make_room(h, h->head, h->head + size);
	pack(h->mem + h->head, r);
	h->pos[h->next++ % h->max] = h->head;
	h->head += size;
}

const struct flow_record *history_get(const struct history *h, uint64_t i)
{
	return (const struct flow_record *)(const void *)(h->mem + h->pos[i % h->max]);
}
