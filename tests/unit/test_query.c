// SPDX-License-Identifier: Apache-2.0
/*
 * test_query.c - answers of the store beside the same sums made flow by flow: groups and what is
 * left, series with their gaps, the time before, pages of flows, roll-ups beside flows.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_dirt.h"
#include "query_rig.h"

#define FLOWS	   3000u
#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct query_rig g;
static struct query_answer a, b;
static struct spec q;

static void open_rig(void)
{
	if (!query_rig_open(&g, FLOWS))
		cr_skip_test("no libduckdb");
}

static void close_rig(void)
{
	if (g.flows)
		query_rig_done(&g);
}

TestSuite(query, .init = open_rig, .fini = close_rig, .timeout = 600);

static void near(double got, double want, const char *what)
{
	cr_assert(fabs(got - want) <= 1e-9 * fabs(want) + 1e-9, "%s: %.17g, want %.17g", what, got,
		  want);
}

static struct filter *parse(const char *text)
{
	struct filter_error err;
	struct filter *f = NULL;

	if (*text)
		cr_assert(eq(int, filter_parse(text, strlen(text), NULL, &f, &err), 0));
	return f;
}

/* Flows of a group; NULL: of all groups. Those of [from, to). */
static uint32_t select_flows(const char *key, int64_t from, int64_t to,
			     const struct flow_record **ret)
{
	struct filter *f = parse(q.filter);
	struct spec in = q;
	char k[QUERY_KEY];
	uint32_t n = 0;

	in.from_us = from;
	in.to_us = to;
	for (uint32_t i = 0; i < g.n; i++) {
		if (!query_rig_takes(&in, f, &g.flows[i]))
			continue;
		query_rig_key(&q, &g.flows[i], k);
		if (!key || !strcmp(k, key))
			ret[n++] = &g.flows[i];
	}
	filter_free(f);
	return n;
}

/* All measures of a row, against the flows of its group. */
static uint32_t check_row(const struct query_row *row, int64_t from, int64_t to)
{
	static const struct flow_record *flows[FLOWS];
	const uint32_t n = select_flows(row->key, from, to, flows);
	char name[64];

	for (uint32_t i = 0; i < q.n_measures; i++) {
		double want;
		const bool any = query_rig_measure(&q, i, flows, n, &want);

		spec_measure_name(&q.measures[i], name, sizeof(name));
		cr_assert(eq(int, row->has[i], any), "%s of %s", name, row->key);
		if (any)
			near(row->v[i], want, name);
	}
	return n;
}

static void check_order(void)
{
	const uint32_t o = q.order;

	for (uint32_t i = 1; i < a.n; i++) {
		const struct query_row *x = &a.rows[i - 1], *y = &a.rows[i];

		if (y->other || !y->has[o])
			continue;
		cr_assert(x->has[o] && (q.ascending ? x->v[o] <= y->v[o] : x->v[o] >= y->v[o]),
			  "row %u is out of order", i);
	}
}

/* Groups, each once, in order; what is left is what all have less what they have. */
static void check_top(void)
{
	static const struct flow_record *flows[FLOWS];
	const uint32_t all = select_flows(NULL, q.from_us, q.to_us, flows);
	const bool rest = a.n && a.rows[a.n - 1].other;
	const uint32_t groups = a.n - rest;
	uint32_t seen = 0;
	double shown = 0, total;

	cr_assert(le(u32, groups, q.top));
	for (uint32_t i = 0; i < groups; i++) {
		seen += check_row(&a.rows[i], q.from_us, q.to_us);
		shown += a.rows[i].v[q.order];
	}
	check_order();
	cr_assert(eq(int, rest, seen < all && q.measures[q.order].kind <= MK_FLOWS ? true : rest));
	if (!rest)
		return;
	cr_assert(eq(u32, groups, q.top));
	query_rig_measure(&q, q.order, flows, all, &total);
	if (q.measures[q.order].kind <= MK_FLOWS)
		near(a.rows[a.n - 1].v[q.order], total - shown, "other");
}

static const char *const filters[] = {"",
				      "proto tcp",
				      "dst port 443 or dst port 53",
				      "not tls.sni contains \"a\"",
				      "exists(tls.sni) and bytes > 2000",
				      "src.ip in 10.0.0.0/8",
				      "not proto udp and packets < 20"};
