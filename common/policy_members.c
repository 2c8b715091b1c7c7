// SPDX-License-Identifier: Apache-2.0
/*
 * policy_members.c - what each member of each record may be.
 */
#include "common/policy_members.h"

#define ROW(type, member, kind, min, max)                                                         \
	{                                                                                         \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member), kind, \
			min, max                                                                  \
	}
#define MATCH(member, kind, min, max) ROW(policy_rule, match.member, kind, min, max)

static const struct member header_members[] = {
	ROW(policy_header, magic, M_ANY, 0, 0),
	ROW(policy_header, version, M_RANGE, POLICY_VERSION, POLICY_VERSION),
	ROW(policy_header, pad, M_ZERO, 0, 0),
	ROW(policy_header, generation, M_RANGE, 1, UINT64_MAX),
	ROW(policy_header, not_before, M_ANY, 0, 0),
	ROW(policy_header, not_after, M_RANGE, 1, UINT64_MAX),
	ROW(policy_header, issuer, M_TEXT, 1, 0),
	ROW(policy_header, key_id, M_ANY, 0, 0),
	ROW(policy_header, count, M_ANY, 0, 0),
};

static const struct member rule_members[] = {
	ROW(policy_rule, id, M_ANY, 0, 0),
	ROW(policy_rule, number, M_RANGE, 1, POLICY_NUMBER_MAX),
	ROW(policy_rule, action, M_ANY, 0, 0),
	ROW(policy_rule, flags, M_MASK, 0, RULE_SHADOW | RULE_AUTOMATIC | RULE_FAILSAFE),
	ROW(policy_rule, direction, M_RANGE, DIR_INGRESS, DIR_BOTH),
	ROW(policy_rule, key, M_RANGE, RULE_BY_NONE, RULE_BY_NAME),
	ROW(policy_rule, limit, M_MASK, 0, LIMIT_PPS | LIMIT_BPS | LIMIT_PER_SOURCE),
	ROW(policy_rule, burst, M_ANY, 0, 0),
	ROW(policy_rule, rate, M_ANY, 0, 0),
	ROW(policy_rule, expires, M_TIME, 0, 0),
	ROW(policy_rule, name, M_TEXT, 1, 0),
	ROW(policy_rule, origin, M_TEXT, 1, 0),
	MATCH(have, M_MASK, 0, _COND_ALL),
	MATCH(negate, M_MASK, 0, _COND_ALL),
	MATCH(src, M_ANY, 0, 0),
	MATCH(dst, M_ANY, 0, 0),
	MATCH(src_bits, M_RANGE, 0, 128),
	MATCH(dst_bits, M_RANGE, 0, 128),
	MATCH(proto, M_ANY, 0, 0),
	MATCH(tcp_mask, M_ANY, 0, 0),
	MATCH(tcp_flags, M_ANY, 0, 0),
	MATCH(icmp_type, M_ANY, 0, 0),
	MATCH(icmp_code, M_ANY, 0, 0),
	MATCH(pad, M_ZERO, 0, 0),
	MATCH(src_port, M_ANY, 0, 0),
	MATCH(dst_port, M_ANY, 0, 0),
	MATCH(length, M_ANY, 0, 0),
	MATCH(vlan, M_RANGE, 0, 4095),
	MATCH(ethertype, M_ANY, 0, 0),
	MATCH(vni, M_ANY, 0, 0),
	MATCH(ifindex, M_ZERO, 0, 0),
	MATCH(iface, M_TEXT, 0, 0),
};

static const struct member addr_members[] = {
	ROW(policy_addr, addr, M_ANY, 0, 0),
	ROW(policy_addr, bits, M_RANGE, 0, 128),
	ROW(policy_addr, role, M_RANGE, ROLE_SRC, ROLE_EITHER),
	ROW(policy_addr, pad, M_ZERO, 0, 0),
	ROW(policy_addr, rule, M_RANGE, 1, POLICY_NUMBER_MAX),
	ROW(policy_addr, expires, M_TIME, 0, 0),
};

static const struct member addr_port_members[] = {
	ROW(policy_addr_port, addr, M_ANY, 0, 0),
	ROW(policy_addr_port, port, M_RANGE, 1, UINT16_MAX),
	ROW(policy_addr_port, proto, M_ANY, 0, 0),
	ROW(policy_addr_port, role, M_RANGE, ROLE_SRC, ROLE_EITHER),
	ROW(policy_addr_port, rule, M_RANGE, 1, POLICY_NUMBER_MAX),
	ROW(policy_addr_port, expires, M_TIME, 0, 0),
};

static const struct member flow_members[] = {
	ROW(policy_flow, addr, M_ANY, 0, 0),
	ROW(policy_flow, port, M_ANY, 0, 0),
	ROW(policy_flow, proto, M_ANY, 0, 0),
	ROW(policy_flow, pad, M_ZERO, 0, 0),
	ROW(policy_flow, expires, M_TIME, 0, 0),
	ROW(policy_flow, rule, M_RANGE, 1, POLICY_NUMBER_MAX),
	ROW(policy_flow, pad2, M_ZERO, 0, 0),
};

