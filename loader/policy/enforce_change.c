// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_change.c - how policies change: replaced whole, rolled back, flushed, stopped.
 */
#include "loader/policy/enforce_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* ---- replies ---- */

int enforce_refuse(struct policy_reply *ret, int r, const char *fmt, ...)
{
	va_list ap;

	ret->r = r;
	va_start(ap, fmt);
	vsnprintf(ret->text, sizeof(ret->text), fmt, ap);
	va_end(ap);
	return r;
}

int enforce_refuse_full(const struct enforce *e, uint32_t slot, const struct held *h,
			struct policy_reply *ret)
{
	const struct policy_set set = enforce_set(&h->p);
	struct policy_usage want = {}, have = {};

	policy_table_fits(e->table, slot, &set, &want);
	policy_table_usage(e->table, &have);
	snprintf(ret->guard, sizeof(ret->guard), "capacity");
	return enforce_refuse(
		ret, -ENOSPC,
		"the tables would be full: %u rules of %u, %u decisions of %u; nothing was "
		"changed",
		want.rules, have.rules_max, want.decisions, have.decisions_max);
}

int enforce_check_guards(struct enforce *e, const struct policy *p, bool by_hand,
			 struct policy_reply *ret)
{
	struct guard_error err = {};

	guard_read_node(&e->guard, true);
	if (!guard_check(&e->guard, p, by_hand, enforce_wall_s(e), &err))
		return 0;
	snprintf(ret->guard, sizeof(ret->guard), "%s", err.guard);
	return enforce_refuse(ret, -EPERM, "%s", err.text);
}

/* ---- changes ---- */

static uint32_t slot_of(struct enforce *e, const char *name)
{
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++)
		if (!strcmp(e->issuers[i].name, name))
			return i;
	return POLICY_ISSUERS;
}

static uint32_t new_slot(struct enforce *e, const char *name)
{
	uint32_t slot = slot_of(e, name);

	for (uint32_t i = SLOT_FIRST; slot == POLICY_ISSUERS && i < SLOT_NAMED; i++)
		if (!e->issuers[i].name[0])
			slot = i;
	return slot;
}

/* @h takes the place of what the issuer has; it is the issuer's then. */
int enforce_replace(struct enforce *e, uint32_t slot, struct held *h, uint32_t confirm_s,
		    struct policy_reply *ret)
{
	struct issuer *is = &e->issuers[slot];
	int r = enforce_put_held(e, slot, h);

	if (r == -ENOSPC)
		return enforce_refuse_full(e, slot, h, ret);
	if (r)
		return enforce_refuse(ret, r, "the tables: %s", strerror(-r));
	if (!is->confirm_at) { /* what waits goes back to what was before the first of them */
		held_free(&is->before);
		is->before = is->now;
		is->has_before = true;
	} else {
		held_free(&is->now);
	}
	is->now = *h;
	*h = (struct held){};
	if (confirm_s)
		is->confirm_at = enforce_mono_s() + confirm_s;
	e->last = slot;
	enforce_names_changed(e);
	enforce_agents_changed(e);
	enforce_captures_changed(e, slot);
	enforce_put_quic(e);
	enforce_put_guard(e);
	state_save(e, slot);
	return 0;
}

/* Keys that have come into the directories of policy.keys since the start. */
static int verify_with_later(const struct enforce *e, const struct held *h)
{
	struct enforce_cfg *now = malloc(sizeof(*now));
	int r;

	if (!now)
		return -ENOMEM;
	*now = *e->cfg;
	now->n_keys = 0;
	enforce_read_keys(now);
	r = policy_verify(h->image, h->len, now->keys, now->n_keys);
	free(now);
	return r;
}

static int check_signature(const struct enforce *e, const struct held *h, struct policy_reply *ret)
{
	int r;

	if (!policy_is_signed(h->image, h->len))
		return e->cfg->n_keys
			       ? enforce_refuse(
					 ret, -EKEYREJECTED,
					 "it is not signed, and this node takes signed policies only "
					 "(policy.keys)")
			       : 0;
	r = policy_verify(h->image, h->len, e->cfg->keys, e->cfg->n_keys);
	if (r == -ENOKEY && e->cfg->n_key_dirs)
		r = verify_with_later(e, h);
	if (r == -ENOKEY && !e->cfg->n_keys)
		return enforce_refuse(ret, r,
				      "it is signed, but no key is trusted here (policy.keys)");
	if (!r)
		return 0;
	return enforce_refuse(ret, r,
			      r == -ENOKEY ? "the key that signed it is not trusted here"
					   : "the signature is wrong: it was changed on its way");
}

