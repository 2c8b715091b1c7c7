// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ingest/element.h"
#include "common/ipfix_get.h"
#include "common/ipfix_int.h"

void template_store_init(struct template_store *s, uint32_t pen, uint32_t fields_max)
{
	memset(s, 0, sizeof(*s));
	s->pen = pen;
	s->fields_max = fields_max;
}

static void forget(struct template_store *s, uint16_t id)
{
	struct template **page = s->page[id >> 8];

	if (!page || !page[id & 255])
		return;
	s->fields -= page[id & 255]->n;
	free(page[id & 255]);
	page[id & 255] = NULL;
	s->generation++;
}

void template_store_done(struct template_store *s)
{
	for (unsigned int i = 0; i < 256; i++) {
		for (unsigned int k = 0; s->page[i] && k < 256; k++)
			free(s->page[i][k]);
		free(s->page[i]);
		s->page[i] = NULL;
	}
	s->fields = 0;
}

/* ---- compiling ---- */

/* Kinds that are read after others, whose columns they look at. */
static unsigned int phase_of(uint8_t kind)
{
	switch (kind) {
	case EK_LASTS_MS:
	case EK_LASTS_US:
	case EK_TYPECODE:
	case EK_IN_FLAGS:
		return 1;
	default:
		return 0;
	}
}

static struct template_op op_of(uint32_t pen, const struct template_field *f, uint8_t *ret_rank)
{
	const struct element e = element_of(pen, f->pen, f->element, f->len);

	*ret_rank = e.rank;
	return (struct template_op){.pen = f->pen,
				    .element = f->element,
				    .len = f->len,
				    .kind = e.kind,
				    .to = e.column};
}

/* The same column again: the better one stays, in its place. Return: false: nothing to add. */
static bool best(struct template_op *ops, uint8_t *ranks, unsigned int n, struct template_op *op,
		 uint8_t rank)
{
	for (unsigned int i = 0; i < n; i++) {
		if (ops[i].to != op->to || op->to == ELEMENT_NONE || ops[i].kind == EK_SKIP ||
		    op->kind == EK_IN_FLAGS)
			continue;
		/* one for IPv4, one for IPv6: zero is not the record's */
		if (op->kind == EK_IP && rank == ranks[i]) {
			op->kind = EK_HOP;
			continue;
		}
		if (op->kind == EK_HOP && rank == ranks[i])
			continue;
		if (rank < ranks[i])
			ops[i].kind = EK_SKIP;
		return rank < ranks[i];
	}
	return true;
}

/* By phase, without those that are skipped. */
static unsigned int settle(struct template_op *ops, const struct template_op *from, unsigned int n)
{
	unsigned int k = 0;

	for (unsigned int phase = 0; phase < 2; phase++)
		for (unsigned int i = 0; i < n; i++)
			if (from[i].kind != EK_SKIP && phase_of(from[i].kind) == phase)
				ops[k++] = from[i];
	return k;
}

static struct template *make(const struct template *def, const struct template_field *f,
			     unsigned int anchors)
{
	const size_t ops = def->n * sizeof(struct template_op);
	const size_t fields = def->n * sizeof(*f), fixed = (anchors + 1) * sizeof(uint32_t);
	const size_t windows = def->n * sizeof(struct template_window);
	struct template *t = calloc(1, sizeof(*t) + ops + fields + fixed + windows);
	uint8_t *p = (uint8_t *)(t + 1);

	if (!t)
		return NULL;
	*t = *def;
	t->anchors = (uint16_t)anchors;
	t->ops = (const struct template_op *)p;
	t->f = memcpy(p + ops, f, fields);
	t->fixed = (const uint32_t *)(p + ops + fields);
	t->windows = (const struct template_window *)(p + ops + fields + fixed);
	return t;
}

static unsigned int variable(const struct template_field *f, unsigned int n)
{
	unsigned int k = 0;

	for (unsigned int i = 0; i < n; i++)
		k += f[i].len == TEMPLATE_VARIABLE;
	return k;
}

