// SPDX-License-Identifier: Apache-2.0
/*
 * test_policy.c - policies: what filters become, what text becomes, what is refused and why, signatures.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy_rig.h"

struct row {
	const char *text, *want;
};

static void expect_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cr_expect(eq(str, (char *)policy_rig_text(rows[i].text), (char *)rows[i].want),
			  "%s", rows[i].text);
}

#define EXPECT(rows) expect_rows(rows, sizeof(rows) / sizeof(rows[0]))

/* ---- filters ---- */

Test(policy, filters_become_entries)
{
	static const struct row rows[] = {
		{"drop src.ip == 192.0.2.1 for 10m", "1 drop by addr: src.ip == 192.0.2.1"},
		{"drop src.ip in 198.51.100.0/24 for 10m as x",
		 "1 drop by addr: src.ip in 198.51.100.0/24"},
		{"drop host 2001:db8::1 for 10m", "1 drop by addr: host 2001:db8::1"},
		{"drop net 2001:db8::/32 for 10m", "1 drop by addr: net 2001:db8::/32"},
		{"drop dst.ip in {192.0.2.1, 192.0.2.9} for 10m",
		 "1 drop by addr: dst.ip == 192.0.2.1 or 1 others"},
		{"drop src.ip in 192.0.2.1-192.0.2.6 for 10m",
		 "1 drop by addr: src.ip == 192.0.2.1 or 3 others"},
		{"drop src.ip == 192.0.2.1 and dst.port == 22 for 10m",
		 "1 drop by addr: src.ip == 192.0.2.1 and dst.port == 22"},
		{"drop dst.ip == 192.0.2.1 and dst.port == 22 and proto tcp for 10m",
		 "1 drop by addr_port: dst.ip == 192.0.2.1 and dst.port == 22 and proto == tcp"},
		{"drop src.ip == 192.0.2.1 and src.port == 40000 and dst.ip == 192.0.2.2 and "
		 "dst.port == 22 and proto tcp for 10m",
		 "1 drop by flow: flow 192.0.2.1 port 40000 - 192.0.2.2 port 22 proto 6"},
		{"drop src.ip in 10.0.0.0/8 and not src.ip == 10.0.0.5 for 10m",
		 "1 drop by addr: src.ip in 10.0.0.0/8 and src.ip != 10.0.0.5"},
		{"drop src.ip in 192.0.2.0/24 and dst.ip in 10.0.0.0/8 for 10m",
		 "1 drop by addr: src.ip in 192.0.2.0/24 and dst.ip in 10.0.0.0/8"},
		{"drop host 192.0.2.1 and host 192.0.2.2 for 10m",
		 "1 drop by addr: src.ip == 192.0.2.1 and dst.ip == 192.0.2.2\n"
		 "2 drop by addr: dst.ip == 192.0.2.1 and src.ip == 192.0.2.2"},
		{"drop src.ip in 0.0.0.0/0 for 1m", "1 drop by none: src.ip in 0.0.0.0/0"},
	};

	EXPECT(rows);
}

Test(policy, names_become_entries)
{
	static const struct row rows[] = {
		{"drop tls.sni == \"Blocked.test\" for 1m",
		 "1 drop by name: tls.sni == \"blocked.test\""},
		{"drop tls.sni suffix \"blocked.test\" for 1m",
		 "1 drop by name: tls.sni suffix \"blocked.test\""},
		{"drop tls.sni suffix \".blocked.test\" or http.host == \"a.test\" for 1m",
		 "1 drop by name: tls.sni suffix \".blocked.test\"\n"
		 "2 drop by name: http.host == \"a.test\""},
		{"drop http.host in {\"a.test\", \"b.test\"} and dst.port == 80 for 1m",
		 "1 drop by name: http.host == \"a.test\" or 1 others and dst.port == 80"},
		{"drop dns.qname suffix \".evil.test\" and src.ip in 10.0.0.0/8 for 1m",
		 "1 drop by name: dns.qname suffix \".evil.test\" and src.ip in 10.0.0.0/8"},
	};

	EXPECT(rows);
}

