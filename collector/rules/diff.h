/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.h - what is different between two sets of rules, key by key. Rules are told apart by their id. Pure.
 */
#ifndef WEIR_COLLECTOR_RULES_DIFF_H
#define WEIR_COLLECTOR_RULES_DIFF_H

#include <jansson.h>

#include "collector/rules/rule.h"

/**
 * rules_diff - rules that are not the same in both
 * @gone: those too that @b lacks
 *
 * Return: a list of {"change": "new", "gone" or "changed", "rule", "id", "version", "mode"}, of what has changed with
 *         "before" (its version) and "keys", a list of {"key", "was", "is"}; NULL: no memory.
 */
json_t *rules_diff(const struct rule_set *a, const struct rule_set *b, bool gone);

#endif
