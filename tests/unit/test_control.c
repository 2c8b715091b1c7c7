// SPDX-License-Identifier: Apache-2.0
/*
 * test_control.c - the control socket without sockets: requests from text, HTTP heads, the ring of
 * records, groups of top, numbers for people.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filter_rig.h"
#include "loader/control/history.h"
#include "loader/control/request.h"
#include "loader/control/top.h"
#include "loader/control/top_view.h"
#include "common/units.h"

/* ---- requests ---- */

Test(control, takes_requests)
{
	struct request_error e = {};
	struct request q;
	static const char flows[] =
		"{\"v\":1,\"command\":\"flows\",\"filter\":\"proto tcp\",\"last\":3,"
		"\"since_ns\":1000,\"follow\":true}";
	static const char capture[] =
		"{\"v\":1,\"command\":\"capture\",\"pre_ns\":5,\"snaplen\":64}";
	static const char top[] =
		"{\"limit\":7,\"sort\":\"rx\",\"by\":\"icmp.type\",\"command\":\"top\",\"v\":1}";

	cr_assert(eq(int, request_parse(flows, sizeof(flows) - 1, &q, &e), 0), "%s", e.at.message);
	cr_expect(q.command == REQUEST_FLOWS && q.filter && q.follow && !q.live);
	cr_expect(eq(u32, q.last, 3));
	cr_expect(eq(u64, q.since_ns, 1000));
	filter_free(q.filter);
	cr_assert(eq(int, request_parse(top, sizeof(top) - 1, &q, &e), 0), "%s", e.at.message);
	cr_expect(q.command == REQUEST_TOP && !q.filter && q.by == BY_FIELD);
	cr_expect(q.field == FF_ICMP_TYPE && q.sort == SORT_RX);
	cr_expect(eq(u32, q.limit, 7));
	cr_expect(eq(str, q.by_member, "icmp_type"));
	cr_assert(zero(int, request_parse(capture, sizeof(capture) - 1, &q, &e)));
	cr_expect(q.command == REQUEST_CAPTURE && !q.filter);
	cr_expect(eq(u64, q.pre_ns, 5));
	cr_expect(eq(u32, q.snaplen, 64));
}

Test(control, refuses_what_is_no_request)
{
	static const struct {
		const char *json, *code, *message;
	} rows[] = {
		{"", "request", "'[' or '{' expected near end of file"},
		{"[1]", "request", "a request is a JSON object"},
		{"{}", "request", "'v' is missing"},
		{"{\"v\":1}", "request", "'command' is missing"},
		{"{\"v\":2,\"command\":\"flows\"}", "version",
		 "this weir speaks version 1 of the protocol"},
		{"{\"v\":\"1\",\"command\":\"flows\"}", "version",
		 "this weir speaks version 1 of the protocol"},
		{"{\"v\":1,\"command\":\"flow\"}", "request",
		 "no such command: flows, status, top or capture"},
		{"{\"v\":1,\"command\":\"flows\",\"lst\":1}", "request",
		 "unknown member 'lst', did you mean 'last'?"},
		{"{\"v\":1,\"command\":\"flows\",\"xyzzyx\":1}", "request",
		 "unknown member 'xyzzyx'"},
		{"{\"v\":1,\"command\":\"status\",\"last\":1}", "request",
		 "'last' is not for this command"},
		{"{\"v\":1,\"command\":\"flows\",\"filter\":\"prot tcp\"}", "filter",
		 "unknown field 'prot', did you mean 'proto'?"},
		{"{\"v\":1,\"command\":\"capture\",\"pre_ns\":-1}", "request",
		 "'pre_ns' is a number of nanoseconds"},
		{"{\"v\":1,\"command\":\"capture\",\"snaplen\":0}", "request",
		 "'snaplen' is 1 to 65535"},
		{"{\"v\":1,\"command\":\"flows\",\"pre_ns\":1}", "request",
		 "'pre_ns' is not for this command"},
		{"{\"v\":1,\"command\":\"flows\",\"filter\":1}", "request", "'filter' is text"},
		{"{\"v\":1,\"command\":\"flows\",\"follow\":1}", "request",
		 "'follow' is true or false"},
		{"{\"v\":1,\"command\":\"flows\",\"live\":1}", "request",
		 "'live' is true or false"},
		{"{\"v\":1,\"command\":\"flows\",\"last\":-1}", "request",
		 "'last' is a number of records"},
		{"{\"v\":1,\"command\":\"flows\",\"since_ns\":0}", "request",
		 "'since_ns' is a positive number of nanoseconds"},
		{"{\"v\":1,\"command\":\"top\",\"by\":\"vlan\"}", "request",
		 "'by' is flow, host, name, port, or the path of a field that is no list"},
		{"{\"v\":1,\"command\":\"top\",\"sort\":\"x\"}", "request",
		 "'sort' is bytes, rx, tx, packets, flows or key"},
		{"{\"v\":1,\"command\":\"top\",\"limit\":1001}", "request", "'limit' is 1 to 1000"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct request_error e = {};
		struct request q;

		cr_expect(eq(int, request_parse(rows[i].json, strlen(rows[i].json), &q, &e),
			     -EINVAL));
		cr_expect(eq(str, (char *)e.code, (char *)rows[i].code), "%s", rows[i].json);
		cr_expect(eq(str, e.at.message, (char *)rows[i].message), "%s", rows[i].json);
		cr_expect(q.filter == NULL);
	}
}

Test(control, reads_heads_of_http)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
		{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /metrics HTTP/1.0\n\n", 200},
		{"GET /metrics HTTP/1.1\r\nHost: x\r\n", 0},
		{"GET /metr", 0},
		{"", 0},
		{"GET / HTTP/1.1\r\n\r\n", 404},
		{"GET /metrics/ HTTP/1.1\r\n\r\n", 404},
		{"POST /metrics HTTP/1.1\r\n\r\n", 405},
		{"GET /metrics\r\n\r\n", 400},
		{"GET /metrics HTTP/2.0\r\n\r\n", 400},
		{"GET  HTTP/1.1\r\n\r\n", 400},
		{"GET /\x01 HTTP/1.1\r\n\r\n", 400},
		{"\r\n\r\n", 400},
		{"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", 400},
	};
	static char longest[HTTP_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(int, http_parse(rows[i].text, strlen(rows[i].text)), rows[i].want),
			  "%s", rows[i].text);
	memset(longest, 'a', sizeof(longest));
	cr_expect(eq(int, http_parse(longest, sizeof(longest) - 1), 0));
	cr_expect(eq(int, http_parse(longest, sizeof(longest)), 431));
}