Test(policy, the_rest_becomes_conditions)
{
	static const struct row rows[] = {
		{"drop proto udp and dst.port in 1000-2000 for 1m",
		 "1 drop by none: proto == udp and dst.port in 1000-2000"},
		{"drop dst port {80, 443} for 1m",
		 "1 drop by none: dst.port == 80\n2 drop by none: dst.port == 443"},
		{"drop dst port {80, 81, 82-90} for 1m", "1 drop by none: dst.port in 80-90"},
		{"drop not dst port {22, 80} and proto tcp for 1m",
		 "1 drop by none: proto == tcp and dst.port in 0-21\n"
		 "2 drop by none: proto == tcp and dst.port in 23-79\n"
		 "3 drop by none: proto == tcp and dst.port in 81-65535"},
		{"drop port 53 for 1m", "1 drop by none: port == 53"},
		{"drop not port 53 for 1m", "1 drop by none: port != 53"},
		{"drop port 53 and src port 53 for 1m",
		 "1 drop by none: src.port == 53\n2 drop by none: src.port == 53 and dst.port == 53"},
		{"drop flags S and not tcp.flags & A for 1m",
		 "1 drop by none: tcp.flags & S and not tcp.flags & A"},
		{"drop tcp.flags == S for 1m", "1 drop by none: tcp.flags == S"},
		{"drop tcp.flags & SR for 1m",
		 "1 drop by none: tcp.flags & S\n2 drop by none: tcp.flags & R"},
		{"drop proto != tcp for 1m", "1 drop by none: proto != tcp"},
		{"drop iface == \"eth0\" and vni == 7 and vlan == 12 for 1m",
		 "1 drop by none: vlan == 12 and vni == 7 and iface == \"eth0\""},
		{"drop icmp.type == 8 or proto gre for 1m",
		 "1 drop by none: icmp.type == 8\n2 drop by none: proto == gre"},
		{"drop dst.port > 1023 and dst.port <= 1025 for 1m",
		 "1 drop by none: dst.port in 1024-1025"},
		{"drop shadow ingress proto udp for 1m",
		 "1 drop shadow by none: proto == udp (ingress)"},
		{"reset dst port 5432 for 1m", "1 reset by none: dst.port == 5432"},
		{"reset shadow egress tls.sni == \"a.test\" for 1m",
		 "1 reset shadow by name: tls.sni == \"a.test\" (egress)"},
		{"reset not proto udp and host 192.0.2.1 for 1m",
		 "1 reset by addr: host 192.0.2.1 and proto != udp"},
		{"limit 100pps per source dst port 53 for 1m",
		 "1 limit 100pps per source by none: dst.port == 53"},
		{"limit 10Mbps burst 20000 src.ip == 192.0.2.1 for 1m",
		 "1 limit 10Mbps by addr: src.ip == 192.0.2.1"},
		{"never net 10.0.0.0/8", "1 never by addr: net 10.0.0.0/8"},
	};

	EXPECT(rows);
}

