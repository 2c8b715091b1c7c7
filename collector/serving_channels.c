// SPDX-License-Identifier: Apache-2.0
/*
 * serving_channels.c - what metrics say of channels.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "collector/metrics_text.h"
#include "collector/serving_rules_int.h"

struct channel_sampling {
	FILE *out;
	const char *name;
	size_t offset; /* of the number in struct notifier_stats */
};

static void channel_sample(void *arg, const struct notifier_stats *st)
{
	const struct channel_sampling *k = arg;
	uint64_t n;

	memcpy(&n, (const char *)st + k->offset, sizeof(n));
	fprintf(k->out, "%s{channel=\"%s\"} %" PRIu64 "\n", k->name, st->name, n);
}

void serving_channel_metrics(struct notifier *n, FILE *out)
{
	static const struct {
		const char *name, *type, *help;
		size_t offset;
	} samples[] = {
		{"weir_channel_sent_total", "counter",
		 "Events that a channel's receiver has taken.",
		 offsetof(struct notifier_stats, sent)},
		{"weir_channel_failed_total", "counter", "Tries of a channel that were in vain.",
		 offsetof(struct notifier_stats, failed)},
		{"weir_channel_refused_total", "counter",
		 "Events that a receiver refused for good.",
		 offsetof(struct notifier_stats, refused)},
		{"weir_channel_lost_total", "counter", "Events given up since too many waited.",
		 offsetof(struct notifier_stats, lost)},
		{"weir_channel_waiting", "gauge", "Events that wait for a channel.",
		 offsetof(struct notifier_stats, waiting)},
	};

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		metrics_head(out, samples[i].name, samples[i].type, samples[i].help);
		notifier_each(n, channel_sample,
			      &(struct channel_sampling){out, samples[i].name, samples[i].offset});
	}
}
