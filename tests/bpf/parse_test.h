/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* parse_test.h - what parse_test.bpf.c tells test_parse_bpf.c. */
#ifndef WEIR_TESTS_PARSE_TEST_H
#define WEIR_TESTS_PARSE_TEST_H

#include "pkt.h"

struct parse_result {
	struct pkt pkt;
	struct l4 l4;
	__u32 reason;
	__u32 frame_len;
	int ret;
};

/* What a flow is found by, and what is accounted to it. */
struct parse_facts {
	struct l4 l4;
	__u32 dir;
	__u64 hash;
};

struct fast_result {
	struct parse_facts fast;
	struct parse_facts full;
	__u32 taken; /* by the fast parser */
	__u32 reason;
	__u32 note;
	__u32 pad;
};

#endif