Test(policy, says_what_a_packet_can_not_tell)
{
	static const struct row rows[] = {
		{"drop bytes > 1M for 1m",
		 "1:6 bytes is known of a flow, not of a packet: the kernel can't decide by it"},
		{"drop proto tcp and state == new for 1m",
		 "1:20 state is known of a flow, not of a packet: the kernel can't decide by it"},
		{"drop not tls.sni == \"ok.test\" for 1m",
		 "1:10 tls.sni under not: a packet is stopped for the name it has"},
		{"drop tls.sni contains \"x\" for 1m",
		 "1:6 names are found by ==, in or suffix, not by contains"},
		{"drop exists(tls.sni) for 1m",
		 "1:6 exists(tls.sni): compare it with something; what a packet has not is never "
		 "equal"},
		{"drop tls.sni == \"a\" and http.host == \"b\" for 1m",
		 "1:25 two names in one alternative: a packet is stopped for one"},
		{"reset proto tcp or proto udp for 1m",
		 "1:7 only TCP can be reset; this is about other packets too"},
		{"reset icmp.type == 8 for 1m",
		 "1:7 only TCP can be reset; this is about other packets too"},
		{"reset not proto tcp for 1m",
		 "1:7 only TCP can be reset; this is about other packets too"},
		{"reset ethertype == 2054 for 1m",
		 "1:7 only TCP can be reset; this is about other packets too"},
		{"reset src.ip == 192.0.2.1 and src.port == 53 and proto udp for 1m",
		 "1:7 only TCP can be reset; this is about other packets too"},
		{"reset src.ip == 192.0.2.1 and src.port == 1 and dst.ip == 192.0.2.2 and "
		 "dst.port == 53 and proto udp for 1m",
		 "1:7 only TCP can be reset; this is about other packets too"},
		{"drop prot tcp for 1m", "1:6 unknown field 'prot', did you mean 'proto'?"},
		{"drop proto tcp", "1:1 what is done needs an end: 'for 10m' behind the filter"},
		{"drop proto tcp for ten", "1:20 'ten': want a duration such as 10m, 1s at least"},
		{"drop dst port 1 and dst port 2 for 1m", "1:6 this can never be true"},
		{"\n  drpo proto tcp for 1m", "2:3 unknown word 'drpo', did you mean 'drop'?"},
		{"limit proto tcp for 1m", "1:7 limit wants a rate such as 100pps or 10Mbps"},
		{"drop as x", "1:1 what is done needs an end: 'for 10m' behind the filter"},
		{"drop src.ip in {192.0.2.1,192.0.2.3} and dst.ip in {192.0.2.1,192.0.2.3} for 1m",
		 "1:42 two sets of addresses in one filter: split it, or have one of them be one "
		 "network"},
		{"never proto tcp",
		 "check: rule 1 (line-1): key is 0: never-block goes by address"},
		{"drop proto tcp for 31d", "check: rule 1 (line-1): expires is 2678400 s from now, "
					   "beyond the 2592000 s allowed here"},
		{"drop tls.sni == \"\" for 1m", "1:6 an empty name fits everything, or nothing"},
		{"drop tls.sni == \"a.\" for 1m", "1:6 names end without a dot"},
	};

	EXPECT(rows);
}

Test(policy, takes_lists)
{
	static const struct row rows[] = {
		{"list bad addresses\ndrop src.ip in @bad for 1h as intel",
		 "1 drop by addr: src.ip == 192.0.2.1 or 2 others"},
		{"list n names\ndrop tls.sni in @n or http.host in @n for 1h",
		 "1 drop by name: tls.sni == \"a.test\" or 2 others\n"
		 "2 drop by name: http.host == \"a.test\" or 2 others"},
		{"list w wrong\n", "wrong:2:0 the network has bits behind its prefix"},
		{"list w gone\n", "1:8 gone: no such file"},
		{"drop src.ip in @x for 1m", "1:16 no list '@x' here"},
		{"list bad addresses\ndrop tls.sni in @bad for 1m",
		 "2:17 @bad, line 1 col 1: text stands in double quotes: \"192.0.2.0\""},
	};

	EXPECT(rows);
}

Test(policy, the_same_words_have_the_same_id)
{
	struct policy a, b;
	size_t len;
	uint8_t *x = policy_rig_image("drop proto tcp for 1m", &a, &len);
	uint8_t *y =
		policy_rig_image("drop proto udp for 5m\ndrop proto tcp for 9m as q", &b, &len);

	cr_expect(memcmp(a.rules[0].id, b.rules[1].id, 16) == 0);
	cr_expect(memcmp(b.rules[0].id, b.rules[1].id, 16) != 0);
	free(x);
	free(y);
}

