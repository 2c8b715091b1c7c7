// SPDX-License-Identifier: Apache-2.0
/*
 * held.c - data sets that came before their template: kept, within bounds, and decoded when it comes.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/ingest/decoder_int.h"

#define SESSION_HELD (1u << 20) /* octets of one session */

static void drop_one(struct decoder *d, struct session *s, struct held **at)
{
	struct held *h = *at;

	*at = h->next;
	if (!h->next)
		s->held_last = at;
	s->held_bytes -= h->len;
	d->held_bytes -= h->len;
	free(h);
}

void held_drop(struct decoder *d, struct session *s, enum ingest_count why)
{
	while (s->held) {
		exporter_count(s->e, why, 1);
		drop_one(d, s, &s->held);
	}
}

void held_keep(struct message *m, uint16_t id, const uint8_t *p, size_t len)
{
	struct decoder *d = m->d;
	struct session *s = m->s;
	struct held *h;

	m->unknown = true;
	/* the oldest of a session give way, other sessions' do not */
	while (s->held && s->held_bytes + len > SESSION_HELD) {
		exporter_count(s->e, IC_HELD_FULL, 1);
		drop_one(d, s, &s->held);
	}
	h = d->held_bytes + len > d->cfg.held_bytes ? NULL : malloc(sizeof(*h) + len);
	if (!h) {
		exporter_count(s->e, IC_HELD_FULL, 1);
		return;
	}
	*h = (struct held){.since_us = m->now_us,
			   .export_us = m->export_us,
			   .uptime = m->uptime,
			   .id = id,
			   .len = (uint32_t)len};
	memcpy(h->p, p, len);
	*s->held_last = h;
	s->held_last = &h->next;
	s->held_bytes += h->len;
	d->held_bytes += h->len;
	exporter_count(s->e, IC_HELD, 1);
}

void held_try(struct message *m)
{
	struct held **at = &m->s->held;

	while (*at) {
		struct held *h = *at;
		const struct template *t = template_find(&m->s->templates, h->id);
		struct message then = {.d = m->d,
				       .s = m->s,
				       .now_us = h->since_us,
				       .export_us = h->export_us,
				       .uptime = h->uptime,
				       .late = true};

		if (!t) {
			at = &h->next;
			continue;
		}
		decode_records(&then, t, h->p, h->len); /* malformed: counted there */
		pending_settle(m->d);			/* before its octets go */
		exporter_count(m->s->e, IC_LATE, 1);
		drop_one(m->d, m->s, at);
	}
}
