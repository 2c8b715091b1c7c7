/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - rules that the kernel decides by itself (class K), and those that agents decide by the state of
 * flows (class A), as records of a policy (weir/policy.h).
 */
#ifndef WEIR_COLLECTOR_RULES_COMPILE_H
#define WEIR_COLLECTOR_RULES_COMPILE_H

#include <stdio.h>

#include "collector/rules/rule.h"

/**
 * rules_compile - a set's rules as a policy
 * @path: file for the records; NULL: none
 * @out:  what they say, for people; also which rules are not among them, and why
 * @why:  240 bytes; what is wrong, when it fails
 *
 * Return: 0, -EINVAL, -E2BIG, -ENOMEM, or of writing the file.
 */
int rules_compile(const struct rule_set *set, const struct rule_site *site, const char *path,
		  FILE *out, char *why);

#endif
