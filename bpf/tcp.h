/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tcp.h - what a TCP segment says about its flow: handshake times, initiator, sequence accounting.
 * Pure. Touched only when something other than the next in-order segment arrives.
 */
#ifndef WEIR_BPF_TCP_H
#define WEIR_BPF_TCP_H

#include "pkt.h"

enum tcp_flag {
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_PSH = 8,
	TCP_ACK = 16,
	TCP_URG = 32,
	TCP_ECE = 64,
	TCP_CWR = 128,
};

#define TCP_SEQ_KNOWN(d)  (1u << (d))
#define TCP_BASE_KNOWN(d) (1u << ((d) + 2))

/* Sequence space a segment takes (RFC 9293 section 3.4): payload, SYN and FIN. */
static __always_inline __u32 tcp_seq_len(const struct l4 *l)
{
	return l->payload_len + !!(l->tcp_flags & TCP_SYN) + !!(l->tcp_flags & TCP_FIN);
}

/* Is the segment the start of another connection on the same ports? */
static __always_inline int tcp_is_new_connection(const struct flow_hot *h, const struct l4 *l,
						 __u32 d)
{
	__u8 ended = TCP_FIN | TCP_RST;

	if (!(l->tcp_flags & TCP_SYN) || l->tcp_flags & TCP_RST)
		return 0;
	if (l->tcp_flags & TCP_ACK) /* this CPU may see the server alone */
		return h->tcp_flags[d] & ended && !h->packets[!d];
	return (h->tcp_flags[0] | h->tcp_flags[1]) & ended;
}

/* Handshake: who called whom, and when. @ns: fine clock. */
static __always_inline void tcp_handshake(struct flow_hot *h, struct flow_cold *c,
					  const struct l4 *l, __u32 d, __u64 ns)
{
	if (l->tcp_flags & TCP_SYN) {
		c->base_seq[d] = l->seq + 1;
		c->seq_known |= TCP_BASE_KNOWN(d);
		if (!(l->tcp_flags & TCP_ACK)) {
			if (!c->synack_ns) /* a repeated SYN: the answer is to the last one */
				c->syn_ns = ns;
			c->init_dir = d;
			c->init_why = INIT_SYN;
			return;
		}
		if (!c->synack_ns)
			c->synack_ns = ns;
		if (c->init_why < INIT_SYNACK) {
			c->init_dir = !d;
			c->init_why = INIT_SYNACK;
		}
		return;
	}
	if (l->tcp_flags & TCP_ACK && h->tcp_flags[d] == TCP_SYN && !c->ack_ns)
		c->ack_ns = ns;
}

/* A segment below next_seq: seen before, or late? */
static __always_inline void tcp_old_segment(struct flow_cold *c, __u32 seq, __u32 end, __u32 d,
					    __u32 segs)
{
	__u32 hs = c->hole_start[d], he = c->hole_end[d];

	if (hs == he || (__s32)(end - hs) <= 0 || (__s32)(seq - he) >= 0) {
		c->retransmits[d] += segs;
		return;
	}
	c->out_of_order[d] += segs;
	if ((__s32)(seq - hs) <= 0)
		c->hole_start[d] = (__s32)(end - he) >= 0 ? he : end;
	else if ((__s32)(end - he) >= 0)
		c->hole_end[d] = seq;
	/* a piece from the middle leaves the range as it is */
}

/* Sequence accounting. One range of skipped bytes is remembered per direction. */
static __always_inline void tcp_sequence(struct flow_hot *h, struct flow_cold *c,
					 const struct l4 *l, __u32 d, __u32 segs)
{
	__u32 len = tcp_seq_len(l), end = l->seq + len, next = h->next_seq[d];
	__s32 ahead = l->seq - next;

	if (l->tcp_flags & TCP_RST)
		return;
	if (!(c->seq_known & TCP_SEQ_KNOWN(d))) {
		c->seq_known |= TCP_SEQ_KNOWN(d);
		h->next_seq[d] = end;
		return;
	}
	if (!len)
		return;
	if (ahead > 0) {
		if (c->hole_start[d] == c->hole_end[d])
			c->hole_start[d] = next;
		c->hole_end[d] = l->seq;
	} else if (ahead < 0) {
		tcp_old_segment(c, l->seq, end, d, segs);
	}
	if ((__s32)(end - next) > 0)
		h->next_seq[d] = end;
}

#endif
