/* SPDX-License-Identifier: Apache-2.0 */
/* l7_given.h - what test_l7 tells l7_test.bpf.c of the packet to come. */
#ifndef WEIR_TESTS_L7_GIVEN_H
#define WEIR_TESTS_L7_GIVEN_H

#include "pkt.h"

struct l7_given {
	struct l4 l4;
	__u32 slot;
	__u32 dir;
	__u32 now;
	__u32 pad;
	__u64 hash;
};

#endif
