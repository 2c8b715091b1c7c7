// SPDX-License-Identifier: Apache-2.0
/*
 * test_node_rule.c - which rules nodes can decide by themselves, why the others not, and the records that they
 * become.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/node_rule.h"
#include "policy_rig.h"
#include "rules_rig.h"

#define HEAD                                                                           \
	"groups:\n- name: g\n  rules:\n  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01\n" \
	"    name: one\n    version: 1.0.0\n    mode: prevent\n    by: src.ip\n"
#define WHERE "    where: proto == tcp and dst.port == 23 and state == established\n"
#define PROOF "    evidence: { handshake: required }\n"
#define DROP  "    actions: [ { drop: { scope: src.ip, direction: ingress, ttl: 10m } } ]\n"
#define CAPTURE \
	"    actions: [ { capture: { scope: src.ip, pre: 30s, post: 90s, max_bytes: 1Mi } } ]\n"
#define MIRROR "    actions: [ { mirror: { scope: src.ip, to: box, ttl: 90s } } ]\n"
#define EXEMPT "    exempt: [ \"@local\", 192.0.2.1, 192.0.2.4-192.0.2.7 ]\n"

Test(node_rule, why_not)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{HEAD WHERE PROOF DROP, ""},
		{HEAD "    where: src.ip in @local and state == closed\n" PROOF DROP, ""},
		{HEAD WHERE DROP, "handshake: required"},
		{HEAD WHERE PROOF "    for: 10s\n" DROP, "has to hold for a time"},
		{HEAD "    where: src.country == DE and state == closed\n" PROOF DROP,
		 "what the collector adds"},
		{HEAD
		 "    where: community_id == \"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\" and state == closed\n" PROOF
			 DROP,
		 "community_id"},
		{HEAD
		 "    where: proto == tcp\n    window: {size: 60s}\n    having: count() >= 3\n" PROOF
			 DROP,
		 "counts over a window"},
		{HEAD "    where: proto == tcp and dst.port == 23\n" PROOF DROP, ""},
		{HEAD WHERE CAPTURE, ""}, /* nothing is stopped: it takes no proof */
		{HEAD WHERE MIRROR, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[NODE_RULE_WHY];
		struct rule_set set = {};
		const char *why;
		bool is;

		rules_rig_read(rows[i].text, &set);
		why = node_rule_why_not(&set.v[0], &set.v[0].actions.v[0], &rules_rig_site, buf)
			      ?: "";
		is = *rows[i].why ? strstr(why, rows[i].why) != NULL : !*why;
		cr_expect(is, "row %zu: %s", i, why);
		rules_done(&set);
	}
}

static struct policy_draft made(const char *text, bool shadow)
{
	struct policy_draft d = {
		.head = {.generation = 1, .not_after = RIG_NOW + 100, .issuer = "test"}};
	struct rule_set set = {};

	rules_rig_read(text, &set);
	cr_assert(eq(int,
		     node_rule_add(&d, &(struct node_rule){.rule = &set.v[0],
							   .site = &rules_rig_site,
							   .number = 7,
							   .expires = RIG_NOW + 3600,
							   .shadow = shadow,
							   .issuer = "test",
							   .exempt = {"@nobody_has_it", "@local"}}),
		     0));
	rules_done(&set);
	return d;
}

Test(node_rule, becomes_records_that_nodes_take)
{
	struct policy_draft d = made(
		HEAD "    where: src.ip in @local and state == closed\n" PROOF DROP EXEMPT, false);
	uint8_t *image;
	size_t len;

	cr_assert(eq(int, policy_image(&d, &image, &len), 0));
	cr_expect(eq(str, (char *)policy_rig_check(image, len), ""));
	{
		const struct policy_rule *r = (const void *)d.of[POLICY_RULE].at;
		const struct policy_agent *a = (const void *)d.of[POLICY_AGENT_RULE].at;

		cr_expect(eq(u32, r->number, 7));
		cr_expect(eq(u32, r->flags, RULE_AUTOMATIC));
		cr_expect(eq(u32, r->direction, DIR_INGRESS));
		cr_expect(eq(str, (char *)(uintptr_t)r->origin, "rule:one@test"));
		cr_expect(eq(u32, a->rule, 7));
		cr_expect(eq(u32, a->ttl, 600));
		cr_expect(eq(str, (char *)(uintptr_t)a->where,
			     "src.ip in {10.0.0.0/8} and state == closed"));
		/* its own three, the site's @local again */
		cr_expect(eq(u32, d.of[POLICY_AGENT_EXEMPT].n, 4));
	}
	free(image);
	policy_draft_done(&d);
}

