// SPDX-License-Identifier: Apache-2.0
/*
 * decoder.c - sessions, blocks, and what all formats share; see decoder.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ingest/decoder_int.h"
#include "collector/ingest/ops.h"
#include "common/ipfix.h"
#include "common/ipfix_get.h"

#define SESSIONS_MAX 16384u
#define HELD_BYTES   (16u << 20)
#define HELD_S	     1800u
#define WAIT_MS	     200u
#define MOMENT_MS    5u
#define ALIKE_MAX    256u /* sessions looked at */

struct decoder *decoder_new(const struct decoder_cfg *cfg)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->cfg = *cfg;
	d->cfg.own_pen = cfg->own_pen ?: IPFIX_PEN_WEIR;
	d->cfg.sessions_max = cfg->sessions_max ?: SESSIONS_MAX;
	d->cfg.held_bytes = cfg->held_bytes ?: HELD_BYTES;
	d->cfg.held_s = cfg->held_s ?: HELD_S;
	return d;
}

struct decoder *decoder_free(struct decoder *d)
{
	if (!d)
		return NULL;
	decoder_flush(d, INT64_MAX);
	while (d->newest)
		session_remove(d, d->newest);
	free(d->v5);
	free(d->logs);
	free(d);
	return NULL;
}

const uint64_t *decoder_counts(const struct decoder *d)
{
	return d->count;
}

uint64_t decoder_generation(const struct decoder *d)
{
	return d->generation;
}

/* ---- blocks ---- */

static void send_block(struct decoder *d)
{
	if (d->cfg.ops && d->cfg.ops->before_send)
		d->cfg.ops->before_send(d->cfg.arg, d->b);
	block_send(d->cfg.pool, d->b);
	d->b = NULL;
}

void decoder_flush(struct decoder *d, int64_t before_us)
{
	if (d->b && d->b_since_us < before_us && (d->b->rows || d->b->marks_n))
		send_block(d);
	if (d->b && before_us == INT64_MAX) {
		block_put(d->cfg.pool, d->b);
		d->b = NULL;
	}
}

static struct block *get_block(struct decoder *d)
{
	struct block *b = block_get(d->cfg.pool);

	/* until the writer is through with one; when it has stopped there will be none */
	while (!b && d->cfg.wait && !block_closed(d->cfg.pool))
		b = block_get_wait(d->cfg.pool, WAIT_MS);
	while (!b && d->cfg.patient && d->cfg.patient(d->cfg.patient_arg) &&
	       !block_closed(d->cfg.pool))
		b = block_get_wait(d->cfg.pool, MOMENT_MS);
	return b;
}

/* Rows whose records are not marked yet: their marks come with a block behind this one. */
static void send_full(struct decoder *d)
{
	d->b->more = d->unmarked_n > 0;
	send_block(d);
}

struct block *block_room(struct decoder *d, uint32_t rows, size_t octets, int64_t now_us)
{
	if (d->b && (d->b->rows + rows > BLOCK_ROWS || d->b->marks_n == BLOCK_MARKS_MAX ||
		     COLUMNS_TEXT(octets) > BLOCK_TEXT - d->b->text_len))
		send_full(d);
	if (!d->b) {
		d->b = get_block(d);
		d->b_since_us = now_us;
	}
	return d->b;
}

/* ---- sessions ---- */

static struct session **bucket_of(struct decoder *d, const struct source *from, uint32_t domain)
{
	uint64_t half[2], h;

	memcpy(half, from->address, sizeof(half));
	h = (half[0] ^ half[1] ^ domain ^ (uint64_t)from->port << 32) *
	    UINT64_C(0x9e3779b97f4a7c15);
	return &d->bucket[h >> 52 & (SESSION_BUCKETS - 1)];
}

static void unlink_age(struct decoder *d, struct session *s)
{
	*(s->newer ? &s->newer->older : &d->newest) = s->older;
	*(s->older ? &s->older->newer : &d->oldest) = s->newer;
	s->newer = s->older = NULL;
}

static void link_newest(struct decoder *d, struct session *s)
{
	s->older = d->newest;
	s->newer = NULL;
	*(d->newest ? &d->newest->newer : &d->oldest) = s;
	d->newest = s;
}

void session_remove(struct decoder *d, struct session *s)
{
	struct session **at = bucket_of(d, &s->from, s->domain);

	decoder_settle(d);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	unlink_age(d, s);
	held_drop(d, s, IC_NO_TEMPLATE);
	template_store_done(&s->templates);
	free(s);
	d->sessions--;
}

