// SPDX-License-Identifier: Apache-2.0
/*
 * nodes_sync.c - what a node says it enforces against what it shall: the latest policy is sent to who has
 * an older one; who lost it, or has something else of that generation, would refuse it as not new, so that
 * a policy with a higher generation is made, at growing intervals while that does not help.
 */
#include <errno.h>
#include <string.h>

#include "collector/control/decide.h"
#include "collector/nodes/nodes_int.h"
#include "common/address.h"
#include "common/log.h"

#define AGAIN_US       INT64_C(2000000)
#define AGAIN_LATER_US INT64_C(60000000)   /* after a rollback or a refusal: it may happen again */
#define AGAIN_DOUBLE   6u		   /* times */
#define AHEAD_MAX      (UINT64_C(1) << 32) /* no collector is so far behind its nodes */

/* ---- judging ---- */

static bool is_active(const struct node_report *r)
{
	return r->state != NODE_ABSENT && r->state != NODE_PANIC && r->state != NODE_SHADOW;
}

static bool has(const struct node_report *r, const struct image *want)
{
	return r->generation == want->generation && !strcmp(r->hash, want->hash);
}

bool sync_is_enforced(const struct node_report *r, const struct image *want)
{
	return want && has(r, want) && is_active(r) && r->entries == want->entries;
}

/* It knows this generation and has said that it does without. */
static bool is_declined(const struct node_report *r, const struct image *want)
{
	if (r->state == NODE_REFUSED)
		return r->refused == want->generation;
	return (r->state == NODE_ROLLED_BACK || r->state == NODE_BY_HAND) &&
	       r->highest == want->generation;
}

enum verdict sync_judge(const struct node_report *r, const struct image *want)
{
	if (!want || r->state == NODE_ABSENT || has(r, want) || is_declined(r, want))
		return VERDICT_HOLD;
	return r->highest < want->generation ? VERDICT_SEND : VERDICT_RESYNC;
}

struct image *sync_wanted(const struct nodes *n, const struct node *x)
{
	return n->image[x->canary];
}

enum node_state sync_state(const struct nodes *n, const struct node *x)
{
	const struct image *want = sync_wanted(n, x);

	if (x->revoked_us)
		return NODE_REVOKED;
	if (!x->heard_us || nodes_mono_us() - x->heard_us > NODES_GONE_US)
		return NODE_GONE;
	if (x->report.state != NODE_IN_FORCE && x->report.state != NODE_NONE)
		return x->report.state;
	return !want || has(&x->report, want) ? x->report.state : NODE_BEHIND;
}

/* ---- reports ---- */

int sync_read(const char *text, size_t len, struct node_report *ret, struct node_text *ret_text,
	      char *reterr)
{
	int r = node_message_read(NODE_REPORT, text, len, ret_text, reterr);

	if (r)
		return r;
	*ret = (struct node_report){
		.generation = (uint64_t)ret_text->generation,
		.highest = (uint64_t)ret_text->highest,
		.refused = (uint64_t)ret_text->refused,
		.rules = (uint32_t)ret_text->rules,
		.entries = (uint32_t)ret_text->entries,
		.state = node_state_read(ret_text->state),
	};
	memcpy(ret->hash, ret_text->hash, sizeof(ret->hash));
	memcpy(ret->error, ret_text->error, sizeof(ret->error));
	if (ret->state == _NODE_STATE_MAX) {
		snprintf(reterr, NODE_MESSAGE_ERROR, "state: no such word");
		return -EINVAL;
	}
	if (ret->hash[0] && (strlen(ret->hash) != NODES_HASH_TEXT - 1 ||
			     strspn(ret->hash, "0123456789abcdef") != NODES_HASH_TEXT - 1)) {
		snprintf(reterr, NODE_MESSAGE_ERROR, "hash: want 64 hexadecimal digits");
		return -EINVAL;
	}
	if (ret->generation > ret->highest) {
		snprintf(reterr, NODE_MESSAGE_ERROR, "highest: less than generation");
		return -EINVAL;
	}
	return 0;
}

