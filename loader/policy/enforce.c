// SPDX-License-Identifier: Apache-2.0
/*
 * enforce.c - whose policies hold, and how they change.
 */
#include "loader/policy/enforce_int.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"

#define NS_PER_S UINT64_C(1000000000)

uint64_t enforce_mono_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec + 1;
}

uint64_t enforce_wall_s(const struct enforce *e)
{
	(void)e;
	return (uint64_t)time(NULL);
}

/* ---- images ---- */

void held_free(struct held *h)
{
	free(h->image);
	free(h->watched);
	free(h->inside);
	*h = (struct held){};
}

int held_take(const struct enforce *e, const void *image, size_t len, struct held *ret,
	      struct policy_error *reterr)
{
	const struct policy_bounds bounds = {.now = enforce_wall_s(e),
					     .expires_max = e->cfg->expires_max_s};
	uint8_t *copy;
	int r;

	if (!image || len > POLICY_BYTES_MAX) {
		snprintf(reterr->text, sizeof(reterr->text), "there is no policy with the request");
		return -EINVAL;
	}
	copy = malloc(len ?: 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, image, len);
	*ret = (struct held){.image = copy, .len = len};
	r = policy_check(copy, len, &bounds, &ret->p, reterr);
	r = r ?: breaker_watch(e, ret);
	if (!r && policy_is_signed(copy, len))
		SHA256(copy, len, ret->hash);
	if (r)
		held_free(ret);
	return r;
}

struct policy_set enforce_set(const struct policy *p)
{
	return (struct policy_set){
		.rules = p->rules,
		.addrs = p->addrs,
		.addr_ports = p->addr_ports,
		.flows = p->flows,
		.names = p->names,
		.rules_n = p->n_rules,
		.addrs_n = p->n_addrs,
		.addr_ports_n = p->n_addr_ports,
		.flows_n = p->n_flows,
		.names_n = p->n_names,
	};
}

/* ---- to the tables ---- */

static int put_set(struct enforce *e, uint32_t slot, struct policy_set set)
{
	struct policy_rule *rules;
	int r = enforce_rules(&set, e->shadow && slot != SLOT_GUARD, &rules);

	if (r)
		return r;
	e->issuers[slot].ifaces = enforce_ifaces(set.rules, set.rules_n);
	if (rules)
		set.rules = rules;
	r = policy_table_apply(e->table, slot, &set, NULL);
	free(rules);
	return r;
}

static struct policy_set draft_set(const struct policy_draft *d)
{
	return (struct policy_set){
		.rules = (const void *)d->of[POLICY_RULE].at,
		.addrs = (const void *)d->of[POLICY_ADDR].at,
		.flows = (const void *)d->of[POLICY_FLOW].at,
		.rules_n = d->of[POLICY_RULE].n,
		.addrs_n = d->of[POLICY_ADDR].n,
		.flows_n = d->of[POLICY_FLOW].n,
	};
}

int enforce_put_guard(struct enforce *e)
{
	int r = policy_table_failsafe(e->table, guard_failsafe, guard_failsafe_n);

	r = r ?: put_set(e, SLOT_GUARD, draft_set(&e->guard.never));
	e->guarding |= !r;
	return r;
}

static void renew_lease(struct enforce *e)
{
	e->lease_renewed = enforce_mono_s();
	policy_table_lease(e->table, e->cfg->lease_s);
}

/* QUIC can go on without a name that the kernel reads; those who want names always enforced stop it. */
int enforce_put_quic(struct enforce *e)
{
	struct policy_rule r = {
		.id = {'q', 'u', 'i', 'c'},
		.number = POLICY_NUMBER_MAX,
		.action = POLICY_DROP,
		.direction = DIR_BOTH,
		.expires = UINT64_MAX,
		.name = "block-quic",
		.origin = "setting:policy.block-quic",
		.match = {.have = COND_PROTO | COND_DST_PORT, .proto = 17, .dst_port = {443, 443}},
	};
	const bool on = e->cfg->block_quic && enforce_wants_names(e);
	const struct policy_set set = {.rules = &r, .rules_n = on ? 1 : 0};

	return e->cfg->block_quic ? put_set(e, SLOT_QUIC, set) : 0;
}

int enforce_put_held(struct enforce *e, uint32_t slot, const struct held *h)
{
	static const struct policy none;
	int r = 0;

	if (!e->guarding) {
		guard_read_node(&e->guard, true);
		r = enforce_put_guard(e);
		renew_lease(e);
	}
	r = r ?: put_set(e, slot, enforce_set(h->image ? &h->p : &none));
	if (!r && h->image)
		breaker_begin(e, slot, h);
	return r;
}

