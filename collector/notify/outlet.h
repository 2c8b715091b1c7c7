/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outlet.h - events on their way out: a batch is told by one connection, one request or one mail, and what the
 * other side says decides whether it counts as told. Nothing is kept between batches. Any thread; waits for the
 * network, the channel's timeout at most, and ends soon when it shall stop. Names are looked up by libcurl's
 * own thread, but for syslog://.
 */
#ifndef WEIR_COLLECTOR_NOTIFY_OUTLET_H
#define WEIR_COLLECTOR_NOTIFY_OUTLET_H

#include "collector/notify/notice.h"

#define OUTLET_SAID 240u

struct outlet {
	const struct channel_cfg *cfg;
	const struct notice_from *from;
	const bool *stop; /* atomic */
	char *said;	  /* OUTLET_SAID bytes: what the other side said, or what went wrong */
	uint32_t wait_s;  /* set: how long the other side wants to be left alone */
};

/**
 * outlet_tell - tell a batch
 * @v: @n of them, n > 0
 *
 * Return: 0: all of it was taken;
 *	   -EBADMSG: the other side does not want it, now or later;
 *	   -errno: not told, or nobody knows: to be told again.
 */
int outlet_tell(struct outlet *o, const struct notice *v, uint32_t n);

#endif
