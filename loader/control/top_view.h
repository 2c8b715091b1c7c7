/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_view.h - who is talking most: flows put into groups, summed over an interval, the largest
 * written as JSON. Groups are bounded; what has no room is summed in one more. One thread.
 */
#ifndef WEIR_LOADER_CONTROL_TOP_VIEW_H
#define WEIR_LOADER_CONTROL_TOP_VIEW_H

#include "loader/control/live.h"
#include "loader/control/request.h"

#define TOP_GROUPS    32768u
#define TOP_TEXT      (2u << 20) /* of keys and names */
#define TOP_ROW_JSON  4096u	 /* bytes of a row at most */
#define TOP_KEY_SHOWN 256u	 /* bytes of a key that are kept */

struct top_view;

/* @q: its filter is taken over. Return: 0 or -ENOMEM. */
int top_view_new(const struct request *q, struct top_view **ret);
void top_view_free(struct top_view *v);

/* Add what came of a flow. Packets that were mirrored more than once count once. */
void top_view_add(struct top_view *v, const struct flow_record *r, const struct live_news *news);

/* The sweep is complete: sort. Return: number of rows. */
uint32_t top_view_sort(struct top_view *v);

/* Sums over all groups. */
struct top_sums {
	uint64_t bytes[2];
	uint64_t packets[2];
	uint64_t flows;
	uint32_t groups;
};

const struct top_sums *top_view_sums(const struct top_view *v);

/**
 * top_view_row - row @i of the sorted ones as a JSON object, without a line end
 * @seconds: length of the interval
 *
 * Return: bytes; -ENOSPC.
 */
int top_view_row(const struct top_view *v, uint32_t i, double seconds, char *buf, size_t cap);

/* Begin the next interval. */
void top_view_clear(struct top_view *v);

#endif
