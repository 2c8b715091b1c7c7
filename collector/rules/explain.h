/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h - what a rule does, where it runs and what it costs, for people and as JSON.
 */
#ifndef WEIR_COLLECTOR_RULES_EXPLAIN_H
#define WEIR_COLLECTOR_RULES_EXPLAIN_H

#include <stdio.h>

#include "collector/rules/rule_files.h"

void explain_text(const struct rule_set *set, const struct rule *r, FILE *out);
/* The same, with what it costs (@cost) or without: that depends on the machine. */
void explain_rule(const struct rule_set *set, const struct rule *r, bool cost, FILE *out);

/*
 * The rule's page, in Markdown (page.c): what it finds, what else looks like it, how to tune it, and the tests of its
 * file that are about it. The file is read again; where it can't be, the page says nothing of tests.
 */
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
