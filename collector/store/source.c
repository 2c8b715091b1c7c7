// SPDX-License-Identifier: Apache-2.0
/*
 * source.c - FROM clauses over raw flows: partitions of the range, side tables and packed columns
 * that the wanted columns need, and no others. See schema.h.
 */
#include "collector/store/source.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store_int.h"

static const struct {
	const char *name, *type;
} extra[] = {
#define EXTRA(id, name_, type_) [FS_##id - _BC_MAX] = {name_, type_}
	EXTRA(ID, "flow_id", "UBIGINT"),
	EXTRA(NODE, "node", "VARCHAR"),
	EXTRA(LABELS, "labels", "VARCHAR"),
	EXTRA(IFACE, "iface", "VARCHAR"),
	EXTRA(OUT_IFACE, "out_iface", "VARCHAR"),
	EXTRA(EXPORTER_HI, "exporter_hi", "UBIGINT"),
	EXTRA(EXPORTER_LO, "exporter_lo", "UBIGINT"),
	EXTRA(DOMAIN, "domain", "UINTEGER"),
	EXTRA(SRC_ZONE_NAME, "src_zone_name", "VARCHAR"),
	EXTRA(DST_ZONE_NAME, "dst_zone_name", "VARCHAR"),
	EXTRA(SERVER_NAME, "server_name", "VARCHAR"),
	EXTRA(SERVER_NAMED, "server_named", "UTINYINT"),
	EXTRA(SRC_AS_ORG, "src_as_org", "VARCHAR"),
	EXTRA(DST_AS_ORG, "dst_as_org", "VARCHAR"),
	EXTRA(PACKETS, "packets", "UBIGINT"),
	EXTRA(BYTES, "bytes", "UBIGINT"),
	EXTRA(DURATION, "duration_us", "UBIGINT"),
	EXTRA(PPS, "pps", "UBIGINT"),
	EXTRA(BPS, "bps", "UBIGINT"),
	EXTRA(BPP, "bpp", "UBIGINT"),
	EXTRA(SERVICE, "service", "UINTEGER"),
};

_Static_assert(sizeof(extra) / sizeof(extra[0]) == _FS_MAX - _BC_MAX, "a row per column");

/* Table aliases: main table, side tables. */
static const char alias[_LT_MAX] = {
	[LT_FLOWS] = 'f', [LT_DNS] = 'd', [LT_WEB] = 'w', [LT_MORE] = 'm'};

const char *flow_source_name(unsigned int column)
{
	return column < _BC_MAX ? block_columns[column].name : extra[column - _BC_MAX].name;
}

void from_add(struct from *q, const char *format, ...)
{
	va_list ap;

	if (!q->f)
		return;
	va_start(ap, format);
	vfprintf(q->f, format, ap);
	va_end(ap);
}

void from_begin(struct from *q)
{
	*q = (struct from){0};
	q->f = open_memstream(&q->text, &q->len);
}

int from_end(struct from *q, char **ret)
{
	bool bad = !q->f || ferror(q->f);

	if (q->f)
		bad |= fclose(q->f) != 0;
	if (bad) {
		free(q->text);
		return -ENOMEM;
	}
	*ret = q->text;
	return 0;
}

static bool wants(const struct flow_source_cfg *c, unsigned int column)
{
	return c->columns[column / 64] >> (column % 64) & 1;
}

/* Columns of blocks that others are computed of. */
static void add_needs(struct flow_source_cfg *c)
{
	static const struct {
		uint16_t wanted, needs[4];
		uint16_t n;
	} list[] = {
		{FS_NODE, {BC_EXPORTER}, 1},
		{FS_LABELS, {BC_EXPORTER}, 1},
		{FS_IFACE, {BC_EXPORTER, BC_IN_IF}, 2},
		{FS_OUT_IFACE, {BC_EXPORTER, BC_OUT_IF}, 2},
		{FS_EXPORTER_HI, {BC_EXPORTER}, 1},
		{FS_EXPORTER_LO, {BC_EXPORTER}, 1},
		{FS_DOMAIN, {BC_EXPORTER}, 1},
		{FS_SRC_ZONE_NAME, {BC_SRC_ZONE}, 1},
		{FS_DST_ZONE_NAME, {BC_DST_ZONE}, 1},
		{FS_SERVER_NAME, {BC_DST_NAME, BC_TLS_SNI}, 2},
		{FS_SERVER_NAMED, {BC_DST_NAME, BC_TLS_SNI, BC_DST_NAMED}, 3},
		{FS_SRC_AS_ORG, {BC_SRC_AS}, 1},
		{FS_DST_AS_ORG, {BC_DST_AS}, 1},
		{FS_PACKETS, {BC_OUT_PACKETS, BC_IN_PACKETS}, 2},
		{FS_BYTES, {BC_OUT_BYTES, BC_IN_BYTES}, 2},
		{FS_DURATION, {BC_START, BC_END}, 2},
		{FS_PPS, {BC_START, BC_END, BC_OUT_PACKETS, BC_IN_PACKETS}, 4},
		{FS_BPS, {BC_START, BC_END, BC_OUT_BYTES, BC_IN_BYTES}, 4},
		{FS_BPP, {BC_OUT_PACKETS, BC_IN_PACKETS, BC_OUT_BYTES, BC_IN_BYTES}, 4},
		{FS_SERVICE, {BC_PROTO, BC_SRC_PORT, BC_DST_PORT, BC_IN_PACKETS}, 4},
	};
	static const uint16_t key[] = {BC_EXPORTER, BC_SRC_HI,	 BC_SRC_LO, BC_DST_HI, BC_DST_LO,
				       BC_SRC_PORT, BC_DST_PORT, BC_PROTO,  BC_START,  FS_ID};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		for (uint16_t k = 0; wants(c, list[i].wanted) && k < list[i].n; k++)
			flow_source_add(c, list[i].needs[k]);
	}
	for (size_t i = 0; c->dedup && i < sizeof(key) / sizeof(key[0]); i++)
		flow_source_add(c, key[i]);
}

