/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_dns.h - DNS message: header and first question. Pure. RFC 1035 section 4.1.
 */
#ifndef WEIR_BPF_L7_DNS_H
#define WEIR_BPF_L7_DNS_H

#include "l7_buf.h"

#define DNS_PREFIX   2u /* TCP: the message's length (RFC 7766 section 8) */
#define DNS_HEADER   12u
#define DNS_ANCOUNT  6u /* offset of the number of answers */
#define DNS_RESPONSE 0x8000u
#define DNS_RCODE    15u
#define DNS_A	     1u
#define DNS_AAAA     28u
#define DNS_LABELS   128u

static inline long l7_label_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 n;

	(void)i;
	if (m->pos >= m->end)
		return l7_stop(m, L7_MORE);
	n = l7_u8(c->buf, m->start + m->pos);
	m->pos += 1 + n;
	m->name_len = m->pos - m->name_off;
	if (n > 63 || m->name_len > L7_QNAME_MAX) /* compression (section 4.1.4) points backwards */
		return l7_stop(m, L7_BAD);
	return n ? 0 : l7_stop(m, L7_OK);
}

/**
 * l7_dns - read header and first question of a DNS message
 * @buf: as above
 * @m:   .start, .len; the rest is overwritten
 * @tcp: the message has its prefix in front
 *
 * Return: L7_OK: id, flags, qtype, name = qname in wire form (empty when there is no question);
 *         .need = TCP: length of the whole message, prefix included (it may exceed .len);
 *         L7_MORE with .need (of UDP: cut short), L7_BAD.
 * Source: RFC 1035 section 4.1.
 */
static __always_inline enum l7_result l7_dns(const __u8 *buf, struct l7_msg *m, int tcp)
{
	struct l7_ctx c = {.buf = buf, .m = m};
	__u32 off = tcp ? DNS_PREFIX : 0, p = m->start + off;

	m->name_off = m->name_len = m->qtype = 0;
	m->need = off + DNS_HEADER;
	if (m->len < m->need)
		return L7_MORE;
	m->total = tcp ? DNS_PREFIX + l7_u16(buf, m->start) : m->len;
	if (m->total < m->need)
		return L7_BAD;
	m->id = l7_u16(buf, p);
	m->flags = l7_u16(buf, p + 2);
	m->pos = m->name_off = m->need;
	m->need = m->total;
	if (!l7_u16(buf, p + 4)) /* no question */
		return L7_OK;
	m->end = m->len < m->total ? m->len : m->total;
	m->result = L7_BAD;
	L7_LOOP(DNS_LABELS, l7_label_step, &c);
	if (m->result == L7_OK && m->pos + 4 > m->end)
		m->result = L7_MORE;
	if (m->result == L7_MORE) {
		m->need = m->len + 1;
		return m->end == m->total ? L7_BAD : L7_MORE;
	}
	if (m->result == L7_OK)
		m->qtype = l7_u16(buf, m->start + m->pos);
	return m->result;
}

#endif
