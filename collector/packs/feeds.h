/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feeds.h - the feeds of all lists at work: a thread of its own asks for each when its time has come, one after the
 * other, and says when a list has other values. Any thread, unless it says otherwise.
 */
#ifndef WEIR_COLLECTOR_PACKS_FEEDS_H
#define WEIR_COLLECTOR_PACKS_FEEDS_H

#include <jansson.h>
#include <stdio.h>

#include "collector/packs/feed.h"

struct feeds;

struct feeds_cfg {
	const char *dir; /* the store's */
	/* A list has other values, or none any more. The feeds' thread; may wait. */
	void (*changed)(void *arg);
	void *arg;
};

/* Return: 0, -ENOMEM, -EAGAIN (no thread). */
int feeds_new(const struct feeds_cfg *cfg, struct feeds **ret);
void feeds_free(struct feeds *f); /* what is under way ends soon; NULL is fine */

/**
 * feeds_set - these from now on
 * @v:   @n lists with a feed; copied
 * @own: values of @local, @never_block and @admin
 *
 * Those that were there before go on as they were. Return: 0, -ENOMEM: the old ones stay.
 */
int feeds_set(struct feeds *f, const struct pack_list *const *v, uint32_t n,
	      const char *const own[3]);

/*
 * Ask for it now. @accept: what is fetched next is taken also when more than half is gone. Return: 0, -ENOENT: there
 * is no such feed.
 */
int feeds_refresh(struct feeds *f, const char *name, bool accept);

/* A list of objects {"list", "source", "values", "good", "expires", "state", "why", ...}. */
json_t *feeds_status(struct feeds *f);
void feeds_metrics(struct feeds *f, FILE *out);

#endif
