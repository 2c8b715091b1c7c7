// SPDX-License-Identifier: Apache-2.0
#include "loader/nic.h"

#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ethtool(int fd, const char *ifname, void *cmd)
{
	struct ifreq ifr = {.ifr_data = cmd};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	return ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
}

/* sysfs shows the devices on top of an interface as upper_NAME; VLAN ones have a vlan entry. */
static bool has_vlan_devices(const char *ifname)
{
	char path[300];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/class/net/%s", ifname);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		if (strncmp(e->d_name, "upper_", 6))
			continue;
		snprintf(path, sizeof(path), "/proc/net/vlan/%s", e->d_name + 6);
		found = access(path, F_OK) == 0;
	}
	closedir(d);
	return found;
}

/* In a network namespace that sysfs does not show: the kernel's own list, "eth0.5 | 5 | eth0". Where that
 * can't be read there may be some.
 */
static bool has_vlan_devices_elsewhere(const char *ifname)
{
	FILE *f = fopen("/proc/net/vlan/config", "re");
	char line[256];
	bool found = !f && errno != ENOENT;

	while (f && !found && fgets(line, sizeof(line), f)) {
		const char *bar = strrchr(line, '|');

		line[strcspn(line, "\n")] = '\0';
		found = bar && !strcmp(bar + 1 + strspn(bar + 1, " "), ifname);
	}
	if (f)
		fclose(f);
	return found;
}

int nic_read(const char *ifname, bool elsewhere, struct nic *ret)
{
	struct ethtool_drvinfo drv = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq ifr = {};
	int fd, r = 0;

	*ret = (struct nic){};
	if (!if_nametoindex(ifname))
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFMTU, &ifr))
		r = -errno;
	else
		ret->mtu = ifr.ifr_mtu;
	if (!ethtool(fd, ifname, &drv))
		snprintf(ret->driver, sizeof(ret->driver), "%.31s", drv.driver);
	if (!ethtool(fd, ifname, &flags)) {
		ret->lro = flags.data & ETH_FLAG_LRO;
		ret->rx_vlan_offload = flags.data & ETH_FLAG_RXVLAN;
	}
	ret->vlan_devices = elsewhere ? has_vlan_devices_elsewhere(ifname)
				      : has_vlan_devices(ifname);
	close(fd);
	return r;
}

bool nic_costs_gso(const struct nic *nic)
{
	return !strcmp(nic->driver, "veth");
}

bool nic_is_veth(const char *ifname)
{
	struct ethtool_drvinfo drv = {.cmd = ETHTOOL_GDRVINFO};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return false;
	r = ethtool(fd, ifname, &drv);
	close(fd);
	return !r && !strncmp(drv.driver, "veth", sizeof(drv.driver));
}
