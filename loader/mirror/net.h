/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - what a mirror needs of the network: the private veth pair that clones go through, the way to a
 * target, and whether the neighbour there answers (rtnetlink, ethtool). In the network namespace of the
 * caller. Core only; each call waits for the kernel's answer, which comes at once.
 */
#ifndef WEIR_LOADER_MIRROR_NET_H
#define WEIR_LOADER_MIRROR_NET_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

/* Names of the pair; interfaces that begin so are never watched. */
#define MIRROR_PAIR	 "weir-mirror"
#define MIRROR_PAIR_NEAR MIRROR_PAIR "0"
#define MIRROR_PAIR_FAR	 MIRROR_PAIR "1"

/* Is an interface of that name one of a private pair? */
bool mirror_is_pair(const char *ifname);

/**
 * mirror_pair_make - both ends, up, without offloads, address or neighbours of their own
 * @ret: their indices, the near end first
 *
 * Return: 0 or -errno: -EEXIST, -EOPNOTSUPP: the kernel has no veth devices; nothing is left then.
 */
int mirror_pair_make(unsigned int ret[2]);

/* It may be that there is none. Return: 1 there was one, 0, -errno. */
int mirror_pair_remove(void);

struct mirror_way {
	unsigned int out; /* interface */
	unsigned int mtu; /* of IP packets that go that way */
	bool local;	  /* the target is this node */
	bool nh_v6;
	uint8_t src[16]; /* IPv4: mapped, as all here */
	uint8_t nh[16];	 /* neighbour: the gateway, or the target */
};

/* Which way packets to @dst go now. 0 or -errno: there is none. */
int mirror_way_to(const uint8_t dst[16], struct mirror_way *ret);

/* Does the neighbour answer? It is asked for again, so that the next call knows more. */
bool mirror_neighbour_is_there(const struct mirror_way *w);

/* Of an interface; 0: not known. */
unsigned int mirror_mtu(unsigned int ifindex);
uint64_t mirror_bits_per_second(unsigned int ifindex);

#endif
