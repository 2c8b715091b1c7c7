// SPDX-License-Identifier: Apache-2.0
#include "loader/export/ipfix_sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix_get.h"

#define MESSAGE_MIN 512u

void ipfix_number(struct ipfix_out *o, uint8_t *msg, uint32_t len, uint32_t records)
{
	ipfix_finish(&o->say.cfg, msg, len, (uint32_t)(export_wall_ns() / EXPORT_NS_PER_S),
		     o->sequence);
	o->sequence += records;
}

void ipfix_number_options(struct ipfix_out *o, struct ipfix_msg *m)
{
	struct ipfix_cfg zero = o->say.cfg;

	if (o->say.of_domain && !o->say.s->cfg->acknowledge) {
		ipfix_number(o, m->buf, m->len, m->records);
		return;
	}
	zero.domain = 0;
	ipfix_finish(&zero, m->buf, m->len, (uint32_t)(export_wall_ns() / EXPORT_NS_PER_S),
		     o->options_sequence);
	o->options_sequence += m->records;
}

uint8_t ipfix_used_of(const uint8_t *msg, uint32_t len, struct ipfix_used *ret)
{
	uint32_t at = IPFIX_HEADER;
	uint8_t form = 0;

	memset(ret, 0, sizeof(*ret));
	while (at + IPFIX_SET_HEADER <= len) {
		const uint32_t id = get16(msg + at), set = get16(msg + at + 2);

		const uint32_t key = IPFIX_ID_KEY(id);

		if (IPFIX_ID_FORM(id)) {
			form = IPFIX_ID_FORM(id);
			ret->bits[key / 64] |= UINT64_C(1) << key % 64;
		}
		if (set < IPFIX_SET_HEADER)
			break;
		at += set;
	}
	return form <= IPFIX_FORM_MAX ? form : 0;
}

static uint8_t form_of(const struct export_cfg *cfg)
{
	uint8_t form = cfg->biflow ? IPFIX_FORM_BIFLOW : 0;

	if (cfg->times != TIMES_MS)
		form |= IPFIX_FORM_MICRO;
	if (cfg->times != TIMES_US)
		form |= IPFIX_FORM_MILLI;
	return form;
}

static int make_encoder(struct sink *s, uint32_t cap)
{
	struct ipfix_enc *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	s->enc = e;
	e->cfg = (struct ipfix_cfg){
		.pen = (uint32_t)s->cfg->pen,
		.domain = (uint32_t)s->cfg->domain,
		.form = form_of(s->cfg),
	};
	e->cap = cap;
	return queue_init(&s->q, s->cfg->queue_bytes, cap);
}

int ipfix_sink_open(struct sink *s, struct ipfix_out *o, char *reterr)
{
	int r = conn_open(&o->conn, s->cfg, reterr);

	if (r)
		return r;
	o->cap = (uint32_t)s->cfg->message_bytes;
	if (s->cfg->type == EXPORT_IPFIX_UDP && o->cap > conn_message_max(&o->conn))
		o->cap = conn_message_max(&o->conn);
	if (o->cap < MESSAGE_MIN)
		o->cap = MESSAGE_MIN;
	o->buf = malloc(IPFIX_MESSAGE_MAX);
	r = o->buf ? make_encoder(s, o->cap) : -ENOMEM;
	if (r) {
		snprintf(reterr, EXPORT_ERR_MAX, "export %s: %s", s->cfg->name, strerror(-r));
		return r;
	}
	o->say.s = s;
	o->say.cfg = ((struct ipfix_enc *)s->enc)->cfg;
	o->say.start_ms = export_wall_ns() / 1000000;
	o->say_other = o->say;
	o->say_other.cfg.form = 0;
	return 0;
}

void ipfix_sink_close(struct sink *s, struct ipfix_out *o)
{
	free(s->enc);
	s->enc = NULL;
	s->out = NULL;
	if (!o)
		return;
	conn_close(&o->conn);
	free(o->buf);
	free(o);
}

long ipfix_sink_encode(struct sink *s, const struct flow_record *r, struct chunk *c)
{
	struct ipfix_enc *e = s->enc;
	uint32_t before = c->len;
	int n;

	_Static_assert(sizeof(c->used) == sizeof(struct ipfix_used), "bit per template");
	if (!before)
		ipfix_begin(&e->msg, c->data, e->cap, (struct ipfix_used *)c->used);
	n = ipfix_put_flow(&e->cfg, &e->msg, r);
	if (n < 0)
		return n;
	if (n)
		sink_add(&s->n.trimmed, 1);
	c->records = e->msg.records;
	return (long)(e->msg.len - before);
}
