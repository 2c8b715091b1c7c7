// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * mirror.bpf.c - the mirror's programs, attached only while there are sessions. Those on watched interfaces
 * clone what a session picks, as the last thing they do. A clone goes to the private pair: its near end sends it
 * on at once; what has to become single packets before, and what lacks checksums, goes through the pair, whose
 * device has no offloads, and is sent on from the far end.
 */
#include "mirror_pick.h"
#include "mirror_send.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int mirror_see(struct __sk_buff *skb, __u32 way)
{
	const __u32 mark = skb->mark;
	struct mirror_work *w;
	__u32 hits, segs;

	if ((mark & MIRROR_MARK_MASK) == MIRROR_MARK) {
		mirror_total(CNT_MIRROR_LOOPED, 1);
		return TC_ACT_UNSPEC;
	}
	hits = mirror_pick(skb, way);
	w = mirror_work_get();
	if (likely(!hits) || !w)
		return TC_ACT_UNSPEC;
	segs = w->segs;
	for (__u32 i = 0; i < MIRROR_PER_IFACE; i++) {
		const __u32 hit = hits & MIRROR_HIT_MASK, session = MIRROR_HIT_SESSION(hit);
		struct mirror_count *c;

		if (!hit)
			break;
		skb->mark = MIRROR_MARK | hit | (way == DIR_EGRESS ? MIRROR_EGRESS : 0);
		if (bpf_clone_redirect(skb, cfg_mirror_pair, 0) < 0) {
			c = mirror_count_get(session);
			if (c)
				MIRROR_TALLY(c, failed, MIRROR_FAILED, segs);
		}
		hits >>= MIRROR_HIT_BITS;
	}
	skb->mark = mark;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int mirror_in(struct __sk_buff *skb)
{
	return mirror_see(skb, DIR_INGRESS);
}

SEC("tc")
int mirror_out(struct __sk_buff *skb)
{
	return mirror_see(skb, DIR_EGRESS);
}

/* The session that a clone is for. NULL: it is no clone, or the session is over. */
static __always_inline struct mirror_session *session_of(const struct __sk_buff *skb)
{
	const __u32 session = MIRROR_HIT_SESSION(skb->mark);
	struct mirror_table *t = mirror_table_get();
	struct mirror_session *m;

	if (!t || (skb->mark & MIRROR_MARK_MASK) != MIRROR_MARK)
		return 0;
	m = mirror_session_get(t, session);
	return m->to ? m : 0;
}

/* Must it go through the pair? Its segments are to be cut or numbered, or a checksum is to be made of them. */
static __always_inline int has_to_pass(const struct __sk_buff *skb, const struct mirror_session *m)
{
	if (m->to == MIRROR_TO_IFACE)
		return skb->gso_size && skb->len > m->length;
	return skb->gso_size || (m->v6 && m->to != MIRROR_TO_ERSPAN);
}

/* Near end of the pair, egress: the clone has just been made, on this CPU. */
SEC("tc")
int mirror_near(struct __sk_buff *skb)
{
	struct mirror_session *m = session_of(skb);
	struct mirror_work *w = mirror_work_get();
	struct mirror_count *c;

	if (!m || !w)
		return TC_ACT_SHOT;
	c = mirror_count_get(MIRROR_HIT_SESSION(skb->mark));
	if (!c)
		return TC_ACT_SHOT;
	bpf_set_hash(skb, w->hash);
	if (!has_to_pass(skb, m))
		return mirror_send(skb, m, c, w->segs);
	c->queued += w->segs;
	return TC_ACT_UNSPEC;
}

/* Far end, ingress: single packets now. What does not come from the near end ends here. */
SEC("tc")
int mirror_far(struct __sk_buff *skb)
{
	struct mirror_session *m = session_of(skb);
	struct mirror_count *c = m ? mirror_count_get(MIRROR_HIT_SESSION(skb->mark)) : 0;

	if (!c)
		return TC_ACT_SHOT;
	c->dequeued++;
	return mirror_send(skb, m, c, 1);
}
