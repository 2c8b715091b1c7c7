/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_rig.h - for tests of policies: from text to a checked image, and rules back to text.
 */
#ifndef WEIR_TESTS_POLICY_RIG_H
#define WEIR_TESTS_POLICY_RIG_H

#include "common/policy.h"

#define RIG_NOW 1800000000u /* seconds since 1970 */

/* Statements, with "for 10m" behind those that need an end. What came of them, one rule a line as
 * "1 drop by addr: src.ip == 192.0.2.1", or "LINE:COL message". In memory that is reused.
 */
const char *policy_rig_text(const char *source);

/* The same as an image (to be freed) and where its records are. Fails the test if it is none. */
uint8_t *policy_rig_image(const char *source, struct policy *ret, size_t *ret_len);

/* What policy_check() says of it; "" when it is one. */
const char *policy_rig_check(const void *image, size_t len);

#endif
