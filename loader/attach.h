/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.h - puts the programs on an interface and takes them off again. XDP links and TCX links
 * are held by file descriptor: the kernel detaches them when the process ends, however it ends;
 * clsact filters (kernels without TCX) are removed by attach_done(). Privileged core only.
 */
#ifndef WEIR_LOADER_ATTACH_H
#define WEIR_LOADER_ATTACH_H

#include <net/if.h>
#include <stdbool.h>
#include "loader/dataplane.h"
#include "loader/netns.h"
#include "loader/tc.h"

enum hook_mode { HOOK_AUTO = 0, HOOK_MODE_XDP = 1, HOOK_MODE_TC = 2, HOOK_MODE_GENERIC = 3 };

struct attachment {
	char ifname[IF_NAMESIZE];
	char label[IFACE_NAME_MAX]; /* what it is called: with its network namespace */
	unsigned int ifindex;
	uint16_t type;	/* ARPHRD_x */
	uint32_t round; /* of the caller: when it was last heard of */
	struct dataplane_variant v;
	enum hook_mode hook;  /* what was asked for */
	bool xdp;	      /* ingress by XDP; else TC ingress */
	int xdp_fd;	      /* link, -1 = none */
	struct tc_held tc[2]; /* ingress, egress */
	bool tcx;
	bool taken_over;       /* from an earlier weir */
	const struct pin *pin; /* its programs stay when we end; NULL: they go */
	int lock_fd;	       /* says that the interface is ours, -1 = none */
	char why[160];	       /* why ingress is where it is */
	char error[256];       /* after a failure: what, and what to do */
};

/**
 * attach_interface - ingress and egress of one interface
 * @a:    ifname, label, ifindex, type and v set by the caller, the rest filled here; v is loaded, and we
 *        are in its network namespace
 * @mode: what the user asked for
 *
 * Return: 0, or -errno with a->error set; nothing stays attached then. -EOPNOTSUPP: frames there have
 *         no Ethernet header.
 */
int attach_interface(struct attachment *a, struct dataplane *dp, enum hook_mode mode);

/* Takes the programs off, pinned or not, and attach_done(). */
void attach_drop(struct attachment *a);

/* Lets go: takes the programs off that are not pinned; after attach_interface() only, also when that failed. */
void attach_done(struct attachment *a);

/* Is that program a weir's, whoever holds it? Takes CAP_SYS_ADMIN; false without. */
bool attach_is_ours(uint32_t prog_id);

#endif
