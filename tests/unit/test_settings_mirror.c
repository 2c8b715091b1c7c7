/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_settings_mirror.c - [mirror-filter NAME] and [mirror NUMBER]: what sections become, and what --mirror-target
 * changes. Mistakes are tests/e2e/test_mirror_config.sh's.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/settings.h"

static char path[64];
static struct settings_args args;
static struct settings *s;
static struct config_errors errs;

static void init(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/weir-mirror-conf.XXXXXX");
	fd = mkstemp(path);
	cr_assert(ge(int, fd, 0));
	close(fd);
	args.config = path;
}

static void done(void)
{
	settings_free(s);
	unlink(path);
}

TestSuite(settings_mirror, .init = init, .fini = done, .timeout = 120);

static const char *load(const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	errs.count = 0;
	return settings_load(&weir_settings, &args, &s, &errs) ? errs.list[0].text : "";
}

Test(settings_mirror, entries_are_in_the_order_of_their_numbers)
{
	const struct mirror_image *m;

	cr_assert(eq(str,
		     (char *)load("[mirror-filter f]\n"
				  "ingress.200 = accept\n"
				  "ingress.100 = reject proto tcp and dst port 22\n"
				  "egress.100 = accept host 192.0.2.1\n"
				  "[mirror 20]\nfilter = f\nto = vxlan:192.0.2.9,vni=7\n"
				  "[mirror 3]\nmatch = proto udp\nto = iface:eth1\nalso = yes\n"),
		     ""));
	cr_assert(eq(u32, settings_mirrors(s)->n, 2));
	m = &settings_mirrors(s)->at[0];
	cr_expect(eq(u32, m->want.number, 3), "sessions by their numbers, too");
	cr_expect(eq(u8, m->want.also, 1));
	cr_expect(eq(u8, m->rules[0].direction, DIR_BOTH));
	m = &settings_mirrors(s)->at[1];
	cr_expect(eq(u32, m->want.number, 20));
	cr_expect(eq(u32, m->want.rules, 4), "a host is either end's");
	cr_expect(eq(u8, m->rules[0].action, POLICY_PASS));
	cr_expect(eq(u8, m->rules[0].direction, DIR_INGRESS));
	cr_expect(eq(u8, m->rules[1].action, POLICY_DO_MIRROR));
	cr_expect(eq(u8, m->rules[1].direction, DIR_EGRESS));
	cr_expect(eq(u8, m->rules[3].direction, DIR_INGRESS));
	cr_expect(eq(u32, m->rules[3].match.have, 0), "every packet");
	cr_expect(eq(u32, m->rules[3].number, 4));
	cr_expect(eq(u64, m->want.for_s, 0));
}

Test(settings_mirror, targets_that_rules_name)
{
	const struct mirror_target *t;

	cr_assert(
		eq(str,
		   (char *)load(
			   "[mirror-target box-1]\n"
			   "to = vxlan:192.0.2.9,vni=7\nlength = 128\nsample = 10\n"
			   "[mirror-target other]\nto = iface:eth1\nbudget = none\niface = eth0\n"),
		   ""));
	cr_assert(eq(u32, settings_mirrors(s)->n, 0));
	cr_assert(eq(u32, settings_mirrors(s)->n_targets, 2));
	t = &settings_mirrors(s)->target[0];
	cr_expect(eq(str, (char *)(uintptr_t)t->name, "box-1"));
	cr_expect(eq(u32, t->want.length, 128));
	cr_expect(eq(u32, t->want.sample, 10));
	cr_expect(eq(u32, t->want.budget_pct, 25));
	cr_expect(eq(u32, t->want.rules, 0), "rules come later");
	t = &settings_mirrors(s)->target[1];
	cr_expect(eq(u8, t->want.to, MIRROR_TO_IFACE));
	cr_expect(eq(str, (char *)(uintptr_t)t->want.iface, "eth0"));
	cr_expect(eq(u32, t->want.budget_pct, 0));
}

