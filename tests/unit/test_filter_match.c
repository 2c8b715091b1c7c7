// SPDX-License-Identifier: Apache-2.0
/*
 * test_filter_match.c - filters over records: every operator on every kind of field, absent fields,
 * lists.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "filter_rig.h"

struct row {
	const char *text;
	int want;
};

static void check(const struct flow_record *r, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cr_expect(eq(int, filter_rig_match(rows[i].text, r), rows[i].want), "%s",
			  rows[i].text);
}
#define CHECK(r, rows) check(r, rows, sizeof(rows) / sizeof((rows)[0]))

Test(filter_match, compares_numbers_words_and_times)
{
	static const struct row rows[] = {
		{"dst.port == 443", 1},
		{"dst.port != 443", 0},
		{"dst.port < 443", 0},
		{"dst.port <= 443", 1},
		{"dst.port > 442", 1},
		{"dst.port >= 444", 0},
		{"dst.port < 0", 0},
		{"bytes > 18446744073709551615", 0},
		{"dst.port in {80, 443, 400-500}", 1},
		{"dst.port in {80, 444-500, 1-442}", 0},
		{"dst.port in {1-100, 50-442, 440-443}", 1},
		{"out.dscp & 2", 1},
		{"out.dscp & 1", 0},
		{"bytes > 3k and bytes < 4Ki", 1},
		{"rtt.client_us == 5ms", 1},
		{"rtt.client_us > 5ms", 0},
		{"proto tcp", 1},
		{"proto in {udp, icmp}", 0},
		{"state == established", 1},
		{"state in {new, closed}", 0},
		{"reason == end", 1},
		{"tunnel.type == vxlan and vni == 5001", 1},
		{"tls.ech == ech", 1},
		{"flags SPA", 1},
		{"flags SF", 0},
		{"tcp.flags & F", 0},
		{"tcp.flags & FS", 1},
		{"tcp.flags == PSA", 1},
		{"tcp.flags == S", 0},
		{"tcp.flags in {S, SPA}", 1},
		{"start == 2026-09-01T12:41:08.120113Z", 1},
		{"start > 2026-09-01T12:41:08.120113Z", 0},
		{"start >= 2026-09-01T14:41:08+02:00 and end < 2026-09-01T12:41:09Z", 1},
		{"out.packets == 8 and in.packets == 6 and packets == 14", 1},
		{"packets > $n", 0},
	};

	CHECK(filter_rig_tls(), rows);
}

Test(filter_match, orders_versions_of_tls_and_dtls_alike)
{
	struct flow_record r = *filter_rig_tls();
	static const struct row tls12[] = {
		{"tls.version == TLSv1.2", 1},		{"tls.version < TLSv1.2", 0},
		{"tls.version <= DTLSv1.2", 1},		{"tls.version > TLSv1.1", 1},
		{"tls.version == DTLSv1.2", 0},		{"tls.offered > tls.version", -1},
		{"tls.version in {SSLv3, TLSv1.2}", 1},
	};
	static const struct row dtls10[] = {
		{"tls.version < TLSv1.2", 1},  {"tls.version == DTLSv1", 1},
		{"tls.version < DTLSv1.2", 1}, {"tls.version >= TLSv1.1", 1},
		{"tls.version > TLSv1.1", 0},
	};

	CHECK(&r, tls12);
	r.tls_version = 0xfeff;
	CHECK(&r, dtls10);
	r.tls_version = 0xfefc;
	cr_expect(eq(int, filter_rig_match("tls.version >= TLSv1.3", &r), 1));
}

Test(filter_match, compares_addresses)
{
	static const struct row v4[] = {
		{"src.ip == 10.1.2.3", 1},
		{"src.ip == ::ffff:10.1.2.3", 1},
		{"src.ip != 10.1.2.3", 0},
		{"src.ip in 10.0.0.0/8", 1},
		{"src.ip in 10.1.2.3/32", 1},
		{"src.ip in 10.1.2.2/32", 0},
		{"src.ip in 0.0.0.0/0", 1},
		{"src.ip in ::/0", 0},
		{"src.ip in ::ffff:0:0/96", 1},
		{"src.ip in 10.1.2.3-10.1.2.9", 1},
		{"src.ip in 10.1.2.4-10.1.2.9", 0},
		{"src.ip in {192.0.2.0/24, 10.1.2.3}", 1},
		{"src.ip in {192.0.2.0/24, 172.16.0.0/12, ::/0}", 0},
		{"src.ip in @local and not dst.ip in @local", 1},
		{"src.ip in @empty", 0},
		{"host 192.0.2.80", 1},
		{"src host 192.0.2.80", 0},
		{"net 192.0.2.0/24 and src net 10.0.0.0/8", 1},
		{"tunnel.src in 2001:db8::/32", 1},
		{"not host 192.0.2.81", 1},
	};
	static const struct row v6[] = {
		{"src.ip == 2001:db8::1", 1},
		{"src.ip in 2001:db8::/32", 1},
		{"src.ip in 2001:db9::/32", 0},
		{"src.ip in ::/0", 1},
		{"src.ip in 0.0.0.0/0", 0},
		{"src.ip in 2001:db8::/128", 0},
		{"src.ip in 2001:db8::-2001:db8::2", 1},
		{"src.ip in @local", 1},
		{"dst.ip in @local", 0},
		{"src.ip in 2001:db8::/64", 1},
		{"src.ip in ::/1", 1},
		{"src.ip in 8000::/1", 0},
	};

	CHECK(filter_rig_tls(), v4);
	CHECK(filter_rig_dns(), v6);
}

Test(filter_match, compares_text)
{
	static const struct row rows[] = {
		{"tls.sni == \"www.example.com\"", 1}, /* names without case */
		{"tls.sni == \"www.example.co\"", 0},
		{"tls.sni suffix \".EXAMPLE.com\"", 1},
		{"tls.sni suffix \"wwww.example.com\"", 0},
		{"tls.sni prefix \"WwW.\"", 1},
		{"tls.sni prefix \"example\"", 0},
		{"tls.sni contains \"EXAMPLE\"", 1},
		{"tls.sni contains \"\"", 1},
		{"tls.sni contains \"examples\"", 0},
		{"tls.sni in {\"a\", \"WWW.EXAMPLE.COM\", \"b\"}", 1},
		{"tls.sni in {\"a\", \"www\", \"www.example.com.\"}", 0},
		{"iface == \"eth0\"", 1},
		{"iface == \"ETH0\"", 0}, /* anything else with it */
		{"iface contains \"th\"", 1},
		{"iface in {\"eth1\", \"eth0\"}", 1},
		{"http.method == \"GET\"", 1},
		{"http.method == \"get\"", 0},
	};

	CHECK(filter_rig_tls(), rows);
}

