/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - one network namespace other than our own: found by name (ip-netns(8)) or path, entered and
 * left. Attaching to an interface, and asking for interfaces, is done from within. Takes CAP_SYS_ADMIN.
 * Core and doctor only, one thread.
 */
#ifndef WEIR_LOADER_NETNS_H
#define WEIR_LOADER_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETNS_LABEL_MAX 80u
#define NETNS_DIR	"/run/netns"
/* An interface as it is called everywhere: its name, in another namespace LABEL/NAME. */
#define IFACE_NAME_MAX 96u

struct netns {
	char label[NETNS_LABEL_MAX]; /* what was asked for: a name in NETNS_DIR, or a path */
	uint64_t dev, ino;
	int fd;
	uint32_t id; /* of flow_key: not 0, and no other's since the machine was started */
};

/**
 * netns_label - the namespace in the name of an interface, or of a pattern
 * @ret: "" = our own
 *
 * Return: 0, -ENAMETOOLONG.
 */
int netns_label(const char *iface, char ret[NETNS_LABEL_MAX]);

/**
 * netns_open - find one
 *
 * Return: 0 with *ret to be closed; -ENOENT; -ENOTUNIQ it is our own; -EPERM CAP_SYS_ADMIN is missing;
 *         -EINVAL it is something else.
 */
int netns_open(const char *label, struct netns *ret);
void netns_close(struct netns *ns);

/* Is it still to be found where it was? */
bool netns_is_there(const struct netns *ns);

/* Be in it, and be at home again. Return: 0 or -errno; netns_leave() ends the process when it can't. */
int netns_enter(const struct netns *ns);
void netns_leave(void);

#endif
