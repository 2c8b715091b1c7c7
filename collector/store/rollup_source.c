// SPDX-License-Identifier: Apache-2.0
/*
 * rollup_source.c - FROM clauses over roll-ups: rows of their tables, what is in finer tables and
 * not yet in theirs, and raw flows that are in none or at the uneven ends of a range. See schema.h.
 *
 * What is not written is told by the table `windows`, in the same snapshot: nothing counts twice
 * when a window is written meanwhile.
 */
#include <errno.h>
#include <stdlib.h>

#include "collector/store/rollup.h"
#include "collector/store/source.h"

#define WINDOWS_READ 512u

/* How a roll-up is made of rows of a table, or of raw flows `f`. */
static const struct {
	uint8_t dim;	   /* of rollup_1m ...; 0: a table of its own */
	const char *table; /* of its own */
	const char *key;   /* of a row of the table */
	const char *raw;   /* the same of a raw flow */
	const char *names; /* of those columns */
} by[_RB_MAX] = {
	[RB_TOTAL] = {RD_INTERFACE, NULL, "0::UBIGINT", "0::UBIGINT", "key"},
	[RB_NODE] = {RD_INTERFACE, NULL, "key >> 32", "f.exporter::UBIGINT", "key"},
	[RB_EXPORTER] = {RD_INTERFACE, NULL, "key >> 32", "f.exporter::UBIGINT", "key"},
	[RB_INTERFACE] = {RD_INTERFACE, NULL, "key",
			  "(f.exporter::UBIGINT * 4294967296 + coalesce(f.in_if, 0))::UBIGINT",
			  "key"},
	[RB_PROTO] = {RD_SERVICE, NULL, "key >> 16", "coalesce(f.proto, 256)::UBIGINT", "key"},
	[RB_SERVICE] = {RD_SERVICE, NULL, "key", "f.service::UBIGINT", "key"},
	[RB_ZONE] = {RD_ZONE, NULL, "key",
		     "(coalesce(f.src_zone, 0) * 65536::UBIGINT + coalesce(f.dst_zone, 0))::UBIGINT",
		     "key"},
	[RB_HOST] = {0, "rollup_host", "other, hi, lo, peers", NULL, "other, hi, lo, peers"},
	[RB_PAIR] = {0, "rollup_pair", "other, src_hi, src_lo, dst_hi, dst_lo",
		     "false, coalesce(f.src_hi, 0), coalesce(f.src_lo, 0), coalesce(f.dst_hi, 0), "
		     "coalesce(f.dst_lo, 0)",
		     "other, src_hi, src_lo, dst_hi, dst_lo"},
	[RB_NAME] = {0, "rollup_name", "other, name",
		     "false, coalesce(f.tls_sni, f.http_host, f.dns_qname)", "other, name"},
};

/* What every raw flow adds to a roll-up: the columns of ROLLUP_SUMS. */
#define OUT_P "coalesce(f.out_packets, 0)"
#define OUT_B "coalesce(f.out_bytes, 0)"
#define IN_P  "coalesce(f.in_packets, 0)"
#define IN_B  "coalesce(f.in_bytes, 0)"
#define RATE  "greatest(coalesce(f.sampling, 1), 1)::UBIGINT"
#define EST   "(" OUT_P " + " IN_P ") * " RATE ", (" OUT_B " + " IN_B ") * " RATE

struct part {
	const struct rollup_cfg *cfg;
	struct store *s;
	int64_t from_s, to_s; /* whole windows within the range */
	const char *between;
};

static void begin_part(struct from *q, struct part *p)
{
	from_add(q, "%s", p->between);
	p->between = " UNION ALL ";
}

static const char *table_of(uint32_t step)
{
	return step == ROLLUP_1M ? "rollup_1m" : step == ROLLUP_5M ? "rollup_5m" : "rollup_1h";
}

/* Rows of the table of a step; @open: only those that no window of @level has yet. */
static void add_table(struct from *q, struct part *p, uint32_t step, enum rollup_level open)
{
	enum rollup_by b = p->cfg->by;
	const char *table = by[b].dim ? table_of(step) : by[b].table;

	begin_part(q, p);
	from_add(q, "SELECT t.ts // %u * %u, %s, " ROLLUP_SUMS " FROM %s t", p->cfg->step,
		 p->cfg->step, by[b].key, table);
	if (open < _RL_MAX)
		from_add(
			q,
			" JOIN windows w ON w.level = %u AND w.ts = t.ts // %u * %u AND t.batch >= "
			"w.from_batch",
			open, rollup_span[open], rollup_span[open]);
	from_add(q, " WHERE t.ts >= %lld AND t.ts < %lld", (long long)p->from_s,
		 (long long)p->to_s);
	if (by[b].dim)
		from_add(q, " AND t.dim = %u", by[b].dim);
}