/* ---- the ring ---- */

static struct flow_record numbered(uint64_t n, char *text, size_t len)
{
	struct flow_record r = *filter_rig_tls();

	memset(text, 'a' + (int)(n % 26), len);
	r.packets = n;
	r.tls_sni = (struct flow_str){text, (uint32_t)len};
	return r;
}

Test(control, keeps_the_last_records_with_their_texts)
{
	static char text[4000];
	struct history h;

	cr_assert(eq(int, history_init(&h, 1), 0));
	cr_expect(eq(u32, h.max, HISTORY_MIN));
	for (uint64_t n = 0; n < 10 * HISTORY_MIN; n++) {
		const size_t len = n * 37 % sizeof(text);
		const struct flow_record r = numbered(n, text, len);

		history_add(&h, &r);
		memset(text, '?', sizeof(text)); /* the ring has its own */
		for (uint64_t i = h.first; n % 97 == 0 && i < h.next; i++) {
			const struct flow_record *k = history_get(&h, i);

			cr_assert(eq(u64, k->packets, i));
			cr_assert(eq(u64, k->tls_sni.len, i * 37 % sizeof(text)));
			if (k->tls_sni.len)
				cr_assert(k->tls_sni.s[0] == 'a' + (int)(i % 26) &&
					  k->tls_sni.s[k->tls_sni.len - 1] == 'a' + (int)(i % 26));
			cr_assert(eq(u32, k->labels.n, 2));
			cr_assert(memcmp(k->labels.v[1].s, "rack=7", 6) == 0);
			cr_assert(eq(u32, k->http_hosts.n, 2));
			cr_assert(memcmp(k->http_hosts.v[1].s, "B.example.org", 13) == 0);
		}
	}
	cr_expect(eq(u64, h.next, 10 * HISTORY_MIN));
	cr_expect(gt(u64, h.next - h.first, 100));
	history_done(&h);
}

Test(control, keeps_no_more_records_than_it_may)
{
	struct history h;

	cr_assert(eq(int, history_init(&h, HISTORY_MIN), 0));
	for (unsigned int n = 0; n < 3 * HISTORY_MIN; n++)
		history_add(&h, filter_rig_dns());
	cr_expect(eq(u64, h.next - h.first, HISTORY_MIN));
	history_done(&h);
}

/* ---- top ---- */

static const struct live_news some = {
	.packets = {3, 5}, .bytes = {1000, 2000}, .ref = 1, .live = true};

static char row_text[TOP_ROW_JSON];

static const char *row_of(const char *by, const struct flow_record *r, uint32_t i)
{
	struct request q = {.limit = 10};
	struct top_view *v;
	int n;

	cr_assert(eq(int, request_by(by, &q), 0), "%s", by);
	cr_assert(eq(int, top_view_new(&q, &v), 0));
	top_view_add(v, r, &some);
	row_text[0] = 0;
	if (top_view_sort(v) > i) {
		n = top_view_row(v, i, 2, row_text, sizeof(row_text) - 1);
		cr_assert(gt(int, n, 0));
		row_text[n] = 0;
	}
	top_view_free(v);
	return row_text;
}

