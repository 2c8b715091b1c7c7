/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror_source.h - who sends mirrored packets here: a tunnel's source and network (VNI, GRE key, ERSPAN session),
 * which of the machines in its flows is the one that is mirrored, and which sources mirror one network.
 *
 * The mirrored machine is the end that has the tunnel's source address (AWS sends from it); else the one address
 * that nearly all flows of the source have. Of one network are sources that have shown the same connection; what
 * says so is the caller's to know. A source that there is no room for has number 0. One thread.
 */
#ifndef WEIR_LOADER_MIRROR_SOURCE_H
#define WEIR_LOADER_MIRROR_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include "weir/abi.h"

#define MIRROR_SOURCES_MAX 4096u

struct mirror_sources;

/* Return: 0, -ENOMEM, -EIO. */
int mirror_sources_new(struct mirror_sources **ret);
void mirror_sources_free(struct mirror_sources *s); /* NULL is fine */

/* A flow of the source in @key begins. Return: the source's number, or 0. */
uint32_t mirror_source_flow(struct mirror_sources *s, const struct flow_key *key);

/* How many there are. */
uint32_t mirror_sources_n(const struct mirror_sources *s);

/* Which end of the flow is the machine that is mirrored? @s: NULL: nothing is known of sources. Return: 0, 1, -1. */
int mirror_source_end(const struct mirror_sources *s, const struct flow_key *key);

/* Two sources are of one network, as others that are so with either. Numbers of sources, or 0: nothing happens. */
void mirror_sources_join(struct mirror_sources *s, uint32_t a, uint32_t b);
bool mirror_sources_joined(struct mirror_sources *s, uint32_t a, uint32_t b);

#endif
