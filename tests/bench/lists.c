// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/lists.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ADDRS_MAX  (1u << 20)
#define OTHERS_MAX 100000u

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void set_addr(struct policy_addr *a, uint32_t addr, uint32_t bits, uint32_t rule)
{
	uint32_t be = htonl(addr);

	*a = (struct policy_addr){.bits = (uint8_t)(96 + bits), .role = ROLE_SRC, .rule = rule};
	a->addr[10] = a->addr[11] = 0xff;
	memcpy(a->addr + 12, &be, 4);
}

/* The generator's source address number @n. */
static uint32_t source(uint32_t n)
{
	return 10u << 24 | (n & 255) << 16 | (n >> 8 & 255) << 8 | (n >> 16 & 255);
}

static void begin_set(struct lists *l)
{
	static const uint8_t keys[3] = {RULE_BY_ADDR, RULE_BY_ADDR, RULE_BY_NAME};

	l->set = (struct policy_set){
		.rules = l->rules, .rules_n = 3, .addrs = l->addrs, .names = l->names};
	for (uint32_t i = 0; i < 3; i++) {
		l->rules[i] = (struct policy_rule){.number = i + 1,
						   .action = POLICY_DROP,
						   .direction = DIR_BOTH,
						   .key = keys[i],
						   .expires = (uint64_t)time(NULL) + 86400};
		l->rules[i].id[0] = (uint8_t)(i + 1);
	}
}

void lists_fill(struct lists *l, const struct lists_size *n)
{
	begin_set(l);
	for (uint32_t i = 0; i < n->listed; i++)
		set_addr(&l->addrs[l->set.addrs_n++], source(i), 32, 1);
	for (uint32_t i = n->listed; i < n->addrs; i++)
		set_addr(&l->addrs[l->set.addrs_n++], 0x2d000000u + i * 331, 32, 1);
	for (uint32_t i = 0; i < n->prefixes; i++)
		set_addr(&l->addrs[l->set.addrs_n++], 0x50000000u + (i << 9), 24 - i % 3, 2);
	for (uint32_t i = 0; i < n->names; i++) {
		struct policy_name *p = &l->names[l->set.names_n++];

		*p = (struct policy_name){.kinds = 7, .how = 1 + i % 2, .rule = 3};
		p->length = (uint16_t)snprintf((char *)p->name, sizeof(p->name),
					       "host-%u.listed.test", i);
	}
}

static void tell_time(struct lists *l)
{
	struct policy_time t = {.unit_ns = l->lab->dp.tick_ns << POLICY_JIFFIES_SHIFT};
	uint64_t tick;

	dataplane_now(&l->lab->dp, &tick, &t.wall_ns);
	t.now = (uint32_t)(tick >> POLICY_JIFFIES_SHIFT);
	policy_table_time(l->table, &t);
}

double lists_apply(struct lists *l)
{
	double from, took;
	int r;

	tell_time(l);
	from = now_ms();
	r = policy_table_apply(l->table, 0, &l->set, NULL);
	took = now_ms() - from;
	policy_table_reclaim(l->table);
	policy_table_reclaim(l->table);
	return r ? r : took;
}

int lists_open(struct lists *l, struct lab *lab)
{
	struct policy_fds fds;
	int r;

	*l = (struct lists){.lab = lab};
	l->addrs = calloc(ADDRS_MAX + OTHERS_MAX, sizeof(*l->addrs));
	l->names = calloc(OTHERS_MAX, sizeof(*l->names));
	if (!l->addrs || !l->names)
		return -ENOMEM;
	dataplane_policy(&lab->dp, &fds);
	r = policy_table_open(&fds, &l->table);
	if (r)
		return r;
	tell_time(l);
	policy_table_lease(l->table, 86400);
	return 0;
}

void lists_close(struct lists *l)
{
	policy_table_free(l->table);
	free(l->addrs);
	free(l->names);
}