static bool is(const struct session *s, const struct source *from, uint32_t domain, uint8_t format)
{
	return s->domain == domain && s->from.port == from->port &&
	       s->from.stream == from->stream && s->format == format &&
	       !memcmp(s->from.address, from->address, 16);
}

static struct session *session_new(struct decoder *d, const struct source *from, uint32_t domain,
				   enum ingest_format format)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->e = exporters_get(d->cfg.exporters, from->address, domain);
	if (!s->e) {
		free(s);
		return NULL;
	}
	s->from = *from;
	s->domain = domain;
	s->format = (uint8_t)format;
	s->held_last = &s->held;
	s->sampling.override = exporters_rate(d->cfg.exporters, from->address);
	template_store_init(&s->templates, d->cfg.own_pen, SESSION_FIELDS);
	sequence_init(&s->sequence, format == INGEST_NETFLOW9 || format == INGEST_SFLOW5
					    ? SEQUENCE_MESSAGES
					    : SEQUENCE_RECORDS);
	s->sequence_told = s->sequence;
	return s;
}

struct session *session_get(struct decoder *d, const struct source *from, uint32_t domain,
			    enum ingest_format format)
{
	struct session **b = bucket_of(d, from, domain), *s = *b;

	while (s && !is(s, from, domain, (uint8_t)format))
		s = s->next;
	if (s) {
		if (s != d->newest) {
			unlink_age(d, s);
			link_newest(d, s);
		}
		return s;
	}
	if (d->sessions >= d->cfg.sessions_max) {
		struct session *idle = d->oldest == d->at_work ? d->oldest->newer : d->oldest;

		if (!idle)
			return NULL;
		session_remove(d, idle);
	}
	s = session_new(d, from, domain, format);
	if (!s)
		return NULL;
	s->next = *b;
	*b = s;
	link_newest(d, s);
	d->sessions++;
	return s;
}

const struct session *session_alike(const struct decoder *d, const struct session *s)
{
	const struct session *found = NULL;
	unsigned int n = 0;

	/* the process had another port before, or has one per message */
	for (const struct session *o = d->newest; o && n < ALIKE_MAX; o = o->older, n++) {
		if (o == s || o->domain != s->domain || o->format != s->format || o->from.stream ||
		    memcmp(o->from.address, s->from.address, 16) != 0 || !o->templates.fields)
			continue;
		if (found)
			return NULL;
		found = o;
	}
	return found;
}

void decoder_end(struct decoder *d, const struct source *from)
{
	for (struct session *s = d->newest, *older; s; s = older) {
		older = s->older;
		if (s->from.stream == from->stream && s->from.port == from->port &&
		    !memcmp(s->from.address, from->address, 16))
			session_remove(d, s);
	}
}

/* ---- messages ---- */

void message_begin(struct message *m, size_t len)
{
	struct exporter *e = m->s->e;

	m->d->at_work = m->s;
	exporter_count(e, IC_MESSAGES, 1);
	exporter_count(e, IC_OCTETS, len);
	__atomic_store_n(&e->seen_us, (uint64_t)m->now_us, __ATOMIC_RELAXED);
	if (!(__atomic_load_n(&e->formats, __ATOMIC_RELAXED) & 1u << m->s->format))
		__atomic_or_fetch(&e->formats, 1u << m->s->format, __ATOMIC_RELAXED);
	if (m->s->format != INGEST_SFLOW5 && !m->s->from.file)
		exporter_clock_message(e, m->now_us, m->export_us);
}

static void tell(uint64_t *to, uint64_t now, uint64_t before)
{
	if (now != before)
		__atomic_fetch_add(to, now - before, __ATOMIC_RELAXED);
}

void message_end(struct message *m)
{
	struct session *s = m->s;
	struct exporter *e = s->e;
	struct sequence *q = &s->sequence, *q0 = &s->sequence_told;
	struct template_counts *c = &s->templates.counts, *c0 = &s->told;

	/* a weir's numbers for good are looked at where they are used */
	if (!s->numbering)
		sequence_message(q, m->number, m->n, !m->unknown);
	tell(&e->count[IC_SEQUENCE], q->lost, q0->lost);
	tell(&e->gaps, q->gaps, q0->gaps);
	tell(&e->reordered, q->reordered, q0->reordered);
	tell(&e->repeated, q->repeated, q0->repeated);
	tell(&e->restarts, q->restarts, q0->restarts);
	tell(&e->count[IC_TEMPLATES], c->taken, c0->taken);
	tell(&e->count[IC_CHANGED], c->changed, c0->changed);
	tell(&e->count[IC_WITHDRAWN], c->withdrawn, c0->withdrawn);
	tell(&e->count[IC_REFUSED], c->refused, c0->refused);
	*q0 = *q;
	*c0 = *c;
}

