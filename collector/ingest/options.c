// SPDX-License-Identifier: Apache-2.0
/*
 * options.c - what options records say: sampling, names of hosts and interfaces, the exporter's
 * start, what it lost itself, and a weir's numbering (docs/export.md). The rest is counted only.
 */
#include <string.h>

#include "collector/ingest/decoder_int.h"
#include "collector/ingest/ops.h"
#include "common/ipfix.h"
#include "common/ipfix_get.h"

#define V9_SCOPE	   UINT32_MAX /* as template.c marks it */
#define V9_SCOPE_INTERFACE 2u
#define OWN_LABELS	   25u

enum said {
	SAID_DOMAIN,	  /* 149 */
	SAID_INIT_MS,	  /* 160 */
	SAID_INTERFACE,	  /* 10, or v9's scope */
	SAID_SAMPLER,	  /* 48, 302 */
	SAID_RATE,	  /* 34, 50: 1 in so many */
	SAID_INTERVAL,	  /* 305: so many in a row are taken, */
	SAID_SPACE,	  /* 306: then so many are not */
	SAID_SIZE,	  /* 309: so many of */
	SAID_POPULATION,  /* 310: so many */
	SAID_PROBABILITY, /* 311: a float64's bits */
	SAID_NOT_SENT,	  /* 166 */
	_SAID_NUMBERS,
	SAID_NODE = _SAID_NUMBERS, /* 300 */
	SAID_IFNAME,		   /* 82 */
	SAID_LABELS,		   /* weir's */
	_SAID_MAX
};

struct options {
	uint32_t has; /* bit per enum said */
	uint64_t v[_SAID_NUMBERS];
	struct flow_str s[_SAID_MAX - _SAID_NUMBERS];
};

static bool has(const struct options *o, enum said what)
{
	return o->has >> what & 1;
}

static const struct flow_str *text(const struct options *o, enum said what)
{
	return &o->s[what - _SAID_NUMBERS];
}

static int said_of(uint32_t own_pen, uint32_t pen, uint16_t element)
{
	static const struct {
		uint16_t element;
		uint8_t said;
	} known[] = {
		{149, SAID_DOMAIN},   {160, SAID_INIT_MS},    {10, SAID_INTERFACE},
		{48, SAID_SAMPLER},   {302, SAID_SAMPLER},    {34, SAID_RATE},
		{50, SAID_RATE},      {305, SAID_INTERVAL},   {306, SAID_SPACE},
		{309, SAID_SIZE},     {310, SAID_POPULATION}, {311, SAID_PROBABILITY},
		{166, SAID_NOT_SENT}, {300, SAID_NODE},	      {82, SAID_IFNAME},
	};

	if (pen == own_pen && element == OWN_LABELS)
		return SAID_LABELS;
	if (pen == V9_SCOPE && element == V9_SCOPE_INTERFACE)
		return SAID_INTERFACE;
	for (size_t i = 0; !pen && i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].element == element)
			return known[i].said;
	return -1;
}

static void take(struct options *o, int what, const struct ipfix_value *v)
{
	uint32_t len = v->len;

	if (what < 0 || (o->has >> what & 1))
		return;
	if (what < _SAID_NUMBERS) {
		if (!len || len > 8)
			return;
		o->v[what] = get_number(v->p, len);
	} else {
		/* v9's are of fixed length */
		while (len && !v->p[len - 1])
			len--;
		o->s[what - _SAID_NUMBERS] = (struct flow_str){(const char *)v->p, len};
	}
	o->has |= 1u << what;
}

/* ---- sampling ---- */

