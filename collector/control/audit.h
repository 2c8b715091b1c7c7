/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h - who did what: a log that only grows. Each entry's hash is of the one before and of all it
 * says, so that nobody changes or removes one without all that follow being wrong; who keeps the last
 * hash elsewhere also sees when the end is missing. Whoever has the database.
 */
#ifndef WEIR_COLLECTOR_CONTROL_AUDIT_H
#define WEIR_COLLECTOR_CONTROL_AUDIT_H

#include <jansson.h>

#include "collector/control/db.h"

#define AUDIT_HASH 32u /* bytes, SHA-256 */
#define AUDIT_HEX  (2 * AUDIT_HASH + 1)

struct audit_entry {
	const char *actor;  /* "uid=0 (root)", "rule:ssh-dictionary", "collector" */
	const char *action; /* "decision.made" */
	const char *object; /* "decision 17" */
};

/* In a transaction. @detail: taken over, NULL is fine. Return: 0, -EIO, -ENOMEM. */
int audit_add(struct db *d, const struct audit_entry *e, json_t *detail);

struct audit_state {
	int64_t entries;
	int64_t broken; /* place of the first entry that is wrong; 0: none */
	bool found;	/* the head that was asked for is in the chain */
	char head[AUDIT_HEX];
};

/**
 * audit_verify - the whole chain again
 * @head: a hash that has to be in it; "": none is asked for
 *
 * Return: 0 (see @ret), -EIO: it can't be read.
 */
int audit_verify(struct db *d, const char *head, struct audit_state *ret);

/* The same of a file, with a connection of its own: nobody waits. Any thread. */
int audit_verify_file(const char *path, const char *head, struct audit_state *ret);

#define AUDIT_ROWS_MAX 10000

/* The last @limit entries before @before, the oldest first, objects of type "audit". NULL: they can't be read. */
json_t *audit_list(struct db *d, int64_t before, int64_t limit);

#endif