Test(policy, head_is_as_the_text_says)
{
	struct policy p;
	struct policy_error err;
	size_t len;
	uint8_t *image = policy_rig_image(
		"# head\nissuer soc\ngeneration 7\nuntil 2h\ndrop proto tcp for 1m\n", &p, &len);

	cr_expect(eq(str, (char *)p.head->issuer, "soc"));
	cr_expect(eq(u64, p.head->generation, 7));
	cr_expect(eq(u64, p.head->not_after, RIG_NOW + 7200));
	cr_expect(eq(int, policy_in_time(&p, RIG_NOW, &err), 0));
	cr_expect(eq(int, policy_in_time(&p, RIG_NOW + 7200, &err), -EINVAL));
	cr_expect(eq(str, err.text, "policy: not_after was 0 s ago: this policy has ended"));
	free(image);
}

/* ---- images ---- */

static const char all_kinds[] =
	"drop src.ip == 192.0.2.1 for 10m as one\n"
	"drop dst.ip == 192.0.2.1 and dst.port == 22 and proto tcp for 10m as two\n"
	"drop src.ip == 192.0.2.1 and src.port == 4 and dst.ip == 192.0.2.2 and dst.port == 22 "
	"and proto tcp for 10m as three\n"
	"drop tls.sni == \"a.test\" for 10m as four\n"
	"limit 5pps proto udp for 10m as five\n";

#define AT(type, member) offsetof(struct type, member)
#define MATCH		 AT(policy_rule, match)

enum part { P_HEAD, P_RULE, P_ADDR, P_PORT, P_FLOW, P_NAME };

/* One byte is changed, and the whole is refused, with its place. */
static const struct change {
	enum part part;
	size_t at;
	uint8_t value;
	const char *want;
} changes[] = {
	{P_HEAD, 0, 'W', "policy: does not begin as one"},
	{P_HEAD, AT(policy_header, version), 2, "policy: version is 2, want 1 to 1"},
	{P_HEAD, AT(policy_header, pad), 1, "policy: pad is not zero"},
	{P_HEAD, AT(policy_header, issuer), 0, "policy: issuer is empty"},
	{P_HEAD, AT(policy_header, issuer) + 1, 7, "policy: issuer has control characters"},
	{P_HEAD, AT(policy_header, issuer) + 31, 'x', "policy: issuer is not filled up with NUL"},
	{P_HEAD, AT(policy_header, count) + 4 * 10, 1,
	 "policy: count has records of the unknown type 10"},
	{P_HEAD, AT(policy_header, count) + 4 * 11, 1,
	 "policy: count has records of the unknown type 11"},
	{P_HEAD, AT(policy_header, count) + 4 * POLICY_RULE + 1, 0x80,
	 "policy: count 32773 of type rule, at most 4095"},
	{P_RULE, AT(policy_rule, number), 2,
	 "rule 2 (two): number 2 does not come after 2: rules stand in their order"},
	{P_RULE, AT(policy_rule, action), POLICY_DO_MIRROR, "address 1: rule 1 (one) is a mirror"},
	{P_RULE, AT(policy_rule, action), POLICY_DO_CAPTURE,
	 "address 1: rule 1 (one) is a capture"},
	{P_RULE, AT(policy_rule, action), 9, "rule 1 (one): action 9 is unknown"},
	{P_RULE, AT(policy_rule, flags), 0x80, "rule 1 (one): flags has unknown bits: 0x80"},
	{P_RULE, AT(policy_rule, flags), RULE_FAILSAFE,
	 "rule 1 (one): flags failsafe is for never-block rules"},
	{P_RULE, AT(policy_rule, direction), 0, "rule 1 (one): direction is 0, want 1 to 3"},
	{P_RULE, AT(policy_rule, key), 7, "rule 1 (one): key is 7, want 0 to 4"},
	{P_RULE, AT(policy_rule, limit), 1, "rule 1 (one): limit is for the action limit only"},
	{P_RULE, AT(policy_rule, expires) + 7, 1,
	 "rule 1 (one): expires is 72057594037928536 s from now, beyond the 2592000 s allowed "
	 "here"},
	{P_RULE, AT(policy_rule, name) + 1, 0xff, "rule 1: name is no UTF-8"},
	{P_RULE, MATCH + AT(policy_match, have) + 3, 1,
	 "rule 1 (one): match.have has unknown bits: 0x1000000"},
	{P_RULE, MATCH + AT(policy_match, negate), 1,
	 "rule 1 (one): match.negate has conditions that are not asked for"},
	{P_RULE, MATCH + AT(policy_match, proto), 6,
	 "rule 1 (one): match.proto is set, but not asked for"},
	{P_RULE, MATCH + AT(policy_match, ifindex), 1, "rule 1 (one): match.ifindex is not zero"},
	{P_RULE, MATCH + AT(policy_match, pad), 1, "rule 1 (one): match.pad is not zero"},
	{P_RULE, 4 * sizeof(struct policy_rule) + AT(policy_rule, rate), 0,
	 "rule 5 (five): rate is 0, want 1 to 1000000000000"},
	{P_RULE, 4 * sizeof(struct policy_rule) + AT(policy_rule, burst), 0,
	 "rule 5 (five): burst is 0: nothing would ever pass"},
	{P_ADDR, AT(policy_addr, bits), 120, "address 1: addr has bits behind its prefix"},
	{P_ADDR, AT(policy_addr, bits), 129, "address 1: bits is 129, want 0 to 128"},
	{P_ADDR, AT(policy_addr, role), 0, "address 1: role is 0, want 1 to 3"},
	{P_ADDR, AT(policy_addr, pad), 1, "address 1: pad is not zero"},
	{P_ADDR, AT(policy_addr, rule), 9, "address 1: rule 9 is not in this policy"},
	{P_ADDR, AT(policy_addr, rule), 4,
	 "address 1: rule 4 (four) is not reached by records of this type"},
	{P_PORT, AT(policy_addr_port, port), 0, "address and port 1: port is 0, want 1 to 65535"},
	{P_FLOW, AT(policy_flow, pad), 1, "flow 1: pad is not zero"},
	{P_FLOW, AT(policy_flow, addr) + 10, 0, "flow 1: addr has one end in IPv4 and one in IPv6"},
	{P_NAME, AT(policy_name, length), 0, "name 1: length is 0, want 1 to 255"},
	{P_NAME, AT(policy_name, length), 5, "name 1: name is not filled up with NUL"},
	{P_NAME, AT(policy_name, name), 'A',
	 "name 1: name has byte 0x41 at 0: want lower case ASCII"},
	{P_NAME, AT(policy_name, how), 4, "name 1: how is 4, want 1 to 3"},
	{P_NAME, AT(policy_name, kinds), 8, "name 1: kinds is 8, want 1 to 7"},
};