static int wrong(char *reterr, const char *why)
{
	snprintf(reterr, NODE_MESSAGE_ERROR, "%s", why);
	return -EINVAL;
}

int sync_read_decided(const char *text, size_t len, struct node_decision *ret,
		      struct node_text *ret_text, char *reterr)
{
	struct node_text *m = ret_text;

	if (node_message_read(NODE_DECIDED, text, len, m, reterr))
		return -EINVAL;
	*ret = (struct node_decision){.rule = m->rule,
				      .port = (uint16_t)m->port,
				      .made_us = m->made_us,
				      .took_us = m->took_us,
				      .ttl_us = m->ttl_s * 1000000,
				      .shadow = m->shadow != 0};
	if (node_id_read(m->id, ret->id))
		return wrong(reterr, "id: want 32 hexadecimal digits");
	if (!m->rule[0])
		return wrong(reterr, "rule: is empty");
	if (address_ip(m->value, ret->addr))
		return wrong(reterr, "value: want an address");
	ret->has_to = m->to[0];
	if (ret->has_to && address_ip(m->to, ret->to))
		return wrong(reterr, "to: want an address");
	return 0;
}

/* Another policy, if it is time for one. */
static void ask_again(struct nodes *n, struct node *x, const struct image *want)
{
	const int64_t now = nodes_mono_us();
	const uint32_t doubled = x->attempts < AGAIN_DOUBLE ? x->attempts : AGAIN_DOUBLE;
	const uint64_t above = x->report.highest;

	if (now < x->again_us)
		return;
	if (above > want->generation + AHEAD_MAX) {
		log_warn("nodes", "%s: has seen generation %llu, which this collector never made",
			 x->name, (unsigned long long)above);
		x->again_us = now + (AGAIN_LATER_US << AGAIN_DOUBLE);
		return;
	}
	log_info("nodes", "%s: is %s, generation %llu of %llu: it gets a newer one", x->name,
		 node_state_words[x->report.state], (unsigned long long)x->report.generation,
		 (unsigned long long)want->generation);
	x->attempts++;
	x->again_us = now + (AGAIN_US << doubled);
	n->counts.resyncs++;
	nodes_ask_policy(n, above);
}

/* After a rollback or a refusal the next attempt waits: the last one may have hurt. */
static void mind_declined(struct nodes *n, struct node *x, const struct image *want, bool is_news)
{
	const uint32_t doubled = x->attempts < AGAIN_DOUBLE ? x->attempts : AGAIN_DOUBLE;

	if (x->report.state == NODE_BY_HAND)
		return;
	if (is_news)
		x->again_us = nodes_mono_us() + (AGAIN_LATER_US << doubled);
	ask_again(n, x, want);
}

static void say(const struct node *x, const struct node_report *was)
{
	const struct node_report *r = &x->report;

	if (r->state == was->state || (r->state == NODE_IN_FORCE && was->state == NODE_NONE))
		return;
	if (r->state == NODE_IN_FORCE || r->state == NODE_NONE)
		log_info("nodes", "%s: %s", x->name, node_state_words[r->state]);
	else
		log_warn("nodes", "%s: %s%s%s", x->name, node_state_words[r->state],
			 *r->error ? ": " : "", r->error);
}

enum verdict sync_heard(struct nodes *n, struct node *x, const struct node_report *r)
{
	const struct node_report was = x->report;
	const struct image *want = sync_wanted(n, x);
	const enum verdict v = sync_judge(r, want);

	x->report = *r;
	if (x->heard_us)
		say(x, &was);
	x->heard_us = nodes_mono_us();
	x->seen_us = nodes_wall_us();
	n->counts.reports++;
	if (want && has(r, want)) {
		x->attempts = 0;
		x->again_us = 0;
	} else if (v == VERDICT_RESYNC) {
		ask_again(n, x, want);
	} else if (want && is_declined(r, want)) {
		mind_declined(n, x, want,
			      was.highest != r->highest || was.refused != r->refused ||
				      was.state != r->state);
	}
	return v;
}