struct template *template_compile(uint32_t pen, const struct template *def,
				  const struct template_field *f)
{
	struct template *t = make(def, f, variable(f, def->n));
	struct template_op ops[TEMPLATE_FIELDS_MAX];
	uint8_t ranks[TEMPLATE_FIELDS_MAX];
	uint32_t *fixed, off = 0;
	unsigned int n = 0, anchor = 0;

	if (!t)
		return NULL;
	fixed = (uint32_t *)(uintptr_t)t->fixed;
	t->min = 0;
	for (unsigned int i = 0; i < def->n; i++) {
		const bool var = f[i].len == TEMPLATE_VARIABLE;
		uint8_t rank;
		struct template_op op = op_of(pen, &f[i], &rank);

		t->min += var ? 1 : f[i].len;
		if (var) {
			fixed[anchor++] = off;
			off = 0;
		}
		op.anchor = (uint16_t)anchor;
		op.off = (uint16_t)off;
		off += var ? 0 : f[i].len;
		if (op.kind == EK_SKIP || (!var && !f[i].len) || !best(ops, ranks, n, &op, rank))
			continue;
		ranks[n] = rank;
		ops[n++] = op;
	}
	fixed[anchor] = off;
	t->ops_n = (uint16_t)settle((struct template_op *)(uintptr_t)t->ops, ops, n);
	template_find_windows(t, (struct template_op *)(uintptr_t)t->ops,
			      (struct template_window *)(uintptr_t)t->windows);
	for (unsigned int i = 0; i < t->ops_n; i++)
		t->timed |= t->ops[i].kind == EK_UPTIME || t->ops[i].kind == EK_BEFORE_US ||
			    t->ops[i].kind == EK_INIT_MS;
	for (unsigned int i = 0; i < t->ops_n; i++)
		if (t->ops[i].to != ELEMENT_NONE)
			t->has[t->ops[i].to / 64] |= UINT64_C(1) << t->ops[i].to % 64;
	return t;
}

/* ---- keeping ---- */

static bool same(const struct template *t, const struct template *def,
		 const struct template_field *f)
{
	return t && t->n == def->n && t->scope == def->scope && t->options == def->options &&
	       t->version == def->version && !memcmp(t->f, f, def->n * sizeof(*f));
}

static bool allowed(const struct template_store *s, const struct template *def,
		    const struct template_field *f)
{
	uint32_t min = 0;

	if (def->n > TEMPLATE_FIELDS_MAX || def->n > s->fields_max - s->fields)
		return false;
	for (unsigned int i = 0; i < def->n; i++)
		min += f[i].len == TEMPLATE_VARIABLE ? 1 : f[i].len;
	/* a record of no octets would never end; one longer than any message never comes */
	return min && min <= UINT16_MAX;
}

int template_keep(struct template_store *s, const struct template *def,
		  const struct template_field *f)
{
	struct template **page = s->page[def->id >> 8], *t;

	if (same(template_find(s, def->id), def, f)) {
		s->counts.taken++;
		return 0;
	}
	s->counts.changed += !!template_find(s, def->id);
	forget(s, def->id);
	if (!allowed(s, def, f)) {
		s->counts.refused++;
		return -ENOSPC;
	}
	if (!page)
		page = s->page[def->id >> 8] = calloc(256, sizeof(struct template *));
	t = page ? template_compile(s->pen, def, f) : NULL;
	if (!t)
		return -ENOMEM;
	page[def->id & 255] = t;
	s->fields += t->n;
	s->counts.taken++;
	s->generation++;
	return 1;
}

/* ---- reading ---- */

