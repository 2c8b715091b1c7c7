// SPDX-License-Identifier: Apache-2.0
/*
 * test_output.c - records as JSON, CSV and table lines; the words in them; what is absent.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/flow_text.h"
#include "common/flow_words.h"
#include "common/output.h"
#include "json_check.h"
#include "weir/abi.h"

static char text[1 << 20];
static struct flow_record r;

static void set_str(enum flow_field f, struct flow_str *to, const char *s, size_t len)
{
	*to = (struct flow_str){s, (uint32_t)len};
	flow_set(&r, f);
}

/* A plain TCP flow: what every record of one has. */
static void plain(void)
{
	static const enum flow_field has[] = {
		FF_START,    FF_END,	   FF_SRC_IP, FF_SRC_PORT,     FF_DST_IP,    FF_DST_PORT,
		FF_PROTO,    FF_PACKETS,   FF_BYTES,  FF_OUT_PACKETS,  FF_OUT_BYTES, FF_IN_PACKETS,
		FF_IN_BYTES, FF_TCP_FLAGS, FF_STATE,  FF_COMMUNITY_ID, FF_REASON,
	};

	memset(&r, 0, sizeof(r));
	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
		flow_set(&r, has[i]);
	r.family = 4;
	r.proto = 6;
	memcpy(r.src_ip, (uint8_t[16]){[10] = 0xff, 0xff, 128, 232, 110, 120}, 16);
	memcpy(r.dst_ip, (uint8_t[16]){[10] = 0xff, 0xff, 66, 35, 250, 204}, 16);
	r.src_port = 34855;
	r.dst_port = 80;
	r.start_ns = UINT64_C(1788266468120113000);
	r.end_ns = r.start_ns + 210000000;
	r.out.packets = 8;
	r.out.bytes = 1204;
	r.in.packets = 6;
	r.in.bytes = 2010;
	r.packets = 14;
	r.bytes = 3214;
	r.tcp_flags = 0x1a;
	r.state = FLOW_ESTABLISHED;
	r.reason = FLOW_END;
}

TestSuite(output, .init = plain, .timeout = 120);

