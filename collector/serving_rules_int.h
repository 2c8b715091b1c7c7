/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serving_rules_int.h - what the parts of the rules of a running collector share.
 */
#ifndef WEIR_COLLECTOR_SERVING_RULES_INT_H
#define WEIR_COLLECTOR_SERVING_RULES_INT_H

#include <pthread.h>

#include "collector/packs/feeds.h"
#include "collector/serving_rules.h"

struct serving_rules {
	struct runner *runner;
	struct feeds *feeds;
	struct book *book;
	struct notifier *notifier;
	pthread_mutex_t reading;	 /* one at a time reads rules anew; held before lock */
	const struct settings *settings; /* while reading is held */
	pthread_mutex_t lock;		 /* what follows */
	struct ruleset_errors errors;
	struct ruleset *set; /* at work; held */
	bool backtest;	     /* one is under way */
	uint64_t fingerprint;
	uint64_t loaded_ns; /* wall clock */
	uint64_t reloads, failed;
	uint32_t rules, files;
};

/* serving_channels.c */
void serving_channel_metrics(struct notifier *n, FILE *out);

/* serving_modes.c: modes of rules. See endpoint_cfg.ask. */
json_t *serving_modes_ask(struct serving_rules *v, const json_t *request,
			  const struct endpoint_peer *peer);

/* serving_packs.c */

/* What status says of a set's packs. NULL: there is no set. */
json_t *serving_packs_status(const struct ruleset *set);
/* Those that are tainted are logged. */
void serving_packs_warn(const struct ruleset *set);
void serving_packs_metrics(struct serving_rules *v, FILE *out);
json_t *serving_packs_ask(struct serving_rules *v, const json_t *request,
			  const struct endpoint_peer *peer);
/* A set's feeds are asked from now on. Return: 0, -ENOMEM: those before stay. */
int serving_packs_feeds(struct serving_rules *v, const struct settings *s,
			const struct ruleset *set);

#endif
