// SPDX-License-Identifier: Apache-2.0
/*
 * state.c - templates and sampling of sessions as octets and back, so that a restart decodes at once.
 *
 * "WTPL", version 1 (2 octets), 0 (2), then sessions, each: length of what follows (4), address (16),
 * port (2), format (1), 0 (1), domain (4), start of the exporter in microseconds (8), rate told without
 * a sampler (4), samplers (4), each id (8) and rate (4), then templates: id (2), fields (2), scope (2),
 * options (1), version (1), fields each enterprise (4), element (2), length (2). Network order; a
 * CRC-32 of the session's octets behind it (4).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "collector/ingest/decoder_int.h"
#include "common/ipfix_get.h"
#include "common/ipfix_put.h"

#define HEAD	     8u
#define SESSION_HEAD 40u
#define VERSION	     1u

static const uint8_t magic[4] = {'W', 'T', 'P', 'L'};

struct out {
	uint8_t *p;
	size_t len, room;
	bool failed;
};

static uint8_t *out_room(struct out *o, size_t n)
{
	if (o->len + n > o->room && !o->failed) {
		const size_t room = (o->len + n) * 2;
		uint8_t *p = realloc(o->p, room);

		o->failed = !p;
		if (p) {
			o->p = p;
			o->room = room;
		}
	}
	if (o->failed)
		return NULL;
	o->len += n;
	return o->p + o->len - n;
}

static void out_number(struct out *o, uint64_t v, unsigned int octets)
{
	uint8_t *p = out_room(o, octets);

	if (p)
		put_number(p, v, octets);
}

static void save_template(struct out *o, const struct template *t)
{
	out_number(o, t->id, 2);
	out_number(o, t->n, 2);
	out_number(o, t->scope, 2);
	out_number(o, t->options, 1);
	out_number(o, t->version, 1);
	for (unsigned int i = 0; i < t->n; i++) {
		out_number(o, t->f[i].pen, 4);
		out_number(o, t->f[i].element, 2);
		out_number(o, t->f[i].len, 2);
	}
}

static void save_session(struct out *o, const struct session *s)
{
	const size_t from = o->len;
	uint8_t *address;

	out_number(o, 0, 4);
	address = out_room(o, 16);
	if (address)
		memcpy(address, s->from.address, 16);
	out_number(o, s->from.port, 2);
	out_number(o, s->format, 1);
	out_number(o, 0, 1);
	out_number(o, s->domain, 4);
	out_number(o, (uint64_t)s->boot_us, 8);
	out_number(o, s->sampling.wide, 4);
	out_number(o, s->sampling.n, 4);
	for (uint32_t i = 0; i < s->sampling.n; i++) {
		out_number(o, s->sampling.sampler[i].id, 8);
		out_number(o, s->sampling.sampler[i].rate, 4);
	}
	for (uint32_t id = TEMPLATE_ID_MIN; id <= UINT16_MAX; id++) {
		if (!s->templates.page[id >> 8])
			id |= 255;
		else if (template_find(&s->templates, (uint16_t)id))
			save_template(o, template_find(&s->templates, (uint16_t)id));
	}
	if (o->failed)
		return;
	put32(o->p + from, (uint32_t)(o->len - from - 4));
	out_number(o, crc32(0, o->p + from + 4, (uInt)(o->len - from - 4)), 4);
}

int decoder_save(const struct decoder *d, uint8_t **ret, size_t *ret_len)
{
	struct out o = {};
	uint8_t *p = out_room(&o, HEAD);

	if (!p)
		return -ENOMEM;
	memset(p, 0, HEAD);
	memcpy(p, magic, sizeof(magic));
	put16(p + 4, VERSION);
	for (const struct session *s = d->oldest; s; s = s->newer)
		if (!s->from.stream && (s->templates.fields || s->sampling.n || s->sampling.wide))
			save_session(&o, s);
	if (o.failed) {
		free(o.p);
		return -ENOMEM;
	}
	*ret = o.p;
	*ret_len = o.len;
	return 0;
}

/* ---- back ---- */

static int load_samplers(struct session *s, struct cursor8 *c, uint32_t n)
{
	if (n > SAMPLERS_MAX || (size_t)(c->end - c->p) < n * 12u)
		return -EBADMSG;
	s->sampling.n = n;
	for (uint32_t i = 0; i < n; i++, c->p += 12) {
		s->sampling.sampler[i].id = get_number(c->p, 8);
		s->sampling.sampler[i].rate = get32(c->p + 8);
	}
	s->sampling.rate = s->sampling.wide ?: n == 1 ? s->sampling.sampler[0].rate : 0;
	return 0;
}

static int load_template(struct session *s, struct cursor8 *c)
{
	struct template_field f[TEMPLATE_FIELDS_MAX];
	struct template def = {};

	if (c->end - c->p < 8)
		return -EBADMSG;
	def.id = (uint16_t)get16(c->p);
	def.n = (uint16_t)get16(c->p + 2);
	def.scope = (uint16_t)get16(c->p + 4);
	def.options = c->p[6];
	def.version = c->p[7];
	c->p += 8;
	if (def.id < TEMPLATE_ID_MIN || !def.n || def.n > TEMPLATE_FIELDS_MAX ||
	    def.scope > def.n || (size_t)(c->end - c->p) < def.n * 8u)
		return -EBADMSG;
	for (unsigned int i = 0; i < def.n; i++, c->p += 8)
		f[i] = (struct template_field){get32(c->p), (uint16_t)get16(c->p + 4),
					       (uint16_t)get16(c->p + 6)};
	return template_keep(&s->templates, &def, f) == -ENOMEM ? -ENOMEM : 0;
}

static int load_session(struct decoder *d, struct cursor8 c)
{
	struct source from = {};
	struct session *s;
	int r;

	if (c.end - c.p < (ptrdiff_t)SESSION_HEAD || c.p[18] >= _INGEST_FORMATS)
		return -EBADMSG;
	memcpy(from.address, c.p, 16);
	from.port = (uint16_t)get16(c.p + 16);
	s = session_get(d, &from, get32(c.p + 20), c.p[18]);
	if (!s)
		return -ENOMEM;
	s->boot_us = (int64_t)get_number(c.p + 24, 8);
	s->sampling.wide = get32(c.p + 32);
	r = get32(c.p + 36) <= SAMPLERS_MAX ? 0 : -EBADMSG;
	c.p += SESSION_HEAD;
	r = r ?: load_samplers(s, &c, get32(c.p - 4));
	while (!r && c.p < c.end)
		r = load_template(s, &c);
	s->told = s->templates.counts;
	return r;
}

/* Several decoders' heads may stand behind one another. */
static bool skip_head(struct cursor8 *c)
{
	if ((size_t)(c->end - c->p) < HEAD || memcmp(c->p, magic, sizeof(magic)) != 0 ||
	    get16(c->p + 4) != VERSION)
		return false;
	c->p += HEAD;
	return true;
}

int decoder_load(struct decoder *d, const uint8_t *p, size_t len)
{
	struct cursor8 c = {p, p + len};

	if (!skip_head(&c))
		return -EBADMSG;
	while (c.p < c.end) {
		uint32_t n;
		int r;

		if (skip_head(&c))
			continue;
		if (c.end - c.p < 8)
			return -EBADMSG;
		n = get32(c.p);
		if (n > (size_t)(c.end - c.p) - 8 || crc32(0, c.p + 4, n) != get32(c.p + 4 + n))
			return -EBADMSG;
		r = load_session(d, (struct cursor8){c.p + 4, c.p + 4 + n});
		if (r)
			return r;
		c.p += 8 + (size_t)n;
	}
	return 0;
}
