// SPDX-License-Identifier: Apache-2.0
/*
 * query_rig.c - see query_rig.h.
 */
#include "query_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/flow_row.h"
#include "common/flow_text.h"
#include "common/num_text.h"

#define HOURS_US (3 * INT64_C(3600000000))

/* ---- flows ---- */

static struct flow_str keep(struct flow_str s)
{
	char *copy = malloc(s.len + 1);

	memcpy(copy, s.s, s.len);
	return (struct flow_str){copy, s.len};
}

/* Of a record's texts those that the tests group by. */
static void keep_flow(struct query_rig *g, const struct flow_record *r)
{
	struct flow_record *to = &g->flows[g->n++];

	*to = *r;
	if (flow_has(r, FF_TLS_SNI))
		to->tls_sni = keep(r->tls_sni);
	if (flow_has(r, FF_HTTP_HOST))
		to->http_host = keep(r->http_host);
	if (flow_has(r, FF_DNS_QNAME))
		to->dns_qname = keep(r->dns_qname);
	if (flow_has(r, FF_NODE))
		to->node = keep(r->node);
}

static int on_flow(void *arg, const struct flow_record *r)
{
	struct query_rig *g = arg;

	keep_flow(g, r);
	return 0;
}

static int on_flows_end(void *arg, const struct answer_end *end)
{
	(void)arg;
	(void)end;
	return 0;
}

/* All of them, by the question for flows. */
static void read_flows(struct query_rig *g)
{
	const struct query_env env = {.store = g->store.s};
	const struct answer_sink k = {.flow = on_flow, .end = on_flows_end, .arg = g};
	static struct spec q;
	char error[STORE_ERROR];

	spec_init(&q, SPEC_FLOWS, 0);
	q.from_us = g->first_us;
	q.to_us = g->last_us + 1;
	q.top = SPEC_TOP_MAX;
	cr_assert(eq(int, query_run(&env, &q, &k, error), 0), "%s", error);
}

bool query_rig_open(struct query_rig *g, uint32_t n)
{
	struct rows rows;

	*g = (struct query_rig){.first_us = INT64_C(1790000000000000)};
	if (!store_rig_open(&g->store, NULL))
		return false;
	g->flows = calloc(n, sizeof(*g->flows));
	g->last_us = g->first_us + HOURS_US;
	rows_init(&rows, 7, g->first_us, HOURS_US / n);
	store_rig_send(&g->store, &rows, n);
	cr_assert(eq(int, store_flush(g->store.s), 0));
	read_flows(g);
	cr_assert(eq(u32, g->n, n));
	return true;
}

void query_rig_done(struct query_rig *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct flow_record *r = &g->flows[i];

		free(flow_has(r, FF_TLS_SNI) ? (char *)(uintptr_t)r->tls_sni.s : NULL);
		free(flow_has(r, FF_HTTP_HOST) ? (char *)(uintptr_t)r->http_host.s : NULL);
		free(flow_has(r, FF_DNS_QNAME) ? (char *)(uintptr_t)r->dns_qname.s : NULL);
		free(flow_has(r, FF_NODE) ? (char *)(uintptr_t)r->node.s : NULL);
	}
	free(g->flows);
	store_rig_done(&g->store);
}

/* ---- answers ---- */

static int on_head(void *arg, const struct answer_column *columns, uint32_t n)
{
	struct query_answer *a = arg;

	memcpy(a->columns, columns, n * sizeof(columns[0]));
	a->n_columns = n;
	return 0;
}

static size_t put_key(char *key, size_t at, const struct answer_cell *c)
{
	if (c->kind == AK_TEXT)
		at += (size_t)snprintf(key + at, QUERY_KEY - at, "%.*s|", (int)c->s.len, c->s.s);
	else if (c->kind == AK_U64)
		at += (size_t)snprintf(key + at, QUERY_KEY - at, "%llu|", (unsigned long long)c->u);
	else
		at += (size_t)snprintf(key + at, QUERY_KEY - at, "|");
	return at;
}

static int on_row(void *arg, const struct answer_cell *cells, bool other)
{
	struct query_answer *a = arg;
	struct query_row *row = &a->rows[a->n++];
	uint32_t numbers = 0;
	size_t at = 0;

	cr_assert(le(u32, a->n, QUERY_ROWS));
	*row = (struct query_row){.other = other};
	for (uint32_t i = 0; i < a->n_columns; i++) {
		if (!strcmp(a->columns[i].name, "time")) {
			row->time_us = cells[i].us;
		} else if (a->columns[i].unit == AU_NONE) {
			at = put_key(row->key, at, &cells[i]);
		} else {
			row->has[numbers] = cells[i].kind != AK_NULL;
			row->v[numbers++] = cells[i].kind == AK_F64 ? cells[i].f
								    : (double)cells[i].u;
		}
	}
	return 0;
}

static int on_answer_flow(void *arg, const struct flow_record *r)
{
	struct query_answer *a = arg;

	(void)r;
	a->flows++;
	return 0;
}

static int on_note(void *arg, const char *text)
{
	(void)arg;
	(void)text;
	return 0;
}

static int on_end(void *arg, const struct answer_end *end)
{
	struct query_answer *a = arg;

	a->end = *end;
	return 0;
}

int query_rig_ask(struct query_rig *g, struct spec *q, const char *const *pairs,
		  struct query_answer *ret)
{
	const struct query_env env = {.store = g->store.s};
	const struct answer_sink k = {.head = on_head,
				      .row = on_row,
				      .flow = on_answer_flow,
				      .note = on_note,
				      .end = on_end,
				      .arg = ret};
	char why[STORE_ERROR];
	int r;