static size_t render(const char *format, unsigned int columns)
{
	int fd[2];
	struct output *o = NULL;
	size_t n = 0;
	ssize_t got;

	cr_assert(eq(int, pipe(fd), 0));
	fcntl(fd[1], F_SETPIPE_SZ, 1 << 20);
	cr_assert(eq(int, output_new(format, fd[1], &o), 0));
	output_style(o, false, columns);
	cr_expect(eq(int, output_flow(o, &r), 0));
	cr_expect(eq(int, output_flush(o), 0));
	output_free(o);
	close(fd[1]);
	while ((got = read(fd[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(fd[0]);
	text[n] = 0;
	return n;
}

static const char *member(const char *path)
{
	static char value[4096];
	const char *p;
	size_t len = json_find(text, strlen(text) - 1, path, &p);

	memcpy(value, p ? p : "", len);
	value[len] = 0;
	return value;
}

static void json(void)
{
	size_t n = render("json", 0);

	cr_assert(gt(sz, n, 0));
	cr_expect(eq(chr, text[n - 1], '\n'));
	cr_expect(memchr(text, '\n', n - 1) == NULL, "one line");
	cr_expect(eq(sz, json_check(text, n - 1), 0), "%s", text);
}

Test(output, a_plain_record_is_this_object)
{
	json();
	cr_expect(eq(
		str, text,
		"{\"start\":\"2026-09-01T12:41:08.120113Z\",\"end\":\"2026-09-01T12:41:08.330113Z\","
		"\"src\":{\"ip\":\"128.232.110.120\",\"port\":34855},"
		"\"dst\":{\"ip\":\"66.35.250.204\",\"port\":80},\"proto\":\"tcp\",\"packets\":14,"
		"\"bytes\":3214,\"out\":{\"packets\":8,\"bytes\":1204},"
		"\"in\":{\"packets\":6,\"bytes\":2010},\"tcp\":{\"flags\":\"SPA\"},"
		"\"state\":\"established\",\"community_id\":\"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\","
		"\"reason\":\"end\"}\n"));
}

/* The format is frozen: a path that is renamed, retyped or gone breaks what users have built. */
static const struct {
	const char *path, *value;
} want[] = {
	{"ethertype", "2054"},
	{"out.retransmits", "1"},
	{"out.out_of_order", "2"},
	{"out.zero_windows", "3"},
	{"out.ttl_min", "60"},
	{"out.ttl_max", "64"},
	{"out.dscp", "46"},
	{"in.retransmits", "4"},
	{"in.out_of_order", "5"},
	{"in.zero_windows", "6"},
	{"in.ttl_min", "50"},
	{"in.ttl_max", "57"},
	{"in.dscp", "10"},
	{"icmp.type", "8"},
	{"icmp.code", "1"},
	{"tls.sni", "\"cdn.example.net\""},
	{"tls.version", "\"TLSv1.2\""},
	{"tls.offered", "\"TLSv1.3\""},
	{"tls.alpn", "[\"h2\",\"http/1.1\"]"},
	{"tls.ech", "\"ech\""},
	{"http.host", "\"www.example.com\""},
	{"http.hosts", "[\"a.test\",\"b.test\"]"},
	{"http.method", "\"GET\""},
	{"http.path", "\"/x?y\""},
	{"dns.qname", "\"q.test\""},
	{"dns.qtype", "\"HTTPS\""},
	{"dns.rcode", "\"NXDOMAIN\""},
	{"dns.latency_us", "17"},
	{"dns.queries", "[{\"qname\":\"r.test\",\"qtype\":\"AAAA\",\"rcode\":\"NOERROR\","
			"\"latency_us\":99},{\"qname\":\"s.test\",\"qtype\":\"TYPE777\"}]"},
	{"dns.answers", "[\"r.test 60 192.0.2.1\",\"r.test 60 2001:db8::1\"]"},
	{"quic.version", "\"draft-29\""},
	{"no_name", "\"no_sni\""},
	{"rtt.client_us", "12"},
	{"rtt.server_us", "34"},
	{"response_us", "56"},
	{"verdict", "\"limit\""},
	{"rule", "\"by hand: 10.0.0.1\""},
	{"dropped.packets", "7"},
	{"dropped.bytes", "8"},
	{"ids.time", "\"2026-09-01T12:41:08.120113Z\""},
	{"ids.sid", "2019401"},
	{"ids.signature", "\"a \\\"b\\\"\""},
	{"ids.category", "\"Misc activity\""},
	{"ids.severity", "3"},
	{"ids.action", "\"blocked\""},
	{"out.copied_packets", "1"},
	{"out.copied_bytes", "40"},
	{"in.copied_packets", "2"},
	{"in.copied_bytes", "80"},
	{"direction", "\"egress\""},
	{"vni", "4096"},
	{"tunnel.type", "\"geneve\""},
	{"tunnel.src", "\"2001:db8::9\""},
	{"vlan", "[100,200]"},
	{"iface", "\"eth0\""},
	{"seen_on", "[\"eth0\",\"pod1\"]"},
	{"node", "\"edge1\""},
	{"labels", "[\"site=north\",\"rack=2\"]"},
	{"sampling", "64"},
	{"src.name", "\"client.example\""},
	{"src.name_from", "\"dns\""},
	{"src.as", "64496"},
	{"src.as_org", "\"Example Org\""},
	{"src.country", "\"CZ\""},
	{"src.zone", "\"local\""},
	{"dst.name", "\"server.example\""},
	{"dst.name_from", "\"site\""},
	{"dst.as", "64511"},
	{"dst.as_org", "\"Other Org\""},
	{"dst.country", "\"DE\""},
	{"dst.zone", "\"dmz\""},
	{"duration_us", "1000"},
	{"pps", "2000"},
	{"bps", "3000"},
	{"bpp", "40"},
	{"if.in", "3"},
	{"if.out", "4"},
};

static void set_numbers(void)
{
	r.ethertype = 2054;
	r.out.retransmits = 1;
	r.out.out_of_order = 2;
	r.out.zero_windows = 3;
	r.out.ttl_min = 60;
	r.out.ttl_max = 64;
	r.out.dscp = 46;
	r.in.retransmits = 4;
	r.in.out_of_order = 5;
	r.in.zero_windows = 6;
	r.in.ttl_min = 50;
	r.in.ttl_max = 57;
	r.in.dscp = 10;
	r.out.copied_packets = 1;
	r.out.copied_bytes = 40;
	r.in.copied_packets = 2;
	r.in.copied_bytes = 80;
	r.direction = FLOW_EGRESS;
	r.icmp_type = 8;
	r.icmp_code = 1;
	r.tls_version = 0x0303;
	r.tls_offered = 0x0304;
	r.tls_ech = 1;
	r.dns_qtype = 65;
	r.dns_rcode = 3;
	r.dns_latency_us = 17;
	r.quic_version = 0xff00001d;
	r.no_name = NN_NO_SNI;
	r.rtt_client_us = 12;
	r.rtt_server_us = 34;
	r.response_us = 56;
	r.verdict = FLOW_LIMIT;
	r.dropped_packets = 7;
	r.dropped_bytes = 8;
	r.ids_time_ns = 1788266468120113000;
	r.ids_sid = 2019401;
	r.ids_severity = 3;
	r.vni = 4096;
	r.tunnel_type = TUN_GENEVE;
	memcpy(r.tunnel_src, (uint8_t[16]){0x20, 1, 0x0d, 0xb8, [15] = 9}, 16);
	r.vlan[0] = 100;
	r.vlan[1] = 200;
	r.sampling = 64;
	r.src_as = 64496;
	r.dst_as = 64511;
	r.duration_us = 1000;
	r.pps = 2000;
	r.bps = 3000;
	r.bpp = 40;
	r.if_in = 3;
	r.if_out = 4;
	r.src_country = 'C' << 8 | 'Z';
	r.dst_country = 'D' << 8 | 'E';
	r.src_name_from = FLOW_NAMED_DNS;
	r.dst_name_from = FLOW_NAMED_SITE;
}

static void set_texts(void)
{
	static const struct flow_str hosts[] = {{"a.test", 6}, {"b.test", 6}};
	static const struct flow_str labels[] = {{"site=north", 10}, {"rack=2", 6}};
	static const struct flow_str seen_on[] = {{"eth0", 4}, {"pod1", 4}};
	static const struct flow_query queries[] = {
		{.qname = {"r.test", 6},
		 .qtype = 28,
		 .has_rcode = 1,
		 .has_latency = 1,
		 .latency_us = 99},
		{.qname = {"s.test", 6}, .qtype = 777},
	};

	static const struct flow_str answers[] = {{"r.test 60 192.0.2.1", 19},
						  {"r.test 60 2001:db8::1", 21}};

	r.dns_answers = (struct flow_strs){answers, 2};
	r.http_hosts = (struct flow_strs){hosts, 2};
	r.labels = (struct flow_strs){labels, 2};
	r.seen_on = (struct flow_strs){seen_on, 2};
	r.dns_queries = (struct flow_queries){queries, 2};
	for (unsigned int f = 0; f < _FF_MAX; f++)
		flow_set(&r, f);
	set_str(FF_TLS_SNI, &r.tls_sni, "cdn.example.net", 15);
	set_str(FF_TLS_ALPN, &r.tls_alpn, "\2h2\10http/1.1", 12);
	set_str(FF_HTTP_HOST, &r.http_host, "www.example.com", 15);
	set_str(FF_HTTP_METHOD, &r.http_method, "GET", 3);
	set_str(FF_HTTP_PATH, &r.http_path, "/x?y", 4);
	set_str(FF_DNS_QNAME, &r.dns_qname, "q.test", 6);
	set_str(FF_RULE, &r.rule, "by hand: 10.0.0.1", 17);
	set_str(FF_IDS_SIGNATURE, &r.ids_signature, "a \"b\"", 5);
	set_str(FF_IDS_CATEGORY, &r.ids_category, "Misc activity", 13);
	set_str(FF_IDS_ACTION, &r.ids_action, "blocked", 7);
	set_str(FF_IFACE, &r.iface, "eth0", 4);
	set_str(FF_NODE, &r.node, "edge1", 5);
	set_str(FF_SRC_NAME, &r.src_name, "client.example", 14);
	set_str(FF_SRC_AS_ORG, &r.src_as_org, "Example Org", 11);
	set_str(FF_SRC_ZONE, &r.src_zone, "local", 5);
	set_str(FF_DST_NAME, &r.dst_name, "server.example", 14);
	set_str(FF_DST_AS_ORG, &r.dst_as_org, "Other Org", 9);
	set_str(FF_DST_ZONE, &r.dst_zone, "dmz", 3);
}

Test(output, every_member_stands_where_the_format_says)
{
	set_numbers();
	set_texts();
	json();
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		cr_expect(eq(str, (char *)member(want[i].path), (char *)want[i].value), "%s",
			  want[i].path);
	/* 17 of a plain record and these are all there are. */
	cr_expect(eq(u32, _FF_MAX, 17 + sizeof(want) / sizeof(want[0])));
}

Test(output, members_of_one_object_stand_together)
{
	for (unsigned int f = 1; f < _FF_MAX; f++) {
		const char *dot = strchr(flow_fields[f].path, '.');
		size_t len = dot ? (size_t)(dot - flow_fields[f].path) + 1 : 0;
		bool gone = false;

		for (unsigned int e = f; len && e-- > 0;) {
			bool same = !strncmp(flow_fields[e].path, flow_fields[f].path, len);

			cr_expect(not(same && gone), "%s is apart from %s", flow_fields[f].path,
				  flow_fields[e].path);
			gone |= !same;
		}
	}
}

Test(output, names_of_any_bytes_make_a_valid_line_in_every_format)
{
	static char bytes[512];
	uint64_t x = 42;

	for (int round = 0; round < 300; round++) {
		struct flow_str hosts[3];

		for (size_t i = 0; i < sizeof(bytes); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[i] = (char)(x >> 11);
		}
		for (int i = 0; i < 3; i++)
			hosts[i] = (struct flow_str){bytes + i, 100};
		set_str(FF_TLS_SNI, &r.tls_sni, bytes, 256);
		set_str(FF_TLS_ALPN, &r.tls_alpn, bytes, (uint32_t)round % 128);
		set_str(FF_HTTP_PATH, &r.http_path, bytes, 512);
		r.http_hosts = (struct flow_strs){hosts, 3};
		flow_set(&r, FF_HTTP_HOSTS);
		json();
		render("table", 100);
		for (const char *p = text; p[1]; p++)
			cr_expect(eq(int, iscntrl((unsigned char)*p), 0), "raw control character");
		cr_expect(eq(chr, text[strlen(text) - 1], '\n'));
		render("csv", 0);
		cr_expect(eq(chr, strchr(strchr(text, '\n') + 1, '\n')[1], 0), "more than a line");
	}
}

Test(output, a_record_too_long_goes_out_without_its_lists)
{
	static char bytes[1025];
	static struct flow_query q[FLOW_QUERIES_MAX];

	memset(bytes, 1, sizeof(bytes)); /* six bytes each when escaped */
	for (unsigned int i = 0; i < FLOW_QUERIES_MAX; i++)
		q[i].qname = (struct flow_str){bytes, sizeof(bytes)};
	r.dns_queries = (struct flow_queries){q, FLOW_QUERIES_MAX};
	flow_set(&r, FF_DNS_QUERIES);
	json();
	cr_expect(eq(str, (char *)member("dns.queries"), ""));
	cr_expect(eq(str, (char *)member("packets"), "14"));
}

/* ---- CSV ---- */

static const char *column(const char *name)
{
	static char value[4096];
	const char *h = text, *v = strchr(text, '\n') + 1;

	/* Good for values without commas. */
	while (strncmp(h, name, strlen(name)) != 0 || !strchr(",\r", h[strlen(name)])) {
		h = strchr(h, ',') + 1;
		v = strchr(v, ',') + 1;
	}
	memcpy(value, v, strcspn(v, ",\r"));
	value[strcspn(v, ",\r")] = 0;
	return value;
}

Test(output, csv_has_a_header_and_a_column_for_all_but_lists)
{
	unsigned int commas[2] = {0, 0}, columns = 0, line = 0;

	render("csv", 0);
	for (unsigned int f = 0; f < _FF_MAX; f++)
		columns += !flow_type_list(flow_fields[f].type) && !flow_fields[f].added;
	for (const char *p = text; *p; p++) {
		if (*p == ',')
			commas[line]++;
		if (*p == '\n') {
			cr_expect(eq(chr, p[-1], '\r'));
			line++;
		}
	}
	cr_expect(eq(u32, line, 2));
	cr_expect(eq(u32, commas[0], columns - 1));
	cr_expect(eq(u32, commas[1], columns - 1));
	cr_expect(eq(int, strncmp(text, "start,end,src.ip,", 17), 0));
	cr_expect(eq(str, (char *)column("src.port"), "34855"));
	cr_expect(eq(str, (char *)column("tls.sni"), ""));
	cr_expect(eq(str, (char *)column("reason"), "end"));
	cr_expect(eq(str, (char *)column("community_id"), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="));
}

Test(output, csv_quotes_what_needs_it)
{
	set_str(FF_HTTP_PATH, &r.http_path, "/a,\"b\"", 6);
	set_str(FF_HTTP_HOST, &r.http_host, " x", 2);
	set_str(FF_TLS_SNI, &r.tls_sni, "\r\n\xff", 3);
	render("csv", 0);
	cr_expect(strstr(text, ",\"/a,\"\"b\"\"\",") != NULL);
	cr_expect(strstr(text, ",\" x\",") != NULL);
	cr_expect(strstr(text, ",\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd,") != NULL);
}

/* ---- table ---- */

Test(output, a_table_line_is_for_people)
{
	set_str(FF_TLS_SNI, &r.tls_sni, "cdn.example.net", 15);
	render("table", 110);
	cr_expect(eq(str, text,
		     "12:41:08  128.232.110.120:34855 > 66.35.250.204:80  tcp   SPA..  "
		     "sni=cdn.example.net   14 pkt   3.2 kB  0.21 s\n"));
	r.state = FLOW_NO_REPLY;
	r.tcp_flags = 2;
	render("table", 160);
	cr_expect(strstr(text, "  S....  sni=cdn.example.net ") != NULL);
	cr_expect(strstr(text, "0.21 s  no reply\n") != NULL);
	cr_expect(eq(sz, strlen(text), 161));
	cr_expect(memchr(text, 27, strlen(text)) == NULL, "no colour asked for");
}

Test(output, a_table_line_fits_the_terminal)
{
	static const unsigned int columns[] = {80, 88, 92, 96, 100, 110, 120, 200};

	r.src_ip[12] = 10;
	set_str(FF_TLS_SNI, &r.tls_sni,
		"b\xc3\xbc"
		"cher.a-rather-long-name.example.net",
		37);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		unsigned int wide = 0;

		render("table", columns[i]);
		for (const char *p = text; *p != '\n'; p++)
			wide += ((unsigned char)*p & 0xc0) != 0x80;
		cr_expect(le(u32, wide, columns[i]), "%s", text);
		cr_expect(strstr(text, "sni=b\xc3\xbc") != NULL);
		cr_expect(strstr(text, " 3.2 kB") != NULL);
		cr_expect(eq(int, strstr(text, " 14 pkt") != NULL, columns[i] >= 88));
	}
}

Test(output, table_numbers_are_short)
{
	r.packets = 1234567;
	r.bytes = UINT64_C(9999999999999);
	r.end_ns = r.start_ns + UINT64_C(4000000000000);
	render("table", 120);
	cr_expect(strstr(text, " 1.2 Mpkt  10.0 TB  4000 s\n") != NULL, "%s", text);
	r.packets = 9999;
	r.bytes = 999;
	render("table", 120);
	cr_expect(strstr(text, " 9999 pkt    999 B ") != NULL, "%s", text);
	r.bytes = UINT64_MAX;
	render("table", 120);
	cr_expect(strstr(text, " EB ") != NULL, "%s", text);
}

/* ---- words ---- */

Test(output, words_have_a_form_for_every_number)
{
	char buf[WORD_TEXT];

	cr_expect(eq(str, (char *)proto_word(58, buf), "ipv6-icmp"));
	cr_expect(eq(str, (char *)proto_word(253, buf), "253"));
	cr_expect(eq(str, (char *)proto_word(61, buf), "61"));
	cr_expect(eq(str, (char *)tcp_flags_word(0xff, buf), "FSRPAUEC"));
	cr_expect(eq(str, (char *)tcp_flags_word(0xc2, buf), "SEC"));
	cr_expect(eq(str, (char *)tls_version_word(0x0300, buf), "SSLv3"));
	cr_expect(eq(str, (char *)tls_version_word(0xfefd, buf), "DTLSv1.2"));
	cr_expect(eq(str, (char *)tls_version_word(0x7f1c, buf), "0x7f1c"));
	cr_expect(eq(str, (char *)quic_version_word(1, buf), "1"));
	cr_expect(eq(str, (char *)quic_version_word(0x6b3343cf, buf), "2"));
	cr_expect(eq(str, (char *)quic_version_word(0x51303436, buf), "Q046"));
	cr_expect(eq(str, (char *)quic_version_word(0x1a2a3a4a, buf), "0x1a2a3a4a"));
	cr_expect(eq(str, (char *)dns_type_word(65535, buf), "TYPE65535"));
	cr_expect(eq(str, (char *)dns_rcode_word(3841, buf), "RCODE3841"));
	cr_expect(eq(str, (char *)no_name_word(NN_TRUNCATED, buf), "truncated"));
	for (unsigned int i = 1; i < _NN_MAX; i++)
		cr_expect(ge(chr, no_name_word((uint8_t)i, buf)[0], 'a'), "no_name %u has no word",
			  i);
	for (unsigned int i = 1; i < _TUN_MAX; i++)
		cr_expect(ne(ptr, (void *)tunnel_word((uint8_t)i, buf), buf), "tunnel %u", i);
	for (unsigned int i = 1; i < _FLOW_STATE_MAX; i++)
		cr_expect(ge(chr, state_word((uint8_t)i, buf)[0], 'a'), "state %u", i);
	for (unsigned int i = 1; i < _FLOW_REASON_MAX; i++)
		cr_expect(ge(chr, reason_word((uint8_t)i, buf)[0], 'a'), "reason %u", i);
}

/* ---- writing ---- */

Test(output, refuses_an_unknown_format)
{
	struct output *o = NULL;

	cr_expect(eq(int, output_new("xml", 1, &o), -EINVAL));
	cr_expect(o == NULL);
	output_free(NULL);
}

Test(output, an_error_of_the_reader_is_told_and_stays)
{
	struct output *o = NULL;
	int fd[2], e = 0;

	signal(SIGPIPE, SIG_IGN);
	cr_assert(eq(int, pipe(fd), 0));
	close(fd[0]);
	cr_assert(eq(int, output_new("json", fd[1], &o), 0));
	for (int i = 0; i < 5000 && !e; i++)
		e = output_flow(o, &r);
	cr_expect(eq(int, e, -EPIPE));
	cr_expect(eq(int, output_flush(o), -EPIPE));
	cr_expect(eq(int, output_flow(o, &r), -EPIPE));
	output_free(o);
	close(fd[1]);
}

Test(output, lines_that_fill_the_buffer_many_times_all_arrive)
{
	char path[] = "/tmp/weir-output-XXXXXX";
	int fd = mkstemp(path);
	struct output *o = NULL;
	size_t line = render("json", 0);

	cr_assert(ge(int, fd, 0));
	unlink(path);
	cr_assert(eq(int, output_new("json", fd, &o), 0));
	for (int i = 0; i < 10000; i++)
		cr_assert(eq(int, output_flow(o, &r), 0));
	cr_expect(eq(int, output_flush(o), 0));
	cr_expect(eq(sz, (size_t)lseek(fd, 0, SEEK_END), 10000 * line));
	output_free(o);
	close(fd);
}

Test(output, lists_of_strings_are_all_known)
{
	unsigned int n = 0;

	for (unsigned int f = 0; f < _FF_MAX; f++)
		n += flow_fields[f].type == FT_STRS;
	cr_assert(eq(uint, n, FLOW_LISTS));
	for (unsigned int l = 0; l < FLOW_LISTS; l++)
		cr_expect(eq(int, flow_fields[flow_lists[l]].type, FT_STRS));
}
