// SPDX-License-Identifier: Apache-2.0
#include "collector/query/rollup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define US INT64_C(1000000)

/* Fields whose roll-up has every value, and where it stands there. */
static const struct {
	enum flow_field field;
	enum rollup_by by;
	const char *key;
} fields[] = {
	{FF_NODE, RB_NODE, "label"},
	{FF_PROTO, RB_PROTO, "CASE WHEN key < 256 THEN key END"},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static int find(enum flow_field f)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (fields[i].field == f)
			return (int)i;
	return -1;
}

bool rollup_fits(const struct spec *q)
{
	if (q->raw || q->dedup || q->previous || *q->filter || q->n_by > 1)
		return false;
	if (q->n_by && find(q->by[0].field) < 0)
		return false;
	if (q->step_us % (ROLLUP_1M * US))
		return false;
	for (uint32_t i = 0; i < q->n_measures; i++)
		if (q->measures[i].kind > MK_SAMPLED)
			return false;
	return true;
}

/* The coarsest that fits steps and ends; what it does not cover is read from the flows. */
static uint32_t choose_step(const struct spec *q)
{
	static const uint32_t steps[] = {ROLLUP_1H, ROLLUP_5M};
	const int64_t len = q->to_us - q->from_us;

	for (size_t i = 0; i < 2; i++)
		if (q->step_us % (steps[i] * US) == 0 && len >= 24 * steps[i] * US)
			return steps[i];
	return ROLLUP_1M;
}

/* Narrow and wide. Of sampled flows a roll-up has what they stand for: all flows of a sum that has some. */
static const char *const counted[][2] = {
	[MK_BYTES] = {"sum(out_bytes::BIGINT) + sum(in_bytes::BIGINT)",
		      "sum(out_bytes) + sum(in_bytes)"},
	[MK_PACKETS] = {"sum(out_packets::BIGINT) + sum(in_packets::BIGINT)",
			"sum(out_packets) + sum(in_packets)"},
	[MK_FLOWS] = {"sum(flows::BIGINT)", "sum(flows)"},
	[MK_SAMPLED] =
		{"sum(CASE WHEN est_packets::BIGINT <> out_packets::BIGINT + in_packets::BIGINT "
		 "THEN flows::BIGINT ELSE 0 END)",
		 "sum(CASE WHEN est_packets <> out_packets::HUGEINT + in_packets THEN flows ELSE 0 "
		 "END)"},
};
static const char *const scaled[][2] = {
	[MK_BYTES] = {"sum(est_bytes::BIGINT)", "sum(est_bytes)"},
	[MK_PACKETS] = {"sum(est_packets::BIGINT)", "sum(est_packets)"},
};

static void put_measures(struct bound *s, const struct spec *q, const struct plan *p)
{
	for (uint32_t i = 0; i < q->n_measures; i++) {
		const uint8_t kind = q->measures[i].kind;
		const char *const *sum = p->scaled && kind <= MK_PACKETS ? scaled[kind]
									 : counted[kind];

		bound_add(s, "%s%s AS m%u", i ? ", " : "", sum[p->wide], i);
	}
}

int rollup_groups(struct store *store, const struct spec *q, struct plan *p, char *error)
{
	const int field = q->n_by ? find(q->by[0].field) : -1;
	const struct rollup_cfg cfg = {
		.range = {q->from_us, q->to_us},
		.by = field < 0 ? RB_TOTAL : fields[field].by,
		.step = choose_step(q),
	};
	char *from = NULL;
	int r = store_rollup(store, &cfg, &from);

	if (r) {
		snprintf(error, STORE_ERROR, "no roll-up of that kind");
		return r;
	}
	snprintf(p->source, sizeof(p->source), "rollup %s",
		 cfg.step == ROLLUP_1H	 ? "1h"
		 : cfg.step == ROLLUP_5M ? "5m"
					 : "1m");
	bound_add(&p->sql, "SELECT ");
	if (q->step_us)
		bound_add(&p->sql, "(ts * 1000000 - %" PRId64 ") // %" PRId64 " AS b, ",
			  p->first_us, q->step_us);
	if (field >= 0)
		bound_add(&p->sql, "%s AS k0, ", fields[field].key);
	put_measures(&p->sql, q, p);
	bound_add(&p->sql, " FROM %s AS r", from);
	free(from);
	if (q->n_by || q->step_us)
		bound_add(&p->sql, " GROUP BY ALL");
	return 0;
}
