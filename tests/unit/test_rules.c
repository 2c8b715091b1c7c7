// SPDX-License-Identifier: Apache-2.0
/*
 * test_rules.c - rule files: what is read, which errors are said and where, what a rule is classed as.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules_rig.h"

static const char head[] = "groups:\n"
			   "- name: g\n"
			   "  rules:\n"
			   "  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01\n"
			   "    name: r\n"
			   "    version: 1.0.0\n"
			   "    labels: {severity: low}\n";

struct row {
	const char *text; /* behind the head, from line 8 on */
	const char *want; /* "LINE:COLUMN: TEXT" of the first error */
};

static void check(const struct row *rows, size_t n)
{
	char text[4096], got[300];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%s%s", head, rows[i].text);
		rules_rig_error(text, got);
		cr_expect(eq(str, got, (char *)rows[i].want), "%s", rows[i].text);
	}
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

Test(rules, say_where_a_key_is_wrong)
{
	static const struct row rows[] = {
		{"    where: proto tcp\n", ""},
		{"    windows: {size: 1m}\n",
		 "8:5: unknown key 'windows' in a rule, did you mean 'window'?"},
		{"    filter: proto tcp\n", "8:5: unknown key 'filter' in a rule"},
		{"    mode: shado\n    where: proto tcp\n",
		 "8:11: mode is never 'shado', did you mean 'shadow'?"},
		{"    name: r\n", "8:5: 'name' is there twice, first in line 5"},
		{"    where: proto tcp\n    window: {size: 60}\n",
		 "9:20: '60' is not what size wants: a duration such as 30s or 5m"},
		{"    where: proto tcp\n    window: {size: 60s, slide: 7s}\n    having: count() > 1\n",
		 "9:13: size is no multiple of slide"},
		{"    where: proto tcp\n    window: {size: 60s}\n",
		 "9:13: a window without having: what must it add up to?"},
		{"    where: proto tcp\n    having: count() > 1\n",
		 "9:13: having without a window: over how long?"},
		{"    by: [src.ip, dst.prt]\n    where: proto tcp\n",
		 "8:18: unknown field 'dst.prt', did you mean 'dst.port'?"},
		{"    by: [src.ip, src.ip]\n    where: proto tcp\n", "8:18: src.ip is there twice"},
		{"    by: vlan\n    where: proto tcp\n", "8:9: flows can't be grouped by vlan"},
		{"    where: proto tcp\n    actions:\n    - drpo: {}\n",
		 "10:7: no action 'drpo', did you mean 'drop'?"},
		{"    where: proto tcp\n    actions:\n    - drop: {scope: src.ip, ttl: 5m}\n",
		 "10:7: scope is no field of by: whose packets would it be?"},
		{"    by: src.ip\n    where: proto tcp\n    actions:\n    - drop: {scope: src.ip}\n",
		 "11:13: drop has no 'ttl': for how long"},
		{"    where: proto tcp\n    annotations: {summary: \"{{src.ip}}\"}\n",
		 "9:28: '{{src.ip}}' stands for nothing: fields of by, value, $params"},
		{"    where: dst.port == $p\n    params: {p: {default: 5, min: 10}}\n",
		 "9:27: p = 5 is not between 10 and anything"},
		{"", "4:5: a rule needs where, having or correlate"},
	};

	CHECK(rows);
}

Test(rules, say_where_in_a_filter_it_is_wrong)
{
	static const struct row rows[] = {
		{"    where: proto == tcp and dst.prot == 1\n",
		 "8:29: unknown field 'dst.prot', did you mean 'dst.port'?"},
		{"    where: 'proto == tcp and dst.prot == 1'\n",
		 "8:30: unknown field 'dst.prot', did you mean 'dst.port'?"},
		{"    where: \"tls.sni suffix \\\"x\\\" and dst.prot == 1\"\n",
		 "8:38: unknown field 'dst.prot', did you mean 'dst.port'?"},
		{"    where: proto == tcp\n      and   dst.prot == 1\n",
		 "9:13: unknown field 'dst.prot', did you mean 'dst.port'?"},
		{"    where: >\n      proto == tcp and\n      dst.prot == 1\n",
		 "10:7: unknown field 'dst.prot', did you mean 'dst.port'?"},
		{"    where: |\n      proto == tcp and\n        dst.prot == 1\n",
		 "10:9: unknown field 'dst.prot', did you mean 'dst.port'?"},
		{"    window: {size: 60s}\n    having: cuont() > 4\n",
		 "9:13: no aggregate 'cuont', did you mean 'count'?"},
		{"    window: {size: 60s}\n    having: sum(proto) > 4\n",
		 "9:17: proto is no number that can be added up or compared"},
		{"    window: {size: 60s}\n    having: ratio(count(prot tcp), count()) > 0.5\n",
		 "9:25: unknown field 'prot', did you mean 'proto'?"},
		{"    window: {size: 60s}\n    having: bytes > 4\n",
		 "9:13: 'bytes' is a field: say how flows add up, as in sum(bytes)"},
		{"    where: src.ip in @nowhere\n", "8:22: no list '@nowhere' here"},
		{"    where: dst.port == $nothing\n", "8:24: no parameter '$nothing' here"},
	};

	CHECK(rows);
}

