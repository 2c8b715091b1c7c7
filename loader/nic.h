/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nic.h - what an interface is and does to frames before a program sees them: driver, offloads,
 * VLAN devices on top. ethtool ioctls and sysfs, read-only.
 */
#ifndef WEIR_LOADER_NIC_H
#define WEIR_LOADER_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nic {
	char driver[32];
	unsigned int mtu;
	bool lro;
	bool rx_vlan_offload; /* tags are taken out of received frames */
	bool vlan_devices;    /* VLAN interfaces exist on top */
};

/**
 * nic_read - of an interface in the network namespace we are in
 * @elsewhere: that is not the one that sysfs shows
 *
 * Return: 0, or -errno when there is no such interface. What can't be read stays zero.
 */
int nic_read(const char *ifname, bool elsewhere, struct nic *ret);

/*
 * Does native XDP take segmentation offload from those who send there? A veth's peer has none then
 * (drivers/net/veth.c), and each of its frames is copied to make room before it.
 */
bool nic_costs_gso(const struct nic *nic);

/**
 * nic_xdp_sends - does what XDP sends by this device arrive anywhere?
 * @ifindex: in the network namespace we are in
 * @veth:    by redirection, as weir does on pairs; else by XDP_TX
 *
 * Return: 1, 0, or -errno where the kernel can't say (before 6.3, no such device).
 */
int nic_xdp_sends(uint32_t ifindex, bool veth);

/* An attribute of a generic netlink answer. Pure. False: it has none. */
bool nic_answer_get(const void *buf, size_t len, uint16_t type, uint64_t *ret);

/* One end of a pair, in the network namespace we are in. What isn't there is none. */
bool nic_is_veth(const char *ifname);

#endif
