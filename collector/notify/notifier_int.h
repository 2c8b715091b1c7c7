/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier_int.h - what the parts of the notifier share.
 */
#ifndef WEIR_COLLECTOR_NOTIFY_NOTIFIER_INT_H
#define WEIR_COLLECTOR_NOTIFY_NOTIFIER_INT_H

#include <pthread.h>

#include "collector/notify/notifier.h"
#include "collector/notify/outlet.h"

struct channel {
	struct notifier *n;
	struct channel_cfg cfg;
	pthread_t thread;
	bool started;
	/* the notifier's lock */
	int64_t cursor; /* up to here it is told */
	struct notifier_stats stats;
	char said[OUTLET_SAID];
	int64_t told_us, failed_us; /* when it last went well, and did not */
	/* the thread's own */
	uint32_t tries; /* in vain, since it last went well */
	uint32_t alone; /* so many are told one by one: one of them was refused */
};

struct notifier {
	pthread_rwlock_t set; /* which channels there are */
	struct channel *v;
	uint32_t n;
	bool stop;   /* atomic */
	bool wanted; /* atomic */
	char host[256];
	pthread_mutex_t lock; /* everything below, and the channels' counts */
	pthread_cond_t more;
	struct db *db;
	int64_t last; /* the newest row */
	uint64_t most;
};

/* A channel's thread; @arg is it. */
void *channel_run(void *arg);

/* Rows that it has yet to tell, with the lock held. */
uint64_t channel_waiting(const struct channel *c, int64_t upto);

/* Tells something that has not happened. Return: as outlet_tell(). */
int channel_test(struct channel *c, char said[OUTLET_SAID]);

#endif