static int check_head(struct enforce *e, const struct held *h, uint32_t *ret_slot,
		      struct policy_reply *ret)
{
	const char *name = (const char *)h->p.head->issuer;
	const uint64_t generation = h->p.head->generation;
	struct policy_error err;
	uint32_t slot;

	if (!strcmp(name, POLICY_LOCAL))
		return enforce_refuse(ret, -EINVAL, "issuer 'local' is what is done by hand here");
	slot = new_slot(e, name);
	if (slot == POLICY_ISSUERS)
		return enforce_refuse(ret, -ENOSPC, "no room for one more issuer");
	if (policy_in_time(&h->p, enforce_wall_s(e), &err))
		return enforce_refuse(ret, -ETIME, "%s", err.text);
	if (generation <= e->issuers[slot].generation)
		return enforce_refuse(
			ret, -EALREADY,
			"generation %llu of %s is not newer than %llu, which was here before",
			(unsigned long long)generation, name,
			(unsigned long long)e->issuers[slot].generation);
	*ret_slot = slot;
	return 0;
}

void enforce_note_resets(const struct enforce *e, const struct policy *p, struct policy_reply *ret)
{
	bool resets = false, sni = false;
	char mute[64] = "";

	for (uint32_t i = 0; i < p->n_rules; i++)
		resets |= p->rules[i].action == POLICY_RESET;
	for (uint32_t i = 0; i < p->n_names && resets && !sni; i++)
		sni = p->names[i].kinds & NAME_SNI &&
		      policy_rule(p, p->names[i].rule)->action == POLICY_RESET;
	if (!resets)
		return;
	if (e->mute)
		e->mute(e->mute_arg, mute, sizeof(mute));
	if (mute[0]) {
		log_warn("policy", "%s: XDP can't send from there: resets to senders get lost",
			 mute);
		snprintf(
			ret->text, sizeof(ret->text),
			"%s: XDP can't send from there, so that senders are dropped and not told: GRO on "
			"at the other end of a veth pair (ethtool -K), or --hook tc%s",
			mute, sni ? "; " : "");
	}
	if (sni)
		snprintf(ret->text + strlen(ret->text), sizeof(ret->text) - strlen(ret->text),
			 "QUIC has no reset: what is named so over UDP is dropped");
}

static int do_apply(struct enforce *e, const struct policy_request *q, const void *image,
		    size_t len, struct policy_reply *ret)
{
	struct policy_error err = {};
	struct policy_set set;
	struct held h;
	uint32_t slot = POLICY_ISSUERS;
	int r = held_take(e, image, len, &h, &err);

	if (r)
		return enforce_refuse(ret, r, "%s", r == -EINVAL ? err.text : strerror(-r));
	r = check_signature(e, &h, ret);
	r = r ?: check_head(e, &h, &slot, ret);
	e->guard.before = !r && e->issuers[slot].now.image ? &e->issuers[slot].now.p : NULL;
	r = r ?: enforce_check_guards(e, &h.p, false, ret);
	e->guard.before = NULL;
	set = enforce_set(&h.p);
	if (!r && policy_table_fits(e->table, slot, &set, NULL))
		r = enforce_refuse_full(e, slot, &h, ret);
	if (!r && !(q->flags & REQUEST_DRY)) {
		const uint64_t before = e->issuers[slot].generation;

		memcpy(e->issuers[slot].name, h.p.head->issuer, sizeof(e->issuers[slot].name));
		ret->added = h.p.n_rules;
		e->issuers[slot].generation = h.p.head->generation;
		enforce_note_resets(e, &h.p, ret);
		r = enforce_replace(e, slot, &h, q->confirm_s, ret);
		if (r) /* it may come again, when there is room */
			e->issuers[slot].generation = before;
		else
			e->issuers[slot].why = HELD_AS_APPLIED;
	}
	held_free(&h);
	return r;
}

static int do_flush(struct enforce *e, const struct policy_request *q, struct policy_reply *ret)
{
	const uint32_t only = q->issuer[0] ? slot_of(e, (const char *)q->issuer) : 0;
	int r = 0;

	if (only == POLICY_ISSUERS)
		return enforce_refuse(ret, -ENOENT, "nothing is here of issuer '%.31s'", q->issuer);
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED && !r; i++) {
		struct held none = {};

		if (!e->issuers[i].now.image || (only && only != i))
			continue;
		ret->removed += e->issuers[i].now.p.n_rules;
		if (q->flags & REQUEST_DRY)
			continue;
		r = enforce_replace(e, i, &none, 0, ret);
		e->issuers[i].why = HELD_BY_HAND;
	}
	return r;
}

