/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.h - the frames that benchmark programs are fed, each with the generator settings (gen.h) that
 * make flows of it. No thread owns anything here.
 */
#ifndef WEIR_BENCH_FRAMES_H
#define WEIR_BENCH_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include "tests/bench/gen.h"

#define FRAME_MAX 3712u /* a TC test run takes no more */

enum frame_kind {
	FRAME_TCP = 0,	/* pure ACK in 64 bytes */
	FRAME_UDP,	/* 64 bytes */
	FRAME_UDP_LONG, /* 1000 bytes */
	FRAME_IP6,	/* TCP over IPv6, pure ACK */
	FRAME_VXLAN,	/* the TCP frame inside VXLAN */
	FRAME_SYN,	/* 64 bytes; for new flows */
	FRAME_HELLO,	/* connections of two packets: SYN, ClientHello of 517 bytes */
	FRAME_HELLO_PQ, /* of three: SYN, ClientHello of 1,734 bytes in two segments */
	_FRAME_MAX
};

struct frame {
	uint8_t data[FRAME_MAX];
	size_t len;
	struct gen gen; /* all but order, mask and state */
};

/* Fill @f. Cannot fail. */
void frame_build(struct frame *f, enum frame_kind kind);

#endif
