/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - writes the tables of policy_map.h: what each issuer wants becomes rules and decisions of
 * the next generation, which one store publishes. The privileged core's; not thread-safe. Records
 * are taken as valid (whoever calls has checked them against policy.h); capacity is checked here.
 */
#ifndef WEIR_LOADER_POLICY_TABLE_H
#define WEIR_LOADER_POLICY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "weir/policy.h"
#include "weir/policy_map.h"

#define POLICY_ISSUERS 64u /* of a table; the lower number comes first among equal rule numbers */

struct policy_table;
struct policy_titles;

/* Descriptors of the maps, by the names they have in the object. */
struct policy_fds {
	int policy_control;
	int policy_rules;
	int policy_counts;
	int policy_index;
	int policy_decisions;
	int policy_presence;
};

/* The policy clock, and the wall clock at one moment. */
struct policy_time {
	uint64_t unit_ns; /* length of a unit */
	uint32_t now;	  /* units */
	uint64_t wall_ns; /* CLOCK_REALTIME, or capture time */
};

/* Records as in a policy; numbers in them are those of @rules. */
struct policy_set {
	const struct policy_rule *rules;
	const struct policy_addr *addrs;
	const struct policy_addr_port *addr_ports;
	const struct policy_flow *flows;
	const struct policy_name *names;
	uint32_t rules_n;
	uint32_t addrs_n;
	uint32_t addr_ports_n;
	uint32_t flows_n;
	uint32_t names_n;
};

struct policy_usage {
	uint32_t generation; /* published */
	uint32_t rules;	     /* in force */
	uint32_t rules_max;
	uint32_t linear; /* of them, without key */
	uint32_t decisions;
	uint32_t decisions_max;
	uint32_t dead; /* ended, and not reclaimed yet */
	bool active;   /* not stopped by policy_table_stop() */
};

/* Sums over CPUs. */
struct policy_counters {
#define COUNTED(member, metric, help) uint64_t member;
#include "weir/policy_counts.def"
#undef COUNTED
	uint32_t last; /* policy clock; 0: never */
};

/**
 * policy_table_open - map the tables
 * @fds: stay the caller's
 *
 * What is there (pinned, of an earlier process) is ended with the first policy_table_apply() of each
 * issuer, which finds unchanged rules and decisions again; policy_table_sweep() ends the rest.
 * Nothing is enforced before the first apply, or as long as the lease has run out.
 * Return: 0, -ENOMEM, -errno.
 */
int policy_table_open(const struct policy_fds *fds, struct policy_table **ret);
/* Names of rules go there too, from the first apply on. */
void policy_table_titles(struct policy_table *t, struct policy_titles *titles);
struct policy_table *policy_table_free(struct policy_table *t);

/* Wall clock and policy clock belong together from now on. Before the first apply, and regularly. */
void policy_table_time(struct policy_table *t, const struct policy_time *now);

/**
 * policy_table_fits - would it fit?
 * @ret: what would be in use; may be NULL
 *
 * Return: 0, -ENOSPC. An upper bound: nothing that is there counts as the same.
 */
int policy_table_fits(const struct policy_table *t, uint32_t issuer, const struct policy_set *set,
		      struct policy_usage *ret);

/**
 * policy_table_apply - @set is all that @issuer wants from now on, from one packet to the next
 * @ret_generation: published by this; may be NULL
 *
 * Return: 0, -ENOSPC, -ENOMEM, -EINVAL (a record names a rule that isn't there): nothing changed.
 */
int policy_table_apply(struct policy_table *t, uint32_t issuer, const struct policy_set *set,
		       uint32_t *ret_generation);

/* The same, beside what @issuer has already; a rule with a known id replaces that one. */
int policy_table_add(struct policy_table *t, uint32_t issuer, const struct policy_set *set,
		     uint32_t *ret_generation);

/* End one rule, and the decisions that lead to it. Return: 0, -ENOENT. */
int policy_table_remove(struct policy_table *t, uint32_t issuer, const uint8_t id[16]);

/* End one decision, given as a set of one record (no rules). Return: how many ended. */
int policy_table_unlist(struct policy_table *t, uint32_t issuer, const struct policy_set *set);

/* End what an earlier process left and nobody has applied again. */
void policy_table_sweep(struct policy_table *t);

/**
 * policy_table_reclaim - take back what has ended or expired
 *
 * Publishes a generation if something expired; waits for a grace period (some 10 ms) if there is
 * anything to take back. Regularly, such as once a second. Return: entries taken back.
 */
uint32_t policy_table_reclaim(struct policy_table *t);

/* Enforcement holds until then, and ends by itself. 0: at once. @seconds: from now */
void policy_table_lease(struct policy_table *t, uint32_t seconds);

/* Stop (panic) or resume: one store. Rules and counters stay. */
void policy_table_stop(struct policy_table *t, bool stop);

/* Failsafe ports, by POLICY_FAILSAFE(). Return: 0, -ENOSPC. */
int policy_table_failsafe(struct policy_table *t, const uint32_t *ports, size_t n);

void policy_table_usage(const struct policy_table *t, struct policy_usage *ret);

/* A decision, whose it is, and the record of its rule. Return nonzero to stop. */
typedef int policy_each_fn(void *arg, uint32_t issuer, const struct policy_rule *rule,
			   const struct policy_decision *d);

/* @fn is told of each decision that no packet can meet any more: it has counted to its end. */
void policy_table_gone(struct policy_table *t, policy_each_fn *fn, void *arg);

/* ---- reading ---- */

/* The rule's element of policy_rules, as it is in flow_dropped.rule and drop_row.rule; 0: none. */
uint32_t policy_table_rule(const struct policy_table *t, uint32_t issuer, const uint8_t id[16]);

/* Whose rule that is, the record it came from; NULL: nobody's. Valid until the next change. */
const struct policy_rule *policy_table_rule_at(const struct policy_table *t, uint32_t rule,
					       uint32_t *ret_issuer);

void policy_table_counters(const struct policy_table *t, uint32_t rule,
			   struct policy_counters *ret);

/**
 * policy_table_decisions - every decision in force, or those that speak of an address
 * @addr: 16 bytes, or NULL: all
 * @fn:   with the decision's number; return nonzero to stop
 */
typedef int policy_visit(void *arg, uint32_t number, const struct policy_decision *d);
void policy_table_decisions(const struct policy_table *t, const uint8_t *addr, policy_visit *fn,
			    void *arg);

/* Those of an issuer that are in force. */
void policy_table_each(const struct policy_table *t, uint32_t issuer, policy_each_fn *fn,
		       void *arg);

/* A number of these tables, 1 to 2^31 - 1: what is counted in others has begun anew. */
uint32_t policy_table_life(const struct policy_table *t);

/* The decision that a record of the rule at @rule became, or NULL. One of @set's arrays has one record. */
const struct policy_decision *policy_table_decision(const struct policy_table *t, uint32_t rule,
						    const struct policy_set *set);

/* The same of any of the issuer's rules. One of @set's arrays has one record. */
const struct policy_decision *policy_table_find(const struct policy_table *t, uint32_t issuer,
						const struct policy_set *set);

/* Programs that are on their way through a packet now end before this returns. */
void policy_grace(void);

/* The conditions of a rule as the programs look at them; the rest of *v stays. */
void policy_version_match(const struct policy_match *m, struct policy_version *v);

#endif
