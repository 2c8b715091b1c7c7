// SPDX-License-Identifier: Apache-2.0
/*
 * test_mirror.c - mirror sessions: targets and budgets as words, what filters become, what is refused and why.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "loader/mirror/net.h"
#include "loader/mirror/want.h"

/* ---- words ---- */

static const char *again(const char *text)
{
	static char buf[160];
	struct mirror_want w = {};
	const char *why = "";
	FILE *out;

	if (mirror_want_to(text, &w, &why))
		return why;
	memset(buf, 0, sizeof(buf));
	out = fmemopen(buf, sizeof(buf), "w");
	cr_assert(out != NULL);
	mirror_print_to(out, &w);
	fclose(out);
	return buf;
}

Test(mirror, targets_are_read_and_written)
{
	static const char *const rows[][2] = {
		{"vxlan:192.0.2.1,vni=7", "vxlan:192.0.2.1:4789,vni=7"},
		{"vxlan:192.0.2.1:8472,vni=16777215", "vxlan:192.0.2.1:8472,vni=16777215"},
		{"vxlan:2001:db8::1,vni=0", "vxlan:[2001:db8::1]:4789,vni=0"},
		{"vxlan:[2001:db8::1],vni=1", "vxlan:[2001:db8::1]:4789,vni=1"},
		{"geneve:[2001:db8::1]:6082,vni=1", "geneve:[2001:db8::1]:6082,vni=1"},
		{"geneve:192.0.2.1,vni=1", "geneve:192.0.2.1:6081,vni=1"},
		{"erspan:192.0.2.1,id=1023", "erspan:192.0.2.1,id=1023"},
		{"erspan:2001:db8::1,id=0", "erspan:2001:db8::1,id=0"},
		{"iface:eth1", "iface:eth1"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str, (char *)again(rows[i][0]), (char *)rows[i][1]), "%s", rows[i][0]);
}

Test(mirror, targets_that_are_none_are_refused)
{
	static const char *const rows[] = {
		"",
		"vxlan",
		"vxlan:",
		"vxlan:192.0.2.1",
		"vxlan:192.0.2.1,vni=16777216",
		"vxlan:192.0.2.1,vni=",
		"vxlan:192.0.2.1,id=1",
		"vxlan:192.0.2.1:0,vni=1",
		"vxlan:192.0.2.1:65536,vni=1",
		"vxlan:host.example,vni=1",
		"vxlan:[192.0.2.1,vni=1",
		"vxlan:[],vni=1",
		"erspan:192.0.2.1,id=1024",
		"erspan:192.0.2.1:47,id=1",
		"iface:",
		"iface:a-name-too-long-for-one",
		"gre:192.0.2.1,vni=1",
	};
	struct mirror_want w = {};
	const char *why;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(int, mirror_want_to(rows[i], &w, &why), -EINVAL), "%s", rows[i]);
}

Test(mirror, budgets_are_a_share_a_rate_or_none)
{
	struct mirror_want w = {};

	cr_expect(eq(int, mirror_want_budget("10%", &w), 0));
	cr_expect(eq(u32, w.budget_pct, 10));
	cr_expect(eq(int, mirror_want_budget("100Mbps", &w), 0));
	cr_expect(eq(u32, w.budget_pct, 0));
	cr_expect(eq(u64, w.budget_bps, 100000000));
	cr_expect(eq(int, mirror_want_budget("none", &w), 0));
	cr_expect(eq(u64, w.budget_bps, 0));
	cr_expect(eq(int, mirror_want_budget("0%", &w), -EINVAL));
	cr_expect(eq(int, mirror_want_budget("101%", &w), -EINVAL));
	cr_expect(eq(int, mirror_want_budget("100pps", &w), -EINVAL));
	cr_expect(eq(int, mirror_want_budget("%", &w), -EINVAL));
}

Test(mirror, names_of_the_pair_are_known)
{
	cr_expect(mirror_is_pair("weir-mirror0"));
	cr_expect(mirror_is_pair("weir-mirror1"));
	cr_expect(not(mirror_is_pair("weir-mir")));
	cr_expect(not(mirror_is_pair("eth0")));
}