static uint32_t in_range(uint64_t v)
{
	return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

/* 1 packet in so many. Return: 0: it says nothing of it. */
static uint32_t rate_of(const struct options *o)
{
	double p;

	if (has(o, SAID_INTERVAL) && o->v[SAID_INTERVAL] && has(o, SAID_SPACE))
		return in_range((o->v[SAID_INTERVAL] + o->v[SAID_SPACE]) / o->v[SAID_INTERVAL]);
	if (has(o, SAID_SIZE) && has(o, SAID_POPULATION) && o->v[SAID_SIZE])
		return in_range(o->v[SAID_POPULATION] / o->v[SAID_SIZE]);
	if (has(o, SAID_PROBABILITY)) {
		memcpy(&p, &o->v[SAID_PROBABILITY], sizeof(p));
		return p > 1.0 / UINT32_MAX && p <= 1 ? (uint32_t)(1 / p + 0.5) : 0;
	}
	if (has(o, SAID_INTERVAL))
		return in_range(o->v[SAID_INTERVAL]);
	return has(o, SAID_RATE) ? in_range(o->v[SAID_RATE]) : 0;
}

static bool keep_sampler(struct sampling *s, uint64_t id, uint32_t rate)
{
	uint32_t i = 0;

	while (i < s->n && s->sampler[i].id != id)
		i++;
	if (i == SAMPLERS_MAX || (i < s->n && s->sampler[i].rate == rate))
		return false;
	s->sampler[i].id = id;
	s->sampler[i].rate = rate;
	s->n += i == s->n;
	return true;
}

static void take_sampling(struct message *m, const struct options *o)
{
	struct sampling *s = &m->s->sampling;
	const uint32_t rate = rate_of(o);
	bool changed;

	if (!rate)
		return;
	if (has(o, SAID_SAMPLER)) {
		changed = keep_sampler(s, o->v[SAID_SAMPLER], rate);
	} else {
		changed = s->wide != rate;
		s->wide = rate;
	}
	/* of the only sampler, for records that name none */
	s->rate = s->wide ?: s->n == 1 ? s->sampler[0].rate : 0;
	if (changed)
		m->d->generation += !m->s->from.stream;
	__atomic_store_n(&m->s->e->rate, s->override ?: s->rate, __ATOMIC_RELAXED);
}

/* ---- names, numbering ---- */

/* A weir that asks what is stored: only such ones tell labels, with a domain and a start. */
static void take_numbering(struct message *m, const struct options *o, struct exporter *e)
{
	const struct decoder_cfg *cfg = &m->d->cfg;
	struct session *s;
	struct numbering *n;

	if (!m->s->from.stream || !cfg->numbering || !has(o, SAID_LABELS) || !o->v[SAID_INIT_MS])
		return;
	s = session_get(m->d, &m->s->from, e->domain, INGEST_IPFIX);
	n = s ? exporters_numbering(cfg->exporters, e, o->v[SAID_INIT_MS]) : NULL;
	if (!n)
		return;
	s->numbering = n;
	cfg->numbering(cfg->numbering_arg, n);
}

static void take_exporter(struct message *m, const struct options *o)
{
	struct exporters *t = m->d->cfg.exporters;
	const uint32_t domain = has(o, SAID_DOMAIN) ? (uint32_t)o->v[SAID_DOMAIN] : m->s->domain;
	struct exporter *e = exporters_get(t, m->s->from.address, domain);

	if (!e)
		return;
	if (has(o, SAID_NODE) || has(o, SAID_LABELS))
		exporters_name(t, e, text(o, SAID_NODE), text(o, SAID_LABELS));
	if (has(o, SAID_INIT_MS) && o->v[SAID_INIT_MS] < INT64_MAX / 1000)
		m->s->boot_us = (int64_t)o->v[SAID_INIT_MS] * 1000;
	if (has(o, SAID_NOT_SENT))
		__atomic_store_n(&e->not_sent, o->v[SAID_NOT_SENT], __ATOMIC_RELAXED);
	if (has(o, SAID_DOMAIN) && has(o, SAID_INIT_MS))
		take_numbering(m, o, e);
}

void options_record(struct message *m, const struct template *t, uint32_t i)
{
	const struct records *r = &m->d->records;
	struct options o = {};
	const uint8_t *p = r->at[i];
	unsigned int anchor = 0;

	for (unsigned int k = 0; k < t->n; k++) {
		const struct template_field *f = &t->f[k];
		struct ipfix_value v = {.p = p, .len = f->len};

		if (f->len == TEMPLATE_VARIABLE) {
			const size_t ref = (size_t)anchor++ * r->stride + i;

			v.len = r->len[ref];
			v.p = r->end[ref] - v.len;
		}
		take(&o, said_of(m->d->cfg.own_pen, f->pen, f->element), &v);
		p = v.p + v.len;
	}
	take_sampling(m, &o);
	if (has(&o, SAID_IFNAME) && has(&o, SAID_INTERFACE))
		exporters_interface(m->d->cfg.exporters, m->s->from.address, m->s->domain,
				    (uint32_t)o.v[SAID_INTERFACE], text(&o, SAID_IFNAME));
	take_exporter(m, &o);
}