static void add_column(struct from *q, unsigned int c, char from)
{
	uint32_t shift, width;
	bool zero;

	if (c >= _BC_MAX) {
		from_add(q, "%c.%s", from, extra[c - _BC_MAX].name);
		return;
	}
	if (!layout_packed(c)) {
		from_add(q, "%c.%s", from, block_columns[c].name);
		return;
	}
	layout_bits(c, &shift, &width, &zero);
	from_add(q, "(nullif((%c.%s >> %u) & %llu, 0)%s)::%s AS %s", from,
		 layout_pack_name(block_columns[c].part), shift, (1ULL << width) - 1,
		 zero ? "" : " - 1", layout_sql_type(block_columns[c].type), block_columns[c].name);
}

/* The columns of blocks, and the flow's number, as they come from one file's tables. */
static void add_columns(struct from *q, const struct flow_source_cfg *cfg, bool one_table)
{
	const char *comma = "";

	for (unsigned int c = 0; c < _BC_MAX; c++) {
		if (!wants(cfg, c))
			continue;
		from_add(q, "%s", comma);
		add_column(q, c, one_table ? 'f' : alias[layout_table_of(c)]);
		comma = ", ";
	}
	if (wants(cfg, FS_ID) || !*comma)
		from_add(q, "%sf.flow_id", comma);
}

/* Of a partition that is being written more may come before the query reads it. */
static void add_where(struct from *q, const struct flow_range *r, const struct partition *p)
{
	if (p->rows && p->min_us >= r->from_us && p->max_us < r->to_us && !p->writing)
		return;
	from_add(q, " WHERE f.end_us >= %lld AND f.end_us < %lld", (long long)r->from_us,
		 (long long)r->to_us);
}

static void add_database(struct from *q, const struct flow_source_cfg *cfg,
			 const struct partition *p)
{
	bool need[_LT_MAX] = {false};

	for (unsigned int c = 0; c < _BC_MAX; c++)
		need[layout_table_of(c)] |= wants(cfg, c);
	from_add(q, "SELECT ");
	add_columns(q, cfg, false);
	from_add(q, " FROM %s.flows f", p->catalog);
	for (unsigned int t = LT_FLOWS + 1; t < _LT_MAX; t++) {
		if (need[t])
			from_add(q, " LEFT JOIN %s.%s %c ON %c.flow_id = f.flow_id", p->catalog,
				 layout_of(t)->name, alias[t], alias[t]);
	}
	add_where(q, &cfg->range, p);
}

/* A file is as it was written: columns that came later are empty. */
static void add_file(struct from *q, const struct flow_source_cfg *cfg, const char *path)
{
	bool lacks = false;

	for (unsigned int c = 0; c < _BC_MAX; c++)
		lacks |= wants(cfg, c) && partition_may_lack(c);
	if (!lacks) {
		from_add(q, "read_parquet('%s')", path);
		return;
	}
	from_add(q, "(FROM read_parquet('%s')", path);
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		if (wants(cfg, c) && partition_may_lack(c))
			from_add(q, " UNION ALL BY NAME SELECT NULL::%s AS %s WHERE false",
				 layout_sql_type(block_columns[c].type), block_columns[c].name);
	}
	from_add(q, ")");
}

static void add_parquet(struct from *q, const struct store *s, const struct flow_source_cfg *cfg,
			const struct partition *p)
{
	char path[PATH_BYTES];

	partition_path(s, p, ".parquet", path);
	from_add(q, "SELECT ");
	add_columns(q, cfg, true);
	from_add(q, " FROM ");
	add_file(q, cfg, path);
	from_add(q, " f");
	add_where(q, &cfg->range, p);
}