/* Outer IP, UDP or GRE with a sequence number, and the tunnel's own header. */
Test(mirror, overheads_are_those_of_the_headers)
{
	cr_expect(eq(u32, mirror_overhead(MIRROR_TO_VXLAN, false), 20 + 8 + 8));
	cr_expect(eq(u32, mirror_overhead(MIRROR_TO_VXLAN, true), 40 + 8 + 8));
	cr_expect(eq(u32, mirror_overhead(MIRROR_TO_GENEVE, false), 20 + 8 + 8 + 4 + 16));
	cr_expect(eq(u32, mirror_overhead(MIRROR_TO_ERSPAN, false), 20 + 8 + 12));
	cr_expect(eq(u32, mirror_overhead(MIRROR_TO_IFACE, true), 0));
}

/* ---- filters ---- */

/* Entries of a filter, one a line; or what is wrong with it. */
static const char *entries(const char *filter)
{
	static struct policy_rule rules[MIRROR_RULES];
	static char buf[16384];
	struct filter_error err;
	int n = mirror_rules(filter, DIR_BOTH, rules, &err);
	FILE *out;

	memset(buf, 0, sizeof(buf));
	out = fmemopen(buf, sizeof(buf), "w");
	cr_assert(out != NULL);
	if (n < 0)
		fputs(err.message, out);
	for (int i = 0; i < n; i++) {
		fputs(i ? "; " : "", out);
		policy_print_rule(out, NULL, &rules[i]);
		cr_expect(eq(u32, rules[i].number, (uint32_t)i + 1));
	}
	fclose(out);
	return buf;
}

Test(mirror, filters_become_entries_of_conditions)
{
	static const char *const rows[][2] = {
		{"proto udp and dst.port == 53", "proto == udp and dst.port == 53"},
		{"host 192.0.2.1", "src.ip == 192.0.2.1; dst.ip == 192.0.2.1"},
		{"src.ip in {192.0.2.1, 198.51.100.0/24}",
		 "src.ip == 192.0.2.1; src.ip in 198.51.100.0/24"},
		{"dst.ip == 192.0.2.1 and dst.port == 22 and proto tcp",
		 "dst.ip == 192.0.2.1 and proto == tcp and dst.port == 22"},
		{"src.ip == 192.0.2.1 and src.port == 7 and dst.ip == 192.0.2.2 and dst.port == 9 and proto udp",
		 "src.ip == 192.0.2.1 and dst.ip == 192.0.2.2 and proto == udp and src.port == 7 and dst.port == 9; "
		 "src.ip == 192.0.2.2 and dst.ip == 192.0.2.1 and proto == udp and src.port == 9 and dst.port == 7"},
		{"net 2001:db8::/32 and proto tcp",
		 "src.ip in 2001:db8::/32 and proto == tcp; dst.ip in 2001:db8::/32 and proto == tcp"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str, (char *)entries(rows[i][0]), (char *)rows[i][1]), "%s",
			  rows[i][0]);
}

Test(mirror, what_a_packet_does_not_tell_is_refused)
{
	cr_expect(strstr(entries("tls.sni == \"a.test\""), "names are not known of a packet") !=
		  NULL);
	cr_expect(strstr(entries("iface == \"eth0\""), "--iface") != NULL);
	cr_expect(strstr(entries("vni == 7"), "outer packet") != NULL);
	cr_expect(strlen(entries("bytes > 5")) > 0);
	cr_expect(strstr(entries("src.ip in 10.0.0.1-10.0.1.254 and proto in {tcp, udp} and "
				 "dst.port in {1, 3, 5, 7, 9}"),
			 "64 entries") != NULL);
}

/* ---- checks ---- */

struct image {
	struct mirror_want want;
	struct policy_rule rules[2];
};

static struct image good(void)
{
	struct image i = {
		.want = {.to = MIRROR_TO_VXLAN,
			 .port = 4789,
			 .vni = 7,
			 .sample = 1,
			 .for_s = 60,
			 .rules = 2,
			 .dst = {[10] = 0xff, 0xff, 192, 0, 2, 1},
			 .filter = "proto udp"},
	};
	struct filter_error err;