static const char *const fields[] = {"proto",	      "src.ip",	 "dst.port",
				     "src.ip,dst.ip", "tls.sni", "src.ip/16,proto",
				     "state",	      "node",	 "dst.ip/8/32"};
static const char *const measures[] = {"bytes,packets,flows",
				       "flows",
				       "distinct(dst.ip),bytes",
				       "avg(bytes),p95(bytes),flows",
				       "max(packets),min(bytes),packets",
				       "sum(rtt.server_us),p95(rtt.server_us),distinct(tls.sni)"};

Test(query, groups_are_what_their_flows_add_up_to)
{
	static const char *const tops[] = {"3", "50", "100000"};
	unsigned int done = 0;

	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++)
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			const char *m =
				measures[(f + i) % (sizeof(measures) / sizeof(measures[0]))];

			cr_assert(
				eq(int,
				   query_rig_ask(&g, &q,
						 PAIRS("filter", filters[f], "by", fields[i],
						       "measure", m, "top", tops[(f + 2 * i) % 3]),
						 &a),
				   0));
			check_top();
			done += a.n > 0;
		}
	cr_assert(gt(u32, done, 40));
}

Test(query, totals_without_groups)
{
	static const struct flow_record *flows[FLOWS];

	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++)
		for (size_t m = 0; m < sizeof(measures) / sizeof(measures[0]); m++) {
			cr_assert(eq(
				int,
				query_rig_ask(&g, &q,
					      PAIRS("filter", filters[f], "measure", measures[m]),
					      &a),
				0));
			cr_assert(eq(u32, a.n, 1));
			cr_assert(gt(u32, select_flows(NULL, q.from_us, q.to_us, flows), 0));
			check_row(&a.rows[0], q.from_us, q.to_us);
		}
}

Test(query, a_series_has_every_step)
{
	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
		int64_t at;

		cr_assert(eq(int,
			     query_rig_ask(&g, &q,
					   PAIRS("filter", filters[f], "measure", measures[f % 6],
						 "step", f % 2 ? "17s" : "5m"),
					   &a),
			     0));
		at = q.from_us - q.from_us % q.step_us;
		for (uint32_t i = 0; i < a.n; i++, at += q.step_us) {
			const int64_t to = at + q.step_us < q.to_us ? at + q.step_us : q.to_us;

			cr_assert(eq(i64, a.rows[i].time_us, at));
			check_row(&a.rows[i], at > q.from_us ? at : q.from_us, to);
		}
		cr_assert(ge(i64, at, q.to_us));
	}
}

Test(query, a_series_of_groups_has_every_step_of_each)
{
	uint32_t per_group;

	cr_assert(eq(int,
		     query_rig_ask(&g, &q,
				   PAIRS("by", "proto,dst.port", "top", "4", "step", "20m", "order",
					 "flows"),
				   &a),
		     0));
	per_group = (uint32_t)((q.to_us - (q.from_us - q.from_us % q.step_us) + q.step_us - 1) /
			       q.step_us);
	cr_assert(eq(u32, a.n, 5 * per_group));
	for (uint32_t i = 0; i < a.n; i++) {
		const struct query_row *row = &a.rows[i];
		const int64_t from = row->time_us > q.from_us ? row->time_us : q.from_us;
		const int64_t to = row->time_us + q.step_us;

		cr_assert(eq(int, row->other, i >= 4 * per_group));
		if (!row->other)
			check_row(row, from, to < q.to_us ? to : q.to_us);
	}
}

Test(query, all_steps_of_all_groups_add_up)
{
	double sum[3] = {}, want;
	static const struct flow_record *flows[FLOWS];
	uint32_t n;

	cr_assert(eq(int,
		     query_rig_ask(&g, &q, PAIRS("by", "src.ip", "top", "7", "step", "10m"), &a),
		     0));
	n = select_flows(NULL, q.from_us, q.to_us, flows);
	for (uint32_t i = 0; i < a.n; i++)
		for (uint32_t m = 0; m < 3; m++)
			sum[m] += a.rows[i].v[m];
	for (uint32_t m = 0; m < 3; m++) {
		query_rig_measure(&q, m, flows, n, &want);
		near(sum[m], want, "all steps");
	}
}

