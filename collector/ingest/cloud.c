// SPDX-License-Identifier: Apache-2.0
/*
 * cloud.c - rows of flow logs, and AWS's lines; see cloud.h. JSON is in cloud_json.c.
 * Source: AWS, "Flow log records": fields of versions 2 to 5 by the names of the header line.
 */
#include "collector/ingest/cloud.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "collector/ingest/cloud_int.h"
#include "collector/ingest/decoder_int.h"

void cloud_init(struct cloud *c, struct decoder *d, int64_t now_us)
{
	memset(c, 0, sizeof(*c));
	c->d = d;
	c->now_us = now_us;
}

/* ---- values ---- */

void cloud_row_begin(struct cloud_row *row)
{
	memset(&row->r, 0, sizeof(row->r));
	row->account = (struct flow_str){"", 0};
	row->direction = 0;
	row->denied = false;
	row->extras_n = 0;
	row->text_len = 0;
}

bool cloud_number(struct flow_str s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		const uint64_t digit = (uint64_t)(s.s[i] - '0');

		if (s.s[i] < '0' || s.s[i] > '9' || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = v;
	return s.len && v <= max;
}

bool cloud_ip(struct cloud_row *row, enum flow_field f, struct flow_str s)
{
	uint8_t *to = (uint8_t *)&row->r + flow_fields[f].offset;
	char text[INET6_ADDRSTRLEN];

	if (s.len >= sizeof(text))
		return false;
	memcpy(text, s.s, s.len);
	text[s.len] = 0;
	memset(to, 0, 16);
	if (inet_pton(AF_INET, text, to + 12) == 1) {
		to[10] = to[11] = 0xff;
		row->r.family = 4;
	} else if (inet_pton(AF_INET6, text, to) == 1) {
		row->r.family = 6;
	} else {
		return false;
	}
	flow_set(&row->r, f);
	return true;
}

bool cloud_port(struct cloud_row *row, enum flow_field f, struct flow_str s)
{
	uint64_t v;

	if (!cloud_number(s, UINT16_MAX, &v))
		return false;
	*(f == FF_SRC_PORT ? &row->r.src_port : &row->r.dst_port) = (uint16_t)v;
	flow_set(&row->r, f);
	return true;
}

void cloud_time(struct cloud_row *row, enum flow_field f, uint64_t ns)
{
	*(f == FF_START ? &row->r.start_ns : &row->r.end_ns) = ns;
	flow_set(&row->r, f);
}

void cloud_count(struct cloud_row *row, enum flow_field f, uint64_t v)
{
	memcpy((uint8_t *)&row->r + flow_fields[f].offset, &v, sizeof(v));
	flow_set(&row->r, f);
}

void cloud_proto(struct cloud_row *row, uint8_t proto)
{
	row->r.proto = proto;
	flow_set(&row->r, FF_PROTO);
}

void cloud_extra(struct cloud_row *row, const char *key, struct flow_str value)
{
	const uint32_t n = (uint32_t)strlen(key), all = n + 1 + value.len;
	char *p = row->text + row->text_len;

	if (!value.len || row->extras_n == CLOUD_EXTRAS || all > CLOUD_TEXT - row->text_len)
		return;
	memcpy(p, key, n);
	p[n] = '=';
	memcpy(p + n + 1, value.s, value.len);
	row->extras[row->extras_n++] = (struct flow_str){p, all};
	row->text_len += all;
}

bool cloud_word(struct flow_str *rest, char separator, struct flow_str *ret)
{
	const char *p;

	if (!rest->s)
		return false;
	p = rest->len ? memchr(rest->s, separator, rest->len) : NULL;
	*ret = (struct flow_str){rest->s, p ? (uint32_t)(p - rest->s) : rest->len};
	if (p)
		*rest = (struct flow_str){p + 1, rest->len - ret->len - 1};
	else
		*rest = (struct flow_str){NULL, 0};
	return true;
}

/* ---- rows ---- */

/* FNV-1a, folded: the log's number as an observation domain. */
static uint32_t domain_of(struct flow_str s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (uint32_t i = 0; i < s.len; i++)
		h = (h ^ (uint8_t)s.s[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(h ^ h >> 32);
}

static struct exporter *exporter_of(struct cloud *c, struct flow_str account)
{
	static const uint8_t unspecified[16];
	struct flow_str none = {"", 0}, name = account;
	struct exporter *e = exporters_get(c->d->cfg.exporters, unspecified, domain_of(account));

	if (e && name.len && !*e->node)
		exporters_name(c->d->cfg.exporters, e, &name, &none);
	if (e)
		__atomic_or_fetch(&e->formats, 1u << INGEST_FILE, __ATOMIC_RELAXED);
	return e;
}

static void set_u8(struct block *b, enum block_column c, uint32_t row, uint8_t v)
{
	BLOCK_COLUMN(b, uint8_t, c)[row] = v;
	block_set_valid(b, c, row);
}

/* Where a file's rows are in its numbering: durable with the row. */
static void mark(const struct cloud *c, struct block *b)
{
	const struct block_mark k = {.stream = c->stream,
				     .rows = 1,
				     .epoch = c->epoch,
				     .from = c->number - 1,
				     .to = c->number};

	if (c->epoch)
		block_mark(b, &k); /* there is room: see block_room() */
}

int cloud_row_add(struct cloud *c, struct cloud_row *row)
{
	const struct flow_strs extras = {row->extras, row->extras_n};
	struct exporter *e = exporter_of(c, row->account);
	struct block *b;
	uint32_t at;

	if (c->number++ < c->skip)
		return 0;
	if (!e) {
		c->d->count[IC_TOO_MANY]++;
		return -ENOBUFS;
	}
	if (!flow_has(&row->r, FF_END))
		cloud_time(row, FF_END, (uint64_t)c->now_us * 1000);
	b = block_room(c->d, 1, row->text_len, c->now_us);
	at = b ? b->rows : 0;
	if (!b || block_add_flow(b, &row->r, __atomic_load_n(&e->id, __ATOMIC_RELAXED))) {
		exporter_count(e, IC_NO_BLOCK, 1);
		return -ENOBUFS;
	}
	if (row->direction)
		set_u8(b, BC_DIRECTION, at, row->direction - 1);
	if (row->denied)
		set_u8(b, BC_EVENT, at, EVENT_DENIED);
	if (extras.n)
		block_put_list(b, BC_EXTRA, at, &extras); /* there is room: see block_room() */
	__atomic_store_n(&e->seen_us, (uint64_t)c->now_us, __ATOMIC_RELAXED);
	mark(c, b);
	exporter_count(e, IC_RECORDS, 1);
	c->rows++;
	return 0;
}

int cloud_bad(struct cloud *c)
{
	c->malformed++;
	c->d->count[IC_LINE]++;
	return -EBADMSG;
}

/* ---- AWS ---- */

enum aws {
	AWS_EXTRA, /* kept by its name */
	AWS_SKIP,
	AWS_ACCOUNT,
	AWS_SRC,
	AWS_DST,
	AWS_SRC_PORT,
	AWS_DST_PORT,
	AWS_PROTO,
	AWS_PACKETS,
	AWS_BYTES,
	AWS_START,
	AWS_END,
	AWS_ACTION,
	AWS_STATUS,
	AWS_FLAGS,
	AWS_DIRECTION,
};

static const struct {
	const char *name;
	uint8_t is;
} aws_names[] = {
	{"version", AWS_SKIP},
	{"account-id", AWS_ACCOUNT},
	{"interface-id", AWS_EXTRA},
	{"srcaddr", AWS_SRC},
	{"dstaddr", AWS_DST},
	{"srcport", AWS_SRC_PORT},
	{"dstport", AWS_DST_PORT},
	{"protocol", AWS_PROTO},
	{"packets", AWS_PACKETS},
	{"bytes", AWS_BYTES},
	{"start", AWS_START},
	{"end", AWS_END},
	{"action", AWS_ACTION},
	{"log-status", AWS_STATUS},
	{"tcp-flags", AWS_FLAGS},
	{"type", AWS_SKIP},
	{"flow-direction", AWS_DIRECTION},
};

#define AWS_V2 14u /* of those: version 2, in its order */

static bool is_word(struct flow_str s, const char *word)
{
	return s.len == strlen(word) && !memcmp(s.s, word, s.len);
}

static bool is_header(struct flow_str line)
{
	struct flow_str w;

	while (cloud_word(&line, ' ', &w))
		if (is_word(w, "srcaddr") || is_word(w, "dstaddr") || is_word(w, "log-status"))
			return true;
	return false;
}

static void take_header(struct cloud *c, struct flow_str line)
{
	struct flow_str w;

	c->aws_n = 0;
	while (c->aws_n < CLOUD_FIELDS && cloud_word(&line, ' ', &w)) {
		const uint32_t i = c->aws_n++;
		const uint32_t len = w.len < sizeof(c->name[i]) ? w.len : sizeof(c->name[i]) - 1;

		memcpy(c->name[i], w.s, len);
		c->name[i][len] = 0;
		c->aws[i] = AWS_EXTRA;
		for (size_t k = 0; k < sizeof(aws_names) / sizeof(aws_names[0]); k++)
			if (is_word(w, aws_names[k].name))
				c->aws[i] = aws_names[k].is;
	}
}

static bool take_seconds(struct cloud_row *row, enum flow_field f, struct flow_str v)
{
	uint64_t s;

	if (!cloud_number(v, UINT32_MAX, &s))
		return false;
	cloud_time(row, f, s * 1000000000);
	return true;
}

static bool take_counts(struct cloud_row *row, enum flow_field f, struct flow_str v)
{
	uint64_t n;

	if (!cloud_number(v, INT64_MAX, &n))
		return false;
	cloud_count(row, f, n);
	return true;
}

static bool take_small(struct cloud_row *row, uint8_t is, struct flow_str v)
{
	uint64_t n;

	if (!cloud_number(v, UINT8_MAX, &n))
		return false;
	if (is == AWS_PROTO) {
		cloud_proto(row, (uint8_t)n);
	} else if (n) {
		row->r.tcp_flags = (uint8_t)n;
		flow_set(&row->r, FF_TCP_FLAGS);
	}
	return true;
}

/* Return: false: not what the field should be. */
static bool take_aws(struct cloud_row *row, uint8_t is, const char *name, struct flow_str v)
{
	switch (is) {
	case AWS_SRC:
	case AWS_DST:
		return cloud_ip(row, is == AWS_SRC ? FF_SRC_IP : FF_DST_IP, v);
	case AWS_SRC_PORT:
	case AWS_DST_PORT:
		return cloud_port(row, is == AWS_SRC_PORT ? FF_SRC_PORT : FF_DST_PORT, v);
	case AWS_PROTO:
	case AWS_FLAGS:
		return take_small(row, is, v);
	case AWS_PACKETS:
	case AWS_BYTES:
		return take_counts(row, is == AWS_PACKETS ? FF_OUT_PACKETS : FF_OUT_BYTES, v);
	case AWS_START:
	case AWS_END:
		return take_seconds(row, is == AWS_START ? FF_START : FF_END, v);
	case AWS_ACCOUNT:
		row->account = v;
		break;
	case AWS_ACTION:
		row->denied = is_word(v, "REJECT");
		break;
	case AWS_DIRECTION:
		row->direction = is_word(v, "ingress") ? DIRECTION_IN : DIRECTION_OUT;
		break;
	case AWS_EXTRA:
		cloud_extra(row, name, v);
		break;
	}
	return true;
}

/* Values into @row. Return: false: too few, too many, or one that is not what it should be. */
static bool take_values(const struct cloud *c, struct flow_str line, struct cloud_row *row,
			struct flow_str *status)
{
	const uint32_t fields = c->aws_n ? c->aws_n : AWS_V2;
	struct flow_str w;
	bool good = true;
	uint32_t n = 0;

	for (; cloud_word(&line, ' ', &w); n++) {
		const uint8_t is = n >= fields ? AWS_SKIP : c->aws_n ? c->aws[n] : aws_names[n].is;
		const char *name = c->aws_n ? c->name[n % fields] : aws_names[n % fields].name;

		if (is == AWS_STATUS)
			*status = w;
		else if (!is_word(w, "-"))
			good &= take_aws(row, is, name, w);
	}
	return good && n == fields;
}

int cloud_aws_line(struct cloud *c, const char *s, size_t len)
{
	struct flow_str line = {s, (uint32_t)len}, status = {"OK", 2};
	struct cloud_row row;
	bool good;

	while (line.len && (line.s[line.len - 1] == '\r' || line.s[line.len - 1] == ' '))
		line.len--;
	if (!line.len)
		return 0;
	c->lines++;
	if (is_header(line)) {
		take_header(c, line);
		return 0;
	}
	cloud_row_begin(&row);
	good = take_values(c, line, &row, &status);
	if (is_word(status, "NODATA"))
		return 0;
	if (is_word(status, "SKIPDATA")) {
		c->skipped++;
		return 0;
	}
	if (!good || !row.r.family)
		return cloud_bad(c);
	(void)cloud_row_add(c, &row); /* lost: counted there */
	return 0;
}
