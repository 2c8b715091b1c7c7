/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_policy.h - a policy over a capture: the tables are the kernel's own, the clock is the
 * capture's, and at the end stands what each rule dropped, or would have. One thread.
 */
#ifndef WEIR_LOADER_REPLAY_POLICY_H
#define WEIR_LOADER_REPLAY_POLICY_H

#include <stdint.h>
#include <stdio.h>
#include "loader/dataplane.h"

struct policy_titles;
struct replay_policy;

/**
 * replay_policy_load - read a policy, text or compiled; a signature is not asked for
 * @ret_entries: room for decisions that it needs
 *
 * Return: 0, or an exit status; what is wrong is on standard error.
 */
int replay_policy_load(const char *path, struct replay_policy **ret, uint32_t *ret_entries);
struct replay_policy *replay_policy_free(struct replay_policy *p);

/* Use the tables of @dp, which has been loaded. Return: 0 or -errno. */
int replay_policy_open(struct replay_policy *p, const struct dataplane *dp);

/* Names of the rules. */
const struct policy_titles *replay_policy_titles(const struct replay_policy *p);

/**
 * replay_policy_time - what the programs see as now; the first call puts the policy in force
 * @ns:      control.replay_ns
 * @wall_ns: the same as the capture has it
 *
 * Return: 0, -ENOSPC, -errno.
 */
int replay_policy_time(struct replay_policy *p, uint64_t ns, uint64_t wall_ns);

/* A line for each rule, or a member "rules" of objects. */
void replay_policy_text(const struct replay_policy *p, FILE *out);
void replay_policy_json(const struct replay_policy *p, FILE *out);

#endif
