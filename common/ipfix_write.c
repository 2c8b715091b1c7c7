// SPDX-License-Identifier: Apache-2.0
/*
 * ipfix_write.c - messages, sets, templates and options; see ipfix.h. Flow records are in
 * ipfix_put.c.
 */
#include <errno.h>
#include <string.h>

#include "common/ipfix_int.h"
#include "common/ipfix_put.h"

#define WITHDRAWAL 4u /* octets of a record, RFC 7011 section 8.1 */

void ipfix_begin(struct ipfix_msg *m, uint8_t *buf, uint32_t cap, struct ipfix_used *used)
{
	m->buf = buf;
	m->cap = cap < IPFIX_MESSAGE_MAX ? cap : IPFIX_MESSAGE_MAX;
	m->len = IPFIX_HEADER;
	m->set_at = 0;
	m->set_id = 0;
	m->records = 0;
	m->used = used;
	memset(buf, 0, IPFIX_HEADER);
	if (used)
		memset(used, 0, sizeof(*used));
}

void ipfix_finish(const struct ipfix_cfg *cfg, uint8_t *buf, uint32_t len, uint32_t export_s,
		  uint32_t sequence)
{
	put16(buf, IPFIX_VERSION);
	put16(buf + 2, len);
	put32(buf + 4, export_s);
	put32(buf + 8, sequence);
	put32(buf + 12, cfg->domain);
}

uint8_t *ipfix_room(struct ipfix_msg *m, uint16_t set_id, uint32_t len)
{
	uint32_t at = m->len;
	bool same = m->set_at && m->set_id == set_id;

	if (len > m->cap || m->cap - len < at + (same ? 0 : IPFIX_SET_HEADER))
		return NULL;
	if (!same) {
		m->set_at = at;
		m->set_id = set_id;
		put16(m->buf + at, set_id);
		at += IPFIX_SET_HEADER;
	}
	m->len = at + len;
	put16(m->buf + m->set_at + 2, m->len - m->set_at);
	return m->buf + at;
}

/* ---- templates ---- */

static uint8_t *put_field(const struct ipfix_cfg *cfg, uint8_t *p, const struct ipfix_field *f)
{
	put16(p, f->pen ? f->element | IPFIX_ENTERPRISE : f->element);
	put16(p + 2, f->len);
	if (!f->pen)
		return p + 4;
	put32(p + 4, f->pen == IPFIX_PEN_WEIR ? cfg->pen : f->pen);
	return p + 8;
}

static int put_template(const struct ipfix_cfg *cfg, struct ipfix_msg *m, uint16_t id,
			const struct ipfix_field *f, unsigned int n)
{
	uint32_t len = 4;
	uint8_t *p;

	for (unsigned int i = 0; i < n; i++)
		len += f[i].pen ? 8 : 4;
	p = ipfix_room(m, IPFIX_SET_TEMPLATE, len);
	if (!p)
		return -ENOSPC;
	put16(p, id);
	put16(p + 2, n);
	p += 4;
	for (unsigned int i = 0; i < n; i++)
		p = put_field(cfg, p, &f[i]);
	return 0;
}

static struct ipfix_field field_of(const struct ipfix_row *row, bool v6)
{
	struct ipfix_field f = {.pen = row->pen, .element = row->element, .len = row->len};

	if (v6 && row->element6)
		f.element = row->element6;
	if (v6 && row->encoding == IE_IP)
		f.len = 16;
	if (!row->len)
		f.len = IPFIX_VARIABLE;
	/* Lists are told apart by what is in them. */
	if (row->type == IT_BASICLIST) {
		f.pen = 0;
		f.element = ELEMENT_BASICLIST;
	}
	return f;
}

static int put_flow_template(const struct ipfix_cfg *cfg, struct ipfix_msg *m, uint32_t key)
{
	const uint32_t groups = ipfix_groups(cfg, key);
	struct ipfix_field f[128];
	unsigned int n = 0;

	for (unsigned int i = 0; i < ipfix_rows_n; i++)
		if (groups >> ipfix_rows[i].group & 1)
			f[n++] = field_of(&ipfix_rows[i], ipfix_key_v6(key));
	return put_template(cfg, m, ipfix_flow_id(cfg, key), f, n);
}

int ipfix_put_templates(const struct ipfix_cfg *cfg, struct ipfix_msg *m, struct ipfix_used *want)
{
	for (unsigned int w = 0; w < IPFIX_FLOW_TEMPLATES / 64; w++) {
		while (want->bits[w]) {
			uint32_t key = w * 64 + (uint32_t)__builtin_ctzll(want->bits[w]);
			struct ipfix_msg before = *m;
			int r = 0;

			if (ipfix_groups(cfg, key) >> IG_MORE & 1)
				r = put_template(cfg, m, IPFIX_ID_QUERY, ipfix_query_fields,
						 QUERY_FIELDS);
			r = r ?: put_flow_template(cfg, m, key);
			if (r) {
				ipfix_back(m, &before);
				return r;
			}
			want->bits[w] &= want->bits[w] - 1;
		}
	}
	return 0;
}

