// SPDX-License-Identifier: Apache-2.0
/*
 * policy_check_node.c - see policy_check_int.h: captures, mirrors, and what agents decide by themselves.
 */
#include <errno.h>
#include <string.h>

#include "common/policy_check_int.h"

#define fail policy_fail

/* What is said of addresses, and when. */
static int check_ends(const struct check *c, uint8_t scope, uint8_t ends, const void *addr,
		      uint64_t made)
{
	const uint8_t want = scope == CAPTURE_PAIR ? 2 : 1;

	if (ends && ends != want)
		return fail(c, "ends", "is %u, scope %u has %u", ends, scope, want);
	if (!policy_all_zero((const uint8_t *)addr + 16u * ends, 16u * (2u - ends)))
		return fail(c, "addr", "is set, but not asked for");
	return !ends == !made ? 0 : fail(c, "made", "is for %ss with addresses", c->record);
}

int policy_check_capture(const struct check *c, const void *record)
{
	const struct policy_capture *k = record;

	return check_ends(c, k->scope, k->ends, k->addr, k->made);
}

static int check_ttl(const struct check *c, uint32_t ttl)
{
	return ttl <= c->bounds->expires_max
		       ? 0
		       : fail(c, "ttl", "is %u s, beyond the %llu s allowed here", ttl,
			      (unsigned long long)c->bounds->expires_max);
}

int policy_check_mirror(const struct check *c, const void *record)
{
	const struct policy_mirror *m = record;

	return check_ttl(c, m->ttl) ?: check_ends(c, m->scope, m->ends, m->addr, m->made);
}

int policy_check_agent(const struct check *c, const void *record)
{
	const struct policy_agent *a = record;

	if (check_ttl(c, a->ttl))
		return -EINVAL;
	if (strnlen((const char *)a->where, sizeof(a->where)) != a->length)
		return fail(c, "length", "is %u, which where has not", a->length);
	return 0;
}

int policy_check_stops(const struct check *c, unsigned int type, const struct policy_rule *r)
{
	static const uint8_t of_type[POLICY_TYPES] = {
		[POLICY_CAPTURE] = POLICY_DO_CAPTURE, [POLICY_MIRROR] = POLICY_DO_MIRROR};
	const uint8_t want = of_type[type];
	const bool looks = r->action == POLICY_DO_CAPTURE || r->action == POLICY_DO_MIRROR;

	if (want && r->action != want)
		return fail(c, "rule", "%u (%.63s) is no %s", r->number, r->name,
			    policy_action_word(want));
	if (!want && looks && type != POLICY_AGENT_RULE && type != POLICY_AGENT_EXEMPT)
		return fail(c, "rule", "%u (%.63s) is a %s", r->number, r->name,
			    policy_action_word(r->action));
	return 0;
}

/* Does it say what a capture or a mirror of the agent's is? */
static bool is_said(const struct policy *p, const struct policy_rule *r)
{
	bool said = r->action != POLICY_DO_CAPTURE && r->action != POLICY_DO_MIRROR;

	for (uint32_t i = 0; r->action == POLICY_DO_CAPTURE && i < p->n_captures; i++)
		said |= p->captures[i].rule == r->number && !p->captures[i].ends;
	for (uint32_t i = 0; r->action == POLICY_DO_MIRROR && i < p->n_mirrors; i++)
		said |= p->mirrors[i].rule == r->number && !p->mirrors[i].ends;
	return said;
}

/* What an agent may decide by itself is what no person decided on, by address alone. */
int policy_check_agent_rule(const struct check *c, const struct policy *p,
			    const struct policy_rule *r)
{
	if (!(r->flags & RULE_AUTOMATIC) || r->action < POLICY_DROP)
		return fail(c, "rule",
			    "%u (%.63s) is none that agents decide by: want an automatic "
			    "drop, limit, reset, capture or mirror",
			    r->number, r->name);
	if (!is_said(p, r))
		return fail(c, "rule", "%u (%.63s) does not say what is %s", r->number, r->name,
			    r->action == POLICY_DO_CAPTURE ? "captured" : "mirrored");
	return r->match.have ? fail(c, "rule",
				    "%u (%.63s) has conditions: agents decide on addresses alone",
				    r->number, r->name)
			     : 0;
}
