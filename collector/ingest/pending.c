// SPDX-License-Identifier: Apache-2.0
/*
 * pending.c - records of one template, from all messages of a batch, decoded together: an exporter that
 * has a template for each kind of flow changes the set with nearly every record, and a column of one
 * value is no column.
 */
#include "collector/ingest/decoder_int.h"

static void flush(struct decoder *d, struct pending *p)
{
	struct message m = {.d = d, .s = p->s, .now_us = p->now_us, .export_us = p->now_us};

	if (p->r.n)
		take_rows(&m, p->t, &p->r, p->octets);
	p->octets = 0;
	records_begin(&p->r, p->t);
}

/* Where that of a template was last: of most sets it still is. */
static uint8_t *hint_of(struct decoder *d, const struct session *s, uint16_t id)
{
	const uintptr_t key = (uintptr_t)s >> 6 ^ id;

	return &d->pending_hint[(key ^ key >> 7) % PENDING_HINTS];
}

static bool is(const struct pending *p, const struct session *s, uint16_t id)
{
	return p->s == s && p->id == id;
}

static struct pending *pending_of(struct message *m, const struct template *t)
{
	struct decoder *d = m->d;
	uint8_t *hint = hint_of(d, m->s, t->id);
	struct pending *p;

	for (uint32_t i = 0; i < d->pending_n; i++) {
		if (!is(&d->pending[i], m->s, t->id))
			continue;
		*hint = (uint8_t)i;
		return &d->pending[i];
	}
	if (d->pending_n == PENDING)
		pending_settle(d);
	*hint = (uint8_t)d->pending_n;
	p = &d->pending[d->pending_n++];
	p->s = m->s;
	p->t = t;
	p->id = t->id;
	p->octets = 0;
	records_begin(&p->r, t);
	return p;
}

void pending_settle(struct decoder *d)
{
	for (uint32_t i = 0; i < d->pending_n; i++)
		flush(d, &d->pending[i]);
	d->pending_n = 0;
}

/* For nearly every record: inlined. */
static inline __attribute__((always_inline)) int add(struct message *m, struct pending *to,
						     const uint8_t *p, size_t len)
{
	const uint8_t *const end = p + len;
	int bad = 0;

	for (;;) {
		const uint8_t *from = p;
		const uint32_t before = to->r.n;
		uint32_t n;

		bad = records_walk(&to->r, to->t, &p, end);
		n = to->r.n - before;
		to->octets += (size_t)(p - from);
		to->now_us = m->now_us;
		m->n += n;
		m->at += n;
		if (m->s->numbering)
			pending_mark(m, n, n);
		if (bad || !records_full(&to->r))
			break;
		flush(m->d, to);
	}
	return bad ? message_bad(m, IC_RECORD) : 0;
}

int pending_add(struct message *m, const struct template *t, const uint8_t *p, size_t len)
{
	return add(m, pending_of(m, t), p, len);
}

bool pending_add_more(struct message *m, uint16_t id, const uint8_t *p, size_t len, int *ret)
{
	struct decoder *d = m->d;
	const uint8_t hint = *hint_of(d, m->s, id);

	if (hint >= d->pending_n || !is(&d->pending[hint], m->s, id) ||
	    (m->s->numbering && m->skip > m->at))
		return false;
	*ret = add(m, &d->pending[hint], p, len);
	return true;
}

/* ---- marks ---- */

void pending_mark(struct message *m, uint32_t rows, uint32_t n)
{
	struct decoder *d = m->d;
	struct session *s = m->s;

	if (!s->numbering || m->late || !n)
		return;
	if (s->marking && s->mark_to != m->at - n)
		decoder_settle(d);
	if (!s->marking) {
		if (d->unmarked_n == PENDING)
			decoder_settle(d);
		d->unmarked[d->unmarked_n++] = s;
		s->marking = true;
		s->mark_from = m->at - n;
		s->mark_rows = 0;
	}
	s->mark_to = m->at;
	s->mark_rows += rows;
}

/* In the block that is being filled, or a later one: those before it are durable earlier. */
static void mark(struct decoder *d, struct session *s)
{
	struct block *b = block_room(d, 0, 0, d->b_since_us);
	const struct block_mark k = {.stream = s->e->stream,
				     .rows = s->mark_rows,
				     .epoch = s->numbering->epoch,
				     .from = s->mark_from,
				     .to = s->mark_to};

	s->marking = false;
	if (b)
		block_mark(b, &k); /* there is room: block_room() sees to it */
}

void decoder_settle(struct decoder *d)
{
	pending_settle(d);
	for (uint32_t i = 0; i < d->unmarked_n; i++)
		mark(d, d->unmarked[i]);
	d->unmarked_n = 0;
}
