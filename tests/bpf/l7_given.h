/* SPDX-License-Identifier: Apache-2.0 */
/* l7_given.h - what test_l7 tells l7_test.bpf.c of the packet to come. */
#ifndef WEIR_TESTS_L7_GIVEN_H
#define WEIR_TESTS_L7_GIVEN_H

#include "pkt.h"

#define L7_TEST_STEP 2000u /* ticks between flows, when timing; more than cfg_l7_hold */

struct l7_given {
	struct l4 l4;
	__u32 slot;
	__u32 dir;
	__u32 now;
	__u32 split; /* timing: each run is of a flow of its own; 0 = no, 1 = the packet whole, else two
			 * runs a flow, the packet cut there */
	__u64 hash;
	__u64 runs;
};

#endif
