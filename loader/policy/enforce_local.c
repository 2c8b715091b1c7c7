// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_local.c - what is decided by hand on this node: rules added to those of issuer 'local', and
 * taken away again.
 */
#include "loader/policy/enforce_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- by hand ---- */

/* Rules of @from, with their entries, that @want says yes to; numbers are new, from *number on. */
struct picker {
	struct policy_draft *to;
	uint32_t *number;
	bool (*want)(void *arg, const struct policy_rule *r);
	void *arg;
};

static int pick_entries(const struct picker *k, const struct policy *p, const uint32_t *renumber)
{
	int r = 0;

#define PICK(type, array, n, record)                       \
	for (uint32_t i = 0; i < p->n && !r; i++) {        \
		struct record one = p->array[i];           \
		one.rule = renumber[one.rule];             \
		if (one.rule)                              \
			r = policy_add(k->to, type, &one); \
	}
	PICK(POLICY_ADDR, addrs, n_addrs, policy_addr)
	PICK(POLICY_ADDR_PORT, addr_ports, n_addr_ports, policy_addr_port)
	PICK(POLICY_FLOW, flows, n_flows, policy_flow)
	PICK(POLICY_NAME, names, n_names, policy_name)
#undef PICK
	return r;
}

static int pick(const struct picker *k, const struct policy *p)
{
	uint32_t *renumber = calloc(POLICY_NUMBER_MAX + 1, sizeof(*renumber));
	int r = renumber ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < p->n_rules && !r; i++) {
		struct policy_rule rule = p->rules[i];

		if (!k->want(k->arg, &rule))
			continue;
		renumber[rule.number] = *k->number;
		rule.number = (*k->number)++;
		r = rule.number > POLICY_NUMBER_MAX ? -E2BIG
						    : policy_add(k->to, POLICY_RULE, &rule);
	}
	r = r ?: pick_entries(k, p, renumber);
	free(renumber);
	return r;
}

struct wanted {
	const struct policy *except; /* rules with ids of these are replaced */
	const uint8_t *id;	     /* or that go, whatever is done */
	uint64_t now;
	uint32_t dropped;
};

#define ID_FROM 3u /* id[0] to id[2] tell what is done, the last two count: policy_rule_id() */
#define ID_TO	14u

static bool still_wanted(void *arg, const struct policy_rule *r)
{
	struct wanted *w = arg;
	bool gone = r->expires <= w->now;

	for (uint32_t i = 0; w->except && i < w->except->n_rules && !gone; i++)
		gone = !memcmp(w->except->rules[i].id, r->id, sizeof(r->id));
	if (w->id && !memcmp(w->id + ID_FROM, r->id + ID_FROM, ID_TO - ID_FROM)) {
		w->dropped++;
		gone = true;
	}
	return !gone;
}

static bool any_rule(void *arg, const struct policy_rule *r)
{
	(void)arg;
	(void)r;
	return true;
}

/* What local has without @w, and with @more. */
static int make_local(struct enforce *e, struct wanted *w, const struct policy *more,
		      struct held *ret, struct policy_error *err)
{
	struct issuer *is = &e->issuers[SLOT_LOCAL];
	struct policy_draft d = {};
	uint32_t number = 1;
	uint8_t *image = NULL;
	size_t len;
	int r = 0;

	if (is->now.image)
		r = pick(&(struct picker){&d, &number, still_wanted, w}, &is->now.p);
	if (more && !r)
		r = pick(&(struct picker){&d, &number, any_rule, NULL}, more);
	d.head.generation = ++is->generation;
	d.head.not_after = UINT64_MAX;
	memcpy(d.head.issuer, POLICY_LOCAL, strlen(POLICY_LOCAL));
	r = r ?: policy_image(&d, &image, &len);
	policy_draft_done(&d);
	r = r ?: held_take(e, image, len, ret, err);
	free(image);
	return r;
}

/* Whoever asks is who decided, whatever the records say. */
static void put_origin(struct held *h, uid_t uid)
{
	struct policy_rule *rules = (struct policy_rule *)(uintptr_t)h->p.rules;

	for (uint32_t i = 0; i < h->p.n_rules; i++) {
		memset(rules[i].origin, 0, sizeof(rules[i].origin));
		snprintf((char *)rules[i].origin, sizeof(rules[i].origin), "local:uid=%u", uid);
	}
}

static int do_add_held(struct enforce *e, const struct policy_request *q, const struct policy *more,
		       struct policy_reply *ret)
{
	struct wanted w = {.except = more, .now = enforce_wall_s(e)};
	struct policy_error err = {};
	struct policy_set set;
	struct held h;
	int r = enforce_check_guards(e, more, true, ret);

	if (r)
		return r;
	r = make_local(e, &w, more, &h, &err);
	if (r)
		return enforce_refuse(ret, r, "%s", err.text[0] ? err.text : strerror(-r));
	set = enforce_set(&h.p);
	ret->added = more->n_addrs + more->n_addr_ports + more->n_flows + more->n_names;
	if (policy_table_fits(e->table, SLOT_LOCAL, &set, NULL))
		r = enforce_refuse_full(e, SLOT_LOCAL, &h, ret);
	else if (!(q->flags & REQUEST_DRY))
		r = enforce_replace(e, SLOT_LOCAL, &h, q->confirm_s, ret);
	if (!r)
		enforce_note_resets(e, more, ret);
	held_free(&h);
	return r;
}

int local_add(struct enforce *e, const struct policy_request *q, const struct came *came,
	      struct policy_reply *ret)
{
	struct policy_error err = {};
	struct held h;
	int r = held_take(e, came->image, came->len, &h, &err);

	if (r)
		return enforce_refuse(ret, r, "%s", err.text[0] ? err.text : strerror(-r));
	put_origin(&h, came->uid);
	r = do_add_held(e, q, &h.p, ret);
	held_free(&h);
	return r;
}

int local_remove(struct enforce *e, const struct policy_request *q, struct policy_reply *ret)
{
	struct wanted w = {.id = q->id, .now = enforce_wall_s(e)};
	struct policy_error err = {};
	struct held h;
	int r = make_local(e, &w, NULL, &h, &err);

	if (r)
		return enforce_refuse(ret, r, "%s", err.text[0] ? err.text : strerror(-r));
	ret->removed = w.dropped;
	if (!w.dropped)
		r = enforce_refuse(ret, -ENOENT, "nothing by hand is blocked by these words");
	else if (!(q->flags & REQUEST_DRY))
		r = enforce_replace(e, SLOT_LOCAL, &h, 0, ret);
	held_free(&h);
	return r;
}

void local_forget_ended(struct enforce *e)
{
	struct wanted w = {.now = enforce_wall_s(e)};
	struct held *now = &e->issuers[SLOT_LOCAL].now;
	struct policy_error err = {};
	struct held h;

	if (make_local(e, &w, NULL, &h, &err))
		return; /* no memory: tried again */
	if (enforce_put_held(e, SLOT_LOCAL, &h)) {
		held_free(&h);
		return;
	}
	held_free(now);
	*now = h;
	enforce_names_changed(e);
	enforce_put_quic(e);
	state_save(e, SLOT_LOCAL);
}