static void add_nothing(struct from *q, const struct flow_source_cfg *cfg)
{
	const char *comma = "";

	from_add(q, "SELECT ");
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		if (!wants(cfg, c))
			continue;
		from_add(q, "%sNULL::%s AS %s", comma, layout_sql_type(block_columns[c].type),
			 block_columns[c].name);
		comma = ", ";
	}
	if (wants(cfg, FS_ID) || !*comma)
		from_add(q, "%sNULL::UBIGINT AS flow_id", comma);
	from_add(q, " WHERE false");
}

/* While it is being written more may come before the query reads: of its own span, unless it takes others' too. */
static bool overlaps(const struct store *s, const struct partition *p, const struct flow_range *r)
{
	const int64_t first_us = p->start_s * 1000000,
		      span_us = (int64_t)s->cfg.partition_s * 1000000;
	const int64_t last_us = first_us < INT64_MAX - span_us ? first_us + span_us : INT64_MAX;

	if (p->rows && p->max_us >= r->from_us && p->min_us < r->to_us)
		return true;
	return p->writing && (p->odd || (last_us >= r->from_us && first_us < r->to_us));
}

/* All partitions of the range. A partition that can't be opened is left out, and said. */
static void add_partitions(struct from *q, struct store *s, const struct flow_source_cfg *cfg)
{
	const char *between = "";
	char error[STORE_ERROR];
	duckdb_connection c;

	pthread_mutex_lock(&s->lock);
	if (!s->db || duck.connect(s->db, &c) != DuckDBSuccess) {
		pthread_mutex_unlock(&s->lock);
		add_nothing(q, cfg);
		return;
	}
	for (struct partition *p = s->partitions; p; p = p->next) {
		int r;

		if (p->damaged || !overlaps(s, p, &cfg->range))
			continue;
		if (p->cold) {
			from_add(q, "%s", between);
			add_parquet(q, s, cfg, p);
			between = " UNION ALL ";
		}
		if (!p->has_db || p->cold == COLD_FILE)
			continue;
		r = partition_attach(s, p, c, error);
		if (r == -EIO)
			partition_damaged(s, p, error);
		else if (r)
			store_complain(s, "%s: %s", p->catalog, error);
		if (r)
			continue;
		from_add(q, "%s", between);
		add_database(q, cfg, p);
		between = " UNION ALL ";
	}
	pthread_mutex_unlock(&s->lock);
	duck.disconnect(&c);
	if (!*between)
		add_nothing(q, cfg);
}

#define SQL_PACKETS  "(coalesce(u.out_packets, 0) + coalesce(u.in_packets, 0))"
#define SQL_BYTES    "(coalesce(u.out_bytes, 0) + coalesce(u.in_bytes, 0))"
#define SQL_DURATION "CASE WHEN u.start_us IS NOT NULL THEN greatest(u.end_us - u.start_us, 0) END"
/* both directions together may be more than 64 bits hold */
#define SQL_PACKETS_WIDE "(coalesce(u.out_packets, 0)::HUGEINT + coalesce(u.in_packets, 0))"
#define SQL_BYTES_WIDE	 "(coalesce(u.out_bytes, 0)::HUGEINT + coalesce(u.in_bytes, 0))"
#define SQL_AT_MOST(x)	 "least(" x ", 18446744073709551615)"
/* @what a second, at most what 64 bits hold; 0 in no time */
#define SQL_RATE(what, times)                                                        \
	"CASE WHEN u.end_us > u.start_us THEN least(" what "::HUGEINT * " times      \
	" // (u.end_us - u.start_us), 18446744073709551615) WHEN u.start_us IS NOT " \
	"NULL THEN 0 END"

#define SQL_NAMED_SNI "2"
_Static_assert(FLOW_NAMED_SNI == 2, "SQL_NAMED_SNI");

