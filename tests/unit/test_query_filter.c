// SPDX-License-Identifier: Apache-2.0
/*
 * test_query_filter.c - filters as SQL: the store's answer is what filter_match() says of the same
 * flows, for random filters; a flow comes out of the store as it went in.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_dirt.h"
#include "collector/query/filter_sql.h"
#include "collector/query/flow_row.h"
#include "common/output.h"
#include "filter_random.h"
#include "filter_rig.h"
#include "store_rig.h"

#define FILTERS 700u
#define FLOWS	250u

static const struct flow_range all_times = {0, INT64_MAX / 4};

/* The flow's number in the test is its out_if. */
static void add_flow(struct block *b, const struct flow_record *r, uint32_t number)
{
	const uint32_t row = b->rows;

	cr_assert(eq(int, block_add_flow(b, r, 1), 0));
	BLOCK_COLUMN(b, uint32_t, BC_OUT_IF)[row] = number;
	block_set_valid(b, BC_OUT_IF, row);
}

#define TRIES 5u

/* NULL: a partition has been closed since the question was written, before the last of TRIES. */
static struct store_result *ask(struct store_rig *g, const struct bound *sql, unsigned int tries)
{
	const struct store_query q = {.sql = sql->text, .values = sql->values, .values_n = sql->n};
	struct store_result *r = NULL;
	const int e = store_select(g->s, &q, g->error, &r);

	if (e == -EIO && tries + 1 < TRIES)
		return NULL;
	if (e)
		fprintf(stderr, "%s: %s\n", g->error, strstr(sql->text, " AS f ") ?: sql->text);
	cr_assert(r != NULL, "%s", g->error);
	return r;
}

/* A set of flows by number. */
struct flows {
	uint8_t in[FLOWS];
};

/* Return: false: a filter that the store has nothing for. */
static bool ask_filter(struct store_rig *g, const struct filter_tree *t, struct flows *ret)
{
	struct flow_source_cfg source = {.range = all_times};
	struct bound where = {};
	struct store_result *r = NULL;
	struct store_value v;
	uint32_t n;

	memset(ret, 0, sizeof(*ret));
	flow_source_add(&source, BC_OUT_IF);
	filter_sql(&where, t, &source);
	if (bound_end(&where)) {
		cr_assert(eq(int, bound_end(&where), -EOPNOTSUPP));
		bound_done(&where);
		return false;
	}
	for (unsigned int i = 0; !r; i++) {
		struct bound sql = {};
		char *from;

		cr_assert(eq(int, store_source(g->s, &source, &from), 0));
		bound_add(&sql, "SELECT out_if FROM %s AS f WHERE ", from);
		filter_sql(&sql, t, &source);
		r = ask(g, &sql, i);
		free(from);
		bound_done(&sql);
	}
	while (!store_next(r, &n))
		for (uint32_t i = 0; i < n; i++) {
			cr_assert(store_get(r, 0, i, &v));
			ret->in[v.u]++;
		}
	store_result_free(r);
	bound_done(&where);
	return true;
}

/* Bytes that are no UTF-8 are others in the store. */
static void make_clean(struct filter_ast *a)
{
	for (uint32_t i = 0; i < a->n_bytes; i++)
		if (a->bytes[i] & 0x80)
			a->bytes[i] = 'q';
}

static bool random_tree(struct filter_tree *ret, char *text, size_t cap)
{
	struct filter_ast a = {};
	struct filter_error err;
	struct filter_parser p = {.text = "", .ast = &a, .err = &err};
	FILE *out = fmemopen(text, cap, "w");
	bool ok;

	a.root = (uint32_t)random_node(&p, 1 + random_below(4));
	make_clean(&a);
	ok = out && !filter_ast_print(&a, out) && !fclose(out);
	filter_ast_done(&a);
	return ok && !filter_parse_tree(text, strlen(text), &filter_rig_env, ret, &err);
}

static struct store_result *ask_rows(struct store_rig *g)
{
	struct flow_source_cfg source = {.range = all_times};
	struct store_result *r = NULL;

	flow_row_columns(&source);
	flow_source_add(&source, BC_OUT_IF);
	for (unsigned int i = 0; !r; i++) {
		struct bound sql = {};
		char *from;

		cr_assert(eq(int, store_source(g->s, &source, &from), 0));
		bound_add(&sql, "SELECT ");
		flow_row_select(&sql);
		bound_add(&sql, ", out_if FROM %s AS f ORDER BY out_if", from);
		r = ask(g, &sql, i);
		free(from);
		bound_done(&sql);
	}
	return r;
}

