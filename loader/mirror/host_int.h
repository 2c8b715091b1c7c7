/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_int.h - what the files of the mirror's host share: host.c has sessions and what asks for them, host_conf.c
 * those of the configuration. Core only; one thread.
 */
#ifndef WEIR_LOADER_MIRROR_HOST_INT_H
#define WEIR_LOADER_MIRROR_HOST_INT_H

#include "loader/mirror/host.h"

/* What is wanted. */
struct mirror_begin {
	const struct mirror_want *want; /* number 0: the first that is free */
	const struct policy_rule *rules;
	const struct mirror_way *way; /* out 0: none now */
	enum mirror_from from;
	int instead; /* element whose session it takes the place of; -1: none */
};

/* Return: 0 with reply->added, -errno with reply->text: nothing has changed. */
int mirror_begin(struct mirror_host *h, const struct mirror_begin *b, struct policy_reply *reply);
void mirror_end(struct mirror_host *h, unsigned int element);

/* Element of a number, or -ENOENT. */
int mirror_find(const struct mirror_host *h, uint32_t number);

/* 0 with *ret, or -errno: none leads there. */
int mirror_find_way(const struct mirror_want *w, struct mirror_way *ret);

/* Of the session, from its beginning, whatever it has become. */
void mirror_count_of(const struct mirror_host *h, unsigned int element, struct mirror_count *ret);

/* host_conf.c: what time brings for sessions of the configuration. */
void mirror_conf_tick(struct mirror_host *h);

/* Does the configuration want a session of this number? */
bool mirror_conf_has(const struct mirror_host *h, uint32_t number);

/* The first number that nobody has. */
uint32_t mirror_free_number(const struct mirror_host *h);

/* The kernel ends a session that has no end of its own so long after it last heard of it. */
#define MIRROR_LEASE_S 30u

/* It hears of it. */
void mirror_lease(struct mirror_host *h, unsigned int element);

/* CLOCK_MONOTONIC */
uint64_t mirror_mono_ms(void);

/* host_show.c: ASK_MIRROR_SHOW. 0 or -ENOMEM. */
int mirror_answer_show(struct mirror_host *h, struct policy_answer *ret);

/* Elements in use by their sessions' numbers. Return: how many. */
unsigned int mirror_in_order(const struct mirror_host *h, unsigned int *element);

/* Policy clock: @s from now. */
uint32_t mirror_clock(struct mirror_host *h, uint64_t s);

#endif
