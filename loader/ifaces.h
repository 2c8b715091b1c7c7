/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ifaces.h - which interfaces weir is on: those whose name the configuration has, or that match one
 * of its patterns, as they appear, change their name and vanish. Attaches, lets go, says so on
 * standard error, and keeps the table that the worker reads. One network namespace: whoever calls is in it
 * (places.h). Privileged core only, one thread.
 */
#ifndef WEIR_LOADER_IFACES_H
#define WEIR_LOADER_IFACES_H

#include "loader/attach.h"
#include "loader/iface_table.h"
#include "loader/links.h"
#include "loader/netns.h"

#define IFACES_MAX	  1024u /* attached at one time */
#define RUN_IFACES_MAX	  64u	/* names and patterns given */
#define IFACE_PATTERN_MAX 160u

/* One interface asked for: a name, or a pattern of the shell's kind (glob(7)); NAMESPACE/NAME is one of
 * another network namespace.
 */
struct iface_want {
	char name[IFACE_PATTERN_MAX];
	enum role role;
	enum hook_mode hook;
	uint32_t sample; /* as struct dataplane_variant */
	int decap_depth;
};

/**
 * iface_pick_fn - is an interface to be watched, and how?
 * @arg: ifaces.pick_arg
 * @ifname: as in struct iface_want
 *
 * Return: true with all of *ret set but its name.
 */
typedef bool (*iface_pick_fn)(const void *arg, const char *ifname, struct iface_want *ret);

/* An interface that took no programs: it is not tried again at every word of it. */
struct iface_refused {
	unsigned int ifindex;
	char name[IF_NAMESIZE];
};

#define IFACES_REFUSED 64u

struct ifaces {
	struct netns ns; /* label "": our own */
	/* Names that must be there, and patterns. Loopback is taken by its name alone. */
	const struct iface_want *want;
	unsigned int wants;
	iface_pick_fn pick; /* decides in place of the patterns; NULL: they do */
	const void *pick_arg;
	struct dataplane *dp; /* loaded once at least; other roles are loaded when needed */
	struct iface_table *table;
	struct attachment **at; /* attached; `n` of them */
	unsigned int n, cap;
	struct iface_refused refused[IFACES_REFUSED];
	unsigned int next_refused;
	bool full_said;
	int links_fd;
	bool dumped;	       /* the answer to the last links_ask() is complete */
	uint32_t round;	       /* of links_ask(); an attachment not seen in it is gone */
	int error;	       /* first failure on an interface that was asked for by its name */
	unsigned int appeared; /* ever attached */
};

/* Is it a pattern, and not a name? */
bool iface_is_pattern(const char *name);

/**
 * ifaces_start - attach to all that is there
 * @s: want, wants, pick, dp and table set by the caller, the rest zero
 *
 * Return: 0; -ENODEV a name is not there; or what was in the way of attaching to a name. What has
 *         been attached stays so until ifaces_stop(). Patterns may match nothing yet.
 */
int ifaces_start(struct ifaces *s);

/* What has changed since; call when links_fd can be read. */
void ifaces_update(struct ifaces *s);

/* After want, wants or pick changed: let go of what they don't ask for, attach to what is new. The
 * return is that of ifaces_start().
 */
int ifaces_change(struct ifaces *s);

/* The namespace is not to be watched any more: let go of all, pinned or not. @why: what is said of each */
void ifaces_end(struct ifaces *s, const char *why);

/* Let go of all; what is pinned (dp->pin) stays. */
void ifaces_stop(struct ifaces *s);

#endif