Test(policy, refuses_what_is_no_policy)
{
	struct policy p;
	size_t len;
	uint8_t *image = policy_rig_image(all_kinds, &p, &len), *copy = malloc(len);
	const void *parts[] = {
		[P_HEAD] = image,	 [P_RULE] = p.rules, [P_ADDR] = p.addrs,
		[P_PORT] = p.addr_ports, [P_FLOW] = p.flows, [P_NAME] = p.names,
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const struct change *ch = &changes[i];

		memcpy(copy, image, len);
		copy[(size_t)((const uint8_t *)parts[ch->part] - image) + ch->at] = ch->value;
		cr_expect(eq(str, (char *)policy_rig_check(copy, len), (char *)ch->want), "row %zu",
			  i);
	}
	cr_expect(eq(str, (char *)policy_rig_check(image, len - 1),
		     "policy: the counts make 1904 bytes, but there are 1903"));
	cr_expect(eq(str, (char *)policy_rig_check(image, 10),
		     "policy: is 10 bytes, which no policy is"));
	free(copy);
	free(image);
}

/* No decision without expiry (a promise): in no form. */
Test(policy, no_decision_without_expiry)
{
	struct policy p;
	size_t len;
	uint8_t *image = policy_rig_image(all_kinds, &p, &len);

	for (uint32_t i = 0; i < p.n_rules; i++) {
		struct policy_rule *r = (struct policy_rule *)(uintptr_t)&p.rules[i];
		const uint64_t was = r->expires;

		cr_expect(gt(u64, r->expires, 0));
		r->expires = 0;
		cr_expect(strstr(policy_rig_check(image, len),
				 "expires is 0: every decision ends") != NULL);
		r->expires = was;
	}
	free(image);
}

