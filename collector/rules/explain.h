/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h - what a rule does, where it runs and what it costs, for people and as JSON.
 */
#ifndef WEIR_COLLECTOR_RULES_EXPLAIN_H
#define WEIR_COLLECTOR_RULES_EXPLAIN_H

#include <stdio.h>

#include "collector/rules/rule_files.h"

void explain_text(const struct rule_set *set, const struct rule *r, FILE *out);

/* The rule's page, in Markdown. */
void explain_page(const struct rule_set *set, const struct rule *r, FILE *out);

/* One line of JSON. */
void explain_json(const struct rule_set *set, const struct rule *r, FILE *out);

/* {"rules": N, "errors": [...], "notes": [...]} */
void explain_check_json(const struct rule_files *f, FILE *out);

/* The table of keys, for weir-collector-rules(8). */
void explain_reference(void);
/* Those of packs, for weir-collector-pack(8). */
void explain_pack_reference(void);

#endif