int message_bad(struct message *m, enum ingest_count why)
{
	if (m->s)
		exporter_count(m->s->e, why, 1);
	else
		m->d->count[why]++;
	return -EBADMSG;
}

/* Those records of m->d->records that were taken before are left out. */
static void leave_out(struct message *m, const struct template *t)
{
	struct records *r = &m->d->records;
	const uint64_t old = m->s->numbering && m->skip > m->at ? m->skip - m->at : 0;
	const uint32_t n = old < r->n ? (uint32_t)old : r->n;

	if (!n)
		return;
	exporter_count(m->s->e, IC_REPEATED, n);
	m->at += n;
	m->n += n;
	r->n -= n;
	memmove(r->at, r->at + n, r->n * sizeof(r->at[0]));
	for (unsigned int k = 0; k < t->anchors; k++) {
		memmove(r->end + (size_t)k * r->stride, r->end + (size_t)k * r->stride + n,
			r->n * sizeof(r->end[0]));
		memmove(r->len + (size_t)k * r->stride, r->len + (size_t)k * r->stride + n,
			r->n * sizeof(r->len[0]));
	}
}

static void take_options(struct message *m, const struct template *t)
{
	struct records *r = &m->d->records;

	pending_settle(m->d);
	for (uint32_t i = 0; i < r->n; i++)
		options_record(m, t, i);
	exporter_count(m->s->e, IC_OPTIONS, r->n);
	m->at += r->n;
	pending_mark(m, 0, r->n);
}

void take_rows(struct message *m, const struct template *t, const struct records *r, size_t octets)
{
	struct decoder *d = m->d;
	struct session *s = m->s;
	const struct columns_cfg cfg = {
		.templates = &s->templates,
		.sampling = &s->sampling,
		.own_pen = d->cfg.own_pen,
		.exporter = __atomic_load_n(&s->e->id, __ATOMIC_RELAXED),
		.received_us = m->now_us,
		.export_us = m->export_us,
		.boot_us = s->boot_us,
		.boot_known = s->boot_us,
		.uptime32 = s->format == INGEST_NETFLOW9 || s->format == INGEST_NETFLOW5,
		.uptime = m->uptime,
	};
	struct block *b = block_room(d, r->n, octets, m->now_us);

	if (!b) {
		exporter_count(s->e, IC_NO_BLOCK, r->n);
		return;
	}
	columns_fill(b, &cfg, t, r);
	exporter_count(s->e, IC_RECORDS, r->n);
}

static void take_flows(struct message *m, const struct template *t, size_t octets)
{
	const uint32_t n = m->d->records.n;

	m->at += n;
	take_rows(m, t, &m->d->records, octets);
	pending_mark(m, n, n);
}

int decode_records(struct message *m, const struct template *t, const uint8_t *p, size_t len)
{
	const uint8_t *const end = p + len;
	struct records *r = &m->d->records;
	int bad = 0;

	if (m->d->cfg.batch && !t->options && !t->timed && !(m->s->numbering && m->skip > m->at))
		return pending_add(m, t, p, len);
	while (!bad) {
		const uint8_t *from = p;

		records_begin(r, t);
		bad = records_walk(r, t, &p, end);
		if (!r->n)
			break;
		leave_out(m, t);
		m->n += r->n;
		if (t->options)
			take_options(m, t);
		else if (r->n)
			take_flows(m, t, (size_t)(p - from));
	}
	if (!m->d->cfg.batch)
		decoder_settle(m->d);
	return bad ? message_bad(m, IC_RECORD) : 0;
}

int decoder_message(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		    int64_t now_us)
{
	struct message m = {.d = d};

	if (len < 4)
		return message_bad(&m, IC_SHORT);
	switch (get16(p)) {
	case 10:
		return decode_ipfix(d, from, p, len, now_us);
	case 9:
		return decode_netflow9(d, from, p, len, now_us);
	case 5:
		return decode_netflow5(d, from, p, len, now_us);
	case 0:
		if (get16(p + 2) == 5)
			return decode_sflow5(d, from, p, len, now_us);
	}
	return message_bad(&m, IC_VERSION);
}

void decoder_expire(struct decoder *d, int64_t now_us)
{
	for (struct session *s = d->newest; s; s = s->older)
		if (s->held && now_us - s->held->since_us > (int64_t)d->cfg.held_s * 1000000)
			held_drop(d, s, IC_NO_TEMPLATE);
}