Test(policy, any_byte_may_come)
{
	struct policy p;
	size_t len;
	uint8_t *image = policy_rig_image(all_kinds, &p, &len), *copy = malloc(len);

	for (size_t at = 0; at < len; at++) {
		static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};

		for (size_t v = 0; v < sizeof(values); v++) {
			memcpy(copy, image, len);
			copy[at] = values[v];
			policy_rig_check(copy, len);
		}
	}
	for (size_t n = 0; n < len; n++)
		cr_assert(ne(int, policy_rig_check(image, n)[0], 0));
	free(copy);
	free(image);
}

/* ---- signatures ---- */

Test(policy, signatures_hold_for_every_byte)
{
	uint8_t private_key[POLICY_KEY], keys[2 * POLICY_KEY];
	struct policy p;
	size_t len;
	uint8_t *image = policy_rig_image(all_kinds, &p, &len);

	cr_assert(eq(int, policy_keygen(private_key, keys), 0));
	cr_assert(eq(int, policy_keygen(private_key, keys + POLICY_KEY), 0));
	cr_expect(policy_is_signed(image, len) == false);
	cr_expect(eq(int, policy_verify(image, len, keys, 2), -ENOKEY));
	cr_assert(eq(int, policy_sign(image, len, private_key), 0));
	cr_expect(policy_is_signed(image, len));
	cr_expect(eq(int, policy_verify(image, len, keys, 2), 0));
	cr_expect(eq(int, policy_verify(image, len, keys, 1), -ENOKEY));
	cr_expect(eq(str, (char *)policy_rig_check(image, len), ""));
	for (size_t i = 0; i < len; i += 7) {
		image[i] ^= 1;
		cr_expect(ne(int, policy_verify(image, len, keys, 2), 0), "byte %zu", i);
		image[i] ^= 1;
	}
	cr_expect(eq(int, policy_verify(image, len, keys, 2), 0));
	free(image);
}

Test(policy, keys_go_through_files)
{
	uint8_t private_key[POLICY_KEY], public_key[POLICY_KEY], a[POLICY_KEY], b[POLICY_KEY];
	char pem[2][512] = {};
	FILE *out;

	cr_assert(eq(int, policy_keygen(private_key, public_key), 0));
	out = fmemopen(pem[0], sizeof(pem[0]), "w");
	cr_assert(eq(int, policy_write_private(out, private_key), 0));
	fclose(out);
	out = fmemopen(pem[1], sizeof(pem[1]), "w");
	cr_assert(eq(int, policy_write_public(out, public_key), 0));
	fclose(out);
	cr_assert(eq(int, policy_read_private(pem[0], strlen(pem[0]), a), 0));
	cr_assert(eq(int, policy_read_public(pem[1], strlen(pem[1]), b), 0));
	cr_expect(memcmp(a, private_key, POLICY_KEY) == 0);
	cr_expect(memcmp(b, public_key, POLICY_KEY) == 0);
	cr_expect(eq(int, policy_read_public(pem[0], strlen(pem[0]), b), -EINVAL));
	cr_expect(eq(int, policy_read_private("no", 2, a), -EINVAL));
}

/* ---- size ---- */

Test(policy, a_million_lines_are_a_list)
{
	const unsigned int n = 1200000;
	char *text = malloc(n * 16u);
	struct policy_list list = {};
	unsigned int line;
	const char *why;
	size_t len = 0;

	for (unsigned int i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, 17, "%u.%u.%u.%u\n", 1 + i % 200, i >> 16 & 255,
					i >> 8 & 255, i & 255);
	cr_assert(eq(int, policy_scan_list(text, len, &list, &line, &why), 0));
	cr_expect(eq(u32, list.items.n, n));
	free(list.items.at);
	free(text);
}
