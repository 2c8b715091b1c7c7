// SPDX-License-Identifier: Apache-2.0
#include "raw.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

int raw_open(const char *ifname, bool bypass)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(ifname)};
	int one = 1, fd, r = 0;

	if (!ll.sll_ifindex)
		return -ENODEV;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: receives nothing */
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		r = -errno;
	else if (bypass && setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		r = -errno;
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int raw_scan_mac(const char *s, uint8_t ret[static 6])
{
	for (int i = 0; i < 6; i++, s += 3) {
		int high = hex_digit(s[0]), low = high < 0 ? -1 : hex_digit(s[1]);

		if (low < 0 || s[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		ret[i] = high << 4 | low;
	}
	return 0;
}