static void add_raw_columns(struct flow_source_cfg *c, enum rollup_by b)
{
	static const uint16_t all[] = {BC_END,	    BC_EXPORTER,    BC_IN_IF,	  BC_PROTO,
				       BC_SAMPLING, BC_OUT_PACKETS, BC_OUT_BYTES, BC_IN_PACKETS,
				       BC_IN_BYTES, FS_ID};
	static const uint16_t hosts[] = {BC_SRC_HI, BC_SRC_LO, BC_DST_HI, BC_DST_LO};
	static const uint16_t names[] = {BC_TLS_SNI, BC_HTTP_HOST, BC_DNS_QNAME};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		flow_source_add(c, all[i]);
	for (size_t i = 0; (b == RB_HOST || b == RB_PAIR) && i < 4; i++)
		flow_source_add(c, hosts[i]);
	for (size_t i = 0; b == RB_NAME && i < 3; i++)
		flow_source_add(c, names[i]);
	if (b == RB_SERVICE)
		flow_source_add(c, FS_SERVICE);
	if (b == RB_ZONE) {
		flow_source_add(c, BC_SRC_ZONE);
		flow_source_add(c, BC_DST_ZONE);
	}
}

static void add_from(struct from *q, struct part *p, const struct flow_range *range, bool open)
{
	enum rollup_level level = by[p->cfg->by].dim ? RL_1M : RL_HOST;
	struct flow_source_cfg c = {.range = *range};

	add_raw_columns(&c, p->cfg->by);
	from_add(q, " FROM ");
	source_add(q, p->s, &c);
	from_add(q, " f");
	if (open)
		from_add(q,
			 " JOIN windows w ON w.level = %u AND w.ts = f.end_us // %u000000 * %u AND "
			 "f.flow_id >= w.from_batch::UBIGINT << 32",
			 level, rollup_span[level], rollup_span[level]);
	if (p->cfg->by == RB_ZONE)
		from_add(q, " WHERE coalesce(f.src_zone, 0) + coalesce(f.dst_zone, 0) > 0");
	else if (p->cfg->by == RB_NAME)
		from_add(q, " WHERE coalesce(f.tls_sni, f.http_host, f.dns_qname) IS NOT NULL");
}

/* Raw flows of a range; @open: only those that no roll-up has yet. A host is of both ends. */
static void add_raw(struct from *q, struct part *p, const struct flow_range *range, bool open)
{
	uint32_t step = p->cfg->step;

	begin_part(q, p);
	if (p->cfg->by != RB_HOST) {
		from_add(q,
			 "SELECT f.end_us // %u000000 * %u, %s, 1::UBIGINT, " OUT_P ", " OUT_B
			 ", " IN_P ", " IN_B ", " EST,
			 step, step, by[p->cfg->by].raw);
		add_from(q, p, range, open);
		return;
	}
	from_add(
		q,
		"SELECT f.end_us // %u000000 * %u, false, coalesce(f.src_hi, 0), coalesce(f.src_lo, 0), "
		"NULL::UINTEGER, 1::UBIGINT, " OUT_P ", " OUT_B ", " IN_P ", " IN_B ", " EST,
		step, step);
	add_from(q, p, range, open);
	from_add(q,
		 " UNION ALL SELECT f.end_us // %u000000 * %u, false, coalesce(f.dst_hi, 0), "
		 "coalesce(f.dst_lo, 0), NULL::UINTEGER, 1::UBIGINT, " IN_P ", " IN_B ", " OUT_P
		 ", " OUT_B ", " EST,
		 step, step);
	add_from(q, p, range, open);
}