/* Records of a capture or a mirror, one octet of them changed, as a node has them. */
static const char *refused(enum policy_type type, size_t at, uint8_t value)
{
	struct policy_draft d = made(
		type == POLICY_MIRROR ? HEAD WHERE MIRROR EXEMPT : HEAD WHERE CAPTURE EXEMPT, true);
	static char text[sizeof(((struct policy_error *)0)->text)];
	uint8_t *image;
	size_t len;

	if (at != SIZE_MAX)
		d.of[type].at[at] = value;
	cr_assert(eq(int, policy_image(&d, &image, &len), 0));
	snprintf(text, sizeof(text), "%s", policy_rig_check(image, len));
	free(image);
	policy_draft_done(&d);
	return text;
}

Test(node_rule, captures_become_records_that_nodes_take)
{
	struct policy_draft d = made(HEAD WHERE CAPTURE EXEMPT, true);
	const struct policy_capture *k = (const void *)d.of[POLICY_CAPTURE].at;
	const struct policy_rule *r = (const void *)d.of[POLICY_RULE].at;

	cr_assert(eq(u32, d.of[POLICY_CAPTURE].n, 1));
	cr_expect(eq(u32, k->rule, 7));
	cr_expect(eq(u32, k->pre, 30));
	cr_expect(eq(u32, k->post, 90));
	cr_expect(eq(u32, k->scope, CAPTURE_SRC));
	cr_expect(eq(u32, k->ends, 0));
	cr_expect(eq(u64, k->max_bytes, 1 << 20));
	cr_expect(eq(u32, r->action, POLICY_DO_CAPTURE));
	cr_expect(eq(u32, r->flags, RULE_AUTOMATIC), "shadow means nothing to it");
	/* whom the rule is not for; those who are never blocked may be captured */
	cr_expect(eq(u32, d.of[POLICY_AGENT_EXEMPT].n, 3));
	policy_draft_done(&d);
	cr_expect(eq(str, (char *)(uintptr_t)refused(POLICY_CAPTURE, SIZE_MAX, 0), ""));
}

Test(node_rule, mirrors_become_records_that_nodes_take)
{
	struct policy_draft d = made(HEAD WHERE MIRROR EXEMPT, true);
	const struct policy_mirror *m = (const void *)d.of[POLICY_MIRROR].at;
	const struct policy_agent *a = (const void *)d.of[POLICY_AGENT_RULE].at;
	const struct policy_rule *r = (const void *)d.of[POLICY_RULE].at;

	cr_assert(eq(u32, d.of[POLICY_MIRROR].n, 1));
	cr_expect(eq(u32, m->rule, 7));
	cr_expect(eq(u32, m->ttl, 90));
	cr_expect(eq(u32, a->ttl, 90));
	cr_expect(eq(u32, m->scope, CAPTURE_SRC));
	cr_expect(eq(u32, m->ends, 0));
	cr_expect(eq(str, (char *)(uintptr_t)m->to, "box"));
	cr_expect(eq(u32, r->action, POLICY_DO_MIRROR));
	cr_expect(eq(u32, r->flags, RULE_AUTOMATIC), "shadow means nothing to it");
	cr_expect(eq(u32, d.of[POLICY_AGENT_EXEMPT].n, 3));
	policy_draft_done(&d);
	cr_expect(eq(str, (char *)(uintptr_t)refused(POLICY_MIRROR, SIZE_MAX, 0), ""));
}

Test(node_rule, mirrors_that_nodes_refuse)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *want;
	} rows[] = {
		{offsetof(struct policy_mirror, rule), 8, "mirror 1: rule 8 is not in this policy"},
		{offsetof(struct policy_mirror, ttl), 0,
		 "mirror 1: ttl is 0, want 1 to 4294967295"},
		{offsetof(struct policy_mirror, ttl) + 3, 255,
		 "mirror 1: ttl is 4278190170 s, beyond the 2592000 s allowed here"},
		{offsetof(struct policy_mirror, scope), 4, "mirror 1: scope is 4, want 1 to 3"},
		{offsetof(struct policy_mirror, ends), 2, "mirror 1: ends is 2, scope 1 has 1"},
		{offsetof(struct policy_mirror, ends), 1,
		 "mirror 1: made is for mirrors with addresses"},
		{offsetof(struct policy_mirror, pad), 1, "mirror 1: pad is not zero"},
		{offsetof(struct policy_mirror, addr), 1,
		 "mirror 1: addr is set, but not asked for"},
		{offsetof(struct policy_mirror, made), 1,
		 "mirror 1: made is for mirrors with addresses"},
		{offsetof(struct policy_mirror, to), 0, "mirror 1: to is empty"},
		{offsetof(struct policy_mirror, to) + 31, 'x',
		 "mirror 1: to is not filled up with NUL"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str,
			     (char *)(uintptr_t)refused(POLICY_MIRROR, rows[i].at, rows[i].value),
			     (char *)(uintptr_t)rows[i].want),
			  "row %zu", i);
}

