// SPDX-License-Identifier: Apache-2.0
#include "loader/outbox.h"

#include <errno.h>
#include <string.h>

/* The string of a field, or NULL: it is something else, or absent. */
static struct flow_str *string_of(const struct flow_record *r, unsigned int field)
{
	const struct flow_field_info *f = &flow_fields[field];

	if ((f->type != FT_STR && f->type != FT_ALPN) || !flow_has(r, field))
		return NULL;
	return (struct flow_str *)(void *)((char *)(uintptr_t)r + f->offset);
}

/* The same of lists of strings. */
static struct flow_strs *strs_of(const struct flow_record *r, unsigned int field)
{
	const struct flow_field_info *f = &flow_fields[field];

	if (f->type != FT_STRS || !flow_has(r, field))
		return NULL;
	return (struct flow_strs *)(void *)((char *)(uintptr_t)r + f->offset);
}

static uint32_t queries_of(const struct flow_record *r)
{
	return flow_has(r, FF_DNS_QUERIES) ? r->dns_queries.n : 0;
}

size_t outbox_size(const struct flow_record *r)
{
	size_t n = sizeof(*r) + queries_of(r) * sizeof(struct flow_query);

	for (unsigned int f = 0; f < _FF_MAX; f++)
		if (string_of(r, f))
			n += string_of(r, f)->len;
	for (unsigned int f = 0; f < _FF_MAX; f++) {
		const struct flow_strs *l = strs_of(r, f);

		for (uint32_t i = 0; l && i < l->n; i++)
			n += sizeof(uint32_t) + l->v[i].len;
	}
	for (uint32_t i = 0; i < queries_of(r); i++)
		n += r->dns_queries.v[i].qname.len;
	return (n + 7) / 8 * 8;
}

static uint8_t *put(uint8_t *p, const void *from, size_t n)
{
	if (n)
		memcpy(p, from, n);
	return p + n;
}

/* Layout: the record, its strings; of each list the strings behind their lengths; the queries, each
 * with its name.
 */
void outbox_pack(const struct flow_record *r, uint8_t *p)
{
	p = put(p, r, sizeof(*r));
	for (unsigned int f = 0; f < _FF_MAX; f++)
		if (string_of(r, f))
			p = put(p, string_of(r, f)->s, string_of(r, f)->len);
	for (unsigned int f = 0; f < _FF_MAX; f++) {
		const struct flow_strs *l = strs_of(r, f);

		for (uint32_t i = 0; l && i < l->n; i++) {
			p = put(p, &l->v[i].len, sizeof(uint32_t));
			p = put(p, l->v[i].s, l->v[i].len);
		}
	}
	for (uint32_t i = 0; i < queries_of(r); i++) {
		p = put(p, &r->dns_queries.v[i], sizeof(struct flow_query));
		p = put(p, r->dns_queries.v[i].qname.s, r->dns_queries.v[i].qname.len);
	}
}

struct reader {
	const uint8_t *p, *end;
};

static const void *take(struct reader *rd, size_t n)
{
	const void *p = rd->p;

	if (n > (size_t)(rd->end - rd->p))
		return NULL;
	rd->p += n;
	return p;
}

static int take_list(struct reader *rd, struct flow_strs *l, struct flow_str *to)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const void *len = take(rd, sizeof(uint32_t));

		if (!len)
			return -EBADMSG;
		memcpy(&to[i].len, len, sizeof(uint32_t));
		to[i].s = take(rd, to[i].len);
		if (!to[i].s)
			return -EBADMSG;
	}
	l->v = to;
	return 0;
}

static int take_lists(struct reader *rd, struct outbox_record *ret)
{
	uint32_t used = 0;
	int r = 0;

	for (unsigned int f = 0; !r && f < _FF_MAX; f++) {
		struct flow_strs *l = strs_of(&ret->r, f);

		if (!l)
			continue;
		if (l->n > OUTBOX_STRS_MAX - used)
			return -EBADMSG;
		r = take_list(rd, l, &ret->strs[used]);
		used += l->n;
	}
	return r;
}

static int take_queries(struct reader *rd, struct outbox_record *ret)
{
	uint32_t n = queries_of(&ret->r);

	if (n > FLOW_QUERIES_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++) {
		const void *q = take(rd, sizeof(struct flow_query));

		if (!q)
			return -EBADMSG;
		memcpy(&ret->queries[i], q, sizeof(struct flow_query));
		ret->queries[i].qname.s = take(rd, ret->queries[i].qname.len);
		if (!ret->queries[i].qname.s)
			return -EBADMSG;
	}
	ret->r.dns_queries.v = ret->queries;
	return 0;
}

int outbox_unpack(const uint8_t *p, size_t len, struct outbox_record *ret)
{
	struct reader rd = {p, p + len};
	const void *r = take(&rd, sizeof(ret->r));

	if (!r)
		return -EBADMSG;
	memcpy(&ret->r, r, sizeof(ret->r));
	for (unsigned int f = 0; f < _FF_MAX; f++) {
		struct flow_str *s = string_of(&ret->r, f);

		if (!s)
			continue;
		s->s = take(&rd, s->len);
		if (!s->s)
			return -EBADMSG;
	}
	return take_lists(&rd, ret) ?: take_queries(&rd, ret);
}
