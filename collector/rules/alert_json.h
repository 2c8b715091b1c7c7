/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alert_json.h - an alert as one line of JSON, in the shape of Suricata's EVE: event_type, the fields
 * it is by under their paths, what it says to people. Pure.
 */
#ifndef WEIR_COLLECTOR_RULES_ALERT_JSON_H
#define WEIR_COLLECTOR_RULES_ALERT_JSON_H

#include "collector/rules/engine.h"

#define ALERT_JSON 16384u

/* Into @buf (ALERT_JSON bytes), terminated. Return: length; 0: it does not fit. */
size_t alert_json(const struct alert *a, char *buf);

/* Text of an annotation with what its {{...}} stand for, into @buf. Return: @buf. */
const char *alert_render(const struct alert *a, const char *text, char *buf, size_t cap);

const char *alert_state_word(unsigned int state);

#endif
