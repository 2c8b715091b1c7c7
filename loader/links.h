/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links.h - which network interfaces there are, come and go: rtnetlink(7) link messages, read
 * without blocking. links_parse() is pure. Knows nothing of who wants which interface. One thread.
 */
#ifndef WEIR_LOADER_LINKS_H
#define WEIR_LOADER_LINKS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum link_what {
	LINK_SEEN = 1, /* it is there, under this name */
	LINK_GONE = 2,
	LINK_DUMPED = 3 /* the answer to links_ask() is complete */
};

struct link_event {
	enum link_what what;
	unsigned int ifindex;
	uint16_t type; /* ARPHRD_x */
	bool loopback;
	char name[IF_NAMESIZE];
};

/**
 * links_parse - next event in a buffer of netlink messages
 * @len: bytes in @buf
 * @pos: where to go on; starts at 0, moved on here
 *
 * Messages of other kinds, and those cut short, are passed over.
 * Return: 1 with *ret filled, 0 at the end.
 */
int links_parse(const void *buf, size_t len, size_t *pos, struct link_event *ret);

/* A socket that hears of links, in the namespace of the caller. Return: descriptor or -errno. */
int links_open(void);

/* Ask for all links there are now; the answers come through links_read(). 0 or -errno. */
int links_ask(int fd);

/**
 * links_read - what has come since, each event to @fn
 *
 * Return: 0, -ENOBUFS when events were missed (ask again), or another -errno.
 */
int links_read(int fd, void (*fn)(void *arg, const struct link_event *e), void *arg);

#endif
