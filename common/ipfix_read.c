// SPDX-License-Identifier: Apache-2.0
/*
 * ipfix_read.c - messages of any exporter: sets, templates, records; see ipfix.h. Nothing is read
 * beyond the length that a message, set or field has, and memory is bounded by the store.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix_get.h"
#include "common/ipfix_int.h"

#define PAGES	 256u
#define PAGE_IDS 256u

struct ipfix_templates {
	uint32_t pen;
	uint32_t fields_max;
	uint32_t fields; /* of all templates */
	struct ipfix_template **page[PAGES];
	struct ipfix_value values[IPFIX_FIELDS_MAX];
};

struct ipfix_templates *ipfix_templates_new(uint32_t pen, uint32_t fields_max)
{
	struct ipfix_templates *t = calloc(1, sizeof(*t));

	if (t) {
		t->pen = pen;
		t->fields_max = fields_max;
	}
	return t;
}

static void forget(struct ipfix_templates *t, uint16_t id)
{
	struct ipfix_template **page = t->page[id / PAGE_IDS];

	if (!page || !page[id % PAGE_IDS])
		return;
	t->fields -= page[id % PAGE_IDS]->n;
	free(page[id % PAGE_IDS]);
	page[id % PAGE_IDS] = NULL;
}

/* All templates, or all options templates. */
static uint64_t forget_all(struct ipfix_templates *t, bool options)
{
	uint64_t n = 0;

	for (uint32_t id = IPFIX_ID_MIN; id <= UINT16_MAX; id++) {
		const struct ipfix_template *it = ipfix_templates_find(t, (uint16_t)id);

		if (!t->page[id / PAGE_IDS])
			id |= PAGE_IDS - 1;
		if (!it || !it->scope == options)
			continue;
		forget(t, (uint16_t)id);
		n++;
	}
	return n;
}

struct ipfix_templates *ipfix_templates_free(struct ipfix_templates *t)
{
	if (!t)
		return NULL;
	for (unsigned int i = 0; i < PAGES; i++) {
		for (unsigned int k = 0; t->page[i] && k < PAGE_IDS; k++)
			free(t->page[i][k]);
		free(t->page[i]);
	}
	free(t);
	return NULL;
}

const struct ipfix_template *ipfix_templates_find(const struct ipfix_templates *t, uint16_t id)
{
	struct ipfix_template *const *page = t->page[id / PAGE_IDS];

	return page ? page[id % PAGE_IDS] : NULL;
}

int ipfix_read_header(const uint8_t *p, size_t len, struct ipfix_header *ret)
{
	if (len < IPFIX_HEADER || get16(p) != IPFIX_VERSION || get16(p + 2) < IPFIX_HEADER)
		return -EBADMSG;
	ret->len = get16(p + 2);
	ret->export_s = get32(p + 4);
	ret->sequence = get32(p + 8);
	ret->domain = get32(p + 12);
	return 0;
}

/* ---- templates ---- */

static uint8_t row_of(const struct ipfix_templates *t, uint32_t pen, uint16_t element, uint16_t len)
{
	if (pen == t->pen)
		pen = IPFIX_PEN_WEIR;
	for (unsigned int i = 0; i < ipfix_rows_n; i++) {
		const struct ipfix_row *row = &ipfix_rows[i];

		if (row->pen != pen || (row->element != element && row->element6 != element))
			continue;
		/* lists come as element 291, and are told apart by what is in them */
		if ((row->len == 0) == (len == IPFIX_VARIABLE) || row->encoding == IE_STRING)
			return (uint8_t)(i + 1);
	}
	return 0;
}

static int read_field(const struct ipfix_templates *t, struct cursor8 *c, struct ipfix_field *f)
{
	uint32_t element, pen = 0;

	if (c->end - c->p < 4)
		return -EBADMSG;
	element = get16(c->p);
	f->len = (uint16_t)get16(c->p + 2);
	c->p += 4;
	if (element & IPFIX_ENTERPRISE) {
		if (c->end - c->p < 4)
			return -EBADMSG;
		pen = get32(c->p);
		c->p += 4;
	}
	f->pen = pen;
	f->element = element & ~IPFIX_ENTERPRISE;
	f->what = row_of(t, pen, f->element, f->len);
	return 0;
}

/* In *@tmp, which has room for any. */
static int read_fields(const struct ipfix_templates *t, struct cursor8 *c,
		       struct ipfix_template *tmp)
{
	for (unsigned int i = 0; i < tmp->n; i++) {
		/* beyond what is kept it is read to find its end */
		struct ipfix_field *f = &tmp->f[i < IPFIX_FIELDS_MAX ? i : 0];

		if (read_field(t, c, f))
			return -EBADMSG;
		tmp->min += f->len == IPFIX_VARIABLE ? 1 : f->len;
	}
	return 0;
}

static int keep(struct ipfix_templates *t, const struct ipfix_template *tmp)
{
	const size_t size = sizeof(*tmp) + tmp->n * sizeof(tmp->f[0]);
	struct ipfix_template **page, *copy;

	forget(t, tmp->id);
	/* a record of no octets would never end */
	if (tmp->n > IPFIX_FIELDS_MAX || !tmp->min || tmp->n > t->fields_max - t->fields)
		return -ENOSPC;
	page = t->page[tmp->id / PAGE_IDS];
	if (!page)
		page = t->page[tmp->id / PAGE_IDS] =
			calloc(PAGE_IDS, sizeof(struct ipfix_template *));
	copy = page ? malloc(size) : NULL;
	if (!copy)
		return -ENOMEM;
	memcpy(copy, tmp, size);
	page[tmp->id % PAGE_IDS] = copy;
	t->fields += tmp->n;
	return 0;
}