static int read_field(enum template_version version, struct cursor8 *c, struct template_field *f)
{
	if (c->end - c->p < 4)
		return -EBADMSG;
	*f = (struct template_field){.element = (uint16_t)get16(c->p),
				     .len = (uint16_t)get16(c->p + 2)};
	c->p += 4;
	if (version == TEMPLATE_V9 || !(f->element & IPFIX_ENTERPRISE))
		return 0;
	if (c->end - c->p < 4)
		return -EBADMSG;
	f->element &= (uint16_t)~IPFIX_ENTERPRISE;
	f->pen = get32(c->p);
	c->p += 4;
	return 0;
}

static int read_fields(struct template_store *s, struct cursor8 *c, const struct template *def)
{
	struct template_field f[TEMPLATE_FIELDS_MAX];
	int r;

	for (unsigned int i = 0; i < def->n; i++)
		/* beyond what is kept it is read to find its end */
		if (read_field(def->version, c, &f[i < TEMPLATE_FIELDS_MAX ? i : 0]))
			return -EBADMSG;
	/* v9's scopes are numbers of their own (RFC 3954 section 6.1) */
	for (unsigned int i = 0; def->version == TEMPLATE_V9 && i < def->scope; i++)
		f[i < TEMPLATE_FIELDS_MAX ? i : 0].pen = UINT32_MAX;
	r = template_keep(s, def, f);
	return r == -ENOMEM ? r : 0;
}

static void forget_all(struct template_store *s, bool options)
{
	for (uint32_t id = TEMPLATE_ID_MIN; id <= UINT16_MAX; id++) {
		const struct template *t = template_find(s, (uint16_t)id);

		if (!s->page[id >> 8])
			id |= 255;
		if (!t || t->options != options)
			continue;
		forget(s, (uint16_t)id);
		s->counts.withdrawn++;
	}
}

static int withdraw(struct template_store *s, uint16_t id, bool options)
{
	if (id == (options ? IPFIX_SET_OPTIONS : IPFIX_SET_TEMPLATE)) {
		forget_all(s, options);
		return 0;
	}
	if (id < TEMPLATE_ID_MIN)
		return -EBADMSG;
	s->counts.withdrawn += !!template_find(s, id);
	forget(s, id);
	return 0;
}

/* Numbers at the head of an options template. */
static int read_scope(struct cursor8 *c, struct template *def)
{
	const unsigned int more = def->version == TEMPLATE_V9 ? 0 : 2;
	uint32_t scope;

	if ((size_t)(c->end - c->p) < more)
		return -EBADMSG;
	if (def->version == TEMPLATE_IPFIX) {
		def->scope = (uint16_t)get16(c->p);
		c->p += more;
		return !def->scope || def->scope > def->n ? -EBADMSG : 0;
	}
	/* octets of the scope's fields, then of the others (read as a number of fields before) */
	if (c->end - c->p < 2)
		return -EBADMSG;
	scope = def->n;
	def->n = (uint16_t)((scope + get16(c->p)) / 4);
	def->scope = (uint16_t)(scope / 4);
	c->p += 2;
	/* some exporters have no scope at all */
	if (!def->n || scope % 4)
		return -EBADMSG;
	return 0;
}

static int read_template(struct template_store *s, struct cursor8 *c, enum template_version version,
			 bool options)
{
	struct template def = {.version = (uint8_t)version};

	def.id = (uint16_t)get16(c->p);
	def.n = (uint16_t)get16(c->p + 2);
	c->p += 4;
	if (version == TEMPLATE_IPFIX && !def.n)
		return withdraw(s, def.id, options);
	if (def.id < TEMPLATE_ID_MIN || (!def.n && !options))
		return -EBADMSG;
	if (options && read_scope(c, &def))
		return -EBADMSG;
	def.options = options;
	return read_fields(s, c, &def);
}

int template_read_set(struct template_store *s, enum template_version version, bool options,
		      const uint8_t *p, size_t len)
{
	struct cursor8 c = {p, p + len};

	/* up to 3 octets at the end are padding, and zeros of v9's up to a multiple of four */
	while (c.end - c.p >= 4 && get32(c.p)) {
		int r = read_template(s, &c, version, options);

		if (r)
			return r;
	}
	return 0;
}