Test(query, the_time_before_stands_beside)
{
	const int64_t half = g.first_us + (g.last_us - g.first_us) / 2;

	cr_assert(eq(int,
		     query_rig_ask(&g, &q, PAIRS("by", "proto", "previous", "yes", "last", "90m"),
				   &a),
		     0));
	cr_assert(eq(i64, q.from_us, half));
	cr_assert(ge(u32, a.n, 2));
	for (uint32_t i = 0; i < a.n; i++) {
		struct query_row before = a.rows[i];

		check_row(&a.rows[i], q.from_us, q.to_us);
		/* behind what is asked for: how many were sampled */
		memmove(before.v, before.v + 4, 3 * sizeof(before.v[0]));
		memmove(before.has, before.has + 4, 3 * sizeof(before.has[0]));
		check_row(&before, g.first_us, half);
	}
}

static bool says_sampled(void)
{
	for (uint32_t i = 0; i < a.n_columns; i++)
		if (!strcmp(a.columns[i].name, "sampled"))
			return true;
	return false;
}

Test(query, what_was_sampled_stands_for_more_and_is_told)
{
	static const struct flow_record *flows[FLOWS];
	static const char *const bys[] = {"", "node", "dst.port"};
	double scaled[3] = {}, sampled, want;

	for (size_t i = 0; i < 3; i++) {
		cr_assert(eq(int,
			     query_rig_ask(&g, &q,
					   PAIRS("by", bys[i], "top", "100000", "raw", "yes"), &a),
			     0));
		cr_assert(says_sampled());
		sampled = 0;
		for (uint32_t r = 0; r < a.n; r++) {
			const uint32_t n = check_row(&a.rows[r], q.from_us, q.to_us);

			cr_assert(
				eq(u32, n, select_flows(a.rows[r].key, q.from_us, q.to_us, flows)));
			query_rig_measure(&q, q.n_measures, flows, n, &want);
			near(a.rows[r].v[3], want, "sampled");
			sampled += want;
			scaled[i] += a.rows[r].v[0];
		}
		cr_assert(gt(dbl, sampled, 100));
		near(scaled[i], scaled[0], "bytes of all groups");
		cr_assert(eq(int,
			     query_rig_ask(&g, &q,
					   PAIRS("by", bys[i], "top", "100000", "unscaled", "yes"),
					   &a),
			     0));
		cr_assert(not(says_sampled()));
		for (uint32_t r = 0; r < a.n; r++)
			check_row(&a.rows[r], q.from_us, q.to_us);
		cr_assert(lt(dbl, a.rows[0].v[0], scaled[i]));
	}
	/* asked for alone, and in a store that has none */
	cr_assert(eq(int, query_rig_ask(&g, &q, PAIRS("measure", "sampled", "raw", "yes"), &a), 0));
	near(a.rows[0].v[0], sampled, "sampled");
	cr_assert(eq(u32, a.n_columns, 1));
}

Test(query, roll_ups_say_what_the_flows_say)
{
	static const char *const bys[] = {"", "node", "proto"};
	static const char *const steps[] = {"none", "1m", "5m", "1h"};

	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 4; k++) {
			cr_assert(eq(int,
				     query_rig_ask(&g, &q,
						   PAIRS("by", bys[i], "step", steps[k], "top",
							 "100000", "raw", "yes"),
						   &a),
				     0));
			cr_assert(eq(str, a.end.source, "flows"));
			cr_assert(eq(int,
				     query_rig_ask(&g, &q,
						   PAIRS("by", bys[i], "step", steps[k], "top",
							 "100000"),
						   &b),
				     0));
			cr_assert(eq(int, strncmp(b.end.source, "rollup", 6), 0));
			cr_assert(eq(u32, a.n, b.n));
			for (uint32_t r = 0; r < a.n; r++) {
				cr_assert(eq(str, a.rows[r].key, b.rows[r].key));
				cr_assert(eq(i64, a.rows[r].time_us, b.rows[r].time_us));
				for (uint32_t m = 0; m < 3; m++)
					near(b.rows[r].v[m], a.rows[r].v[m], "roll-up");
			}
		}
}

