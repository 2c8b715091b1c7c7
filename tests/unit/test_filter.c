// SPDX-License-Identifier: Apache-2.0
/*
 * test_filter.c - the filter language from text: what it parses to, what its errors say and where,
 * limits, completion.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter_rig.h"

struct row {
	const char *text, *want;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cr_expect(eq(str, (char *)filter_rig_parse(rows[i].text), (char *)rows[i].want),
			  "%s", rows[i].text);
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

Test(filter, has_one_form_for_every_meaning)
{
	static const struct row rows[] = {
		{"proto = tcp && dst.port in {443, 8443}||!exists(tls.sni)",
		 "proto == tcp and dst.port in {443, 8443} or not exists(tls.sni)"},
		{"src net 10.0.0.0/8 and dst port 443", "src.ip in 10.0.0.0/8 and dst.port == 443"},
		{"host 10.0.0.1", "src.ip == 10.0.0.1 or dst.ip == 10.0.0.1"},
		{"not port 53", "not (src.port == 53 or dst.port == 53)"},
		{"port 1000-2000 and net ::/0",
		 "(src.port in 1000-2000 or dst.port in 1000-2000) and "
		 "(src.ip in ::/0 or dst.ip in ::/0)"},
		{"host {10.0.0.1, ::1}", "src.ip in {10.0.0.1, ::1} or dst.ip in {10.0.0.1, ::1}"},
		{"src host @local", "src.ip in @local"},
		{"dst port {80,443}", "dst.port in {80, 443}"},
		{"proto 6", "proto == tcp"},
		{"proto in {udp,132}", "proto in {udp, sctp}"},
		{"proto \"isis over ipv4\"", "proto == \"isis over ipv4\""},
		{"proto TCP", "proto == tcp"},
		{"flags SA", "tcp.flags & S and tcp.flags & A"},
		{"not flags S", "not tcp.flags & S"},
		{"flags 0", "tcp.flags == 0"},
		{"tcp.flags == SA", "tcp.flags == SA"},
		{"tcp.flags & 0x12", "tcp.flags & SA"},
		{"bytes > 12Ki or bytes<1M", "bytes > 12288 or bytes < 1000000"},
		{"ethertype == 0x0806", "ethertype == 2054"},
		{"rtt.client_us >= 5ms and rtt.server_us < 1s500ms",
		 "rtt.client_us >= 5000 and rtt.server_us < 1500000"},
		{"response_us == 7us and dns.latency_us in 1ms-2ms",
		 "response_us == 7 and dns.latency_us in 1000-2000"},
		{"start >= 2026-09-01T14:41:08.5+02:00", "start >= 2026-09-01T12:41:08.500000Z"},
		{"tls.version < TLSv1.2 and quic.version == draft-29",
		 "tls.version < TLSv1.2 and quic.version == draft-29"},
		{"quic.version in {1, 2, Q046, 0x1a2a3a4a}",
		 "quic.version in {1, 2, Q046, 0x1a2a3a4a}"},
		{"tls.version == 0x7f1c", "tls.version == 0x7f1c"},
		{"dns.qtype in {a, TYPE65, 28, TYPE9999} and dns.rcode == RCODE3",
		 "dns.qtype in {A, HTTPS, AAAA, TYPE9999} and dns.rcode == NXDOMAIN"},
		{"iface == \"e\\\"t\\\\h\\n\\x00\\xfF\"",
		 "iface == \"e\\\"t\\\\h\\x0a\\x00\\xff\""},
		{"src.ip in ::ffff:10.0.0.0/104", "src.ip in 10.0.0.0/8"},
		{"src.ip in {10.0.0.1-10.0.0.9, ::1-::2}",
		 "src.ip in {10.0.0.1-10.0.0.9, ::1-::2}"},
		{"src.ip in {@local, @empty}", "src.ip in {@local, @empty}"},
		{"packets > $n and src.ip in $net", "packets > $n and src.ip in $net"},
		{"src.port in {$n}", "src.port in {$n}"},
		{"((state == new))", "state == new"},
		{"not not (state == new and (vlan == 1 and vlan == 2))",
		 "not not (state == new and (vlan == 1 and vlan == 2))"},
		{"tls.alpn == \"h2\" and http.hosts suffix \".org\"",
		 "tls.alpn == \"h2\" and http.hosts suffix \".org\""},
	};

	CHECK(rows);
}

Test(filter, says_which_word_is_wrong_and_where)
{
	static const struct row rows[] = {
		{"prot == tcp", "1:1 unknown field 'prot', did you mean 'proto'?"},
		{"proto == tcp and\n  dst.prot == 1",
		 "2:3 unknown field 'dst.prot', did you mean 'dst.port'?"},
		{"proto tcp and \xc3\xa9", "1:15 no word begins with '?'"},
		{"iface == \"\xc3\xa9\" xand", "1:14 unknown word 'xand', did you mean 'and'?"},
		{"sni == \"x\"", "1:1 unknown field 'sni', did you mean 'tls.sni'?"},
		{"proto tcp or udp", "1:14 'udp' is a protocol, did you mean 'proto udp'?"},
		{"", "1:1 expected a field or '(', but the filter ends here"},
		{"  ", "1:3 expected a field or '(', but the filter ends here"},
		{"proto", "1:6 expected a protocol such as tcp, but the filter ends here"},
		{"proto ==", "1:9 expected one of its words, but the filter ends here"},
		{"proto tcpp", "1:7 proto is never 'tcpp', did you mean 'tcp'?"},
		{"state == xyzzyx", "1:10 state is never 'xyzzyx'"},
		{"proto == \"xyzzyx\"", "1:10 proto is never '\"xyzzyx\"'"},
		{"proto tcp udp", "1:11 expected 'and' or 'or', not 'udp'"},
		{"proto tcp)", "1:10 ')' without its '('"},
		{"(proto tcp", "1:11 expected 'and', 'or' or ')', but the filter ends here"},
		{"exists tls.sni", "1:8 expected '(' after exists, not 'tls.sni'"},
		{"exists(tls.sn)", "1:8 unknown field 'tls.sn', did you mean 'tls.sni'?"},
		{"exists(tls.sni", "1:15 expected ')', but the filter ends here"},
		{"exists()", "1:8 expected a field, not ')'"},
		{"src 10.0.0.1", "1:5 expected host, net or port, not '10.0.0.1'"},
		{"src as AS65000",
		 "1:8 'AS65000' does not fit src.as, which wants a number such as 443, "
		 "12Ki or 0x1f"},
		{"country DEU",
		 "1:9 src.country is never 'DEU': two letters of ISO 3166, such as CZ"},
		{"src.ass = 1", "1:1 unknown field 'src.ass', did you mean 'src.as'?"},
	};

	CHECK(rows);
}

Test(filter, says_what_a_field_can_do)
{
	static const struct row rows[] = {
		{"tls.sni suffx \"a\"", "1:9 no operator 'suffx', did you mean 'suffix'?"},
		{"proto < tcp", "1:7 '<' is not for proto: it has ==, !=, in"},
		{"bytes prefix 1",
		 "1:7 'prefix' is not for bytes: it has ==, !=, <, <=, >, >=, &, in"},
		{"dst.port 443",
		 "1:10 expected ==, !=, <, <=, >, >=, &, in after dst.port, not '443'"},
		{"dst.port == 70000", "1:13 '70000' is beyond what dst.port can be: 0 to 65535"},
		{"vlan == 4096", "1:9 '4096' is beyond what vlan can be: 0 to 4095"},
		{"bytes == 99999999999999999999",
		 "1:10 '99999999999999999999' is beyond what bytes can be: 0 to "
		 "18446744073709551615"},
		{"bytes == 0x10000000000000000",
		 "1:10 '0x10000000000000000' is beyond what bytes can be: 0 to "
		 "18446744073709551615"},
		{"dst.port == http",
		 "1:13 'http' does not fit dst.port, which wants a number such as 443, 12Ki or 0x1f"},
		{"dst.port == 0x",
		 "1:13 '0x' does not fit dst.port, which wants a number such as 443, 12Ki or 0x1f"},
		{"dst.port == \"443\"",
		 "1:13 '\"443\"' does not fit dst.port, which wants a number such as 443, 12Ki or 0x1f"},
		{"rtt.client_us > 5min",
		 "1:17 '5min' does not fit rtt.client_us, which wants a duration such as 5ms, or "
		 "microseconds"},
		{"start > 2026-02-30T00:00:00Z",
		 "1:9 '2026-02-30T00:00:00Z' does not fit start, which wants a time such as "
		 "2026-09-01T12:41:08Z"},
		{"dst.port == 1-2", "1:13 '1-2' is a range: a field is 'in' it"},
		{"dst.port in 2-1", "1:13 the range '2-1' is backwards"},
		{"dst.port in 443", "1:13 one value is no set: use ==, or braces around it"},
		{"dst.port in",
		 "1:12 expected a network, a range, {values} or @list, but the filter ends here"},
		{"dst.port in {443", "1:17 expected ',' or '}', but the filter ends here"},
		{"dst.port in {}", "1:14 expected a number such as 443, 12Ki or 0x1f, not '}'"},
	};

	CHECK(rows);
}

Test(filter, says_what_is_wrong_with_an_address_or_flags)
{
	static const struct row rows[] = {
		{"src.ip == 10.0.0.0/8",
		 "1:11 '10.0.0.0/8' is a network: a field is 'in' it, or 'net'"},
		{"src.ip == 10.0.0.1-10.0.0.2",
		 "1:11 '10.0.0.1-10.0.0.2' is a range: a field is 'in' it"},
		{"src.ip in 10.0.0.2-10.0.0.1", "1:11 the range '10.0.0.2-10.0.0.1' is backwards"},
		{"src.ip in 10.0.0.1-::1",
		 "1:11 '10.0.0.1-::1' goes from one address family to the other"},
		{"src.ip == 10.0.0",
		 "1:11 '10.0.0' does not fit src.ip, which wants an address such as "
		 "192.0.2.1 or 2001:db8::1"},
		{"src.ip in 10.0.0.1-x",
		 "1:11 '10.0.0.1-x' does not fit src.ip, which wants an address "
		 "such as 192.0.2.1 or 2001:db8::1"},
		{"src.ip in x/8", "1:11 'x/8' does not fit src.ip, which wants an address such as "
				  "192.0.2.1 or 2001:db8::1"},
		{"net 10.0.0.0/33", "1:5 '10.0.0.0/33': the prefix length is 0 to 32"},
		{"net ::/129", "1:5 '::/129': the prefix length is 0 to 128"},
		{"net 10.0.0.1/8",
		 "1:5 '10.0.0.1/8' has bits behind its prefix, did you mean 10.0.0.0/8?"},
		{"net 2001:db8::1/32",
		 "1:5 '2001:db8::1/32' has bits behind its prefix, did you mean 2001:db8::/32?"},
		{"net 10.0.0.1", "1:5 'net' wants a network such as 192.0.2.0/24, not '10.0.0.1'"},
		{"host 10.0.0.0/8",
		 "1:6 'host' wants an address such as 192.0.2.1, not '10.0.0.0/8'"},
		{"port and",
		 "1:6 'and' does not fit src.port, which wants a number such as 443, 12Ki "
		 "or 0x1f"},
		{"port", "1:5 expected a port such as 443, or 8000-8100, but the filter ends here"},
		{"flags SX", "1:7 'SX' is no TCP flags: letters of FSRPAUEC, such as SA"},
		{"flags 256", "1:7 '256' does not fit tcp.flags, which wants letters of FSRPAUEC"},
	};

	CHECK(rows);
}

Test(filter, says_what_is_wrong_with_text_lists_and_parameters)
{
	static const struct row rows[] = {
		{"iface == eth0", "1:10 text stands in double quotes: \"eth0\""},
		{"iface == 'eth0'", "1:10 text stands in double quotes"},
		{"iface == \"eth0", "1:10 text without its closing quote"},
		{"iface == \"eth\n0\"", "1:10 text without its closing quote"},
		{"iface == \"a\\q\"", "1:12 no such escape: \\\\ \\\" \\n \\r \\t \\xHH"},
		{"iface == \"a\\x4\"", "1:12 no such escape: \\\\ \\\" \\n \\r \\t \\xHH"},
		{"iface == \"a\\x", "1:10 text without its closing quote"},
		{"src.ip in @nowhere", "1:11 no list '@nowhere' here"},
		{"src.ip in @wrong",
		 "1:11 @wrong, line 2 col 2: '10.0.0.0/33': the prefix length is 0 to 32"},
		{"src.ip in @nested",
		 "1:11 @nested, line 1 col 1: expected an address such as 192.0.2.1 or 2001:db8::1, "
		 "not '@local'"},
		{"src.ip == @local",
		 "1:11 expected an address such as 192.0.2.1 or 2001:db8::1, not '@local'"},
		{"packets > $nowhere", "1:11 no parameter '$nowhere' here"},
		{"packets > $wrong",
		 "1:11 $wrong: 'twenty' does not fit packets, which wants a number "
		 "such as 443, 12Ki or 0x1f"},
		{"packets > $two", "1:11 $two: expected one value, not '30'"},
		{"src.ip == $net", "1:11 '$net' is a network: a field is 'in' it, or 'net'"},
		{"packets > $", "1:11 no word begins with '$'"},
		{"bytes > 1 and \x1b[31m", "1:15 no word begins with '?'"},
		{"bytes > 1 | bytes < 2", "1:11 no word begins with '|'"},
	};

	CHECK(rows);
}

Test(filter, has_no_lists_without_a_resolver)
{
	struct filter_error err;
	struct filter *f = NULL;

	cr_expect(eq(int, filter_parse("src.ip in @local", 16, NULL, &f, &err), -EINVAL));
	cr_expect(eq(str, err.message, "no list '@local' here"));
	cr_expect(eq(int, filter_parse("bytes > $n", 10, NULL, &f, &err), -EINVAL));
	cr_expect(eq(str, err.message, "no parameter '$n' here"));
	cr_expect(f == NULL);
}

/* Of a program that has no collector's knowledge, and of one that has. */
Test(filter, words_of_the_collector_are_refused_elsewhere)
{
	static const char *const texts[] = {"src.as == 64496", "exists(dst.country)", "as 64496",
					    "dst country CZ", "dst.name suffix \".test\""};
	struct filter_env env = {.added = true};
	struct filter_error err;
	struct filter *f = NULL;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_expect(
			eq(int, filter_parse(texts[i], strlen(texts[i]), NULL, &f, &err), -EINVAL));
		cr_expect(strstr(err.message, "is known to the collector alone") != NULL, "%s: %s",
			  texts[i], err.message);
		cr_expect(eq(int, filter_parse(texts[i], strlen(texts[i]), &env, &f, &err), 0),
			  "%s: %s", texts[i], err.message);
		f = filter_free(f);
	}
	/* nor are they suggested */
	cr_expect(eq(int, filter_parse("src.zon = 1", 11, NULL, &f, &err), -EINVAL));
	cr_expect(strstr(err.message, "src.zone") == NULL, "%s", err.message);
}