/* The part of [from, to) that windows of raw flows, which are open, are about. */
static bool open_range(struct part *p, struct flow_range *ret)
{
	enum rollup_level level = by[p->cfg->by].dim ? RL_1M : RL_HOST;
	struct rollup_open *w = malloc(WINDOWS_READ * sizeof(*w));
	int64_t from = INT64_MAX, to = INT64_MIN;
	uint32_t n = w ? rollup_open_windows(p->s->rollup, w, WINDOWS_READ) : 0;

	for (uint32_t i = 0; i < n; i++) {
		if (w[i].level != level)
			continue;
		from = w[i].ts < from ? w[i].ts : from;
		to = w[i].ts + rollup_span[level] > to ? w[i].ts + rollup_span[level] : to;
	}
	free(w);
	from = from < p->from_s ? p->from_s : from;
	to = to > p->to_s ? p->to_s : to;
	if (from >= to)
		return false;
	*ret = (struct flow_range){.from_us = from * 1000000, .to_us = to * 1000000};
	return true;
}

static void add_parts(struct from *q, struct part *p)
{
	const struct flow_range *range = &p->cfg->range;
	uint32_t step = p->cfg->step;
	struct flow_range raw;
	bool dims = by[p->cfg->by].dim != 0;

	if (p->from_s < p->to_s) {
		add_table(q, p, step, _RL_MAX);
		if (dims && step == ROLLUP_1H)
			add_table(q, p, ROLLUP_5M, RL_1H);
		if (dims && step >= ROLLUP_5M)
			add_table(q, p, ROLLUP_1M, RL_5M);
		if (open_range(p, &raw))
			add_raw(q, p, &raw, true);
		raw = (struct flow_range){.from_us = range->from_us, .to_us = p->from_s * 1000000};
		if (raw.from_us < raw.to_us)
			add_raw(q, p, &raw, false);
		raw = (struct flow_range){.from_us = p->to_s * 1000000, .to_us = range->to_us};
		if (raw.from_us < raw.to_us)
			add_raw(q, p, &raw, false);
		return;
	}
	add_raw(q, p, range, false);
}

static const char *label_joins(enum rollup_by b, const char **ret_label)
{
	switch (b) {
	case RB_NODE:
	case RB_EXPORTER:
		*ret_label = "nullif(x.name, '')";
		return " LEFT JOIN exporters x ON x.id = t.key";
	case RB_INTERFACE:
		*ret_label = "coalesce(nullif(x.name, '') || '/', '') || "
			     "coalesce(i.name, (t.key & 4294967295)::VARCHAR)";
		return " LEFT JOIN exporters x ON x.id = t.key >> 32 LEFT JOIN interfaces i ON i.stream = "
		       "x.stream AND i.idx = t.key & 4294967295";
	case RB_ZONE:
		*ret_label = "coalesce(zs.name, '') || ' > ' || coalesce(zd.name, '')";
		return " LEFT JOIN zones zs ON zs.id = t.key >> 16 LEFT JOIN zones zd ON zd.id = t.key & "
		       "65535";
	default:
		*ret_label = NULL;
		return "";
	}
}

/* Exporter and node are columns of the exporter's row; its number is that of one version of it. */
static const char *key_text(enum rollup_by b)
{
	return b == RB_NODE ? "x.node::UBIGINT" : b == RB_EXPORTER ? "x.stream::UBIGINT" : "t.key";
}

static void add_outer(struct from *q, struct part *p)
{
	enum rollup_by b = p->cfg->by;
	const char *label, *joins = label_joins(b, &label);

	if (!by[b].dim) {
		from_add(q, "(SELECT ts, %s, " ROLLUP_SUMS " FROM (", by[b].names);
		add_parts(q, p);
		from_add(q, ") t(ts, %s, " ROLLUP_SUMS "))", by[b].names);
		return;
	}
	from_add(q, "(SELECT t.ts, false AS other, %s AS key, %s AS label", key_text(b),
		 label ? label : "NULL::VARCHAR");
	if (b == RB_EXPORTER)
		from_add(q, ", x.hi, x.lo");
	from_add(q, ", " ROLLUP_SUMS " FROM (");
	add_parts(q, p);
	from_add(q, ") t(ts, key, " ROLLUP_SUMS ")%s)", joins);
}

int store_rollup(struct store *s, const struct rollup_cfg *cfg, char **ret)
{
	int64_t step = cfg->step, span = step * 1000000;
	struct part p = {.cfg = cfg, .s = s, .between = ""};
	struct from q;

	if (step != ROLLUP_5M && (!by[cfg->by].dim || (step != ROLLUP_1M && step != ROLLUP_1H)))
		return -EINVAL;
	p.from_s = (cfg->range.from_us + span - 1) / span * step;
	p.to_s = cfg->range.to_us / span * step;
	from_begin(&q);
	add_outer(&q, &p);
	return from_end(&q, ret);
}