static int withdraw(struct ipfix_templates *t, uint16_t id, uint16_t set, struct ipfix_counts *n)
{
	if (id == set) {
		n->withdrawn += forget_all(t, set == IPFIX_SET_OPTIONS);
		return 0;
	}
	if (id < IPFIX_ID_MIN)
		return -EBADMSG;
	if (ipfix_templates_find(t, id))
		n->withdrawn++;
	forget(t, id);
	return 0;
}

static int read_template(struct ipfix_templates *t, struct cursor8 *c, uint16_t set,
			 struct ipfix_counts *n)
{
	static _Thread_local union {
		struct ipfix_template t;
		uint8_t room[sizeof(struct ipfix_template) +
			     IPFIX_FIELDS_MAX * sizeof(struct ipfix_field)];
	} tmp;

	tmp.t.id = (uint16_t)get16(c->p);
	tmp.t.n = (uint16_t)get16(c->p + 2);
	tmp.t.scope = 0;
	tmp.t.min = 0;
	c->p += 4;
	if (!tmp.t.n)
		return withdraw(t, tmp.t.id, set, n);
	if (tmp.t.id < IPFIX_ID_MIN)
		return -EBADMSG;
	if (set == IPFIX_SET_OPTIONS) {
		if (c->end - c->p < 2)
			return -EBADMSG;
		tmp.t.scope = (uint16_t)get16(c->p);
		c->p += 2;
		if (!tmp.t.scope || tmp.t.scope > tmp.t.n)
			return -EBADMSG;
	}
	if (read_fields(t, c, &tmp.t))
		return -EBADMSG;
	if (keep(t, &tmp.t))
		n->refused++;
	else
		n->templates++;
	return 0;
}

static int read_templates(struct ipfix_templates *t, struct cursor8 c, uint16_t set,
			  struct ipfix_counts *n)
{
	/* up to 3 octets at the end are padding */
	while (c.end - c.p >= 4)
		if (read_template(t, &c, set, n))
			return -EBADMSG;
	return 0;
}

/* ---- data ---- */

int ipfix_read_value(struct cursor8 *c, uint16_t field_len, struct ipfix_value *v)
{
	v->len = field_len;
	if (field_len == IPFIX_VARIABLE) {
		if (c->end - c->p < 1)
			return -EBADMSG;
		v->len = *c->p++;
		if (v->len == 255) {
			if (c->end - c->p < 2)
				return -EBADMSG;
			v->len = get16(c->p);
			c->p += 2;
		}
	}
	if ((size_t)(c->end - c->p) < v->len)
		return -EBADMSG;
	v->p = c->p;
	c->p += v->len;
	return 0;
}

struct reading {
	struct ipfix_reader *r;
	struct ipfix_header h;
};

static int read_data(struct reading *g, struct cursor8 c, uint16_t set)
{
	const struct ipfix_template *it = ipfix_templates_find(g->r->t, set);
	struct ipfix_record rec = {.h = &g->h, .t = it, .v = g->r->t->values};
	int r;

	if (!it) {
		g->r->counts.no_template++;
		return 0;
	}
	/* what is shorter than any record is padding */
	while ((size_t)(c.end - c.p) >= it->min) {
		for (unsigned int i = 0; i < it->n; i++)
			if (ipfix_read_value(&c, it->f[i].len, &g->r->t->values[i]))
				return -EBADMSG;
		g->r->counts.records++;
		r = g->r->fn ? g->r->fn(g->r->arg, &rec) : 0;
		if (r)
			return r;
	}
	return 0;
}

static int read_set(struct reading *g, struct cursor8 c, uint16_t set)
{
	if (set == IPFIX_SET_TEMPLATE || set == IPFIX_SET_OPTIONS)
		return read_templates(g->r->t, c, set, &g->r->counts);
	if (set >= IPFIX_ID_MIN)
		return read_data(g, c, set);
	g->r->counts.reserved++;
	return 0;
}

static int read_sets(struct reading *g, struct cursor8 c)
{
	while (c.p < c.end) {
		uint32_t len;
		int r;

		if ((size_t)(c.end - c.p) < IPFIX_SET_HEADER)
			return -EBADMSG;
		len = get16(c.p + 2);
		if (len < IPFIX_SET_HEADER || len > (size_t)(c.end - c.p))
			return -EBADMSG;
		r = read_set(g, (struct cursor8){c.p + IPFIX_SET_HEADER, c.p + len},
			     (uint16_t)get16(c.p));
		if (r)
			return r;
		c.p += len;
	}
	return 0;
}

int ipfix_read(struct ipfix_reader *reader, const uint8_t *p, size_t len)
{
	struct reading g = {.r = reader};
	int r = ipfix_read_header(p, len, &g.h);

	reader->counts.messages++;
	if (!r && g.h.len != len)
		r = -EBADMSG;
	r = r ?: read_sets(&g, (struct cursor8){p + IPFIX_HEADER, p + len});
	if (r == -EBADMSG)
		reader->counts.malformed++;
	return r;
}
