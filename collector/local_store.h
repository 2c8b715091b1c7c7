/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_store.h - the store as the settings want it: opened by serve and import for writing, and by
 * the commands themselves when no collector runs. One thread.
 */
#ifndef WEIR_COLLECTOR_LOCAL_STORE_H
#define WEIR_COLLECTOR_LOCAL_STORE_H

#include "collector/settings.h"
#include "collector/store/store.h"

/* Everything of the settings; pool, callbacks and read_only are the caller's. */
void local_store_cfg(const struct settings *s, struct store_cfg *ret);

/* For reading. Return: 0, or enum exit_code; said. */
int local_store_open(const struct settings *s, struct store **ret);

/* Exit status for what store_open() returned. */
int local_store_status(int r);

#endif
