/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nic.h - what an interface is and does to frames before a program sees them: driver, offloads,
 * VLAN devices on top. ethtool ioctls and sysfs, read-only.
 */
#ifndef WEIR_LOADER_NIC_H
#define WEIR_LOADER_NIC_H

#include <net/if.h>
#include <stdbool.h>

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

/* One end of a pair, in the network namespace we are in. What isn't there is none. */
bool nic_is_veth(const char *ifname);

#endif
