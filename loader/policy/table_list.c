// SPDX-License-Identifier: Apache-2.0
/*
 * table_list.c - records of a policy as the listings of the kernel's table: keys, places in the index,
 * and all of a set in turn. A million of them are lines that no cache holds: each is fetched while
 * those before it are worked on.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "bpf/policy_key.h"
#include "loader/policy/table_int.h"

#define AHEAD 16u /* listings whose lines are on their way */

/* ---- records to keys ---- */

static void listing_addr(const struct policy_addr *a, struct listing *l)
{
	__u64 mask[2];

	memcpy(l->key, a->addr, 16);
	policy_mask(a->bits, mask);
	l->key[0] &= mask[0];
	l->key[1] &= mask[1];
	l->kind = KIND_ADDR;
	l->bits = a->bits;
	l->role = a->role;
	l->how = 0;
	l->length = 0;
	l->number = a->rule;
	l->until = a->expires;
}

static void listing_addr_port(const struct policy_table *t, const struct policy_addr_port *a,
			      struct listing *l)
{
	__u64 addr[2], key[2];

	memcpy(addr, a->addr, 16);
	policy_port_key(addr, htons(a->port), a->proto, t->control->seed, key);
	memcpy(l->key, key, sizeof(key));
	l->kind = KIND_ADDR_PORT;
	l->bits = 0;
	l->role = a->role;
	l->how = 0;
	l->length = 0;
	l->number = a->rule;
	l->until = a->expires;
}

static void listing_flow(const struct policy_table *t, const struct policy_flow *f,
			 struct listing *l)
{
	struct flow_key k = {.port = {htons(f->port[0]), htons(f->port[1])}};
	__u64 addr[2][2], key[2];

	memcpy(k.addr, f->addr, sizeof(k.addr));
	key_order(&k);
	memcpy(addr, k.addr, sizeof(addr));
	policy_flow_key(addr[0], addr[1], k.port[0] | (uint32_t)k.port[1] << 16, f->proto,
			t->control->seed, key);
	memcpy(l->key, key, sizeof(key));
	l->kind = KIND_FLOW;
	l->bits = 0;
	l->role = ROLE_EITHER;
	l->how = 0;
	l->length = 0;
	l->number = f->rule;
	l->until = f->expires;
}

static void listing_name(const struct policy_table *t, const struct policy_name *n,
			 struct listing *l)
{
	__u64 h[2];

	policy_name_begin(t->control->seed, h);
	for (uint32_t i = n->length; i > 0; i--)
		policy_name_byte(h, (uint8_t)tolower(n->name[i - 1]));
	memcpy(l->key, h, sizeof(h));
	l->kind = KIND_NAME;
	l->bits = 0;
	l->length = n->length;
	l->role = n->kinds;
	l->how = n->how;
	l->number = n->rule;
	l->until = n->expires;
}

/* ---- all of a set ---- */

uint32_t set_listings(const struct policy_set *set)
{
	return set->addrs_n + set->addr_ports_n + set->flows_n + set->names_n;
}

bool listing_at(const struct policy_table *t, const struct policy_set *set, uint32_t i,
		struct listing *l)
{
	if (i < set->addrs_n) {
		listing_addr(&set->addrs[i], l);
	} else if ((i -= set->addrs_n) < set->addr_ports_n) {
		listing_addr_port(t, &set->addr_ports[i], l);
	} else if ((i -= set->addr_ports_n) < set->flows_n) {
		listing_flow(t, &set->flows[i], l);
	} else if ((i -= set->flows_n) < set->names_n) {
		listing_name(t, &set->names[i], l);
	} else {
		return false;
	}
	listing_place(t, l);
	return true;
}

int listings_each(const struct policy_table *t, const struct policy_set *set,
		  int (*fn)(void *arg, struct listing *l), void *arg)
{
	struct listing ahead[AHEAD];
	const uint32_t n = set_listings(set);
	int r = 0;

	for (uint32_t i = 0; i < n + AHEAD && !r; i++) {
		struct listing *l = &ahead[i % AHEAD];

		if (i >= AHEAD && i - AHEAD < n)
			r = fn(arg, l);
		if (i < n && listing_at(t, set, i, l))
			decision_fetch_index(t, l);
		if (i >= AHEAD / 2 && i - AHEAD / 2 < n)
			decision_fetch(t, &ahead[(i - AHEAD / 2) % AHEAD]);
	}
	return r;
}