Test(query_filter, says_what_filter_match_says, .timeout = 600)
{
	static struct filter_tree trees[FILTERS];
	static struct flows found[FILTERS];
	static char text[FILTERS][16384];
	struct flow_row *row = flow_row_new();
	struct store_rig g = {};
	struct store_result *r;
	struct block *b;
	unsigned int asked = 0, matched = 0, rows = 0;
	uint32_t n;

	if (!store_rig_open(&g, NULL))
		cr_skip_test("no libduckdb");
	b = block_dirty(block_get(g.pool));
	for (uint32_t i = 0; i < FLOWS; i++) {
		const struct flow_record f = random_record();

		add_flow(b, &f, i);
	}
	block_send(g.pool, b);
	cr_assert(eq(int, store_flush(g.s), 0));
	while (asked < FILTERS) {
		if (!random_tree(&trees[asked], text[asked], sizeof(text[0])))
			continue;
		if (ask_filter(&g, &trees[asked], &found[asked]))
			asked++;
		else
			filter_tree_done(&trees[asked]);
	}
	r = ask_rows(&g);
	while (!store_next(r, &n))
		for (uint32_t i = 0; i < n; i++, rows++) {
			int64_t end;
			uint64_t id;
			const struct flow_record *f = flow_row_read(row, r, i, &end, &id);

			for (uint32_t k = 0; k < FILTERS; k++) {
				const bool want = filter_match(trees[k].filter, f);

				cr_assert(eq(u8, found[k].in[rows], want), "flow %u, %s", rows,
					  text[k]);
				matched += want;
			}
		}
	store_result_free(r);
	cr_assert(eq(u32, rows, FLOWS));
	cr_assert(gt(u32, matched, FILTERS * 5), "filters that never match show nothing: %u",
		  matched);
	for (uint32_t k = 0; k < FILTERS; k++)
		filter_tree_done(&trees[k]);
	flow_row_free(row);
	store_rig_done(&g);
}

/* ---- a flow goes in and comes out ---- */

static void as_json(const struct flow_record *r, char *buf)
{
	struct output *o;
	ssize_t n;

	cr_assert(eq(int, output_new("json", -1, &o), 0));
	n = output_text(o, r, buf);
	cr_assert(gt(int, (int)n, 0));
	buf[n] = 0;
	output_free(o);
}

static void goes_round(const struct flow_record *in)
{
	static const uint8_t computed[] = {FF_DURATION_US, FF_PPS,   FF_BPS,
					   FF_BPP,	   FF_IF_IN, FF_IF_OUT};
	static char want[OUTPUT_LINE_MAX + 1], got[OUTPUT_LINE_MAX + 1];
	struct flow_row *row = flow_row_new();
	struct flow_record sent = *in;
	struct store_rig g = {};
	struct store_result *r;
	struct block *b;
	int64_t end;
	uint64_t id;
	uint32_t n;

	if (!store_rig_open(&g, NULL))
		cr_skip_test("no libduckdb");
	/* these are of the exporter */
	sent.present[FF_NODE / 64] &= ~(UINT64_C(1) << FF_NODE % 64);
	sent.present[FF_LABELS / 64] &= ~(UINT64_C(1) << FF_LABELS % 64);
	sent.present[FF_IFACE / 64] &= ~(UINT64_C(1) << FF_IFACE % 64);
	sent.start_ns -= sent.start_ns % 1000;
	sent.end_ns -= sent.end_ns % 1000;
	b = block_dirty(block_get(g.pool));
	add_flow(b, &sent, 0);
	block_send(g.pool, b);
	cr_assert(eq(int, store_flush(g.s), 0));
	r = ask_rows(&g);
	cr_assert(eq(int, store_next(r, &n), 0));
	cr_assert(eq(u32, n, 1));
	sent = *in;
	sent.present[FF_IFACE / 64] &= ~(UINT64_C(1) << FF_IFACE % 64);
	sent.present[FF_NODE / 64] &= ~(UINT64_C(1) << FF_NODE % 64);
	sent.present[FF_LABELS / 64] &= ~(UINT64_C(1) << FF_LABELS % 64);
	/* what the client asked for is the server's name */
	if (flow_has(&sent, FF_TLS_SNI)) {
		sent.dst_name = sent.tls_sni;
		sent.dst_name_from = FLOW_NAMED_SNI;
		flow_set(&sent, FF_DST_NAME);
		flow_set(&sent, FF_DST_NAME_FROM);
	}
	as_json(&sent, want);
	{
		struct flow_record back = *flow_row_read(row, r, 0, &end, &id);

		back.present[FF_NODE / 64] &= ~(UINT64_C(1) << FF_NODE % 64);
		back.present[FF_LABELS / 64] &= ~(UINT64_C(1) << FF_LABELS % 64);
		for (size_t i = 0; i < sizeof(computed); i++)
			back.present[computed[i] / 64] &= ~(UINT64_C(1) << computed[i] % 64);
		as_json(&back, got);
	}
	cr_assert(eq(str, got, want));
	store_result_free(r);
	flow_row_free(row);
	store_rig_done(&g);
}

Test(query_filter, a_tls_flow_comes_out_as_it_went_in, .timeout = 600)
{
	goes_round(filter_rig_tls());
}

Test(query_filter, a_dns_flow_comes_out_as_it_went_in, .timeout = 600)
{
	goes_round(filter_rig_dns());
}