Test(node_rule, captures_that_nodes_refuse)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *want;
	} rows[] = {
		{offsetof(struct policy_capture, rule), 8,
		 "capture 1: rule 8 is not in this policy"},
		{offsetof(struct policy_capture, pre) + 1, 0xff,
		 "capture 1: pre is 65310, want 0 to 3600"},
		{offsetof(struct policy_capture, post), 0, "capture 1: post is 0, want 1 to 3600"},
		{offsetof(struct policy_capture, scope), 4, "capture 1: scope is 4, want 1 to 3"},
		{offsetof(struct policy_capture, ends), 2, "capture 1: ends is 2, scope 1 has 1"},
		{offsetof(struct policy_capture, ends), 1,
		 "capture 1: made is for captures with addresses"},
		{offsetof(struct policy_capture, pad), 1, "capture 1: pad is not zero"},
		{offsetof(struct policy_capture, addr), 1,
		 "capture 1: addr is set, but not asked for"},
		{offsetof(struct policy_capture, made), 1,
		 "capture 1: made is for captures with addresses"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str,
			     (char *)(uintptr_t)refused(POLICY_CAPTURE, rows[i].at, rows[i].value),
			     (char *)(uintptr_t)rows[i].want),
			  "row %zu", i);
}

Test(node_rule, shadow_and_ladder)
{
	struct policy_draft d = made(HEAD WHERE PROOF
				     "    actions: [ { drop: { scope: src.ip, ttl: 10m, "
				     "escalate: [5m, 1h] } } ]\n",
				     true);

	cr_expect(eq(u32, ((const struct policy_rule *)(const void *)d.of[POLICY_RULE].at)->flags,
		     RULE_AUTOMATIC | RULE_SHADOW));
	cr_expect(eq(u32,
		     ((const struct policy_agent *)(const void *)d.of[POLICY_AGENT_RULE].at)->ttl,
		     300));
	policy_draft_done(&d);
}

Test(node_rule, is_found_by_the_id_of_its_record)
{
	struct rule_set set = {};
	uint8_t id[16];
	uint32_t at = 9;

	rules_rig_read(HEAD WHERE PROOF DROP, &set);
	node_rule_id(&set.v[0], 0, id);
	cr_expect(eq(ptr, (void *)(uintptr_t)node_rule_find(&set, id, &at), &set.v[0]));
	cr_expect(eq(u32, at, 0));
	node_rule_id(&set.v[0], 1, id);
	cr_expect(zero(ptr, (void *)(uintptr_t)node_rule_find(&set, id, &at)), "no such action");
	node_rule_id(&set.v[0], 0, id);
	id[0] ^= 1;
	cr_expect(zero(ptr, (void *)(uintptr_t)node_rule_find(&set, id, &at)));
	rules_done(&set);
}

/* ---- what nodes refuse ---- */

Test(node_rule, nodes_refuse_what_no_agent_may_decide)
{
	static const struct {
		const char *want;
		size_t at; /* in the agent's record, or in the rule's where @rule */
		uint8_t value;
		bool rule;
	} rows[] = {
		{"agent rule 1: rule 8 is not in this policy", offsetof(struct policy_agent, rule),
		 8, false},
		{"agent rule 1: pad is not zero", offsetof(struct policy_agent, pad), 1, false},
		{"agent rule 1: length is 0, want 1 to 1023", offsetof(struct policy_agent, length),
		 0, false},
		{"agent rule 1: length is 9, which where has not",
		 offsetof(struct policy_agent, length), 9, false},
		{"agent rule 1: where has control characters", offsetof(struct policy_agent, where),
		 7, false},
		{"agent rule 1: ttl is 4278190680 s, beyond the 2592000 s allowed here",
		 offsetof(struct policy_agent, ttl) + 3, 255, false},
		{"agent rule 1: rule 7 (one) is none that agents decide by: want an automatic drop, limit, reset, capture or mirror",
		 offsetof(struct policy_rule, flags), 0, true},
		{"agent rule 1: rule 7 (one) is none that agents decide by: want an automatic drop, limit, reset, capture or mirror",
		 offsetof(struct policy_rule, action), POLICY_PASS, true},
	};
	struct policy_draft d = made(HEAD WHERE PROOF DROP, false);
	uint8_t *image;
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *at;

		cr_assert(eq(int, policy_image(&d, &image, &len), 0));
		at = image + sizeof(struct policy_header) +
		     (rows[i].rule ? 0 : sizeof(struct policy_rule));
		at[rows[i].at] = rows[i].value;
		cr_expect(eq(str, (char *)(uintptr_t)policy_rig_check(image, len),
			     (char *)(uintptr_t)rows[i].want),
			  "row %zu", i);
		free(image);
	}
	cr_assert(eq(int, policy_add(&d, POLICY_AGENT_RULE, d.of[POLICY_AGENT_RULE].at), 0));
	cr_assert(eq(int, policy_image(&d, &image, &len), 0));
	cr_expect(eq(str, (char *)(uintptr_t)policy_rig_check(image, len),
		     "agent rule 2: rule 7 does not come after 7: each once, in order"));
	free(image);
	policy_draft_done(&d);
}