int enforce_put(struct enforce *e, uint32_t slot)
{
	return enforce_put_held(e, slot, &e->issuers[slot].now);
}

/* ---- requests ---- */

static void describe(const struct enforce *e, struct policy_reply *ret)
{
	struct policy_usage u = {};

	policy_table_usage(e->table, &u);
	ret->version = POLICY_WIRE_VERSION;
	ret->generation = u.generation;
	ret->rules = u.rules;
	ret->rules_max = u.rules_max;
	ret->decisions = u.decisions;
	ret->decisions_max = u.decisions_max;
	ret->stopped = e->stopped;
	ret->breaker = e->shadow;
	ret->lease_s = e->cfg->lease_s;
	ret->lease = e->guarding && enforce_mono_s() < e->lease_renewed + e->cfg->lease_s;
	ret->dropped = e->traffic.dropped;
	ret->dropped_bytes = e->traffic.dropped_bytes;
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++)
		ret->confirm |= e->issuers[i].confirm_at != 0;
}

void enforce_answer(struct enforce *e, const struct policy_request *q,
		    const struct enforce_peer *peer, const struct enforce_image *image,
		    struct policy_answer *ret)
{
	const struct came came = {image->at, image->len, peer->uid};
	struct policy_reply *reply = &ret->reply;
	struct timespec from, to;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &from);
	*ret = (struct policy_answer){};
	if (q->version != POLICY_WIRE_VERSION || q->ask >= _ASK_MAX)
		r = enforce_refuse(reply, -EPROTO, "the command is of another version of weir");
	else if (q->ask == ASK_SHOW || q->ask == ASK_WHY)
		r = enforce_show(e, q, &ret->shown, &reply->n);
	else if (q->ask == ASK_HELD)
		r = enforce_held(e, (const char *)q->issuer, reply);
	else if (q->ask == ASK_DECIDED)
		r = enforce_decided(e, q, ret);
	else if (q->ask == ASK_HITS)
		r = enforce_ask_hits(e, q, ret);
	else if (!peer->may_change && !(q->flags & REQUEST_DRY))
		r = enforce_refuse(reply, -EACCES,
				   "changing policies is for root and the group of policy.group");
	else
		r = enforce_change(e, q, &came, reply);
	clock_gettime(CLOCK_MONOTONIC, &to);
	reply->r = r;
	reply->took_ns = (uint64_t)(to.tv_sec - from.tv_sec) * NS_PER_S + (uint64_t)to.tv_nsec -
			 (uint64_t)from.tv_nsec;
	describe(e, reply);
}

/* ---- time ---- */

/* The clock was set: what was to end in ten minutes still does. */
static void shift(struct held *h, int64_t by)
{
	struct policy_rule *rules = (struct policy_rule *)(uintptr_t)h->p.rules;
	struct policy_addr *addrs = (struct policy_addr *)(uintptr_t)h->p.addrs;
	struct policy_addr_port *ports = (struct policy_addr_port *)(uintptr_t)h->p.addr_ports;
	struct policy_flow *flows = (struct policy_flow *)(uintptr_t)h->p.flows;
	struct policy_name *names = (struct policy_name *)(uintptr_t)h->p.names;

#define SHIFT(array, n)                                                        \
	for (uint32_t i = 0; i < h->p.n; i++)                                  \
		if ((array)[i].expires && (array)[i].expires < UINT64_MAX / 2) \
			(array)[i].expires += (uint64_t)by;
	SHIFT(rules, n_rules)
	SHIFT(addrs, n_addrs)
	SHIFT(ports, n_addr_ports)
	SHIFT(flows, n_flows)
	SHIFT(names, n_names)
#undef SHIFT
}

static void check_clock(struct enforce *e, const struct policy_time *now)
{
	const uint64_t units = now->now - e->time.now;
	const int64_t expected = (int64_t)(e->time.wall_ns + units * now->unit_ns);
	const int64_t by = ((int64_t)now->wall_ns - expected) / (int64_t)NS_PER_S;

	if (by >= -1 && by <= 1)
		return;
	log_warn("policy", "the clock was set by %lld s; what is enforced ends when it would have",
		 (long long)by);
	enforce_agents_shift(e, by);
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++) {
		struct issuer *is = &e->issuers[i];

		if (is->now.image)
			shift(&is->now, by);
		if (is->before.image)
			shift(&is->before, by);
		if (is->now.image)
			state_save(e, i);
	}
}

