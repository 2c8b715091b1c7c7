/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier.h - events on their way out of control.db. What is to be told is a row of the table notice, written in
 * the transaction that made it so; each channel has a thread and remembers in the table channel up to which row
 * it has told. So neither a restart nor an outage loses anything, up to a number of rows; beyond that the
 * oldest are given up and counted. What was told without the database knowing yet is told again after a crash.
 */
#ifndef WEIR_COLLECTOR_NOTIFY_NOTIFIER_H
#define WEIR_COLLECTOR_NOTIFY_NOTIFIER_H

#include <jansson.h>

#include "collector/control/db.h"
#include "collector/notify/notice.h"

struct notifier;

struct notifier_cfg {
	const char *dir; /* of control.db; NULL: nothing is told */
	const struct channel_set *channels;
	uint64_t most; /* events that may wait */
};

/* Return: 0; -EIO with @error (DB_ERROR bytes), -ENOMEM, -EAGAIN. */
int notifier_open(const struct notifier_cfg *cfg, char *error, struct notifier **ret);
/* What waits stays in the database. NULL is fine. */
void notifier_close(struct notifier *n);

/* Other channels; those of the same name go on where they are. Return: 0, -ENOMEM, -EAGAIN, -EIO. */
int notifier_reload(struct notifier *n, const struct notifier_cfg *cfg);

/* Is there a channel at all? Any thread; NULL: no. */
bool notifier_wanted(struct notifier *n);

/* Rows up to this one are committed. Any thread; NULL is fine. */
void notifier_wake(struct notifier *n, int64_t last);

struct notifier_stats {
	const char *name;
	uint64_t sent;	  /* events that the other side has taken */
	uint64_t failed;  /* tries that were in vain */
	uint64_t refused; /* events that it will never take */
	uint64_t lost;	  /* events given up since too many waited */
	uint64_t waiting; /* now */
};

/* Counts since the start. Any thread; @fn must not call back. NULL: none. */
void notifier_each(struct notifier *n, void (*fn)(void *arg, const struct notifier_stats *st),
		   void *arg);

/* A list of objects of type "channel". Any thread. */
json_t *notifier_status(struct notifier *n);

/* Request "channels": list, test. Any thread; a test waits for the other side. Return: see book_ask(). */
json_t *notifier_ask(struct notifier *n, const json_t *request);

#endif
