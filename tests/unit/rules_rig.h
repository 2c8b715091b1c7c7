/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules_rig.h - rules from text for tests. The site has @local = 10.0.0.0/8, @empty, and 443 for every
 * parameter named port.
 */
#ifndef WEIR_TESTS_RULES_RIG_H
#define WEIR_TESTS_RULES_RIG_H

#include "collector/rules/engine.h"

extern const struct rule_site rules_rig_site;

/* Must be right, else the test fails. */
void rules_rig_read(const char *text, struct rule_set *ret);

/* "LINE:COLUMN: TEXT" of the first error, or "". @got: 300 bytes. */
void rules_rig_error(const char *text, char *got);

#endif
