// SPDX-License-Identifier: Apache-2.0
/*
 * policy_print.c - rules as people read them: in the words of the filter language, as far as those go.
 */
#include <inttypes.h>
#include <string.h>

#include "common/num_text.h"
#include "common/policy.h"

static const char *const action_words[] = {
	[POLICY_PASS] = "pass",		 [POLICY_NEVER] = "never", [POLICY_DROP] = "drop",
	[POLICY_LIMIT] = "limit",	 [POLICY_RESET] = "reset", [POLICY_DO_MIRROR] = "mirror",
	[POLICY_DO_CAPTURE] = "capture",
};

const char *policy_action_word(unsigned int action)
{
	if (action < sizeof(action_words) / sizeof(action_words[0]))
		return action_words[action];
	return "?";
}

void policy_print_prefix(FILE *out, const uint8_t addr[16], unsigned int bits)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const bool v4 = bits >= 96 && !memcmp(addr, mapped, 12);
	char ip[IP_TEXT];

	ip_text(addr, v4 ? 4 : 6, ip);
	fputs(ip, out);
	if (bits < 128)
		fprintf(out, "/%u", bits - (v4 ? 96 : 0));
}

/* ---- what stands between conditions ---- */

struct printer {
	FILE *out;
	const struct policy_match *m;
	bool more;
};

static void begin(struct printer *p)
{
	if (p->more)
		fputs(" and ", p->out);
	p->more = true;
}

static bool asked(struct printer *p, uint32_t cond)
{
	if (!(p->m->have & cond))
		return false;
	begin(p);
	return true;
}

static const char *equal(const struct printer *p, uint32_t cond)
{
	return p->m->negate & cond ? "!=" : "==";
}

static void put_number(struct printer *p, uint32_t cond, const char *name, uint64_t v)
{
	if (asked(p, cond))
		fprintf(p->out, "%s %s %" PRIu64, name, equal(p, cond), v);
}

static void put_range(struct printer *p, uint32_t cond, const char *name, const uint16_t r[2])
{
	if (!asked(p, cond))
		return;
	if (r[0] == r[1])
		fprintf(p->out, "%s %s %u", name, equal(p, cond), r[0]);
	else
		fprintf(p->out, "%s%s in %u-%u", p->m->negate & cond ? "not " : "", name, r[0],
			r[1]);
}

static void put_net(struct printer *p, uint32_t cond, const char *name, const uint8_t addr[16],
		    unsigned int bits)
{
	if (!asked(p, cond))
		return;
	if (bits == 128)
		fprintf(p->out, "%s %s ", name, equal(p, cond));
	else
		fprintf(p->out, "%s%s in ", p->m->negate & cond ? "not " : "", name);
	policy_print_prefix(p->out, addr, bits);
}

static void put_proto(struct printer *p)
{
	static const struct {
		uint8_t proto;
		const char *word;
	} words[] = {{1, "icmp"}, {6, "tcp"},	     {17, "udp"},
		     {47, "gre"}, {58, "ipv6-icmp"}, {132, "sctp"}};

	if (!asked(p, COND_PROTO))
		return;
	fprintf(p->out, "proto %s ", equal(p, COND_PROTO));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].proto == p->m->proto) {
			fputs(words[i].word, p->out);
			return;
		}
	}
	fprintf(p->out, "%u", p->m->proto);
}

static void put_flags(struct printer *p)
{
	static const char letters[] = "FSRPAUEC";
	const uint8_t mask = p->m->tcp_mask, set = p->m->tcp_flags;
	bool first = true;

	if (!asked(p, COND_TCP_FLAGS))
		return;
	if (p->m->negate & COND_TCP_FLAGS)
		fputs("not ", p->out);
	if (mask == 0xff) {
		fputs("tcp.flags == ", p->out);
		for (unsigned int i = 0; i < 8; i++)
			if (set >> i & 1)
				putc(letters[i], p->out);
		if (!set)
			putc('0', p->out);
		return;
	}
	for (unsigned int i = 0; i < 8; i++) {
		if (!(mask >> i & 1))
			continue;
		fprintf(p->out, "%s%stcp.flags & %c", first ? "" : " and ",
			set >> i & 1 ? "" : "not ", letters[i]);
		first = false;
	}
}

static void put_conditions(struct printer *p)
{
	const struct policy_match *m = p->m;

	put_net(p, COND_SRC, "src.ip", m->src, m->src_bits);
	put_net(p, COND_DST, "dst.ip", m->dst, m->dst_bits);
	put_proto(p);
	put_range(p, COND_SRC_PORT, "src.port", m->src_port);
	put_range(p, COND_DST_PORT, "dst.port", m->dst_port);
	put_range(p, COND_ANY_PORT, "port", m->src_port);
	put_flags(p);
	put_number(p, COND_ICMP_TYPE, "icmp.type", m->icmp_type);
	put_number(p, COND_ICMP_CODE, "icmp.code", m->icmp_code);
	put_range(p, COND_LENGTH, "length", m->length);
	put_number(p, COND_VLAN, "vlan", m->vlan);
	put_number(p, COND_VNI, "vni", m->vni);
	put_number(p, COND_ETHERTYPE, "ethertype", m->ethertype);
	if (asked(p, COND_IFACE))
		fprintf(p->out, "iface %s \"%.15s\"", equal(p, COND_IFACE), m->iface);
}

