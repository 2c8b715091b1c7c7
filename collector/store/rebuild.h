/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild.h - state.db made anew from the files of flows, and names.db, the copy of the small tables that
 * flows alone do not say: exporters, interfaces, zones, names of AS, what was acknowledged. Roll-ups are
 * made of the raw flows again; those older than the flows are lost with the state.
 */
#ifndef WEIR_COLLECTOR_STORE_REBUILD_H
#define WEIR_COLLECTOR_STORE_REBUILD_H

#include <stdbool.h>

struct store;

/**
 * rebuild_is_due - is there no state.db where files of flows are, or one of a rebuild that did not end?
 *
 * What is left of that is removed. Before the database is opened.
 */
bool rebuild_is_due(struct store *s);

/**
 * rebuild_set_aside - state.db, which @why says is damaged, gets another name
 *
 * Return: false: it says something else (another process, no memory, a newer engine); it stays.
 */
bool rebuild_set_aside(struct store *s, const char *why);

/**
 * rebuild_state - fill a new state.db with what names.db and the files of flows tell
 *
 * What is in memory is what state_open() reads afterwards. Return: 0, or -errno and words in @error.
 */
int rebuild_state(struct store *s, char *error);

/* Roll-ups too: it is done. After rollup_recover(). */
int rebuild_rollups(struct store *s, char *error);

/**
 * rebuild_keep - the copy, as state.db has it now
 *
 * Writer thread, outside of a transaction, before a batch is acknowledged. A failure is told, once, and the copy
 * is made at the next chance.
 */
void rebuild_keep(struct store *s);

#endif
