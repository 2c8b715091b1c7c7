/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish.h - decisions in force as a signed policy (weir/policy.h), in policy/policy.bin of the store's
 * directory, for `weir policy apply`; policy/canary.bin is the same for nodes where canary rules act. Each
 * has a generation above all before it, which is durable before the file is there, and an end; files are
 * replaced in one step.
 */
#ifndef WEIR_COLLECTOR_CONTROL_PUBLISH_H
#define WEIR_COLLECTOR_CONTROL_PUBLISH_H

#include <jansson.h>

#include "collector/control/db.h"
#include "common/policy.h"

struct ruleset;

struct publish_cfg {
	const char *dir; /* of the store */
	const char *key; /* private key, PEM; NULL: policy/policy.key, made when it is not there */
	const char *issuer; /* at most 31 octets */
	uint64_t valid_us;  /* how long nodes may take it for */
};

struct publish {
	char dir[4000];
	char issuer[32];
	uint8_t secret[POLICY_KEY], public[POLICY_KEY];
	uint64_t valid_us;
	int64_t there;		   /* highest generation of the files that were there */
	const struct ruleset *set; /* whose agents' rules go along; NULL: none are known yet */
	/* of the last one */
	int64_t generation, made_us;
	uint32_t rules, entries, left_out; /* left_out: decisions beyond POLICY_RULES_MAX */
	char hash[65];			   /* SHA-256 of policy.bin */
};

/* Return: 0; -EINVAL, -EIO with @error (DB_ERROR bytes). */
int publish_open(const struct publish_cfg *cfg, struct publish *ret, char *error);

/* Has the breaker acted: does everything automatic only count? Where nobody can tell, it does. */
bool publish_breaker(struct db *d);

/* What entries of one rule of a policy have in common. */
struct publish_group {
	const char *rule_id, *rate, *mode, *action, *scope;
	const uint8_t *to; /* NULL: no second address */
	int at, port, direction;
};

/* In words; @ret: PUBLISH_GROUP. policy_id() of them is the rule's id in policies. */
#define PUBLISH_GROUP 400u
void publish_group_text(const struct publish_group *g, char *ret);

/* In a transaction: the next generation, above those of a database that is gone. Return: 0, -EIO. */
int publish_next(const struct publish *p, struct db *d, int64_t *ret);

/**
 * publish_write - both files, of what is in the database
 * @generation: of publish_next(), durable
 *
 * Return: 0, -EIO, -ENOMEM, -EINVAL: what nodes would not take; @error.
 */
int publish_write(struct publish *p, struct db *d, int64_t generation, char *error);

/* Does it have rules that nodes decide by themselves? NULL is fine. */
bool publish_has_agents(const struct ruleset *set);

/* An object of type "policy". */
json_t *publish_status(const struct publish *p, struct db *d);

#endif