	cr_assert(eq(int, mirror_rules("host 192.0.2.7", DIR_BOTH, i.rules, &err), 2));
	return i;
}

static const char *verdict(const struct image *i)
{
	static struct policy_error err;
	const struct mirror_want *w;
	const struct policy_rule *rules;

	if (!mirror_check(i, sizeof(*i), &w, &rules, &err)) {
		cr_expect(w == &i->want && rules == i->rules);
		return "";
	}
	return err.text;
}

Test(mirror, a_session_is_checked_in_every_field)
{
	struct policy_error err;
	struct image i = good();

	cr_expect(eq(str, (char *)verdict(&i), ""));
#define BAD(change, part)                                                                       \
	do {                                                                                    \
		i = good();                                                                     \
		change;                                                                         \
		cr_expect(strstr(verdict(&i), part) != NULL, "%s: '%s'", #change, verdict(&i)); \
	} while (0)
	BAD(i.want.to = 0, "unknown kind");
	BAD(i.want.to = 5, "unknown kind");
	BAD(i.want.number = MIRROR_NUMBER_MAX + 1, "number");
	BAD(i.want.also = 2, "also");
	BAD(i.want.pad = 1, "also");
	BAD(i.want.length = MIRROR_LENGTH_MIN - 1, "length");
	BAD(i.want.length = MIRROR_LENGTH_MAX + 1, "length");
	BAD(i.want.sample = 0, "sample");
	BAD(i.want.sample = MIRROR_SAMPLE_MAX + 1, "sample");
	BAD(i.want.budget_pct = 101, "budget");
	BAD((i.want.budget_pct = 1, i.want.budget_bps = 1), "budget");
	BAD(i.want.for_s = 0, "every session ends");
	BAD(i.want.rules = 0, "entries");
	BAD(i.want.rules = 1, "do not fit 1 entries");
	BAD(i.want.rules = MIRROR_RULES + 1, "entries");
	BAD(i.want.port = 0, "port 0");
	BAD(i.want.vni = MIRROR_VNI_MAX + 1, "beyond");
	BAD(i.want.out[0] = 'x', "leads to an address");
	BAD(i.want.dst[12] = 224, "none of a host");
	BAD(i.want.dst[12] = 0, "none of a host");
	BAD(memset(i.want.dst, 0, 16), "none of a host");
	BAD(i.want.dst[0] = 0xff, "none of a host");
	BAD(memset(i.want.filter, 'x', sizeof(i.want.filter)), "no text");
	BAD(i.want.filter[40] = 'x', "no text");
	BAD(i.want.iface[0] = '\n', "no text");
	BAD(i.rules[1].number = 1, "does not come after");
	BAD(i.rules[0].number = 0, "does not come after");
	BAD(i.rules[0].action = POLICY_DROP, "neither accepts nor rejects");
	BAD(i.rules[0].key = RULE_BY_ADDR, "of rules alone");
	BAD(i.rules[0].expires = 1, "of rules alone");
	BAD(i.rules[0].direction = 0, "direction");
	BAD(i.rules[0].match.have |= COND_VNI, "not for entries");
	BAD(i.rules[0].match.have |= 1u << 31, "unknown bits");
	BAD(i.rules[0].match.src_bits = 129, "src_bits");
	BAD(i.rules[0].match.proto = 6, "not asked for");
#undef BAD
	i = good();
	cr_expect(eq(int, mirror_check(&i, sizeof(i.want) - 1, NULL, NULL, &err), -EINVAL));
	cr_expect(strstr(err.text, "are no session") != NULL);
}

Test(mirror, an_interface_has_no_address)
{
	struct image i = good();

	i.want.to = MIRROR_TO_IFACE;
	cr_expect(strstr(verdict(&i), "no name of an interface") != NULL);
	memcpy(i.want.out, "eth1", 4);
	cr_expect(strstr(verdict(&i), "has no address") != NULL);
	memset(i.want.dst, 0, sizeof(i.want.dst));
	i.want.port = 0;
	i.want.vni = 0;
	cr_expect(eq(str, (char *)verdict(&i), ""));
	i.want.out[1] = '/';
	cr_expect(strstr(verdict(&i), "no name of an interface") != NULL);
}
