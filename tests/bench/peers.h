/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - the programs that weir is compared with: kernel hash maps in place of the flow cache
 * (peer.bpf.c), and xdp-filter of Debian's xdp-tools.
 */
#ifndef WEIR_BENCH_PEERS_H
#define WEIR_BENCH_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/bench/lab.h"
#include "tests/bench/peer.h"

struct peer_bpf;
struct filter_bpf;
struct bpf_object;

enum peer_kind { PEER_HASH = 0, PEER_LRU, PEER_PERCPU, _PEER_MAX };

extern const char *const peer_names[_PEER_MAX];

/**
 * peer_open - load the program over one kind of map, preallocated, with room for @entries
 * @tunnels: open tunnels, with the outer source in the key
 *
 * Return: 0 or -errno.
 */
int peer_open(const struct lab *l, enum peer_kind kind, uint32_t entries, bool tunnels,
	      struct peer_bpf **ret);
void peer_close(struct peer_bpf *p);

/* Sums over CPUs. Return: 0 or -errno. */
int peer_read_stats(const struct peer_bpf *p, struct peer_stats *ret);

struct filter {
	struct filter_bpf *front; /* calls the program */
	struct filter_bpf *empty; /* calls nothing much */
	struct bpf_object *obj;	  /* xdp-filter */
	int prog_fd;		  /* of xdp-filter itself */
};

/**
 * filter_open - load xdp-filter with all its features, and fill its tables with others' addresses
 * @deny: drop what is not listed, else pass it
 *
 * Return: 0, -ENOENT when it is not installed, or -errno; filter_close() in either case.
 */
int filter_open(bool deny, struct filter *ret);
void filter_close(struct filter *f);

#endif
