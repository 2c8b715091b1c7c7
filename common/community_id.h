/* SPDX-License-Identifier: Apache-2.0 */
/*
 * community_id.h - the Community ID of a flow, version 1, seed 0: the text by which records of
 * different tools about the same flow are joined. SHA-1 is what the format prescribes; nothing
 * here is a secret.
 */
#ifndef WEIR_COMMON_COMMUNITY_ID_H
#define WEIR_COMMON_COMMUNITY_ID_H

#include <stddef.h>
#include "common/flow.h"

#define COMMUNITY_ID_TEXT 31u /* "1:", 28 letters, and a 0 */

#define COMMUNITY_TUPLE 40u /* octets of what it is a hash of: seed, addresses, protocol, ports */

struct community;

/**
 * community_new - get the digest ready; loads libcrypto's, so call it before system calls are
 * given up
 *
 * Return: 0, -ENOMEM, or -EIO: libcrypto has no SHA-1.
 */
int community_new(struct community **ret);
void community_free(struct community *c);

/**
 * community_id - the ID of a record's flow
 * @buf: COMMUNITY_ID_TEXT bytes; terminated
 *
 * Return: 0; -ENOENT: not IP, there is none; -EIO: libcrypto failed.
 * Thread: one at a time per @c.
 * Source: Community ID Flow Hashing, version 1.
 */
int community_id(struct community *c, const struct flow_record *r, char *buf);

/**
 * community_tuple - what the ID is the hash of, the same for both directions
 * @to: COMMUNITY_TUPLE octets
 *
 * Two flows with the same octets are two with the same ID: to be joined they need no hash.
 * Return: how many octets there are. Any thread.
 */
size_t community_tuple(const struct flow_record *r, uint8_t *to);

#endif