static const struct member name_members[] = {
	ROW(policy_name, name, M_ANY, 0, 0),
	ROW(policy_name, length, M_RANGE, 1, POLICY_NAME_MAX - 1),
	ROW(policy_name, kinds, M_RANGE, NAME_SNI, NAME_SNI | NAME_HOST | NAME_DNS),
	ROW(policy_name, how, M_RANGE, NAME_EXACT, NAME_SUFFIX),
	ROW(policy_name, rule, M_RANGE, 1, POLICY_NUMBER_MAX),
	ROW(policy_name, expires, M_TIME, 0, 0),
};

static const struct member capture_members[] = {
	ROW(policy_capture, rule, M_RANGE, 1, POLICY_NUMBER_MAX),
	ROW(policy_capture, pre, M_RANGE, 0, CAPTURE_TIME_MAX),
	ROW(policy_capture, post, M_RANGE, 1, CAPTURE_TIME_MAX),
	ROW(policy_capture, scope, M_RANGE, CAPTURE_SRC, CAPTURE_PAIR),
	ROW(policy_capture, ends, M_RANGE, 0, 2),
	ROW(policy_capture, pad, M_ZERO, 0, 0),
	ROW(policy_capture, max_bytes, M_RANGE, 1, UINT64_MAX),
	ROW(policy_capture, made, M_ANY, 0, 0),
	ROW(policy_capture, alert, M_ANY, 0, 0),
	ROW(policy_capture, decision, M_ANY, 0, 0),
	ROW(policy_capture, addr, M_ANY, 0, 0),
};

static const struct member mirror_members[] = {
	ROW(policy_mirror, rule, M_RANGE, 1, POLICY_NUMBER_MAX),
	ROW(policy_mirror, ttl, M_RANGE, 1, UINT32_MAX),
	ROW(policy_mirror, scope, M_RANGE, CAPTURE_SRC, CAPTURE_PAIR),
	ROW(policy_mirror, ends, M_RANGE, 0, 2),
	ROW(policy_mirror, pad, M_ZERO, 0, 0),
	ROW(policy_mirror, made, M_ANY, 0, 0),
	ROW(policy_mirror, alert, M_ANY, 0, 0),
	ROW(policy_mirror, decision, M_ANY, 0, 0),
	ROW(policy_mirror, addr, M_ANY, 0, 0),
	ROW(policy_mirror, to, M_TEXT, 1, 0),
};

static const struct member agent_members[] = {
	ROW(policy_agent, rule, M_RANGE, 1, POLICY_NUMBER_MAX),
	ROW(policy_agent, ttl, M_RANGE, 1, UINT32_MAX),
	ROW(policy_agent, length, M_RANGE, 1, POLICY_WHERE_MAX - 1),
	ROW(policy_agent, pad, M_ZERO, 0, 0),
	ROW(policy_agent, where, M_TEXT, 1, 0),
};

#define TABLE(t) t, sizeof(t) / sizeof(t[0])

const struct policy_record_type policy_header_type = {"policy", TABLE(header_members),
						      sizeof(struct policy_header), 1};

const struct policy_record_type policy_types[POLICY_TYPES] = {
	[POLICY_RULE] = {"rule", TABLE(rule_members), sizeof(struct policy_rule), POLICY_RULES_MAX},
	[POLICY_ADDR] = {"address", TABLE(addr_members), sizeof(struct policy_addr),
			 POLICY_ADDRS_MAX},
	[POLICY_ADDR_PORT] = {"address and port", TABLE(addr_port_members),
			      sizeof(struct policy_addr_port), POLICY_ADDRS_MAX},
	[POLICY_FLOW] = {"flow", TABLE(flow_members), sizeof(struct policy_flow), POLICY_ADDRS_MAX},
	[POLICY_NAME] = {"name", TABLE(name_members), sizeof(struct policy_name), POLICY_NAMES_MAX},
	[POLICY_MIRROR] = {"mirror", TABLE(mirror_members), sizeof(struct policy_mirror),
			   POLICY_MIRRORS_MAX},
	[POLICY_CAPTURE] = {"capture", TABLE(capture_members), sizeof(struct policy_capture),
			    POLICY_CAPTURES_MAX},
	[POLICY_AGENT_RULE] = {"agent rule", TABLE(agent_members), sizeof(struct policy_agent),
			       POLICY_AGENTS_MAX},
	[POLICY_AGENT_EXEMPT] = {"exempt", TABLE(addr_members), sizeof(struct policy_addr),
				 POLICY_EXEMPT_MAX},
};

size_t policy_record_size(unsigned int type)
{
	return type < POLICY_TYPES ? policy_types[type].size : 0;
}