int ipfix_put_option_template(const struct ipfix_cfg *cfg, struct ipfix_msg *m, enum ipfix_option o)
{
	const struct ipfix_option_row *row = ipfix_option_rows;
	uint32_t len = 6, n = 0, scope = 0;
	uint8_t *p;

	for (unsigned int i = 0; i < ipfix_option_rows_n; i++) {
		if (row[i].option != o)
			continue;
		len += row[i].pen ? 8 : 4;
		scope += row[i].scope;
		n++;
	}
	p = ipfix_room(m, IPFIX_SET_OPTIONS, len);
	if (!p)
		return -ENOSPC;
	put16(p, IPFIX_ID_OPTION(o));
	put16(p + 2, n);
	put16(p + 4, scope);
	p += 6;
	for (unsigned int i = 0; i < ipfix_option_rows_n; i++) {
		struct ipfix_field f = {.pen = row[i].pen, .element = row[i].element};

		if (row[i].option != o)
			continue;
		f.len = row[i].len ? row[i].len : IPFIX_VARIABLE;
		p = put_field(cfg, p, &f);
	}
	return 0;
}

int ipfix_put_withdrawal(const struct ipfix_cfg *cfg, struct ipfix_msg *m, struct ipfix_used *done)
{
	for (unsigned int w = 0; w < IPFIX_FLOW_TEMPLATES / 64; w++) {
		for (; done->bits[w]; done->bits[w] &= done->bits[w] - 1) {
			uint32_t key = w * 64 + (uint32_t)__builtin_ctzll(done->bits[w]);
			uint8_t *p = ipfix_room(m, IPFIX_SET_TEMPLATE, WITHDRAWAL);

			if (!p)
				return -ENOSPC;
			put16(p, ipfix_flow_id(cfg, key));
			put16(p + 2, 0);
		}
	}
	return 0;
}

/* ---- options ---- */

int ipfix_put_option(const struct ipfix_cfg *cfg, struct ipfix_msg *m, enum ipfix_option o,
		     const struct ipfix_arg *args)
{
	const struct ipfix_option_row *row = ipfix_option_rows;
	const struct ipfix_arg *a = args;
	uint32_t len = 0;
	uint8_t *p;

	(void)cfg;
	for (unsigned int i = 0; i < ipfix_option_rows_n; i++)
		if (row[i].option == o)
			len += row[i].len ? row[i].len : text_size(&a[0].text), a++;
	p = ipfix_room(m, IPFIX_ID_OPTION(o), len);
	if (!p)
		return -ENOSPC;
	for (unsigned int i = 0; i < ipfix_option_rows_n; i++) {
		if (row[i].option != o)
			continue;
		p = row[i].len ? put_number(p, args->number, row[i].len) : put_text(p, &args->text);
		args++;
	}
	m->records++;
	return 0;
}

static unsigned int semantics(enum ipfix_type type, const char *name)
{
	size_t n = strlen(name);

	if (type == IT_BASICLIST || type == IT_SUBTEMPLATELIST)
		return 6; /* list */
	if (n > 10 && !strcmp(name + n - 10, "TotalCount"))
		return 2;
	if (n > 10 && !strcmp(name + n - 10, "DeltaCount"))
		return 3;
	if (n > 12 && !strcmp(name + n - 12, "Microseconds"))
		return 1;						  /* quantity */
	return type == IT_U8 || type == IT_U16 || type == IT_U32 ? 4 : 0; /* identifier, default */
}

static void type_args(const struct ipfix_cfg *cfg, const char *name, uint16_t element,
		      enum ipfix_type type, struct ipfix_arg *args)
{
	/* what is in the list, not the list */
	if (type == IT_BASICLIST)
		type = IT_STRING;
	args[0].number = cfg->pen;
	args[1].number = element;
	args[2].number = type;
	args[3].number = semantics(type, name);
	args[4].number = 0; /* no unit that IANA has a number for, no range */
	args[5].number = 0;
	args[6].number = 0;
	args[7].text = (struct flow_str){name, (uint32_t)strlen(name)};
	args[8].text = (struct flow_str){"", 0};
}

bool ipfix_type_args(const struct ipfix_cfg *cfg, unsigned int i,
		     struct ipfix_arg args[static IPFIX_TYPE_ARGS])
{
	for (unsigned int k = 0; k < ipfix_rows_n; k++) {
		const struct ipfix_row *row = &ipfix_rows[k];

		if (row->pen == IPFIX_PEN_WEIR && !i--) {
			type_args(cfg, row->name, row->element, row->type, args);
			return true;
		}
	}
	for (unsigned int k = 0; k < ipfix_option_rows_n; k++) {
		const struct ipfix_option_row *row = &ipfix_option_rows[k];

		if (row->pen == IPFIX_PEN_WEIR && !i--) {
			type_args(cfg, row->name, row->element, row->type, args);
			return true;
		}
	}
	return false;
}