static int parse(const char *text, size_t len, struct filter_error *err)
{
	struct filter *f;
	int r = filter_parse(text, len, NULL, &f, err);

	if (!r)
		filter_free(f);
	return r;
}

Test(filter, is_bounded_in_depth)
{
	char text[FILTER_DEPTH_MAX * 2 + 32] = "";
	struct filter_error err;

	for (unsigned int depth = FILTER_DEPTH_MAX - 2; depth < FILTER_DEPTH_MAX + 2; depth++) {
		memset(text, '(', depth);
		memcpy(text + depth, "vlan == 1", 9);
		memset(text + depth + 9, ')', depth);
		cr_expect(eq(int, parse(text, depth * 2 + 9, &err),
			     depth < FILTER_DEPTH_MAX ? 0 : -E2BIG));
	}
	cr_expect(eq(str, err.message, "too many parentheses and nots inside each other"));
	cr_expect(eq(u32, err.column, FILTER_DEPTH_MAX + 1));
}

Test(filter, is_bounded_in_size)
{
	char *text = malloc(FILTER_TEXT_MAX + 16);
	struct filter_error err;
	size_t len = 0;

	cr_assert(text != NULL);
	for (unsigned int i = 0; i < FILTER_NODES_MAX - 1; i++)
		len += (size_t)snprintf(text + len, 16, "%svlan==1", i ? "||" : "");
	cr_expect(eq(int, parse(text, len, &err), 0), "%s", err.message);
	memcpy(text + len, "||vlan==1||vlan==1", 18);
	cr_expect(eq(int, parse(text, len + 18, &err), -E2BIG));
	cr_expect(eq(str, err.message, "too many comparisons in one filter"));
	cr_expect(eq(int, parse(text, FILTER_TEXT_MAX + 1, &err), -E2BIG));
	cr_expect(eq(str, err.message, "the filter is too long"));
	free(text);
}