static int do_rollback(struct enforce *e, const struct policy_request *q, struct policy_reply *ret)
{
	const uint32_t slot = q->issuer[0] ? slot_of(e, (const char *)q->issuer) : e->last;
	struct issuer *is = &e->issuers[slot % POLICY_ISSUERS];
	int r;

	if (slot == POLICY_ISSUERS || !is->has_before)
		return enforce_refuse(ret, -ENOENT, "there is nothing before it to go back to");
	r = enforce_put_held(e, slot, &is->before);
	if (r)
		return enforce_refuse(ret, r, "the tables: %s", strerror(-r));
	held_free(&is->now);
	is->now = is->before;
	is->before = (struct held){};
	is->has_before = false;
	is->confirm_at = 0;
	is->why = HELD_BY_HAND;
	enforce_names_changed(e);
	enforce_agents_changed(e);
	enforce_put_quic(e);
	state_save(e, slot);
	snprintf(ret->text, sizeof(ret->text), "%s is as it was before its last change", is->name);
	return 0;
}

int enforce_held(struct enforce *e, const char *name, struct policy_reply *ret)
{
	const uint32_t slot = slot_of(e, name);
	const struct issuer *is = &e->issuers[slot % POLICY_ISSUERS];
	const struct policy *p = &is->now.p;

	if (slot == POLICY_ISSUERS) /* it has never been heard of */
		return 0;
	ret->highest = is->generation;
	ret->why = is->why;
	ret->decided_us = enforce_last_decided(e, slot);
	if (!is->now.image)
		return 0;
	ret->held = p->head->generation;
	ret->held_rules = p->n_rules;
	ret->held_entries = p->n_addrs + p->n_addr_ports + p->n_flows + p->n_names;
	memcpy(ret->hash, is->now.hash, sizeof(ret->hash));
	enforce_refused_mirrors(e, slot, ret->text, sizeof(ret->text));
	return 0;
}

static int do_confirm(struct enforce *e, const struct policy_request *q, struct policy_reply *ret)
{
	unsigned int n = 0;

	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++) {
		if (!e->issuers[i].confirm_at ||
		    (q->issuer[0] && strcmp(e->issuers[i].name, (const char *)q->issuer) != 0))
			continue;
		e->issuers[i].confirm_at = 0;
		state_save(e, i);
		n++;
	}
	return n ? 0 : enforce_refuse(ret, -ENOENT, "nothing waits for a confirmation");
}

/* ---- panic ---- */

static int do_panic(struct enforce *e)
{
	policy_table_stop(e->table, true); /* before anything else */
	e->stopped = true;
	enforce_mirrors_changed(e);
	state_save_stopped(e);
	log_warn("policy", "enforcement stopped by command; 'weir panic --off' resumes it");
	return 0;
}

static int do_resume(struct enforce *e, struct policy_reply *ret)
{
	int r = 0;

	e->stopped = false;
	if (e->shadow) {
		e->shadow = false;
		for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED && !r; i++)
			if (e->issuers[i].now.image)
				r = enforce_put(e, i);
		enforce_agents_changed(e);
		e->n_past = 0;
	}
	policy_table_stop(e->table, false);
	enforce_mirrors_changed(e);
	state_save_stopped(e);
	return r ? enforce_refuse(ret, r, "the tables: %s", strerror(-r)) : 0;
}

/* ---- requests ---- */

int enforce_change(struct enforce *e, const struct policy_request *q, const struct came *came,
		   struct policy_reply *ret)
{
	switch (q->ask) {
	case ASK_APPLY:
		return do_apply(e, q, came->image, came->len, ret);
	case ASK_ADD:
		return local_add(e, q, came, ret);
	case ASK_REMOVE:
		return local_remove(e, q, ret);
	case ASK_FLUSH:
		return do_flush(e, q, ret);
	case ASK_PANIC:
		return do_panic(e);
	case ASK_RESUME:
		return do_resume(e, ret);
	case ASK_ROLLBACK:
		return do_rollback(e, q, ret);
	case ASK_CONFIRM:
		return do_confirm(e, q, ret);
	default:
		return enforce_refuse(ret, -EINVAL, "no such request");
	}
}