	ret->n = ret->n_columns = 0;
	ret->flows = 0;
	spec_init(q, SPEC_TOP, g->last_us);
	q->from_us = g->first_us;
	for (; *pairs; pairs += 2)
		if (spec_set(q, pairs[0], pairs[1], why))
			cr_assert(false, "%s %s: %s", pairs[0], pairs[1], why);
	cr_assert(eq(int, spec_finish(q, why), 0), "%s", why);
	r = query_run(&env, q, &k, why);
	cr_assert(r || !*why);
	return r;
}

/* ---- the same, flow by flow ---- */

bool query_rig_takes(const struct spec *q, const struct filter *f, const struct flow_record *r)
{
	const int64_t end = (int64_t)(r->end_ns / 1000);

	return end >= q->from_us && end < q->to_us && filter_match(f, r);
}

static size_t put_network(const struct spec_by *b, const struct flow_record *r, char *ret)
{
	const uint8_t *from = b->field == FF_SRC_IP ? r->src_ip : r->dst_ip;
	const bool v4 = r->family == 4;
	const unsigned int keep_bits = v4 ? b->prefix4 + 96u : b->prefix6;
	char text[IP_TEXT];
	uint8_t ip[16];

	memcpy(ip, from, 16);
	for (unsigned int bit = keep_bits; bit < 128; bit++)
		ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	ip_text(ip, r->family, text);
	return (size_t)snprintf(ret, QUERY_KEY / 2, "%s/%u|", text, v4 ? b->prefix4 : b->prefix6);
}

void query_rig_key(const struct spec *q, const struct flow_record *r, char *ret)
{
	size_t at = 0;

	*ret = 0;
	for (uint32_t i = 0; i < q->n_by; i++) {
		const struct spec_by *b = &q->by[i];
		char buf[FLOW_TEXT];
		struct flow_str s = {"", 0};

		if (flow_has(r, b->field) && b->prefix4 != SPEC_NO_PREFIX) {
			at += put_network(b, r, ret + at);
			continue;
		}
		if (flow_has(r, b->field))
			s = flow_text(r, b->field, buf);
		at += (size_t)snprintf(ret + at, QUERY_KEY - at, "%.*s|", (int)s.len, s.s);
	}
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool over_values(const struct spec_measure *m, double *v, uint32_t n, double *ret)
{
	double sum = 0, at;

	*ret = 0;
	if (!n)
		return m->kind == MK_SUM; /* nothing adds up to 0 */
	qsort(v, n, sizeof(*v), by_value);
	for (uint32_t i = 0; i < n; i++)
		sum += v[i];
	at = 0.95 * (n - 1);
	switch (m->kind) {
	case MK_AVG:
		*ret = sum / n;
		break;
	case MK_P95:
		*ret = v[(uint32_t)at] +
		       (at - floor(at)) * (v[(uint32_t)ceil(at)] - v[(uint32_t)at]);
		break;
	case MK_MIN:
		*ret = v[0];
		break;
	case MK_MAX:
		*ret = v[n - 1];
		break;
	default:
		*ret = sum;
	}
	return true;
}

static double distinct(enum flow_field f, const struct flow_record *const *flows, uint32_t n)
{
	char(*seen)[QUERY_KEY] = calloc(n ?: 1, sizeof(*seen));
	const struct spec q = {.by = {{(uint8_t)f, SPEC_NO_PREFIX, SPEC_NO_PREFIX}}, .n_by = 1};
	uint32_t have = 0, k;

	for (uint32_t i = 0; i < n; i++) {
		if (!flow_has(flows[i], f))
			continue;
		query_rig_key(&q, flows[i], seen[have]);
		for (k = 0; k < have && strcmp(seen[k], seen[have]); k++)
			;
		have += k == have;
	}
	free(seen);
	return have;
}

/* So many packets one that was counted stands for. */
static double rate_of(const struct spec *q, const struct flow_record *r)
{
	return !q->unscaled && flow_has(r, FF_SAMPLING) && r->sampling ? r->sampling : 1;
}

bool query_rig_measure(const struct spec *q, uint32_t of, const struct flow_record *const *flows,
		       uint32_t n, double *ret)
{
	static const struct spec_measure sampled = {.kind = MK_SAMPLED};
	const struct spec_measure *m = of < q->n_measures ? &q->measures[of] : &sampled;
	double *v = calloc(n ?: 1, sizeof(*v));
	uint32_t have = 0;
	bool any = true;

	*ret = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (m->kind == MK_BYTES)
			*ret += (double)flows[i]->bytes * rate_of(q, flows[i]);
		else if (m->kind == MK_PACKETS)
			*ret += (double)flows[i]->packets * rate_of(q, flows[i]);
		else if (m->kind == MK_SAMPLED)
			*ret += flow_has(flows[i], FF_SAMPLING);
		else if (m->kind > MK_DISTINCT && flow_has(flows[i], m->field))
			v[have++] = (double)flow_number(flows[i], m->field);
	}
	if (m->kind == MK_FLOWS)
		*ret = n;
	else if (m->kind == MK_DISTINCT)
		*ret = distinct(m->field, flows, n);
	else if (m->kind > MK_DISTINCT)
		any = over_values(m, v, have, ret);
	free(v);
	return any;
}
