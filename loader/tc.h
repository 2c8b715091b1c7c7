/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tc.h - a program on one TC hook of an interface: by TCX link, which the kernel takes away with its last
 * descriptor, or, on kernels without TCX, by clsact filter, which stays until it is removed. Core only.
 */
#ifndef WEIR_LOADER_TC_H
#define WEIR_LOADER_TC_H

#include <stdbool.h>

/* Of our clsact filters: the flows' programs have the first priority, the mirror's come behind them. */
#define TC_FILTER_HANDLE   0x77656972u /* "weir" */
#define TC_FILTER_PRIORITY 49u
#define TC_MIRROR_PRIORITY 50u

struct tc_place {
	unsigned int ifindex;
	bool egress;
	bool first;	       /* TCX: before the programs that are there, else behind them */
	unsigned int priority; /* clsact */
};

/* How one program is held. */
struct tc_held {
	int link_fd; /* TCX; -1 otherwise */
	bool filter; /* clsact filter of ours */
};

/* Return: a link, or -errno: this kernel may have no TCX. */
int tc_link(const struct tc_place *at, int prog_fd);

/* The clsact qdisc stays when the filter goes: others may have put filters there since. 0 or -errno. */
int tc_filter_put(const struct tc_place *at, int prog_fd);

/* A filter of ours where there may be one. */
void tc_filter_remove(const struct tc_place *at);

/* By link, else by filter. 0 or -errno. */
int tc_hold(const struct tc_place *at, int prog_fd, struct tc_held *ret);

/* Takes the program off. Nothing held is fine. */
void tc_let_go(const struct tc_place *at, struct tc_held *held);

#endif
