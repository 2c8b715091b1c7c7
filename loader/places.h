/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places.h - the interfaces of our own network namespace (ifaces.h) and of others that were asked for,
 * as those come and go: each has programs, a netlink socket and an `ifaces` of its own. A namespace is
 * let go of when the name it was found by is gone, so that weir does not keep it alive. Core only, one
 * thread.
 */
#ifndef WEIR_LOADER_PLACES_H
#define WEIR_LOADER_PLACES_H

#include "loader/ifaces.h"

#define PLACES_MAX 256u /* other namespaces at one time */

struct places {
	struct ifaces
		own; /* want, wants, pick, pick_arg, dp, table and links_fd = -1: the caller's */
	struct ifaces *other[PLACES_MAX];
	unsigned int others;
	bool entered; /* other namespaces were asked for at the start; else they can't be entered any more */
	int poll_fd; /* can be read when places_update() has something to do; -1 before places_start() */
	int mounts;	   /* names of namespaces are mounts */
	unsigned int gone; /* namespaces that were, ever */
	bool full_said;
};

/* Is one of another namespace among the interfaces asked for? */
bool places_are_elsewhere(const struct iface_want *want, unsigned int wants);

/* Before programs are loaded, which takes a while: a name that is mistyped is said. 0 or -ENODEV. */
int places_check(const struct iface_want *want, unsigned int wants);

/* As ifaces_start(); also -EPERM: CAP_SYS_ADMIN is missing, which has been said. */
int places_start(struct places *p);

/* What has changed since; call when poll_fd can be read, and every places_ms(). */
void places_update(struct places *p);

/* Milliseconds between looks at what cannot be waited for; -1 = there is nothing such. */
int places_ms(const struct places *p);

/* After own.want, wants or pick changed. Return as places_start(). */
int places_change(struct places *p);

/* Let go of all, as ifaces_stop(). */
void places_stop(struct places *p);

/* Interfaces attached to. */
unsigned int places_count(const struct places *p);

/* Their names, each after a space. */
void places_names(const struct places *p, char *ret, size_t room);

/* Is the interface attached to? @arg: struct places */
bool places_watch(void *arg, uint32_t netns, unsigned int ifindex);

#endif
