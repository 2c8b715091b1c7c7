// SPDX-License-Identifier: Apache-2.0
/*
 * test_merge_names.c - names on flows: whichever comes first, whatever comes twice.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "merge_rig.h"

static struct rig g;
static struct entry a, b;
static struct flow_key udp;

static void setup(void)
{
	rig_init(&g, NULL);
	udp = rig_key;
	udp.proto = 17;
	udp.port[1] = 0x3500; /* 53 */
	entry_init(&a, &rig_key);
	entry_init(&b, &rig_key);
}

static void teardown(void)
{
	rig_done(&g);
}

TestSuite(merge_names, .init = setup, .fini = teardown, .timeout = 120);

static const struct flow_record *flush(void)
{
	merge_flush(g.m, FLOW_SHUTDOWN);
	return rig_last(&g);
}

Test(merge_names, a_name_may_come_before_its_flow)
{
	const struct flow_record *r;

	rig_sni(&g, &rig_key, "example.com");
	merge_tick(g.m);
	entry_packet(&g, &a, 0, SYN, 0);
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	r = flush();
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(r, FF_TLS_SNI, "example.com"));
	cr_expect(record_is(r, FF_TLS_OFFERED, "TLSv1.3"));
	cr_expect(record_is(r, FF_TLS_VERSION, NULL));
	cr_expect(record_is(r, FF_PACKETS, "2"));
	cr_expect(eq(u64, merge_stats(g.m)->names_orphaned, 0));
}

Test(merge_names, a_name_without_any_packet_is_no_record_but_counted)
{
	rig_sni(&g, &rig_key, "example.com");
	rig_wait(&g, 15000);
	merge_tick(g.m);
	cr_expect(eq(u32, g.n, 0));
	cr_expect(eq(u32, merge_flows(g.m), 0));
	cr_expect(eq(u64, merge_stats(g.m)->names_orphaned, 1));
}

Test(merge_names, hello_and_server_hello_make_one_tls_object)
{
	struct name_result nr = rig_name(&g, &rig_key, NAME_TLS_CLIENT, 1);
	const struct flow_record *r;

	nr.proto = L7P_DTLS;
	nr.tls.version = 0x0304;
	nr.tls.ech = 2;
	nr.tls.alpn_len = 3;
	memcpy(nr.tls.alpn, "\2h2", 3);
	nr.tls.sni_len = 1;
	nr.tls.sni[0] = 'x';
	cr_expect(eq(int, merge_name(g.m, &nr), 0));
	nr = rig_name(&g, &rig_key, NAME_TLS_SERVER, 0);
	nr.proto = L7P_DTLS;
	nr.tls.version = 0x0303;
	cr_expect(eq(int, merge_name(g.m, &nr), 0));
	entry_packet(&g, &a, 0, ACK, 0);
	entry_packet(&g, &b, 1, ACK, 0);
	entry_read(&g, &a);
	entry_read(&g, &b);
	r = flush();
	cr_expect(record_is(r, FF_TLS_OFFERED, "DTLSv1.3"));
	cr_expect(record_is(r, FF_TLS_VERSION, "DTLSv1.2"));
	cr_expect(record_is(r, FF_TLS_ECH, "esni"));
	cr_expect(eq(u32, r->tls_alpn.len, 3));
	cr_expect(record_is(r, FF_SRC_IP, "10.0.0.2"), "in a tie, who said hello began");
}

Test(merge_names, quic_has_its_version_and_the_name_in_tls_sni)
{
	struct name_result nr = rig_name(&g, &udp, NAME_TLS_CLIENT, 0);
	const struct flow_record *r;

	nr.proto = L7P_QUIC;
	nr.quic_version = 0x6b3343cf;
	nr.tls.version = 0x0304;
	nr.tls.sni_len = 4;
	memcpy(nr.tls.sni, "q.de", 4);
	merge_name(g.m, &nr);
	entry_init(&a, &udp);
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	r = flush();
	cr_expect(record_is(r, FF_TLS_SNI, "q.de"));
	cr_expect(record_is(r, FF_QUIC_VERSION, "2"));
}

