// SPDX-License-Identifier: Apache-2.0
/*
 * test_engine_adopt.c - rules that were read anew: what is what it was goes on, in whatever order it stands now; what is
 * not begins anew, also where only what a list has in it makes the difference.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "collector/rules/rule_files.h"
#include "rules_rig.h"

#define SECOND UINT64_C(1000000000)
#define BEGIN  (UINT64_C(1767225600) * SECOND)

struct heard {
	char rule[16];
	uint8_t state;
	bool known;
	uint64_t fired_ns;
};

static struct heard heard[64];
static uint32_t n_heard;
static struct site site;
static struct rule_files files[2];
static struct engine *engine;

static void on_alert(void *arg, const struct alert *a)
{
	struct heard *h = &heard[n_heard++];

	(void)arg;
	cr_assert(n_heard < sizeof(heard) / sizeof(heard[0]));
	snprintf(h->rule, sizeof(h->rule), "%s", a->rule->name);
	h->state = a->state;
	h->known = a->known;
	h->fired_ns = a->fired_ns;
}

/* These rules are at work; the first ones, or after them. */
static void at_work(const char *text)
{
	struct rule_files *f = &files[engine != NULL];
	const struct engine_cfg cfg = {.rules = &f->set, .alert = on_alert, .seed = 1};
	struct engine *from = engine;

	rule_files_init(f, &site);
	cr_assert(eq(int, rule_files_text(f, &(struct rule_source){"t", text, strlen(text)}), 0));
	cr_assert(eq(int, rule_files_link(f), 0), "%s", f->errors[0].errs.list[0].text);
	cr_assert(eq(int, engine_new(&cfg, &engine), 0));
	if (!from)
		return;
	n_heard = 0;
	engine_adopt(engine, from);
	engine_free(from);
	engine_retell(engine);
}

static void begin(void)
{
	site_init(&site);
}

static void end(void)
{
	engine_free(engine);
	for (size_t i = 0; i < 2; i++)
		if (files[i].site)
			rule_files_done(&files[i]);
	site_done(&site);
}

TestSuite(adopt, .init = begin, .fini = end, .timeout = 600);

/* Of 10.0.0.1, so many seconds after the begin. */
static void feed(uint16_t port, unsigned int at)
{
	static const enum flow_field there[] = {FF_END, FF_SRC_IP, FF_DST_PORT, FF_PROTO};
	struct flow_record r = {
		.family = 4, .end_ns = BEGIN + at * SECOND, .dst_port = port, .proto = 6};

	r.src_ip[10] = r.src_ip[11] = 0xff;
	r.src_ip[12] = 10;
	r.src_ip[15] = 1;
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		flow_set(&r, there[i]);
	cr_assert(eq(int, engine_flow(engine, &r), 0));
	engine_flush(engine);
}

static uint32_t fired(const char *rule)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_heard; i++)
		n += !strcmp(heard[i].rule, rule) && heard[i].state == ALERT_FIRING;
	return n;
}

#define GROUPS "groups:\n- name: g\n  rules:\n"
#define RULE(digit, name)                                                       \
	"  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a0" digit "\n    name: " name \
	"\n    version: 1.0.0\n"
#define WINDOW	  "    window: {size: 60s}\n    by: src.ip\n"
#define COUNTS(n) WINDOW "    having: count() >= " n "\n"
#define CHAIN                                                                              \
	"    correlate: { type: temporal_ordered, rules: [a, b], by: host, within: 1h }\n" \
	"    keep_firing_for: 1h\n"

Test(adopt, what_is_the_same_goes_on)
{
	struct engine_rule_stats st;

	at_work(GROUPS RULE("1", "a") COUNTS("2") RULE("2", "b") COUNTS("5") RULE("3", "c")
			COUNTS("5") RULE("4", "chain") CHAIN);
	for (unsigned int i = 0; i < 4; i++)
		feed(80, i);
	cr_expect(eq(u32, fired("a"), 1));
	at_work(GROUPS RULE("4", "chain") CHAIN RULE("3", "c") COUNTS("4") RULE("2", "b")
			COUNTS("5") RULE("1", "a") COUNTS("2"));
	cr_assert(eq(u32, n_heard, 1));
	cr_expect(eq(str, heard[0].rule, "a"));
	cr_expect(heard[0].known);
	cr_expect(eq(u64, heard[0].fired_ns, BEGIN + SECOND));
	engine_rule_stats(engine, 3, &st);
	cr_expect(eq(u64, st.matched, 4));
	cr_expect(eq(u64, st.firing, 1));
	cr_expect(eq(u64, engine_clock(engine), BEGIN + 3 * SECOND));
	feed(80, 5);
	cr_expect(eq(u32, fired("b"), 1), "the fifth flow of its window");
	cr_expect(eq(u32, fired("chain"), 1), "the first of it was before");
	cr_expect(eq(u32, fired("c"), 0), "another rule begins anew");
	for (unsigned int i = 6; i < 9; i++)
		feed(80, i);
	cr_expect(eq(u32, fired("c"), 1));
	n_heard = 0;
	engine_advance(engine, BEGIN + 300 * SECOND);
	cr_expect(eq(u32, n_heard, 3), "their ends");
	n_heard = 0;
	engine_retell(engine);
	cr_expect(eq(u32, n_heard, 1), "the chain alone goes on");
	cr_expect(eq(str, heard[0].rule, "chain"));
}

/* With the same in both lists the rule has one sum, else two: groups are not laid out alike. */
Test(adopt, lists_that_become_different_are_no_harm)
{
	static const char rules[] = GROUPS RULE("1", "a") WINDOW
		"    having: count(src.ip in @x) >= 3 and count(src.ip in @y) >= 3\n";

	struct engine_rule_stats st;

	site_set_list(&site, "x", "10.0.0.0/8");
	site_set_list(&site, "y", "10.0.0.0/8");
	at_work(rules);
	feed(80, 0);
	feed(80, 1);
	site_set_list(&site, "y", "10.0.0.0/8, 192.0.2.0/24");
	at_work(rules);
	feed(80, 2);
	cr_expect(eq(u32, fired("a"), 0));
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.matched, 1), "it begins anew");
	feed(80, 3);
	feed(80, 4);
	cr_expect(eq(u32, fired("a"), 1));
}

Test(adopt, a_list_that_has_changed_leaves_windows_as_they_are)
{
	static const char rules[] = GROUPS RULE("1", "a") "    where: src.ip in @x\n" COUNTS("3");

	site_set_list(&site, "x", "10.0.0.0/8");
	at_work(rules);
	feed(80, 0);
	feed(80, 1);
	site_set_list(&site, "x", "10.0.0.0/8, 192.0.2.0/24");
	at_work(rules);
	feed(80, 2);
	cr_expect(eq(u32, fired("a"), 1));
}