/* What is computed, or looked up, from the columns of all partitions. */
static void add_extra(struct from *q, const struct flow_source_cfg *cfg)
{
	static const char *const text[] = {
		[FS_NODE - _BC_MAX] = "nullif(x.name, '')",
		[FS_LABELS - _BC_MAX] = "nullif(x.labels, '')",
		[FS_IFACE - _BC_MAX] = "coalesce(i.name, u.in_if::VARCHAR)",
		[FS_OUT_IFACE - _BC_MAX] = "coalesce(o.name, u.out_if::VARCHAR)",
		[FS_EXPORTER_HI - _BC_MAX] = "x.hi",
		[FS_EXPORTER_LO - _BC_MAX] = "x.lo",
		[FS_DOMAIN - _BC_MAX] = "x.domain",
		[FS_SRC_ZONE_NAME - _BC_MAX] = "zs.name",
		[FS_DST_ZONE_NAME - _BC_MAX] = "zd.name",
		[FS_SERVER_NAME - _BC_MAX] = "coalesce(u.dst_name, u.tls_sni)",
		[FS_SERVER_NAMED - _BC_MAX] = "CASE WHEN u.dst_name IS NOT NULL THEN u.dst_named "
					      "WHEN u.tls_sni IS NOT NULL THEN " SQL_NAMED_SNI
					      " END",
		[FS_SRC_AS_ORG - _BC_MAX] = "asrc.name",
		[FS_DST_AS_ORG - _BC_MAX] = "adst.name",
		[FS_PACKETS - _BC_MAX] = SQL_PACKETS,
		[FS_BYTES - _BC_MAX] = SQL_BYTES,
		[FS_DURATION - _BC_MAX] = SQL_DURATION,
		[FS_PPS - _BC_MAX] = SQL_RATE(SQL_PACKETS, "1000000"),
		[FS_BPS - _BC_MAX] = SQL_RATE(SQL_BYTES, "8000000"),
		[FS_BPP - _BC_MAX] = SQL_BYTES " // nullif(" SQL_PACKETS ", 0)",
		[FS_SERVICE - _BC_MAX] = SQL_SERVICE("u"),
	};
	static const char *const wide[_FS_MAX - _BC_MAX] = {
		[FS_PACKETS - _BC_MAX] = SQL_AT_MOST(SQL_PACKETS_WIDE),
		[FS_BYTES - _BC_MAX] = SQL_AT_MOST(SQL_BYTES_WIDE),
		[FS_PPS - _BC_MAX] = SQL_RATE(SQL_PACKETS_WIDE, "1000000"),
		[FS_BPS - _BC_MAX] = SQL_RATE(SQL_BYTES_WIDE, "8000000"),
		/* least() passes over what is NULL */
		[FS_BPP - _BC_MAX] = "CASE WHEN " SQL_PACKETS_WIDE " > 0 THEN " SQL_AT_MOST(
			SQL_BYTES_WIDE " // " SQL_PACKETS_WIDE) " END",
	};

	for (unsigned int c = FS_NODE; c < _FS_MAX; c++) {
		const unsigned int i = c - _BC_MAX;

		if (wants(cfg, c))
			from_add(q, ", (%s)::%s AS %s", cfg->wide && wide[i] ? wide[i] : text[i],
				 extra[i].type, extra[i].name);
	}
}

/* An autonomous system may have been renamed. */
#define AS_NAMES "(SELECT id, arg_max(name, batch) AS name FROM asns GROUP BY id)"

static void add_joins(struct from *q, const struct flow_source_cfg *cfg)
{
	bool x = cfg->dedup;

	for (unsigned int c = FS_NODE; c <= FS_DOMAIN; c++)
		x |= wants(cfg, c);
	if (x)
		from_add(q, " LEFT JOIN exporters x ON x.id = u.exporter");
	if (wants(cfg, FS_IFACE))
		from_add(q, " LEFT JOIN interfaces i ON i.stream = x.stream AND i.idx = u.in_if");
	if (wants(cfg, FS_OUT_IFACE))
		from_add(q, " LEFT JOIN interfaces o ON o.stream = x.stream AND o.idx = u.out_if");
	if (wants(cfg, FS_SRC_ZONE_NAME))
		from_add(q, " LEFT JOIN zones zs ON zs.id = u.src_zone");
	if (wants(cfg, FS_DST_ZONE_NAME))
		from_add(q, " LEFT JOIN zones zd ON zd.id = u.dst_zone");
	if (wants(cfg, FS_SRC_AS_ORG))
		from_add(q, " LEFT JOIN " AS_NAMES " asrc ON asrc.id = u.src_as");
	if (wants(cfg, FS_DST_AS_ORG))
		from_add(q, " LEFT JOIN " AS_NAMES " adst ON adst.id = u.dst_as");
}

void source_add(struct from *q, struct store *s, const struct flow_source_cfg *wanted)
{
	struct flow_source_cfg cfg = *wanted;

	add_needs(&cfg);
	from_add(q, "(SELECT u.*");
	add_extra(q, &cfg);
	from_add(q, " FROM (");
	add_partitions(q, s, &cfg);
	from_add(q, ") u");
	add_joins(q, &cfg);
	if (cfg.dedup)
		from_add(
			q,
			" QUALIFY row_number() OVER (PARTITION BY x.node, u.src_hi, u.src_lo, u.dst_hi, "
			"u.dst_lo, u.src_port, u.dst_port, u.proto, u.start_us ORDER BY u.flow_id) = 1");
	from_add(q, ")");
}

int store_source(struct store *s, const struct flow_source_cfg *cfg, char **ret)
{
	struct from q;

	from_begin(&q);
	source_add(&q, s, cfg);
	return from_end(&q, ret);
}
