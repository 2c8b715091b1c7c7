// SPDX-License-Identifier: Apache-2.0
#include "loader/links.h"

#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* The name among the attributes. True if there is one that fits. */
static bool find_name(const struct nlmsghdr *h, struct link_event *ret)
{
	const struct rtattr *a = IFLA_RTA((struct ifinfomsg *)NLMSG_DATA(h));
	int left = (int)IFLA_PAYLOAD(h);

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		size_t n = RTA_PAYLOAD(a);

		if (a->rta_type != IFLA_IFNAME || !n || n > sizeof(ret->name))
			continue;
		memcpy(ret->name, RTA_DATA(a), n);
		ret->name[n - 1] = '\0';
		return ret->name[0] != '\0';
	}
	return false;
}

static bool parse_one(const struct nlmsghdr *h, struct link_event *ret)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);

	*ret = (struct link_event){};
	if (h->nlmsg_type == NLMSG_DONE) {
		ret->what = LINK_DUMPED;
		return true;
	}
	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->ifi_index <= 0)
		return false;
	/* a port that leaves its bridge is told of in the same words; the interface stays */
	if (info->ifi_family != AF_UNSPEC)
		return false;
	ret->what = h->nlmsg_type == RTM_NEWLINK ? LINK_SEEN : LINK_GONE;
	ret->ifindex = (unsigned int)info->ifi_index;
	ret->type = info->ifi_type;
	ret->loopback = info->ifi_type == ARPHRD_LOOPBACK;
	return find_name(h, ret) || ret->what == LINK_GONE;
}

int links_parse(const void *buf, size_t len, size_t *pos, struct link_event *ret)
{
	while (*pos + sizeof(struct nlmsghdr) <= len) {
		const struct nlmsghdr *h =
			(const struct nlmsghdr *)(const void *)((const char *)buf + *pos);

		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > len - *pos)
			break;
		*pos += NLMSG_ALIGN(h->nlmsg_len);
		if (parse_one(h, ret))
			return 1;
	}
	*pos = len;
	return 0;
}