Test(query, pages_of_flows_have_each_flow_once)
{
	char cursor[64] = "";
	uint64_t flows = 0, pages = 0;

	do {
		const char *const more[] = {"what",
					    "flows",
					    "top",
					    "700",
					    *cursor ? "cursor" : "raw",
					    *cursor ? cursor : "no",
					    NULL};

		cr_assert(eq(int, query_rig_ask(&g, &q, more, &a), 0));
		flows += a.flows;
		snprintf(cursor, sizeof(cursor), "%s", a.end.cursor);
	} while (*cursor && ++pages < 20);
	cr_assert(eq(u64, flows, FLOWS));
	cr_assert(eq(u64, pages, 4));
}

/* One flow as two interfaces and two exporters of one node saw it, as another node did, and again later. */
static void send_observations(struct store_rig *s)
{
	static const struct {
		uint32_t exporter;
		uint16_t port;
		int64_t start_us;
		uint64_t bytes;
	} seen[] = {
		{1, 1001, 10, 500}, {1, 1001, 10, 500}, /* by two interfaces */
		{1, 1002, 10, 70},			/* another port */
		{1, 1001, 20, 30},			/* another start: the flow's next record */
		{4, 1001, 10, 500},			/* another exporter of the node */
		{2, 1001, 10, 500},			/* another node, which counts for itself */
	};
	struct block *block;

	block = block_dirty(block_get(s->pool));
	for (uint32_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		struct flow_record r = {.end_ns = 1000000000, .proto = 6, .family = 4};

		r.start_ns = (uint64_t)seen[i].start_us * 1000;
		r.src_port = seen[i].port;
		r.dst_port = 443;
		r.out.bytes = seen[i].bytes;
		r.ifindex = i + 1;
		memcpy(r.src_ip, (uint8_t[16]){[10] = 255, [11] = 255, [12] = 10, [15] = 1}, 16);
		memcpy(r.dst_ip, (uint8_t[16]){[10] = 255, [11] = 255, [12] = 10, [15] = 2}, 16);
		flow_set(&r, FF_START);
		flow_set(&r, FF_SRC_IP);
		flow_set(&r, FF_DST_IP);
		flow_set(&r, FF_SRC_PORT);
		flow_set(&r, FF_DST_PORT);
		flow_set(&r, FF_PROTO);
		flow_set(&r, FF_OUT_BYTES);
		cr_assert(eq(int, block_add_flow(block, &r, seen[i].exporter), 0));
	}
	block_send(s->pool, block);
}

Test(query, an_observation_counts_once_if_asked_for)
{
	static struct store_rig s;
	static struct query_rig own;
	const char *const raw[] = {"from",    "1970-01-01T00:00:00Z", "to", "1971-01-01T00:00:00Z",
				   "measure", "flows,bytes",	      NULL};
	const char *const once[] = {"from",    "1970-01-01T00:00:00Z",
				    "to",      "1971-01-01T00:00:00Z",
				    "measure", "flows,bytes",
				    "dedup",   "yes",
				    NULL};
	const char *const by[] = {"from",    "1970-01-01T00:00:00Z",
				  "to",	     "1971-01-01T00:00:00Z",
				  "measure", "flows,bytes",
				  "dedup",   "yes",
				  "by",	     "src.port",
				  NULL};
	struct store_exporter other = {.domain = 9, .node = {"web1", 4}};
	uint32_t id, stream;

	if (!store_rig_open(&s, NULL))
		cr_skip_test("no libduckdb");
	cr_assert(eq(int, store_exporter(s.s, &other, &id, &stream), 0));
	cr_assert(eq(u32, id, 4));
	send_observations(&s);
	cr_assert(eq(int, store_flush(s.s), 0));
	own.store = s;
	cr_assert(eq(int, query_rig_ask(&own, &q, raw, &a), 0));
	cr_expect(not(says_sampled()), "nothing was");
	cr_expect(eq(dbl, a.rows[0].v[0], 6));
	cr_expect(eq(dbl, a.rows[0].v[1], 2100));
	cr_assert(eq(int, query_rig_ask(&own, &q, once, &a), 0));
	cr_expect(eq(dbl, a.rows[0].v[0], 4));
	cr_expect(eq(dbl, a.rows[0].v[1], 1100));
	cr_assert(eq(int, query_rig_ask(&own, &q, by, &a), 0));
	cr_assert(eq(u32, a.n, 2));
	cr_expect(eq(str, a.rows[0].key, "1001|"));
	cr_expect(eq(dbl, a.rows[0].v[0], 3));
	cr_expect(eq(str, a.rows[1].key, "1002|"));
	cr_expect(eq(dbl, a.rows[1].v[0], 1));
	cr_assert(strstr(a.end.source, "flows") != NULL, "roll-ups know no duplicates");
	store_rig_done(&s);
}