static void http(const char *host, const char *path)
{
	struct name_result nr = rig_name(&g, &rig_key, NAME_HTTP, 0);

	nr.proto = L7P_HTTP;
	nr.http.method_len = 3;
	memcpy(nr.http.method, "GET", 3);
	nr.http.host_len = (uint16_t)strlen(host);
	memcpy(nr.http.host, host, nr.http.host_len);
	nr.http.path_len = (uint16_t)strlen(path);
	memcpy(nr.http.path, path, nr.http.path_len);
	if (!*host)
		nr.no_name = NN_NO_HOST;
	merge_name(g.m, &nr);
}

Test(merge_names, the_first_request_counts_and_other_hosts_are_listed_once)
{
	const struct flow_record *r;
	char host[16];

	http("one.example", "/a");
	http("ONE.example", "/b");
	http("two.example", "/c");
	http("two.example", "/d");
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	r = flush();
	cr_expect(record_is(r, FF_HTTP_HOST, "one.example"));
	cr_expect(record_is(r, FF_HTTP_METHOD, "GET"));
	cr_expect(record_is(r, FF_HTTP_PATH, "/a"));
	cr_assert(eq(u32, r->http_hosts.n, 1));
	cr_expect(eq(u32, r->http_hosts.v[0].len, 11));

	for (int i = 0; i < 20; i++) {
		snprintf(host, sizeof(host), "h%d", i);
		http(host, "/");
	}
	entry_init(&a, &rig_key);
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	cr_expect(eq(u32, flush()->http_hosts.n, FLOW_HOSTS_MAX));
	cr_expect(eq(u64, merge_stats(g.m)->names_dropped, 3));
}

/* flush() ends the flow; this is about one that goes on. */
Test(merge_names, later_records_say_what_earlier_ones_have_told)
{
	http("one.example", "/a");
	http("two.example", "/b");
	for (unsigned int i = 0, sec = 0; i < 3; i++) {
		if (i == 2)
			http("three.example", "/c");
		for (; g.n == i && sec < 240; sec++) { /* never idle */
			entry_payload(&g, &a, 0, 0);
			entry_read(&g, &a);
			rig_wait(&g, 1000);
			merge_tick(g.m);
		}
		cr_assert(eq(u32, g.n, i + 1), "a record an active timeout");
		cr_expect(record_is(rig_last(&g), FF_HTTP_HOST, "one.example"));
		cr_expect(eq(u8, rig_last(&g)->told, i ? FLOW_TOLD_HTTP : 0));
		cr_expect(eq(u8, rig_last(&g)->hosts_told, i ? 1 : 0));
		cr_expect(eq(u32, rig_last(&g)->http_hosts.n, i == 2 ? 2 : 1));
	}
}

Test(merge_names, a_request_without_host_says_so_until_a_name_comes)
{
	http("", "/");
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_NO_NAME, "no_host"));
	cr_expect(record_is(rig_last(&g), FF_HTTP_HOST, NULL));
	cr_expect(record_is(rig_last(&g), FF_HTTP_PATH, "/"));
}

/* ---- no_name ---- */

Test(merge_names, a_reason_gives_way_to_a_name)
{
	struct name_result nr = rig_name(&g, &rig_key, NAME_MISSING, 0);

	nr.no_name = NN_CONFLICT;
	merge_name(g.m, &nr);
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_NO_NAME, "conflict"));

	merge_name(g.m, &nr);
	rig_sni(&g, &rig_key, "example.com");
	entry_init(&a, &rig_key);
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_NO_NAME, NULL));
	cr_expect(record_is(rig_last(&g), FF_TLS_SNI, "example.com"));
}

static int ended(void *arg, const struct flow_key *key, struct name_result *ret)
{
	(*(int *)arg)++;
	*ret = rig_name(&g, key, NAME_MISSING, 0);
	ret->no_name = NN_DECRYPT;
	return 1;
}

Test(merge_names, asks_for_the_reason_when_a_flow_with_payload_ends)
{
	int asked = 0;

	merge_on_end(g.m, ended, &asked);
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	rig_wait(&g, 15000);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_NO_NAME, "decrypt"));
	entry_init(&a, &rig_key);
	entry_packet(&g, &a, 0, SYN, 0);
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_NO_NAME, NULL));
	cr_expect(eq(int, asked, 1));
}

