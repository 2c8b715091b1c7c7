/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backtest_line.h - what a back-test found as JSON objects, for the local socket, the API and the command:
 *
 *	{"type":"rule","rule":"port-scan","version":"1.0.0","flows":9,"alerts":2,"hits":2,"internal":1,
 *	 "exempt":0,"late":0,"evicted":0,"acts":true}
 *	{"type":"target","action":"drop","scope":"src.ip","target":"192.0.2.1","first":"...","alerts":1,
 *	 "internal":false,"exempt":false}                  of the rule before it, in order of first
 *	{"type":"done","flows":59,"unkept":0,"seconds":0.1,"from":"...","to":"..."}
 *
 * acts: the rule has an action. hits: things that something would have been done to, internal ones and
 * exempt ones among them; unkept: those beyond what is kept one by one. from and to: ends of the first
 * flow and of the last one; without flows neither is there. Pure.
 */
#ifndef WEIR_COLLECTOR_RULES_BACKTEST_LINE_H
#define WEIR_COLLECTOR_RULES_BACKTEST_LINE_H

#include <jansson.h>

#include "collector/rules/backtest.h"

/* @line is taken over. Return: 0, or a negative error, which ends it. */
typedef int backtest_line_fn(void *arg, json_t *line);

/**
 * backtest_lines - all of it
 * @only: rules to tell of, by rule; NULL: all
 * @top:  targets of each rule at most
 *
 * Return: 0; what @put returned; -ENOMEM.
 */
struct backtest_lines {
	const struct rule_set *rules;
	const struct backtest *found;
	const bool *only;
	uint32_t top;
	backtest_line_fn *put;
	void *arg;
};

int backtest_lines(const struct backtest_lines *l);

#endif
