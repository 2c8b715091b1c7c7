// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/node_rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/rule_int.h"
#include "common/filter_code.h"
#include "common/policy_int.h"
#include "common/scan.h"

#define SECOND UINT64_C(1000000000)

/* ---- ids ---- */

void node_rule_id(const struct rule *r, uint32_t at, uint8_t ret[16])
{
	char text[80];

	snprintf(text, sizeof(text), "%.60s %u", r->id, at);
	policy_id(text, ret);
}

const struct rule *node_rule_find(const struct rule_set *set, const uint8_t id[16],
				  uint32_t *ret_at)
{
	uint8_t own[16];

	for (uint32_t i = 0; i < set->n; i++)
		for (uint32_t at = 0; at < set->v[i].actions.n; at++) {
			node_rule_id(&set->v[i], at, own);
			if (memcmp(own, id, sizeof(own)) != 0)
				continue;
			*ret_at = at;
			return &set->v[i];
		}
	return NULL;
}

/* ---- may it be? ---- */

/* Is the filter one that a node reads? It knows no lists, and nothing that the collector adds to a flow. */
static const char *unreadable(const char *where, char *buf)
{
	const size_t len = strlen(where);
	struct filter_error e;
	struct filter *f;
	const char *why = NULL;

	if (len >= POLICY_WHERE_MAX) {
		snprintf(buf, NODE_RULE_WHY,
			 "its filter has %zu letters with all lists written out, and nodes take %u",
			 len, POLICY_WHERE_MAX - 1);
		return buf;
	}
	if (filter_parse(where, len, NULL, &f, &e)) {
		snprintf(buf, NODE_RULE_WHY, "%s", e.message);
		return buf;
	}
	if (f->community)
		why = "nodes compute no community_id for rules";
	filter_free(f);
	return why;
}

const char *node_rule_why_not(const struct rule *r, const struct rule_action *a,
			      const struct rule_site *site, char *buf)
{
	struct rule_reader rr = {.site = site};
	const char *why;
	char *where;

	if (r->class == RC_COLLECTOR)
		return r->class_why;
	if (a->scope != FF_SRC_IP && rule_action_stops(a))
		return "nodes act on sources alone: scope src.ip";
	if (!r->evidence.handshake && rule_action_stops(a))
		return "a source can be forged: it takes 'evidence: { handshake: required }'";
	if (r->for_ns)
		return "it has to hold for a time: for";
	where = rule_where_bound(&rr, r);
	why = where ? unreadable(where, buf) : "out of memory";
	free(where);
	return why;
}

/* ---- records ---- */

struct exempting {
	struct policy_draft *d;
	uint32_t number;
};

int node_rule_exempt(struct policy_draft *d, uint32_t number, const uint8_t addr[16],
		     unsigned int bits, uint64_t until)
{
	struct policy_addr a = {
		.bits = (uint8_t)bits, .role = ROLE_SRC, .rule = number, .expires = until};

	memcpy(a.addr, addr, sizeof(a.addr));
	return d->of[POLICY_AGENT_EXEMPT].n < POLICY_EXEMPT_MAX
		       ? policy_add(d, POLICY_AGENT_EXEMPT, &a)
		       : -E2BIG;
}

static int exempt_one(void *arg, const uint8_t addr[16], uint8_t bits)
{
	const struct exempting *x = arg;

	return node_rule_exempt(x->d, x->number, addr, bits, 0);
}

static int exempt_values(struct exempting *x, const struct filter_tree *t)
{
	int r = 0;

	for (uint32_t i = 0; i < t->ast.n_values && !r; i++) {
		const struct filter_value *v = &t->ast.values[i];

		/* lists have theirs behind them */
		if (v->type == FV_IP || v->type == FV_NET || v->type == FV_IPS)
			r = policy_prefixes(v, exempt_one, x);
	}
	return r;
}

static const char *resolve(void *arg, char kind, const char *name)
{
	const struct rule_site *site = arg;

	return kind == '@' && site && site->list ? site->list(site->arg, name) : NULL;
}

static int exempt_list(struct exempting *x, const struct node_rule *n, const char *list)
{
	const struct filter_env env = {.resolve = resolve, .arg = (void *)(uintptr_t)n->site};
	struct filter_tree t = {};
	struct filter_error e;
	char text[160];
	int r;

	snprintf(text, sizeof(text), "src.ip in %.128s", list);
	r = filter_parse_tree(text, strlen(text), &env, &t, &e);
	if (r)
		return r == -ENOMEM ? r : 0; /* no such list here: nobody is in it */
	r = exempt_values(x, &t);
	filter_tree_done(&t);
	return r;
}