Test(merge_names, what_the_entries_know_is_the_last_resort)
{
	entry_payload(&g, &a, 0, 0);
	a.cold.l7_gap = L7_OPEN_0;
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_NO_NAME, "incomplete"));

	entry_init(&a, &rig_key);
	entry_payload(&g, &a, 0, 0);
	a.cold.l7_gap = L7_LOST_0 | L7_OPEN_0;
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_NO_NAME, "ring_full"));

	entry_init(&a, &rig_key);
	entry_payload(&g, &a, 0, 0);
	a.cold.l7_gap = L7_LOST_1;
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_NO_NAME, NULL), "a server's hello has no name in it");

	entry_init(&a, &rig_key);
	entry_payload(&g, &a, 0, 0);
	a.cold.l7_gap = L7_OPEN_0;
	entry_read(&g, &a);
	entry_payload(&g, &a, 0, 0);
	a.cold.l7_gap = 0;
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_NO_NAME, NULL), "it was no hello after all");
}

/* ---- DNS ---- */

static void dns_entry(void)
{
	entry_init(&a, &udp);
	entry_payload(&g, &a, 0, 0);
	entry_payload(&g, &a, 1, 0);
	entry_read(&g, &a);
}

Test(merge_names, a_query_and_its_answer_make_rcode_and_latency)
{
	const struct flow_record *r;

	dns_entry();
	rig_dns(&g, &udp, 7, "example.com", -1);
	rig_wait(&g, 2);
	rig_dns(&g, &udp, 7, "example.com", -1); /* repeated: counts from the first */
	rig_wait(&g, 3);
	rig_dns(&g, &udp, 7, "eXample.com", 3);
	rig_dns(&g, &udp, 7, "example.com", 3);
	r = flush();
	cr_expect(record_is(r, FF_DNS_QNAME, "example.com"));
	cr_expect(record_is(r, FF_DNS_QTYPE, "A"));
	cr_expect(record_is(r, FF_DNS_RCODE, "NXDOMAIN"));
	cr_expect(record_is(r, FF_DNS_LATENCY_US, "5000"));
	cr_expect(record_is(r, FF_DNS_QUERIES, NULL));
}

Test(merge_names, an_answer_may_be_heard_of_before_its_query)
{
	struct name_result nr = rig_name(&g, &udp, NAME_DNS_QUERY, 0);

	dns_entry();
	rig_wait(&g, 4);
	rig_dns(&g, &udp, 7, "a.example", 0);
	nr.dns.id = 7;
	nr.dns.qtype = 1;
	nr.dns.qname_len = 9;
	memcpy(nr.dns.qname, "a.example", 9);
	merge_name(g.m, &nr);
	cr_expect(record_is(flush(), FF_DNS_LATENCY_US, "4000"));
	cr_expect(record_is(rig_last(&g), FF_DNS_RCODE, "NOERROR"));
	cr_expect(record_is(rig_last(&g), FF_DNS_QUERIES, NULL));
}

Test(merge_names, further_queries_are_listed_up_to_a_bound)
{
	const struct flow_record *r;
	char name[32];

	dns_entry();
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "h%d.test", i);
		rig_dns(&g, &udp, (uint16_t)i, name, -1);
		if (i % 2)
			rig_dns(&g, &udp, (uint16_t)i, name, 0);
	}
	r = flush();
	cr_expect(record_is(r, FF_DNS_QNAME, "h0.test"));
	cr_expect(record_is(r, FF_DNS_RCODE, NULL));
	cr_assert(eq(u32, r->dns_queries.n, FLOW_QUERIES_MAX));
	for (unsigned int i = 0; i < r->dns_queries.n; i++) {
		snprintf(name, sizeof(name), "h%u.test", i + 1);
		cr_expect(eq(u32, r->dns_queries.v[i].qname.len, (uint32_t)strlen(name)));
		cr_expect(eq(int, memcmp(r->dns_queries.v[i].qname.s, name, strlen(name)), 0));
		cr_expect(eq(u8, r->dns_queries.v[i].has_rcode, (i + 1) % 2));
		cr_expect(eq(u8, r->dns_queries.v[i].has_latency, (i + 1) % 2));
	}
	/* 33 kept; of the other 7 the queries, and 4 answers. */
	cr_expect(eq(u64, merge_stats(g.m)->names_dropped, 11));
}

