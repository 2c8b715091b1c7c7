/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox.h - a flow record with its strings and lists in one piece of memory, without pointers, so
 * that another process can read it. Pure.
 */
#ifndef WEIR_LOADER_OUTBOX_H
#define WEIR_LOADER_OUTBOX_H

#include <stddef.h>
#include <stdint.h>
#include "common/flow.h"

#define OUTBOX_STRS_MAX 256u

/* A packed record unfolded: valid as long as the bytes it came from. */
struct outbox_record {
	struct flow_record r;
	struct flow_str strs[OUTBOX_STRS_MAX]; /* of all its lists of strings */
	struct flow_query queries[FLOW_QUERIES_MAX];
};

/* Bytes that outbox_pack() will write; a multiple of 8. */
size_t outbox_size(const struct flow_record *r);

/* Pack into @p, which has room for outbox_size(). */
void outbox_pack(const struct flow_record *r, uint8_t *p);

/* Unfold @len bytes. 0, or -EBADMSG: it is not what outbox_pack() writes. */
int outbox_unpack(const uint8_t *p, size_t len, struct outbox_record *ret);

#endif