/* Counters that 63 bits do not hold, as exporters that are out of order send them. */
static void send_huge(struct store_rig *s)
{
	static const uint64_t out[] = {UINT64_C(1) << 63, UINT64_MAX, 100, 7},
			      in[] = {3, UINT64_MAX, 20, 0};
	struct block *block = block_dirty(block_get(s->pool));

	for (uint32_t i = 0; i < 4; i++) {
		struct flow_record r = {.end_ns = 1000000000, .proto = 6, .family = 4};

		r.src_port = (uint16_t)(1000 + i);
		r.dst_port = 443;
		r.out.bytes = out[i];
		r.out.packets = out[i];
		r.in.bytes = in[i];
		flow_set(&r, FF_SRC_PORT);
		flow_set(&r, FF_DST_PORT);
		flow_set(&r, FF_PROTO);
		flow_set(&r, FF_OUT_BYTES);
		flow_set(&r, FF_OUT_PACKETS);
		if (in[i])
			flow_set(&r, FF_IN_BYTES);
		cr_assert(eq(int, block_add_flow(block, &r, 1), 0));
	}
	block_send(s->pool, block);
}

#define ALL_TIME "from", "1970-01-01T00:00:00Z", "to", "1971-01-01T00:00:00Z", "raw", "yes"

Test(query, counters_of_64_bits_are_added_up)
{
	static struct store_rig s;
	static struct query_rig own;
	const double two63 = 9223372036854775808.0, two64 = 18446744073709551616.0;

	if (!store_rig_open(&s, NULL))
		cr_skip_test("no libduckdb");
	send_huge(&s);
	cr_assert(eq(int, store_flush(s.s), 0));
	own.store = s;
	cr_assert(eq(int,
		     query_rig_ask(&own, &q,
				   PAIRS(ALL_TIME, "by", "src.port", "measure",
					 "bytes,packets,flows,max(bytes)"),
				   &a),
		     0));
	cr_assert(eq(u32, a.n, 4));
	cr_expect(eq(str, a.rows[0].key, "1001|"));
	near(a.rows[0].v[0], 2 * two64, "bytes");
	near(a.rows[0].v[3], two64, "max(bytes): at most what 64 bits hold");
	cr_expect(eq(str, a.rows[1].key, "1000|"));
	near(a.rows[1].v[0], two63 + 3, "bytes");
	near(a.rows[1].v[1], two63, "packets");
	cr_expect(eq(dbl, a.rows[2].v[0], 120));
	cr_expect(eq(dbl, a.rows[3].v[0], 7));
	cr_assert(eq(int,
		     query_rig_ask(&own, &q,
				   PAIRS(ALL_TIME, "filter", "bytes > 100 and bpp < 9", "measure",
					 "flows,sum(out.bytes),avg(out.bytes)"),
				   &a),
		     0));
	cr_expect(eq(dbl, a.rows[0].v[0], 3));
	near(a.rows[0].v[1], two64 + two63 + 100, "sum");
	near(a.rows[0].v[2], (two64 + two63 + 100) / 3, "average");
	cr_assert(eq(int, query_rig_ask(&own, &q, PAIRS(ALL_TIME, "what", "flows"), &a), 0));
	cr_expect(eq(u64, a.flows, 4));
	store_rig_done(&s);
}

Test(query, nothing_there_is_no_error)
{
	cr_assert(
		eq(int,
		   query_rig_ask(&g, &q, PAIRS("filter", "dst port 1", "by", "src.ip,tls.sni"), &a),
		   0));
	cr_assert(eq(u32, a.n, 0));
	cr_assert(
		eq(int, query_rig_ask(&g, &q, PAIRS("filter", "dst port 1", "step", "1h"), &a), 0));
	cr_assert(ge(u32, a.n, 3));
	for (uint32_t i = 0; i < a.n; i++)
		cr_assert(eq(u32, a.rows[i].v[0] + a.rows[i].v[2] > 0, 0));
	cr_assert(eq(int, query_rig_ask(&g, &q, PAIRS("what", "flows", "filter", "dst port 1"), &a),
		     0));
	cr_assert(eq(u64, a.flows, 0));
}
