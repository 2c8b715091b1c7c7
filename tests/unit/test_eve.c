// SPDX-License-Identifier: Apache-2.0
/*
 * test_eve.c - events in Suricata's form: every line parses, flow is the last one of each record, and
 * what belongs to one flow has one flow_id.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "common/output.h"
#include "json_check.h"
#include "random_flow.h"

static struct output *o;
static char text[OUTPUT_LINE_MAX + 1];

static void start(void)
{
	cr_assert(zero(int, output_new("eve", 1, &o)));
}

static void stop(void)
{
	output_free(o);
}

TestSuite(eve, .init = start, .fini = stop, .timeout = 600);

static void write_flow(const struct flow_record *r)
{
	ssize_t n = output_text(o, r, text);

	cr_assert(gt(i64, n, 0));
	text[n] = 0;
}

Test(eve, every_line_parses_and_the_flow_is_last)
{
	static struct random_flow f;
	uint64_t state = 7;

	for (unsigned int i = 0; i < 5000; i++) {
		unsigned int flows = 0;
		char *line = text, *nl;

		random_flow(&f, &state);
		write_flow(&f.r);
		for (; (nl = strchr(line, '\n')); line = nl + 1) {
			cr_assert(zero(sz, json_check(line, (size_t)(nl - line))), "%.*s",
				  (int)(nl - line), line);
			*nl = 0;
			cr_assert(zero(u32, flows), "nothing follows the flow");
			flows += strstr(line, "\"event_type\":\"flow\"") != NULL;
		}
		cr_assert(eq(u32, flows, 1));
		cr_assert(zero(chr, *line));
	}
}

static struct flow_record https(void)
{
	struct flow_record r = {.family = 4, .proto = 6, .src_port = 40000, .dst_port = 443};
	static const enum flow_field has[] = {
		FF_SRC_IP,  FF_DST_IP,	  FF_SRC_PORT,	  FF_DST_PORT, FF_PROTO,
		FF_TLS_SNI, FF_TCP_FLAGS, FF_TLS_VERSION, FF_IFACE,    FF_NODE,
	};

	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
		flow_set(&r, has[i]);
	memcpy(r.src_ip, (uint8_t[16]){[10] = 0xff, 0xff, 10, 0, 0, 1}, 16);
	memcpy(r.dst_ip, (uint8_t[16]){[10] = 0xff, 0xff, 10, 0, 0, 2}, 16);
	r.start_ns = UINT64_C(1788266468120113000);
	r.end_ns = r.start_ns + UINT64_C(2500000000);
	r.out = (struct flow_dir){.packets = 8, .bytes = 1204, .tcp_flags = 0x1b};
	r.in = (struct flow_dir){.packets = 6, .bytes = 2010, .tcp_flags = 0x13};
	r.tcp_flags = 0x1b;
	r.state = FLOW_CLOSED;
	r.reason = FLOW_END;
	r.tls_version = 0x0304;
	r.tls_sni = (struct flow_str){"www.example.test", 16};
	r.iface = (struct flow_str){"eth0", 4};
	r.node = (struct flow_str){"n1", 2};
	return r;
}

Test(eve, members_are_named_as_suricata_names_them)
{
	static const char *const has[] = {
		"\"timestamp\":\"2026-09-01T12:41:10.620113+0000\"",
		"\"in_iface\":\"eth0\",\"event_type\":\"tls\"",
		"\"src_ip\":\"10.0.0.1\",\"src_port\":40000,\"dest_ip\":\"10.0.0.2\",\"dest_port\":443,"
		"\"proto\":\"TCP\"",
		"\"tls\":{\"sni\":\"www.example.test\",\"version\":\"TLS 1.3\"}",
		"\"community_id\":\"1:",
		"\"app_proto\":\"tls\"",
		"\"flow\":{\"pkts_toserver\":8,\"pkts_toclient\":6,\"bytes_toserver\":1204,"
		"\"bytes_toclient\":2010,\"start\":\"2026-09-01T12:41:08.120113+0000\"",
		"\"age\":2,\"state\":\"closed\",\"reason\":\"timeout\",\"alerted\":false}",
		"\"tcp\":{\"tcp_flags\":\"1b\",\"tcp_flags_ts\":\"1b\",\"tcp_flags_tc\":\"13\","
		"\"fin\":true,\"syn\":true,\"psh\":true,\"ack\":true,\"state\":\"closed\"}",
		"\"host\":\"n1\"",
	};
	struct flow_record r = https();

	write_flow(&r);
	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
		cr_expect(ne(ptr, strstr(text, has[i]), NULL), "%s in %s", has[i], text);
}

static unsigned int events(const char *type)
{
	char word[64];
	unsigned int n = 0;

	snprintf(word, sizeof(word), "\"event_type\":\"%s\"", type);
	for (const char *p = text; (p = strstr(p, word)); p++)
		n++;
	return n;
}

Test(eve, a_name_is_told_once_a_flow)
{
	struct flow_str hosts[] = {{"b.example", 9}, {"c.example", 9}};
	struct flow_record r = https();

	r.told = FLOW_TOLD_TLS;
	write_flow(&r);
	cr_expect(eq(u32, events("tls"), 0));
	cr_expect(eq(u32, events("flow"), 1));
	cr_expect(ne(ptr, strstr(text, "\"app_proto\":\"tls\""), NULL));

	r.http_host = (struct flow_str){"a.example", 9};
	r.http_hosts = (struct flow_strs){hosts, 2};
	flow_set(&r, FF_HTTP_HOST);
	flow_set(&r, FF_HTTP_HOSTS);
	write_flow(&r);
	cr_expect(eq(u32, events("http"), 3));
	r.told |= FLOW_TOLD_HTTP;
	r.hosts_told = 1;
	write_flow(&r);
	cr_expect(eq(u32, events("http"), 1), "the host that is new");
	cr_expect(ne(ptr, strstr(text, "c.example"), NULL));
}

static void id_of(const struct flow_record *r, char id[32])
{
	const char *at;

	write_flow(r);
	at = strstr(text, "\"flow_id\":");
	cr_assert(ne(ptr, (void *)at, NULL));
	snprintf(id, 32, "%.*s", (int)strspn(at + 10, "0123456789"), at + 10);
}

Test(eve, one_flow_has_one_id)
{
	struct flow_record r = https(), back = r;
	char a[32], b[32], c[32];

	memcpy(back.src_ip, r.dst_ip, 16);
	memcpy(back.dst_ip, r.src_ip, 16);
	back.src_port = r.dst_port;
	back.dst_port = r.src_port;
	id_of(&r, a);
	id_of(&back, b);
	cr_assert(eq(str, a, b));
	back.dst_port++;
	id_of(&back, c);
	cr_assert(ne(str, a, c));
}

Test(eve, answers_are_with_the_query_that_they_are_of)
{
	static const struct flow_query more[] = {
		{.qname = {"www.example.test", 16}, .qtype = 28, .has_rcode = 1}};
	static const struct flow_str answers[] = {{"WWW.example.test 60 192.0.2.1", 29},
						  {"www.example.test 7 2001:db8::1", 30},
						  {"other.test 9 192.0.2.9", 22}};
	struct flow_record r = https();

	r.present[FF_TLS_SNI / 64] &= ~(UINT64_C(1) << FF_TLS_SNI % 64);
	r.present[FF_TLS_VERSION / 64] &= ~(UINT64_C(1) << FF_TLS_VERSION % 64);
	r.dns_qname = more[0].qname;
	r.dns_qtype = 1;
	r.dns_queries = (struct flow_queries){more, 1};
	r.dns_answers = (struct flow_strs){answers, 3};
	flow_set(&r, FF_DNS_QNAME);
	flow_set(&r, FF_DNS_QTYPE);
	flow_set(&r, FF_DNS_RCODE);
	flow_set(&r, FF_DNS_QUERIES);
	flow_set(&r, FF_DNS_ANSWERS);
	write_flow(&r);
	cr_expect(eq(u32, events("dns"), 4));
	cr_expect(ne(ptr,
		     strstr(text,
			    "\"rcode\":\"NOERROR\",\"answers\":[{\"rrname\":\"WWW.example.test\","
			    "\"rrtype\":\"A\",\"ttl\":60,\"rdata\":\"192.0.2.1\"}]}"),
		     NULL),
		  "%s", text);
	cr_expect(ne(ptr,
		     strstr(text, "\"rrtype\":\"AAAA\",\"ttl\":7,\"rdata\":\"2001:db8::1\"}]}"),
		     NULL),
		  "%s", text);
	cr_expect(eq(ptr, strstr(text, "192.0.2.9"), NULL));
}