static void put_where(const struct rule *r, const struct rule_site *site, struct policy_agent *a)
{
	struct rule_reader rr = {.site = site};
	char *where = rule_where_bound(&rr, r);

	snprintf((char *)a->where, sizeof(a->where), "%s", where ?: "");
	a->length = (uint16_t)strlen((char *)a->where);
	free(where);
}

/* Whom the rule is not for: what it says itself, and lists of the site. */
static int add_exempt(struct policy_draft *d, const struct node_rule *n)
{
	struct exempting x = {d, n->number};
	int rc = n->rule->exempt.filter ? exempt_values(&x, &n->rule->exempt) : 0;

	/* what is exempt from being stopped may be looked at all the same */
	for (unsigned int i = 0; i < 2 && !rc; i++)
		if (n->exempt[i] && rule_action_stops(&n->rule->actions.v[n->at]))
			rc = exempt_list(&x, n, n->exempt[i]);
	return rc;
}

static uint8_t action_of(const struct rule_action *a)
{
	static const uint8_t of[] = {POLICY_DROP, POLICY_LIMIT, POLICY_RESET, POLICY_DO_CAPTURE,
				     POLICY_DO_MIRROR};

	return of[a->type - RO_DROP];
}

static uint8_t scope_of(const struct rule_action *a)
{
	return a->scope == RULE_SCOPE_PAIR ? CAPTURE_PAIR
	       : a->scope == FF_DST_IP	   ? CAPTURE_DST
					   : CAPTURE_SRC;
}

void node_rule_capture(const struct rule_action *a, struct policy_capture *ret)
{
	*ret = (struct policy_capture){
		.pre = (uint32_t)(a->pre_ns / SECOND),
		.post = (uint32_t)((a->post_ns ?: NODE_RULE_POST) / SECOND),
		.scope = scope_of(a),
		.max_bytes = a->max_bytes ?: NODE_RULE_BYTES,
	};
	ret->post += !ret->post;
}

void node_rule_mirror(const struct rule_action *a, struct policy_mirror *ret)
{
	*ret = (struct policy_mirror){.ttl = (uint32_t)(a->ttl_ns / SECOND), .scope = scope_of(a)};
	ret->ttl += !ret->ttl;
	snprintf((char *)ret->to, sizeof(ret->to), "%s", a->to);
}

/* What nodes look at by it. */
static int add_looks(struct policy_draft *d, const struct rule_action *a, uint32_t number)
{
	struct policy_capture capture;
	struct policy_mirror mirror;

	if (a->type == RO_CAPTURE) {
		node_rule_capture(a, &capture);
		capture.rule = number;
		return policy_add(d, POLICY_CAPTURE, &capture);
	}
	if (a->type != RO_MIRROR)
		return 0;
	node_rule_mirror(a, &mirror);
	mirror.rule = number;
	return policy_add(d, POLICY_MIRROR, &mirror);
}

uint64_t node_rule_seconds(const struct rule_action *a)
{
	const uint64_t ns = a->type == RO_CAPTURE ? a->post_ns ?: NODE_RULE_POST
			    : a->escalate.n	  ? a->escalate.ns[0]
						  : a->ttl_ns;

	return ns / SECOND ?: 1;
}

int node_rule_add(struct policy_draft *d, const struct node_rule *n)
{
	static const uint8_t directions[] = {DIR_BOTH, DIR_INGRESS, DIR_EGRESS};
	const struct rule *r = n->rule;
	const struct rule_action *a = &r->actions.v[n->at];
	struct policy_agent agent = {.rule = n->number, .ttl = (uint32_t)node_rule_seconds(a)};
	struct policy_rule rule = {
		.number = n->number,
		.action = action_of(a),
		.flags = RULE_AUTOMATIC | (n->shadow && rule_action_stops(a) ? RULE_SHADOW : 0),
		.direction = directions[a->direction],
		.key = RULE_BY_ADDR,
		.expires = n->expires,
	};
	int rc;

	node_rule_id(r, n->at, rule.id);
	snprintf((char *)rule.name, sizeof(rule.name), "%.63s", r->name);
	snprintf((char *)rule.origin, sizeof(rule.origin), "rule:%.30s%s%.24s", r->name,
		 n->issuer ? "@" : "", n->issuer ?: "");
	put_where(r, n->site, &agent);
	rc = a->type == RO_LIMIT ? policy_scan_rate(a->rate, &rule) : 0;
	rc = rc ?: agent.length ? 0 : -ENOMEM;
	rc = rc ?: policy_add(d, POLICY_RULE, &rule);
	rc = rc ?: add_looks(d, a, n->number);
	rc = rc ?: policy_add(d, POLICY_AGENT_RULE, &agent);
	return rc ?: add_exempt(d, n);
}