Test(control, groups_flows)
{
	static const char rates[] =
		"\"rx_bps\":8000,\"tx_bps\":4000,\"rx_pps\":3,\"tx_pps\":2,\"flows\":1}";
	static const struct {
		const char *by, *key;
	} rows[] = {
		{"name", "\"name\":\"WWW.example.com\""},
		{"tls.sni", "\"sni\":\"WWW.example.com\""},
		{"port", "\"port\":\"443/tcp\""},
		{"proto", "\"proto\":\"tcp\""},
		{"iface", "\"iface\":\"eth0\""},
		{"tunnel.type", "\"tunnel_type\":\"vxlan\""},
	};
	char want[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(want, sizeof(want), "{%s,%s", rows[i].key, rates);
		cr_expect(eq(str, (char *)row_of(rows[i].by, filter_rig_tls(), 0), want));
	}
	cr_expect(eq(str, (char *)row_of("name", filter_rig_dns(), 0),
		     "{\"name\":\"example.net\",\"rx_bps\":8000,\"tx_bps\":4000,\"rx_pps\":3,"
		     "\"tx_pps\":2,\"flows\":1}"));
	cr_expect(eq(str, (char *)row_of("http.host", filter_rig_dns(), 0),
		     "{\"rx_bps\":8000,\"tx_bps\":4000,\"rx_pps\":3,\"tx_pps\":2,\"flows\":1}"));
}

Test(control, sees_hosts_from_their_own_side)
{
	/* the same bytes: by key then */
	cr_expect(eq(str, (char *)row_of("host", filter_rig_tls(), 0),
		     "{\"host\":\"10.1.2.3\",\"rx_bps\":8000,\"tx_bps\":4000,\"rx_pps\":3,"
		     "\"tx_pps\":2,\"flows\":1}"));
	cr_expect(eq(str, (char *)row_of("host", filter_rig_tls(), 1),
		     "{\"host\":\"192.0.2.80\",\"rx_bps\":4000,\"tx_bps\":8000,\"rx_pps\":2,"
		     "\"tx_pps\":3,\"flows\":1}"));
}

Test(control, makes_filters_of_rows_that_match_their_flows)
{
	static const char *const by[] = {"flow",  "host",  "name",   "port",
					 "proto", "iface", "tls.sni"};

	for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++) {
		json_t *row = json_loads(row_of(by[i], filter_rig_tls(), 0), 0, NULL);
		char filter[1024], both[1100];

		cr_assert(row != NULL);
		cr_assert(top_row_filter(row, by[i], filter, sizeof(filter)), "%s", by[i]);
		cr_assert(top_and("bytes > 1", filter, both, sizeof(both)));
		cr_expect(eq(int, filter_rig_match(both, filter_rig_tls()), 1), "%s", both);
		cr_expect(eq(int, filter_rig_match(both, filter_rig_dns()), 0), "%s", both);
		json_decref(row);
	}
}

Test(control, sorts_and_limits_rows_and_bounds_groups)
{
	struct request q = {.limit = 3, .sort = SORT_BYTES};
	struct flow_record r = *filter_rig_tls();
	struct live_news n = some;
	struct top_view *v;
	json_t *row;
	int len;

	request_by("dst.port", &q);
	cr_assert(eq(int, top_view_new(&q, &v), 0));
	for (unsigned int i = 0; i < TOP_GROUPS + 100; i++) {
		r.dst_port = (uint16_t)i;
		n.bytes[0] = i * 10;
		top_view_add(v, &r, &n);
	}
	cr_assert(eq(u32, top_view_sort(v), 3));
	cr_expect(eq(u32, top_view_sums(v)->groups, TOP_GROUPS - 1));
	cr_expect(eq(u64, top_view_sums(v)->flows, TOP_GROUPS + 100),
		  "what has no room is counted");
	len = top_view_row(v, 0, 1, row_text, sizeof(row_text));
	row = json_loadb(row_text, (size_t)len, 0, NULL);
	cr_expect(eq(str, (char *)json_string_value(json_object_get(row, "port")), "32766"));
	json_decref(row);
	top_view_clear(v);
	cr_expect(eq(u32, top_view_sort(v), 0));
	top_view_free(v);
}

Test(control, writes_numbers_for_people)
{
	static const struct {
		uint64_t v;
		const char *grouped, *si;
	} rows[] = {
		{0, "0", "0"},
		{999, "999", "999"},
		{1000, "1,000", "1.0 k"},
		{999949, "999,949", "999.9 k"},
		{999950, "999,950", "1.0 M"},
		{812400000, "812,400,000", "812.4 M"},
		{UINT64_MAX, "18,446,744,073,709,551,615", "18.4 E"},
	};
	char buf[UNITS_TEXT];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect(eq(str, (char *)units_grouped(rows[i].v, buf), (char *)rows[i].grouped));
		cr_expect(eq(str, (char *)units_si(rows[i].v, buf), (char *)rows[i].si));
	}
	cr_expect(eq(str, (char *)units_duration(UINT64_C(8040000000000), buf), "2h14m"));
	cr_expect(eq(str, (char *)units_duration(UINT64_C(41000000000), buf), "41s"));
	cr_expect(eq(str, (char *)units_duration(UINT64_C(274000000000000), buf), "3d4h"));
	cr_expect(eq(str, (char *)units_duration(UINT64_C(61000000000), buf), "1m01s"));
}
