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

#endif