Test(settings_mirror, what_a_target_lacks_is_told)
{
	static const char to[] = "to = vxlan:192.0.2.9,vni=7\n";
	char five[800] = "";
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"[mirror-target a]\nlength = 128\n", "to whom? to = vxlan:192.0.2.10,vni=7"},
		{"[mirror-target Big]\nto = iface:eth1\n",
		 "'Big': want small letters, digits and -, 31 at most"},
		{"[mirror-target a]\nto = iface:eth1\nmatch = proto udp\n", "unknown key 'match'"},
		{"[policy]\nentries = 0\n[mirror-target a]\nto = iface:eth1\n",
		 "a mirror needs policy.entries: with 0 weir only observes"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str, (char *)(uintptr_t)load(rows[i].text),
			     (char *)(uintptr_t)rows[i].want),
			  "row %zu", i);
	for (int i = 0; i < 5; i++)
		snprintf(five + strlen(five), sizeof(five) - strlen(five),
			 "[mirror-target t%d]\n%s", i, to);
	cr_expect(eq(str, (char *)(uintptr_t)load(five), "at most 4 mirror targets"));
}

Test(settings_mirror, what_a_session_lacks_is_told)
{
	static const char *const rows[][2] = {
		{"[mirror 1]\nto = iface:a\n", "what is to be mirrored"},
		{"[mirror 1]\nmatch = proto tcp\n", "to whom"},
		{"[mirror 0]\nmatch = proto tcp\n", "has a number"},
		{"[mirror 1]\nmatch = tls.sni == \"a\"\nto = iface:a\n", "names are not known"},
		{"[mirror 1]\nmatch = proto tcp\nto = vxlan:224.0.0.1,vni=1\n", "none of a host"},
		{"[mirror-filter f]\nboth.1 = accept\n[mirror 1]\nfilter = f\nmatch = proto tcp\nto = iface:a\n",
		 "one of them"},
		{"[mirror-filter f]\nboth.1 = accept\n[mirror 1]\nfilter = f\ndirection = egress\nto = iface:a\n",
		 "the entries of the filter say it"},
		{"[mirror 7]\nmatch = proto tcp\nto = iface:a\n[mirror 07]\nmatch = proto tcp\nto = iface:a\n",
		 "is there already"},
		{"[policy]\nentries = 0\n[mirror 7]\nmatch = proto tcp\nto = iface:a\n",
		 "policy.entries"},
		{"[mirror 7]\nmatch = proto tcp\nto = iface:a\niface = abcdefghijklmnop\n",
		 "too long"},
		{"[mirror]\nmatch = proto tcp\n", "want [mirror NUMBER]"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *said = load(rows[i][0]);

		cr_expect(strstr(said, rows[i][1]) != NULL, "%s: %s", rows[i][1], said);
		cr_expect(eq(u32, errs.count, 1), "%s", rows[i][1]);
	}
	s = NULL;
}

Test(settings_mirror, a_filter_has_room_for_64_entries)
{
	char text[8192] = "[mirror-filter f]\n";
	size_t n = strlen(text);

	for (int i = 1; i <= 65; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "both.%d = accept src port %d\n",
				      i, i);
	cr_expect(strstr(load(text), "more than 64 entries") != NULL, "%s", errs.list[0].text);
	s = NULL;
}

Test(settings_mirror, a_target_has_other_defaults_and_no_more)
{
	char buf[64];

	cr_assert(eq(str, (char *)load("[run]\nmirror-target = yes\n"), ""));
	cr_expect(eq(str, (char *)settings_text(s, SET_ROLE), "mirror"));
	cr_expect(eq(u64, settings_num(s, SET_POLICY_ENTRIES), 0));
	cr_expect(eq(str, (char *)setting_origin(s, SET_ROLE, buf, sizeof(buf)),
		     "run.mirror-target"));
	cr_expect(eq(str, (char *)setting_origin(s, SET_FLOWS, buf, sizeof(buf)), "default"));
	settings_free(s);
	cr_assert(eq(str, (char *)load("[run]\nmirror-target = yes\nrole = veth\n"), ""));
	cr_expect(eq(str, (char *)settings_text(s, SET_ROLE), "veth"));
	settings_free(s);
	cr_assert(eq(str, (char *)load("[run]\nmirror-target = no\n"), ""));
	cr_expect(eq(str, (char *)settings_text(s, SET_ROLE), "uplink"));
}