/* ---- completion ---- */

static char words[8192];

static void add_word(void *arg, const char *word, const char *doc)
{
	(void)arg;
	(void)doc;
	cr_assert(strlen(words) + strlen(word) + 2 < sizeof(words));
	snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", *words ? " " : "",
		 word);
}

Test(filter, completes_what_could_stand_at_the_cursor)
{
	static const struct {
		const char *text, *want;
		size_t start;
	} rows[] = {
		{"tls.", "tls.sni tls.version tls.offered tls.alpn tls.ech", 0},
		{"not tls.s", "tls.sni", 4},
		{"dst.port ", "== != < <= > >= & in", 9},
		{"tls.sni s", "suffix", 8},
		{"src ", "host ip net port", 4},
		{"src ho", "host", 4},
		{"state == ", "new established closed reset no_reply one_way", 9},
		{"state in {new, r", "reset", 15},
		{"proto t", "tcp trunk-1 trunk-2 tp++ tlsp tcf", 6},
		{"proto tc", "tcp tcf", 6},
		{"tls.version <= D", "DTLSv1.3 DTLSv1.2 DTLSv1", 15},
		{"tcp.flags & ", "F S R P A U E C", 12},
		{"proto tcp ", "and or", 10},
		{"(proto tcp o", "or", 11},
		{"exists(http.h", "http.host http.hosts", 7},
		{"dst.port == ", "", 12},
		{"dst.port == 44", "", 12},
		{"iface == \"eth", "", 10},
		{"src.ip in @lo", "", 11},
		{"prot == t", "", 8},
		{"proto tcp and ex", "exists", 14},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		words[0] = 0;
		cr_expect(eq(sz,
			     filter_complete(rows[i].text, strlen(rows[i].text), NULL, add_word,
					     NULL),
			     rows[i].start));
		cr_expect(eq(str, words, (char *)rows[i].want), "%s", rows[i].text);
	}
}
