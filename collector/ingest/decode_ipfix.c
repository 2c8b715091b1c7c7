// SPDX-License-Identifier: Apache-2.0
/*
 * decode_ipfix.c - messages of IPFIX (RFC 7011) and NetFlow v9 (RFC 3954): both are sets, of
 * templates and of data. Padding is what is shorter than any record.
 */
#include <errno.h>

#include "collector/ingest/decoder_int.h"
#include "common/ipfix.h"
#include "common/ipfix_get.h"

#define V9_HEADER 20u

struct sets {
	enum template_version version;
	uint16_t template_id;
	uint16_t options_id;
};

static const struct sets ipfix_sets = {TEMPLATE_IPFIX, IPFIX_SET_TEMPLATE, IPFIX_SET_OPTIONS};
static const struct sets v9_sets = {TEMPLATE_V9, 0, 1};

static int read_templates(struct message *m, enum template_version version, bool options,
			  const uint8_t *p, size_t len)
{
	struct session *s = m->s;
	const uint64_t before = s->templates.generation;
	int r;

	/* they have templates that may go */
	pending_settle(m->d);
	r = template_read_set(&s->templates, version, options, p, len);

	if (s->templates.generation != before) {
		m->d->generation += !s->from.stream;
		held_try(m);
	}
	if (r == -ENOMEM)
		exporter_count(s->e, IC_NO_MEMORY, 1);
	return r == -EBADMSG ? message_bad(m, IC_TEMPLATE) : 0;
}

static int read_data(struct message *m, uint16_t id, const uint8_t *p, size_t len)
{
	const struct session *other;
	const struct template *t;
	int r;

	if (pending_add_more(m, id, p, len, &r))
		return r;
	t = template_find(&m->s->templates, id);
	if (!t && !m->s->from.stream) {
		other = session_alike(m->d, m->s);
		t = other ? template_find(&other->templates, id) : NULL;
	}
	if (t)
		return decode_records(m, t, p, len);
	held_keep(m, id, p, len);
	return 0;
}

static int read_set(struct message *m, const struct sets *kind, uint16_t id, const uint8_t *p,
		    size_t len)
{
	if (id == kind->template_id || id == kind->options_id)
		return read_templates(m, kind->version, id == kind->options_id, p, len);
	if (id >= TEMPLATE_ID_MIN)
		return read_data(m, id, p, len);
	exporter_count(m->s->e, IC_UNNAMED, 1);
	return 0;
}

static int read_sets(struct message *m, const struct sets *kind, const uint8_t *p, size_t len)
{
	while (len) {
		uint32_t set;
		int r;

		/* octets that are no set: v9 exporters fill up messages, IPFIX must not */
		if (len < IPFIX_SET_HEADER)
			return kind->version == TEMPLATE_V9 ? 0 : message_bad(m, IC_SET);
		set = get16(p + 2);
		if (set < IPFIX_SET_HEADER || set > len)
			return message_bad(m, IC_SET);
		r = read_set(m, kind, (uint16_t)get16(p), p + IPFIX_SET_HEADER,
			     set - IPFIX_SET_HEADER);
		if (r)
			return r;
		p += set;
		len -= set;
	}
	return 0;
}

static int no_session(struct decoder *d)
{
	d->count[IC_TOO_MANY]++;
	return 0;
}

/* Where the message is among the records of a weir that waits for acknowledgements. */
static void number(struct message *m)
{
	const struct numbering *n = m->s->numbering;

	if (!n)
		return;
	m->at = n->taken + (uint64_t)(int64_t)(int32_t)(m->number - (uint32_t)n->taken);
	/* before the first one that was ever taken */
	if (m->at > n->taken + INT32_MAX)
		m->at = m->number;
	m->skip = n->taken;
}

/* What such a message moves on. One of templates alone may have any number. */
static void settle(const struct message *m)
{
	struct numbering *n = m->s->numbering;
	const uint64_t from = m->at - m->n;

	if (!m->n || m->at <= n->taken)
		return;
	if (n->taken && from > n->taken)
		exporter_count(m->s->e, IC_SEQUENCE, from - n->taken);
	n->taken = m->at;
}

int decode_ipfix(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		 int64_t now_us)
{
	struct message m = {.d = d, .now_us = now_us};
	struct ipfix_header h;
	int r;

	if (len < IPFIX_HEADER)
		return message_bad(&m, IC_SHORT);
	if (ipfix_read_header(p, len, &h) || h.len > len)
		return message_bad(&m, IC_LENGTH);
	m.s = session_get(d, from, h.domain, INGEST_IPFIX);
	if (!m.s)
		return no_session(d);
	m.export_us = (int64_t)h.export_s * 1000000;
	m.number = h.sequence;
	message_begin(&m, len);
	number(&m);
	r = read_sets(&m, &ipfix_sets, p + IPFIX_HEADER, h.len - IPFIX_HEADER);
	if (m.s->numbering)
		settle(&m);
	message_end(&m);
	/* octets behind the message: a datagram holds one */
	return r || h.len == len ? r : message_bad(&m, IC_LENGTH);
}

int decode_netflow9(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		    int64_t now_us)
{
	struct message m = {.d = d, .now_us = now_us};
	int r;

	if (len < V9_HEADER)
		return message_bad(&m, IC_SHORT);
	m.s = session_get(d, from, get32(p + 16), INGEST_NETFLOW9);
	if (!m.s)
		return no_session(d);
	m.uptime = get32(p + 4);
	m.export_us = (int64_t)get32(p + 8) * 1000000;
	m.number = get32(p + 12);
	message_begin(&m, len);
	r = read_sets(&m, &v9_sets, p + V9_HEADER, len - V9_HEADER);
	message_end(&m);
	return r;
}