Test(filter_match, takes_any_element_of_a_list)
{
	static const struct row tls[] = {
		{"vlan == 10", 1},
		{"vlan == 20", 1},
		{"vlan == 30", 0},
		{"vlan > 15", 1},
		{"vlan in {30, 20}", 1},
		{"vlan != 10", 0}, /* the opposite of ==, not "one of them differs" */
		{"vlan != 30", 1},
		{"not vlan == 10", 0},
		{"tls.alpn == \"h2\"", 1},
		{"tls.alpn == \"http/1.1\"", 1},
		{"tls.alpn == \"h3\"", 0},
		{"tls.alpn prefix \"http/\"", 1},
		{"tls.alpn in {\"h3\", \"h2\"}", 1},
		{"labels == \"site=north\" and labels prefix \"rack=\"", 1},
		{"labels == \"site=south\" or labels == \"SITE=north\"", 0},
		{"http.hosts == \"b.example.org\"", 1},
		{"http.hosts suffix \"example.org\" and not http.hosts == \"c.example.org\"", 1},
	};
	static const struct row dns[] = {
		{"dns.queries == \"deep.example.net\"", 1},
		{"dns.queries prefix \"mail.\"", 1},
		{"dns.queries == \"example.net\"", 0},
		{"dns.qname == \"example.net\"", 1},
		{"dns.qtype == HTTPS and dns.rcode == NXDOMAIN", 1},
		{"no_name == truncated", 1},
	};

	CHECK(filter_rig_tls(), tls);
	CHECK(filter_rig_dns(), dns);
}

Test(filter_match, is_false_for_absent_fields_under_not_too)
{
	static const struct row rows[] = {
		{"tls.sni == \"x\"", 0},
		{"not tls.sni == \"x\"", 0},
		{"tls.sni != \"x\"", 0},
		{"not tls.sni != \"x\"", 0},
		{"not not tls.sni == \"x\"", 0},
		{"not tls.sni suffix \"ok\"", 0},
		{"vlan == 10 or not vlan == 10", 0},
		{"not vlan in 1-100", 0},
		{"exists(tls.sni)", 0},
		{"not exists(tls.sni)", 1},
		{"not (exists(tls.sni) and tls.sni suffix \"ok\")", 1},
		{"not (proto udp and tls.sni == \"x\")", 0}, /* true and unknown */
		{"not (proto tcp and tls.sni == \"x\")", 1}, /* false and unknown */
		{"not (proto udp or tls.sni == \"x\")", 0},
		{"not (proto tcp or tls.sni == \"x\")", 0}, /* false or unknown */
		{"proto udp or tls.sni == \"x\"", 1},
		{"exists(proto) and not exists(tcp.flags)", 1},
		{"tls.alpn == \"h2\" or not tls.alpn == \"h2\"", 0},
	};

	CHECK(filter_rig_dns(), rows);
}

Test(filter_match, knows_community_ids)
{
	struct flow_record r = *filter_rig_tls();
	static const struct row rows[] = {
		{"community_id == \"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\"", 1},
		{"community_id != \"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\"", 0},
		{"community_id in {\"1:a\", \"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\"}", 1},
		{"community_id == \"1:a\" or exists(community_id)", 1},
	};

	/* The first example of the specification's own test data. */
	r.src_port = 34855;
	r.dst_port = 80;
	for (unsigned int i = 0; i < 4; i++) {
		r.src_ip[12 + i] = ((uint8_t[]){128, 232, 110, 120})[i];
		r.dst_ip[12 + i] = ((uint8_t[]){66, 35, 250, 204})[i];
	}
	CHECK(&r, rows);
	r.family = 0;
	cr_expect(eq(int, filter_rig_match("community_id != \"1:a\"", &r), 0));
}

Test(filter_match, takes_every_record_without_a_filter)
{
	cr_expect(filter_match(NULL, filter_rig_tls()));
}
