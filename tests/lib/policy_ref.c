// SPDX-License-Identifier: Apache-2.0
/* policy_ref.c - see policy_ref.h. */
#include "policy_ref.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define ETHERTYPE_ARP 0x0806

static bool is_ip(const struct flow_key *k)
{
	return k->ethertype == ETHERTYPE_IP4 || k->ethertype == ETHERTYPE_IP6;
}

static bool has_ports(const struct flow_key *k)
{
	switch (k->proto) {
	case 6:
	case 17:
	case 33:
	case 132:
	case 136:
		return is_ip(k) && (k->port[0] || k->port[1]);
	}
	return false;
}

static bool is_icmp(const struct flow_key *k)
{
	return is_ip(k) && (k->proto == 1 || k->proto == 58) && k->port[0];
}

/* Prefixes of fewer than 96 bits are IPv6's alone. */
static bool in_prefix(const struct flow_key *k, const uint8_t *addr, const uint8_t *net,
		      uint32_t bits)
{
	if (!is_ip(k) || (bits < 96 && k->ethertype != ETHERTYPE_IP6))
		return false;
	for (uint32_t i = 0; i < bits; i++)
		if ((addr[i / 8] ^ net[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return true;
}

static bool within(uint32_t v, const uint16_t *range)
{
	return v >= range[0] && v <= range[1];
}

static bool packet_has(const struct pkt *p, enum policy_condition c)
{
	const struct flow_key *k = &p->key;

	switch (c) {
	case COND_SRC:
	case COND_DST:
	case COND_PROTO:
	case COND_LENGTH:
		return is_ip(k);
	case COND_SRC_PORT:
	case COND_DST_PORT:
	case COND_ANY_PORT:
		return has_ports(k);
	case COND_TCP_FLAGS:
		return is_ip(k) && k->proto == 6;
	case COND_ICMP_TYPE:
	case COND_ICMP_CODE:
		return is_icmp(k);
	case COND_VNI:
		return k->tun_type != TUN_NONE;
	case COND_VLAN:
		return k->vlan[0] != 0;
	default:
		return true;
	}
}

static bool address_is(const struct policy_match *m, const struct flow_key *k,
		       enum policy_condition c)
{
	return c == COND_SRC ? in_prefix(k, k->addr[0], m->src, m->src_bits)
			     : in_prefix(k, k->addr[1], m->dst, m->dst_bits);
}

static bool port_is(const struct policy_match *m, const struct flow_key *k, enum policy_condition c)
{
	uint16_t src = ntohs(k->port[0]), dst = ntohs(k->port[1]);

	if (c == COND_SRC_PORT)
		return within(src, m->src_port);
	if (c == COND_DST_PORT)
		return within(dst, m->dst_port);
	return within(src, m->src_port) || within(dst, m->src_port);
}

static bool condition_is(const struct policy_match *m, const struct pkt *p, enum policy_condition c)
{
	const struct flow_key *k = &p->key;

	switch (c) {
	case COND_SRC:
	case COND_DST:
		return address_is(m, k, c);
	case COND_SRC_PORT:
	case COND_DST_PORT:
	case COND_ANY_PORT:
		return port_is(m, k, c);
	case COND_PROTO:
		return k->proto == m->proto;
	case COND_IFACE:
		return k->ifindex == m->ifindex;
	case COND_VNI:
		return k->vni == m->vni;
	case COND_VLAN:
		return k->vlan[0] == m->vlan;
	case COND_ETHERTYPE:
		return k->ethertype == m->ethertype;
	case COND_TCP_FLAGS:
		return (p->l4.tcp_flags & m->tcp_mask) == m->tcp_flags;
	case COND_ICMP_TYPE:
		return p->l4.icmp_type == m->icmp_type;
	case COND_ICMP_CODE:
		return p->l4.icmp_code == m->icmp_code;
	case COND_LENGTH:
		return p->l4.ip_bytes >= m->length[0] && p->l4.ip_bytes <= m->length[1];
	default:
		return false;
	}
}

static bool matches(const struct policy_match *m, const struct pkt *p)
{
	for (uint32_t c = 1; c <= _COND_ALL; c <<= 1) {
		if (!(m->have & c))
			continue;
		if (!packet_has(p, c) || condition_is(m, p, c) == !!(m->negate & c))
			return false;
	}
	return true;
}

static bool expired(uint64_t expires, uint64_t now)
{
	return expires && now >= expires;
}

/* ---- how a rule is reached ---- */

static bool by_addr(const struct policy_set *s, uint32_t rule, const struct ref_packet *p)
{
	const struct flow_key *k = &p->pkt->key;

	for (uint32_t i = 0; i < s->addrs_n; i++) {
		const struct policy_addr *a = &s->addrs[i];

		if (a->rule != rule || expired(a->expires, p->now))
			continue;
		if ((a->role & ROLE_SRC && in_prefix(k, k->addr[0], a->addr, a->bits)) ||
		    (a->role & ROLE_DST && in_prefix(k, k->addr[1], a->addr, a->bits)))
			return true;
	}
	return false;
}

static bool by_addr_port(const struct policy_set *s, uint32_t rule, const struct ref_packet *p)
{
	const struct flow_key *k = &p->pkt->key;

	for (uint32_t i = 0; i < s->addr_ports_n && has_ports(k); i++) {
		const struct policy_addr_port *a = &s->addr_ports[i];

		if (a->rule != rule || a->proto != k->proto || expired(a->expires, p->now))
			continue;
		for (int end = 0; end < 2; end++)
			if (a->role & (end ? ROLE_DST : ROLE_SRC) &&
			    a->port == ntohs(k->port[end]) && !memcmp(a->addr, k->addr[end], 16))
				return true;
	}
	return false;
}

static bool is_flow(const struct policy_flow *f, const struct flow_key *k, int turned)
{
	return !memcmp(f->addr[0], k->addr[turned], 16) &&
	       !memcmp(f->addr[1], k->addr[!turned], 16) && f->port[0] == ntohs(k->port[turned]) &&
	       f->port[1] == ntohs(k->port[!turned]);
}

static bool by_flow(const struct policy_set *s, uint32_t rule, const struct ref_packet *p)
{
	const struct flow_key *k = &p->pkt->key;

	for (uint32_t i = 0; i < s->flows_n; i++) {
		const struct policy_flow *f = &s->flows[i];

		if (f->rule == rule && f->proto == k->proto && !expired(f->expires, p->now) &&
		    (is_flow(f, k, 0) || is_flow(f, k, 1)))
			return true;
	}
	return false;
}

/* The name as policy.h wants it: lower case, no final dot, and of a Host no port. */
static uint32_t plain_name(const struct ref_packet *p, char *ret)
{
	uint32_t n = p->name_len, colon;

	if (p->name_kind == NAME_HOST) {
		for (colon = n; colon && isdigit((unsigned char)p->name[colon - 1]);)
			colon--;
		if (colon && p->name[colon - 1] == ':')
			n = colon - 1;
	}
	while (n && p->name[n - 1] == '.')
		n--;
	for (uint32_t i = 0; i < n; i++)
		ret[i] = (char)tolower((unsigned char)p->name[i]);
	return n;
}

static bool name_is(const struct policy_name *e, const char *name, uint32_t n)
{
	uint32_t before = n - e->length;

	if (e->length > n || memcmp(e->name, name + before, e->length) != 0)
		return false;
	if (e->how == NAME_EXACT)
		return !before;
	return e->how == NAME_SUFFIX || !before || name[before - 1] == '.';
}

static bool by_name(const struct policy_set *s, uint32_t rule, const struct ref_packet *p)
{
	char name[POLICY_NAME_MAX];
	uint32_t n;

	if (!p->name)
		return false;
	n = plain_name(p, name);
	for (uint32_t i = 0; i < s->names_n; i++) {
		const struct policy_name *e = &s->names[i];

		if (e->rule == rule && e->kinds & p->name_kind && !expired(e->expires, p->now) &&
		    name_is(e, name, n))
			return true;
	}
	return false;
}

static bool reached(const struct policy_set *s, const struct policy_rule *r,
		    const struct ref_packet *p)
{
	switch (r->key) {
	case RULE_BY_ADDR:
		return by_addr(s, r->number, p);
	case RULE_BY_ADDR_PORT:
		return by_addr_port(s, r->number, p);
	case RULE_BY_FLOW:
		return by_flow(s, r->number, p);
	case RULE_BY_NAME:
		return by_name(s, r->number, p);
	}
	return true;
}

/* ---- what nothing drops ---- */

static bool is_dhcp(const struct flow_key *k)
{
	uint16_t a = ntohs(k->port[0]), b = ntohs(k->port[1]);

	if (k->proto != 17)
		return false;
	return ((a == 67 || a == 68) && (b == 67 || b == 68)) ||
	       ((a == 546 || a == 547) && (b == 546 || b == 547));
}

static bool infrastructure(const struct pkt *p)
{
	uint8_t t = p->l4.icmp_type;

	if (!is_ip(&p->key))
		return p->key.ethertype == ETHERTYPE_ARP;
	switch (p->key.proto) {
	case 1:
		return t == 3 && p->l4.icmp_code == 4;
	case 2:
		return true;
	case 58:
		return t == 2 || (t >= 130 && t <= 137) || t == 143;
	}
	return is_dhcp(&p->key);
}

static bool failsafe_port(const uint32_t *ports, const struct ref_packet *p)
{
	const struct flow_key *k = &p->pkt->key;
	bool in = p->side & DIR_INGRESS;
	uint32_t own = ntohs(k->port[in]), far = ntohs(k->port[!in]);

	for (uint32_t i = 0; i < POLICY_FAILSAFE_MAX && ports[i] && has_ports(k); i++)
		if (ports[i] == POLICY_FAILSAFE(k->proto, own, 0) ||
		    ports[i] == POLICY_FAILSAFE(k->proto, far, 1))
			return true;
	return false;
}

static bool holds(const struct policy_set *set, const struct policy_rule *r,
		  const struct ref_packet *packet)
{
	return r->direction & packet->side && !expired(r->expires, packet->now) &&
	       matches(&r->match, packet->pkt) && reached(set, r, packet);
}

static bool drops(const struct policy_rule *r)
{
	return r && (r->action == POLICY_DROP || r->action == POLICY_RESET);
}

/* What is a reset already passes a rule that resets, and needs no answer. */
static bool ends_itself(const struct policy_rule *r, const struct pkt *p)
{
	return r && r->action == POLICY_RESET && p->key.proto == 6 &&
	       p->l4.tcp_flags & 4 /* RST */ && !p->l4.payload_len;
}

/* Plain TCP on Ethernet, in which the answer finds all that it takes. */
static bool can_be_reset(const struct pkt *p)
{
	const uint32_t header = p->key.ethertype == 0x86dd ? 40 : 20;
	const uint32_t tcp = p->l4.ip_bytes - p->l4.payload_len - header;

	if (p->key.proto != 6 || p->l4.tcp_flags & 4 || p->frag == FRAG_LATER || p->layers)
		return false;
	return p->l4.hdr_off <= 22 && tcp >= 20 && (header == 20 || tcp <= 60);
}

static bool would_act(const struct ref_verdict *v, const struct pkt *p)
{
	if (v->rule && v->rule->number < v->shadow->number)
		return false;
	return v->shadow->action != POLICY_PASS && !ends_itself(v->shadow, p);
}

static void consider(const struct policy_rule *r, const struct policy_rule **lowest)
{
	if (!*lowest || r->number < (*lowest)->number)
		*lowest = r;
}

void policy_ref(const struct policy_set *set, const uint32_t *failsafe,
		const struct ref_packet *packet, struct ref_verdict *ret)
{
	const struct policy_rule *r;

	*ret = (struct ref_verdict){};
	if (infrastructure(packet->pkt))
		return;
	for (r = set->rules; r < set->rules + set->rules_n; r++) {
		if (!holds(set, r, packet))
			continue;
		if (r->action != POLICY_NEVER)
			consider(r, r->flags & RULE_SHADOW ? &ret->shadow : &ret->rule);
		else if (!(r->flags & RULE_FAILSAFE) || failsafe_port(failsafe, packet))
			ret->never = true;
	}
	if (ret->never)
		ret->rule = ret->shadow = NULL;
	if (ret->shadow && !would_act(ret, packet->pkt))
		ret->shadow = NULL;
	ret->drop = drops(ret->rule) && !ends_itself(ret->rule, packet->pkt);
	ret->reset = ret->drop && ret->rule->action == POLICY_RESET && can_be_reset(packet->pkt);
}
