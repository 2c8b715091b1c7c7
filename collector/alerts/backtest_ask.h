/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backtest_ask.h - a back-test on request, beside everything else that a running collector does: what the
 * local socket and the API have in common.
 *
 *	{"files":[{"name":"scan.yaml","text":"groups: ..."}],   absent: the rules at work
 *	 "rules":["port-scan"],                  of them these alone, by name or id; absent: all
 *	 "lists":{"local":"192.0.2.0/24"},       instead of this site's; of files alone
 *	 "params":{"port-scan.ports":"50"},      the same
 *	 "last":"7d"}   or "from" and "to" (RFC 3339); "top": targets of each rule, "20"
 *
 * The answer is backtest_line.h's lines. Rules with errors: {"type":"wrong","text":"FILE:LINE:COLUMN:
 * TEXT"} for each, and -EBADMSG.
 */
#ifndef WEIR_COLLECTOR_ALERTS_BACKTEST_ASK_H
#define WEIR_COLLECTOR_ALERTS_BACKTEST_ASK_H

#include "collector/alerts/ruleset.h"
#include "collector/rules/backtest_line.h"

#define BACKTEST_LAST "7d" /* where nothing is said of the time */

struct backtest_asker {
	struct store *store;
	const struct ruleset *set; /* at work; held by the caller */
	backtest_line_fn *put;
	int (*progress)(void *arg, double percent); /* see backtest_cfg */
	void *arg;				    /* of both */
};

/**
 * backtest_ask - answer a request; takes as long as it takes
 * @error: STORE_ERROR octets: what is wrong, for people
 *
 * Return: 0; -EINVAL: the request is wrong; -EBADMSG: rules of it are; what @put or @progress returned; of
 * the store; -ENOMEM. Any thread.
 */
int backtest_ask(const struct backtest_asker *a, const json_t *request, char *error);

#endif