static void check_confirmations(struct enforce *e)
{
	const uint64_t now = enforce_mono_s();

	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++) {
		struct policy_request q = {.ask = ASK_ROLLBACK};
		struct policy_reply reply = {};

		if (!e->issuers[i].confirm_at || now < e->issuers[i].confirm_at)
			continue;
		memcpy(q.issuer, e->issuers[i].name, sizeof(q.issuer));
		if (enforce_change(e, &q, &(struct came){}, &reply))
			log_error("policy", "rollback of %s: %s", e->issuers[i].name, reply.text);
		else
			log_warn("policy", "no confirmation came: %s is as it was before",
				 e->issuers[i].name);
		e->issuers[i].why = HELD_UNCONFIRMED;
	}
}

/* Rules by hand that have ended are forgotten. */
static void check_ended(struct enforce *e)
{
	struct issuer *is = &e->issuers[SLOT_LOCAL];
	const uint64_t now = enforce_wall_s(e);

	for (uint32_t i = 0; is->now.image && i < is->now.p.n_rules; i++)
		if (is->now.p.rules[i].expires <= now) {
			local_forget_ended(e);
			return;
		}
}

bool enforce_tick(struct enforce *e, const struct policy_time *now, bool alive,
		  const struct enforce_traffic *traffic)
{
	check_clock(e, now);
	e->time = *now;
	e->traffic = *traffic;
	policy_table_time(e->table, now);
	if (!e->guarding)
		return false;
	if (alive)
		renew_lease(e);
	check_confirmations(e);
	check_ended(e);
	enforce_names_forget(e);
	enforce_agents_forget(e);
	policy_table_reclaim(e->table);
	return breaker_check(e);
}

/* Interfaces have come, gone, or changed their names: rules that name one mean another index now. */
static void put_ifaces(struct enforce *e)
{
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++) {
		const struct issuer *is = &e->issuers[i];
		int r = 0;

		if (is->now.image &&
		    enforce_ifaces(is->now.p.rules, is->now.p.n_rules) != is->ifaces)
			r = enforce_put(e, i);
		if (r)
			log_error("policy", "%s: its rules by interface: %s", is->name,
				  strerror(-r));
	}
}

void enforce_mirrors(struct enforce *e, bool all)
{
	e->guard.mirrors = all;
}

void enforce_mute(struct enforce *e, enforce_mute_fn *fn, const void *arg)
{
	e->mute = fn;
	e->mute_arg = arg;
}

void enforce_node_changed(struct enforce *e)
{
	if (!e->guarding)
		return;
	if (guard_read_node(&e->guard, false))
		enforce_put_guard(e);
	put_ifaces(e);
}

/* ---- begin and end ---- */

int enforce_new(const struct enforce_start *start, struct enforce **ret)
{
	struct enforce *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->cfg = start->cfg;
	e->time = start->now;
	e->guard.cfg = &start->cfg->guard;
	e->guard.exports = start->exports;
	e->guard.n_exports = start->n_exports;
	memcpy(e->issuers[SLOT_LOCAL].name, POLICY_LOCAL, strlen(POLICY_LOCAL));
	e->last = SLOT_LOCAL;
	r = policy_table_open(&start->fds, &e->table);
	if (r) {
		free(e);
		return r;
	}
	e->agents.board = start->agents;
	e->recorder = start->recorder;
	e->mirror = start->mirror;
	policy_table_titles(e->table, start->titles);
	enforce_hits_begin(e);
	policy_table_time(e->table, &start->now);
	state_load(e);
	policy_table_sweep(e->table);
	*ret = e;
	return 0;
}

void enforce_leave(const struct enforce *e)
{
	uint32_t n = 0;

	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++) {
		const struct issuer *is = &e->issuers[i];

		if (is->now.image)
			n += is->now.p.n_rules;
		if (is->confirm_at && e->cfg->keep)
			log_warn("policy",
				 "nobody has confirmed the last change of %s: the next weir has "
				 "what was before it",
				 is->name);
	}
	if (n && !e->cfg->keep)
		log_warn("policy", "%u rules end here; with --pin the next weir would know them",
			 n);
	else if (n && !e->cfg->state[0])
		log_warn("policy",
			 "%u rules end within the lease: the next weir does not know them, since "
			 "policy.state is none",
			 n);
}

void enforce_free(struct enforce *e)
{
	if (!e)
		return;
	for (uint32_t i = 0; i < POLICY_ISSUERS; i++) {
		held_free(&e->issuers[i].now);
		held_free(&e->issuers[i].before);
	}
	enforce_names_free(e);
	guard_done(&e->guard);
	policy_table_free(e->table);
	enforce_hits_done(e);
	free(e);
}