Test(merge_names, each_query_is_in_one_record_and_one_unanswered_waits_once)
{
	dns_entry();
	rig_dns(&g, &udp, 1, "one.test", -1);
	rig_dns(&g, &udp, 1, "one.test", 0);
	for (int s = 0; s < 6; s++) {
		rig_wait(&g, 10000);
		entry_payload(&g, &a, 0, 0);
		entry_read(&g, &a);
		if (s == 5)
			rig_dns(&g, &udp, 2, "two.test", -1);
		merge_tick(g.m);
	}
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_DNS_QNAME, "one.test"));
	cr_expect(record_is(rig_last(&g), FF_DNS_QUERIES, NULL));
	rig_wait(&g, 20);
	rig_dns(&g, &udp, 2, "two.test", 2);
	entry_payload(&g, &a, 1, 0);
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_DNS_QNAME, "two.test"));
	cr_expect(record_is(rig_last(&g), FF_DNS_RCODE, "SERVFAIL"));
	cr_expect(record_is(rig_last(&g), FF_DNS_LATENCY_US, "20000"));
}

/* ---- a port used again ---- */

static void one_connection(struct entry *e)
{
	entry_packet(&g, e, 0, SYN, 0);
	entry_packet(&g, e, 1, SYN | ACK, 1000);
	entry_packet(&g, e, 0, ACK, 2000);
	rig_wait(&g, 1);
	entry_payload(&g, e, 0, 0);
}

static void its_end(struct entry *e)
{
	rig_wait(&g, 1);
	entry_packet(&g, e, 0, FIN | ACK, 0);
	entry_packet(&g, e, 1, FIN | ACK, 0);
	rig_wait(&g, 1);
}

static const struct flow_record *by_name(const char *sni)
{
	static const struct flow_record none;

	for (unsigned int i = 0; i < g.n; i++) {
		const struct flow_record *r = &g.kept[i].r;

		if (flow_has(r, FF_TLS_SNI) && r->tls_sni.len == strlen(sni) &&
		    !memcmp(r->tls_sni.s, sni, r->tls_sni.len))
			return r;
	}
	return &none;
}

/* The rings are read more often than the cache: both names are there before either entry. */
Test(merge_names, two_names_before_any_entry_is_read_are_two_connections)
{
	one_connection(&a);
	rig_sni(&g, &rig_key, "one.test");
	its_end(&a);
	one_connection(&b);
	rig_sni(&g, &rig_key, "two.test");
	its_end(&b);
	entry_evict(&g, &a);
	entry_read(&g, &b);
	merge_tick(g.m);
	flush();
	cr_assert(eq(u32, g.n, 2));
	cr_expect(eq(u64, by_name("one.test")->packets, 6));
	cr_expect(eq(u64, by_name("two.test")->packets, 6));
	cr_expect(record_is(by_name("one.test"), FF_STATE, "closed"));
	cr_expect(record_is(by_name("two.test"), FF_STATE, "closed"));
}

Test(merge_names, the_second_name_comes_before_the_firsts_last_packets_are_read)
{
	one_connection(&a);
	entry_read(&g, &a);
	rig_sni(&g, &rig_key, "one.test");
	its_end(&a);
	one_connection(&b);
	rig_sni(&g, &rig_key, "two.test");
	entry_evict(&g, &a);
	its_end(&b);
	entry_read(&g, &b);
	merge_tick(g.m);
	flush();
	cr_assert(eq(u32, g.n, 2));
	cr_expect(eq(u64, by_name("one.test")->packets, 6));
	cr_expect(eq(u64, by_name("two.test")->packets, 6));
}

Test(merge_names, a_late_name_finds_the_connection_it_belongs_to)
{
	struct name_result late;

	one_connection(&a);
	late = rig_name(&g, &rig_key, NAME_TLS_CLIENT, 0);
	late.tls.sni_len = 8;
	memcpy(late.tls.sni, "one.test", 8);
	its_end(&a);
	one_connection(&b);
	entry_read(&g, &a);
	entry_read(&g, &b);
	merge_name(g.m, &late);
	rig_sni(&g, &rig_key, "two.test");
	merge_tick(g.m);
	flush();
	cr_assert(eq(u32, g.n, 2));
	cr_expect(record_is(by_name("one.test"), FF_STATE, "closed"));
	cr_expect(record_is(by_name("two.test"), FF_STATE, "established"));
}

