// SPDX-License-Identifier: Apache-2.0
/*
 * nic_parse.c - attributes of a generic netlink answer (Documentation/userspace-api/netlink/intro.rst). Pure.
 */
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>

#include "loader/nic.h"

bool nic_answer_get(const void *buf, size_t len, uint16_t type, uint64_t *ret)
{
	const struct nlmsghdr *h = buf;
	const size_t head = NLMSG_LENGTH(GENL_HDRLEN);

	if (len < head || h->nlmsg_len > len || h->nlmsg_len < head || h->nlmsg_type == NLMSG_ERROR)
		return false;
	for (size_t at = head; at + NLA_HDRLEN <= h->nlmsg_len;) {
		const struct nlattr *a = (const void *)((const char *)buf + at);
		const size_t n = a->nla_len - (size_t)NLA_HDRLEN;

		if (a->nla_len < NLA_HDRLEN || at + a->nla_len > h->nlmsg_len)
			return false;
		if ((a->nla_type & NLA_TYPE_MASK) == type && n <= sizeof(*ret)) {
			*ret = 0;
			memcpy(ret, a + 1, n); /* little-endian hosts alone are supported */
			return true;
		}
		at += NLA_ALIGN(a->nla_len);
	}
	return false;
}