/* ---- entries ---- */

void policy_print_addr(FILE *out, const struct policy_addr *a)
{
	fputs(a->role == ROLE_EITHER ? (a->bits == 128 ? "host " : "net ")
	      : a->role == ROLE_SRC  ? "src.ip "
				     : "dst.ip ",
	      out);
	if (a->role != ROLE_EITHER)
		fputs(a->bits == 128 ? "== " : "in ", out);
	policy_print_prefix(out, a->addr, a->bits);
}

void policy_print_addr_port(FILE *out, const struct policy_addr_port *a)
{
	const char *side = a->role == ROLE_DST ? "dst" : "src";

	fprintf(out, "%s.ip == ", side);
	policy_print_prefix(out, a->addr, 128);
	fprintf(out, " and %s.port == %u and proto == %s", side, a->port,
		a->proto == 6	 ? "tcp"
		: a->proto == 17 ? "udp"
				 : "other");
}

void policy_print_flow(FILE *out, const struct policy_flow *f)
{
	fputs("flow ", out);
	policy_print_prefix(out, f->addr[0], 128);
	fprintf(out, " port %u - ", f->port[0]);
	policy_print_prefix(out, f->addr[1], 128);
	fprintf(out, " port %u proto %u", f->port[1], f->proto);
}

void policy_print_name(FILE *out, const struct policy_name *n)
{
	static const struct {
		uint8_t kind;
		const char *field;
	} fields[] = {{NAME_SNI, "tls.sni"}, {NAME_HOST, "http.host"}, {NAME_DNS, "dns.qname"}};
	const char *how = n->how == NAME_EXACT	 ? "=="
			  : n->how == NAME_BELOW ? "is or is below"
						 : "suffix";
	bool more = false;

	for (size_t i = 0; i < 3; i++) {
		if (!(n->kinds & fields[i].kind))
			continue;
		fprintf(out, "%s%s", more ? "|" : "", fields[i].field);
		more = true;
	}
	fprintf(out, " %s \"%.*s\"", how, n->length, (const char *)n->name);
}

/* Entries of a rule: the first, and how many. */
#define FIND(array, n, print)                     \
	for (uint32_t i = 0; i < (n); i++) {      \
		if ((array)[i].rule != r->number) \
			continue;                 \
		if (!count++)                     \
			print(out, &(array)[i]);  \
	}

static uint32_t put_entries(FILE *out, const struct policy *p, const struct policy_rule *r)
{
	uint32_t count = 0;

	switch (r->key) {
	case RULE_BY_ADDR:
		FIND(p->addrs, p->n_addrs, policy_print_addr)
		break;
	case RULE_BY_ADDR_PORT:
		FIND(p->addr_ports, p->n_addr_ports, policy_print_addr_port)
		break;
	case RULE_BY_FLOW:
		FIND(p->flows, p->n_flows, policy_print_flow)
		break;
	case RULE_BY_NAME:
		FIND(p->names, p->n_names, policy_print_name)
		break;
	}
	if (count > 1)
		fprintf(out, " or %u others", count - 1);
	return count;
}

void policy_print_rule(FILE *out, const struct policy *p, const struct policy_rule *r)
{
	struct printer pr = {.out = out, .m = &r->match};

	if (r->key != RULE_BY_NONE && p) {
		pr.more = true;
		if (!put_entries(out, p, r))
			fputs("nothing", out);
	}
	put_conditions(&pr);
	if (!pr.more)
		fputs("everything", out);
	if (r->direction != DIR_BOTH)
		fputs(r->direction == DIR_INGRESS ? " (ingress)" : " (egress)", out);
}

/* "100pps", "10Mbps per source" */
void policy_print_limit(FILE *out, const struct policy_rule *r)
{
	static const struct {
		uint64_t of;
		const char *unit;
	} units[] = {{1000000000, "G"}, {1000000, "M"}, {1000, "k"}, {1, ""}};
	unsigned int i = 0;

	while (units[i].of > 1 && (r->rate < units[i].of || r->rate % units[i].of))
		i++;
	fprintf(out, "%" PRIu64 "%s%s%s", (uint64_t)(r->rate / units[i].of), units[i].unit,
		r->limit & LIMIT_PPS ? "pps" : "bps",
		r->limit & LIMIT_PER_SOURCE ? " per source" : "");
}