Test(merge_names, names_are_bounded_in_total)
{
	struct merge_cfg cfg = merge_cfg_default;

	rig_done(&g);
	cfg.names_bytes = 1000;
	rig_init(&g, &cfg);
	for (uint16_t i = 1; i <= 100; i++) {
		struct flow_key key = rig_key;

		key.port[0] = i;
		rig_sni(&g, &key, "some.name.example.com");
	}
	cr_expect(gt(u64, merge_stats(g.m)->names_dropped, 90));
	cr_expect(gt(u64, merge_stats(g.m)->names, 0));
	rig_wait(&g, 15000);
	merge_tick(g.m);
	rig_sni(&g, &rig_key, "again.example.com"); /* what was held is free again */
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	cr_expect(record_is(flush(), FF_TLS_SNI, "again.example.com"));
}

/* ---- addresses in answers ---- */

static void answer(uint16_t id, const char *qname, unsigned int first, unsigned int n)
{
	struct name_result nr = rig_name(&g, &udp, NAME_DNS_ANSWERS, 1);

	nr.answers.id = id;
	nr.answers.qtype = 1;
	nr.answers.qname_len = (uint16_t)strlen(qname);
	memcpy(nr.answers.qname, qname, nr.answers.qname_len);
	nr.answers.n = (uint16_t)n;
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t ip[16] = {
			[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = (uint8_t)(first + i)};

		memcpy(nr.answers.v[i].ip, ip, sizeof(ip));
		nr.answers.v[i].ttl = 60;
	}
	merge_name(g.m, &nr);
}

static int answer_is(const struct flow_record *r, unsigned int i, const char *want)
{
	const struct flow_str *s = &r->dns_answers.v[i];

	return flow_has(r, FF_DNS_ANSWERS) && i < r->dns_answers.n && s->len == strlen(want) &&
	       !memcmp(s->s, want, s->len);
}

Test(merge_names, addresses_of_answers_are_in_the_record_of_their_query)
{
	const struct flow_record *r;

	dns_entry();
	rig_dns(&g, &udp, 7, "a.test", -1);
	rig_dns(&g, &udp, 8, "b.test", -1);
	rig_dns(&g, &udp, 7, "a.test", 0);
	answer(7, "a.test", 1, 2);
	answer(7, "a.test", 1, 2); /* seen twice */
	rig_dns(&g, &udp, 8, "b.test", 0);
	answer(8, "b.test", 3, 1);
	answer(9, "evil.test", 9, 1); /* nobody asked */
	rig_dns(&g, &udp, 10, "spoof.test", 0);
	answer(10, "spoof.test", 10, 1);
	r = flush();
	cr_assert(eq(u32, r->dns_answers.n, 3));
	cr_expect(answer_is(r, 0, "a.test 60 192.0.2.1"));
	cr_expect(answer_is(r, 1, "a.test 60 192.0.2.2"));
	cr_expect(answer_is(r, 2, "b.test 60 192.0.2.3"));
}

Test(merge_names, addresses_of_answers_are_told_once_and_up_to_a_bound)
{
	dns_entry();
	for (int s = 0; s < 6; s++) {
		rig_wait(&g, 10000);
		entry_payload(&g, &a, 0, 0);
		entry_read(&g, &a);
		if (s == 4)
			for (uint16_t i = 1; i <= 10; i++) {
				rig_dns(&g, &udp, i, "many.test", -1);
				rig_dns(&g, &udp, i, "many.test", 0);
				answer(i, "many.test", i * 5u, 5);
			}
		merge_tick(g.m);
	}
	cr_assert(eq(u32, g.n, 1));
	cr_expect(eq(u32, rig_last(&g)->dns_answers.n, FLOW_ANSWERS_MAX));
	cr_expect(answer_is(rig_last(&g), FLOW_ANSWERS_MAX - 1, "many.test 60 192.0.2.36"));
	cr_expect(gt(u64, merge_stats(g.m)->names_dropped, 0));
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	cr_expect(not(flow_has(flush(), FF_DNS_ANSWERS)));
	cr_expect(eq(u32, g.n, 2));
}
