/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - what a query can ask the store for, as text for a FROM clause. Which files, tables and
 * packed columns are behind it is the store's own business: a query names the columns below and
 * nothing else. Names are lower case and need no quotes; numbers are the only values in the text.
 *
 * Times are microseconds since 1970 (BIGINT) where a name ends in _us, seconds (BIGINT) for `ts`. An
 * address is two UBIGINT, see columns.def; a list is VARCHAR, string_split(x, chr(31)) makes a LIST
 * of it. Counts are UBIGINT: sum() of them is HUGEINT and comes back as ST_U64.
 */
#ifndef WEIR_COLLECTOR_STORE_SCHEMA_H
#define WEIR_COLLECTOR_STORE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>
#include "collector/block.h"

struct store;

/* Columns of raw flows: enum block_column with the names of columns.def, and what belongs to them. */
enum flow_source {
	FS_ID = _BC_MAX, /* flow_id: grows, unique in its partition: a cursor is (end_us, flow_id) */
	FS_NODE,	 /* node: VARCHAR, NULL: the exporter has no name */
	FS_LABELS,	 /* labels: list */
	FS_IFACE,	 /* iface: name of in_if; its number where it has none */
	FS_OUT_IFACE,	 /* out_iface: the same of out_if */
	FS_EXPORTER_HI,	 /* exporter_hi, exporter_lo: address */
	FS_EXPORTER_LO,
	FS_DOMAIN,	  /* domain: observation domain, UINTEGER */
	FS_SRC_ZONE_NAME, /* src_zone_name: VARCHAR, or NULL */
	FS_DST_ZONE_NAME, /* dst_zone_name */
	FS_SERVER_NAME,	  /* server_name: dst_name, else what the client asked for (tls_sni) */
	FS_SERVER_NAMED,  /* server_named: enum flow_named of it, or NULL */
	FS_SRC_AS_ORG,	  /* src_as_org: VARCHAR, or NULL */
	FS_DST_AS_ORG,	  /* dst_as_org */
	FS_PACKETS,	  /* packets: out + in */
	FS_BYTES,	  /* bytes: out + in */
	FS_DURATION,	  /* duration_us: UBIGINT */
	FS_PPS,		  /* pps, bps, bpp: UBIGINT, 0 where it took no time */
	FS_BPS,
	FS_BPP,
	FS_SERVICE, /* service: proto * 65536 + port of the service, UINTEGER, see docs */
	_FS_MAX
};

/* Name of a column of raw flows, e.g. "src_hi"; any flow_source below _FS_MAX. */
const char *flow_source_name(unsigned int column);

struct flow_range {
	int64_t from_us; /* of end_us, inclusive */
	int64_t to_us;	 /* exclusive */
};

#define FLOW_SOURCE_WORDS ((_FS_MAX + 63) / 64)

struct flow_source_cfg {
	struct flow_range range;
	uint64_t columns[FLOW_SOURCE_WORDS]; /* bit per column the query names; others are not there */
	bool dedup; /* one observation counts once: key (node, addresses, ports, proto, start) */
	bool wide;  /* counters of one flow, or both its directions together, may exceed 63 bits */
};

static inline void flow_source_add(struct flow_source_cfg *c, unsigned int column)
{
	c->columns[column / 64] |= UINT64_C(1) << (column % 64);
}

/**
 * store_source - raw flows of a time range, as "(SELECT ... UNION ALL ...)"
 * @ret: text, free() it
 *
 * Without @wide a query that meets such a counter fails: -ERANGE. Sums of BIGINT are twice as quick as
 * those of UBIGINT, which the engine adds as 128 bits: ask without it, cast to BIGINT, and again with
 * it. With it FS_PACKETS, FS_BYTES and their rates are at most what 64 bits hold.
 * Rows outside the range are not in it. Partitions it names are open when this returns, and stay so
 * until the next minute: prepare the query at once, on -EINVAL once more with new text.
 * Return: 0, -ENOMEM.
 */
int store_source(struct store *s, const struct flow_source_cfg *cfg, char **ret);

/* What a roll-up is by. The column `key` (UBIGINT) and what its text `label` (VARCHAR) is. */
enum rollup_by {
	RB_TOTAL,     /* key 0 */
	RB_NODE,      /* label: name of the node */
	RB_EXPORTER,  /* key: number of its stream; columns hi, lo: address; label: its node */
	RB_INTERFACE, /* of entry; key: exporter << 32 | index; label: NODE/IFACE, or IFACE */
	RB_PROTO,     /* key: IP protocol, 256 = not IP */
	RB_SERVICE,   /* key: proto * 65536 + port of the service */
	RB_ZONE,      /* key: source zone * 65536 + destination zone; label: SOURCE > DESTINATION */
	RB_HOST, /* columns hi, lo; out_* is what it sent, in_* what it got; peers (distinct, estimated) */
	RB_PAIR, /* columns src_hi, src_lo, dst_hi, dst_lo */
	RB_NAME, /* column name: server name (TLS, HTTP) or name asked for (DNS) */
	_RB_MAX
};

/* Seconds of a roll-up's windows. RB_HOST, RB_PAIR, RB_NAME have 300 only. */
#define ROLLUP_1M 60u
#define ROLLUP_5M 300u
#define ROLLUP_1H 3600u

struct rollup_cfg {
	struct flow_range range;
	enum rollup_by by;
	uint32_t step; /* ROLLUP_...: `ts` is a multiple of it */
};

/**
 * store_rollup - sums by window and key, as "(SELECT ... UNION ALL ...)"
 * @ret: text, free() it
 *
 * Columns: ts, by's own, other (BOOLEAN: the rest of a window beyond its top rows; addresses 0, name
 * NULL), flows, out_packets, out_bytes, in_packets, in_bytes, est_packets, est_bytes (out + in, times
 * the sampling rate). A key may come several times for one ts: sum. Sums are those of the raw flows of
 * exactly the range: windows that are not wholly in it, or not closed yet, are read from raw flows.
 * Return: 0, -EINVAL: no such step for @by, -ENOMEM.
 */
int store_rollup(struct store *s, const struct rollup_cfg *cfg, char **ret);

#endif