Test(rules, refuse_yaml_that_is_more_than_data)
{
	static const struct row rows[] = {
		{"    where: &a proto tcp\n", "8:12: anchors and tags are not taken here"},
		{"    where: !!str proto tcp\n", "8:12: anchors and tags are not taken here"},
		{"    where: *a\n", "8:12: aliases are not taken here"},
		{"---\n", "8:1: a second document: one file is one document"},
		{"    [a]: b\n", "8:5: a key is a word"},
		{"    where: \"a\n", "9:1: YAML: found unexpected end of stream"},
	};

	CHECK(rows);
}

Test(rules, run_where_they_can)
{
	static const struct {
		const char *text;
		unsigned int class;
	} rows[] = {
		{"    where: proto == tcp and dst.port == 23\n", RC_KERNEL},
		{"    where: src.ip in @local and dst.port in {23, 2323}\n", RC_KERNEL},
		{"    where: tls.sni suffix \".example\"\n", RC_KERNEL},
		{"    where: state == no_reply\n", RC_AGENT},
		{"    where: bytes > 1G\n", RC_AGENT},
		{"    where: proto tcp\n    window: {size: 60s}\n    having: count() > 4\n",
		 RC_COLLECTOR},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rule_set set = {};
		char text[1024];

		snprintf(text, sizeof(text), "%s%s", head, rows[i].text);
		rules_rig_read(text, &set);
		cr_assert(eq(u32, set.n, 1));
		cr_expect(eq(u32, set.v[0].class, rows[i].class), "%s: %s", rows[i].text,
			  set.v[0].class_why);
		rules_done(&set);
	}
}

Test(rules, bind_parameters_of_the_site)
{
	struct rule_set set = {};
	char text[1024];

	snprintf(text, sizeof(text),
		 "%s    where: dst.port == $port\n    params: {port: {default: 80, max: 1000}}\n",
		 head);
	rules_rig_read(text, &set);
	cr_assert(eq(u32, set.n, 1));
	cr_expect(eq(str, (char *)set.v[0].params.v[0].value, "443"));
	cr_expect(set.v[0].params.v[0].used);
	rules_done(&set);
}

Test(rules, hold_the_site_to_the_bounds_of_a_parameter)
{
	char text[1024], error[300];

	snprintf(text, sizeof(text),
		 "%s    where: dst.port == $port\n    params: {port: {default: 80, max: 442}}\n",
		 head);
	rules_rig_error(text, error); /* the site has 443 */
	cr_expect(strstr(error, "port = 443 is not between anything and 442") != NULL, "%s", error);
	snprintf(text, sizeof(text),
		 "%s    where: dst.port == $port\n    params: {port: {default: 80, min: 444}}\n",
		 head);
	rules_rig_error(text, error);
	cr_expect(strstr(error, "port = 443 is not between 444 and anything") != NULL, "%s", error);
}

Test(rules, know_their_names_once)
{
	static const char two[] =
		"groups:\n- name: g\n  rules:\n"
		"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01, name: a, version: 1.0.0, where: proto tcp}\n"
		"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a02, name: a, version: 1.0.0, where: proto udp}\n";
	char got[300];

	rules_rig_error(two, got);
	cr_expect(eq(str, got, "5:5: rules.yaml: a rule 'a' is already in rules.yaml:4"));
}

Test(rules, join_only_what_there_is)
{
	static const char joined[] =
		"groups:\n- name: g\n  rules:\n"
		"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01, name: aa, version: 1.0.0, where: proto tcp, by: src.ip}\n"
		"  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a02\n"
		"    name: b\n"
		"    version: 1.0.0\n"
		"    correlate: {type: temporal, rules: [aa, %s], within: 1h}\n";
	char text[1024], got[300];

	snprintf(text, sizeof(text), joined, "ab");
	rules_rig_error(text, got);
	cr_expect(eq(str, got, "8:45: rules.yaml: no rule 'ab', did you mean 'aa'?"));
	snprintf(text, sizeof(text), joined, "b");
	rules_rig_error(text, got);
	cr_expect(
		eq(str, got, "8:45: rules.yaml: 'b' is a correlation: they can't be joined again"));
}
