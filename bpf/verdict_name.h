/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict_name.h - verdicts by a name that L7 has just read: hashed once from its end, and looked for
 * at every label, and at the lengths of listed suffixes. The packet that completed the name is judged,
 * and the flow's verdict kept for all CPUs (policy_named).
 */
#ifndef WEIR_BPF_VERDICT_NAME_H
#define WEIR_BPF_VERDICT_NAME_H

#include "assemble.h"
#include "verdict.h"

#define NAME_AT_MAX 128u /* offset of the text in l7_work.ev: below this */

/* Byte of the name; those of l7_work.ev are readable anyway. */
static __always_inline __u8 *name_byte(struct l7_work *l, __u32 pos)
{
	__u8 *ev = (__u8 *)&l->ev;
	__u32 at = (l->name_at & (NAME_AT_MAX - 1)) + (pos & 511);

	L7_OPAQUE(at);
	return ev + (at & 1023);
}

/* Wire form to text: the length of each label becomes a dot. */
static long name_label_step(__u32 i, void *arg)
{
	struct verdict_work *w = verdict_work_get();
	struct l7_work *l = l7_work_get();
	__u8 *p;
	__u32 n;

	(void)i;
	(void)arg;
	if (!w || !l || w->pos >= l->name_len)
		return 1;
	p = name_byte(l, w->pos);
	n = *p;
	*p = '.';
	w->pos += n + 1;
	return 0;
}

static __always_inline void name_try(struct verdict_work *w, const struct policy_control *c,
				     __u32 before)
{
	__u32 n = w->taken - 1, how = 0;

	if (!w->pos)
		how |= 1u << NAME_EXACT;
	if (before == '.')
		how |= 1u << NAME_BELOW;
	if (c->name_lengths[n >> 6 & 3] >> (n & 63) & 1)
		how |= 1u << NAME_SUFFIX;
	if (!how)
		return;
	w->how = how;
	w->kind = KIND_NAME;
	w->key[0] = w->hash[0];
	w->key[1] = w->hash[1];
	verdict_probe();
}

/* One more byte from the end. A port behind a Host is left out, and final dots. */
static long name_step(__u32 i, void *arg)
{
	const struct policy_control *c = policy_control_get();
	struct verdict_work *w = verdict_work_get();
	struct l7_work *l = l7_work_get();
	__u32 byte;

	(void)i;
	(void)arg;
	if (!w || !l || !c || !w->pos)
		return 1;
	w->pos--;
	byte = *name_byte(l, w->pos);
	if (w->digits && byte == ':') {
		policy_name_begin(c->seed, w->hash);
		w->taken = w->digits = 0;
		return 0;
	}
	if (byte < '0' || byte > '9')
		w->digits = 0;
	if (byte == '.' && !w->taken)
		return 0;
	if (byte >= 'A' && byte <= 'Z')
		byte += 'a' - 'A';
	policy_name_byte(w->hash, byte);
	w->taken++;
	name_try(w, c, w->pos ? *name_byte(l, w->pos - 1) : '.');
	return 0;
}

/* Decisions by the name in l7_work. */
static __always_inline void verdict_name_find(struct verdict_work *w, struct l7_work *l,
					      const struct policy_control *c)
{
	w->pos = 0;
	if (l->named == NAME_DNS)
		bpf_loop(WEIR_NAME_MAX / 2, name_label_step, 0, 0);
	/* the root's empty label and the first length byte are no part of the text */
	w->pos = l->name_len;
	if (l->named == NAME_DNS) {
		l->name_at++;
		w->pos = l->name_len > 2 ? l->name_len - 2 : 0;
	}
	w->digits = l->named == NAME_HOST;
	w->taken = 0;
	w->role = l->named;
	w->by_name = 1;
	policy_name_begin(c->seed, w->hash);
	bpf_loop(WEIR_NAME_MAX, name_step, 0, 0);
	w->by_name = 0;
}

/* The rule that acts, or would, was found by the name: keep that. */
static __always_inline void verdict_name_keep(const struct scratch *s, const struct acting *a)
{
	__u32 n = a->decision;
	const struct policy_decision *d = bpf_map_lookup_elem(&policy_decisions, &n);

	if (d)
		named_keep(s->hash, n, d->from);
}

/* The others have had their say on this packet. Return: 1 if the name has one. */
static __always_inline int verdict_name_settle(const struct scratch *s, struct verdict_work *w)
{
	if (!w->shadow.by_name)
		w->shadow.rule = 0;
	if (!w->rule.by_name)
		w->rule.action = POLICY_PASS;
	if (w->rule.by_name && w->rule.action != POLICY_PASS)
		verdict_name_keep(s, &w->rule);
	else if (w->shadow.rule && w->shadow.order < w->rule.order)
		verdict_name_keep(s, &w->shadow);
	return w->rule.by_name || w->shadow.rule;
}

/* L7 has read a name off the packet in the scratch, which is in a flow and so far passes. */
__noinline int verdict_name(void)
{
	const struct policy_control *c = policy_control_get();
	struct verdict_work *w = verdict_work_get();
	struct l7_work *l = l7_work_get();
	struct scratch *s = scratch_get();
	struct flow_hot *h;
	struct flow_cold *cold;
	__u32 cached;

	if (!c || !w || !l || !s || !(c->has & HAS_NAME) || s->verdict)
		return 0;
	h = hot_get(s->slot);
	cold = cold_get(s->slot);
	if (!h || !cold)
		return 0;
	key_of_packet(s, cold);
	if (verdict_begin() != 1)
		return 0;
	w->first = 1;
	verdict_addresses(w, &s->pkt.key);
	verdict_others(w, c);
	if (w->never)
		return 0;
	verdict_name_find(w, l, c);
	if (!verdict_name_settle(s, w))
		return 0;
	cached = verdict_act();
	h->policy = 0; /* of the other direction, too */
	return verdict_settle(cached);
}

#endif
