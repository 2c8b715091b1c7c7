/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - the mirror in the kernel: its programs, their tables, the private pair, and the interfaces that
 * they are on. All of it is made for the first session and goes with the last: without one nothing of it is on
 * any packet's way. Core only; one thread.
 */
#ifndef WEIR_LOADER_MIRROR_KERNEL_H
#define WEIR_LOADER_MIRROR_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include "loader/dataplane.h"
#include "loader/mirror/net.h"
#include "loader/tc.h"
#include "weir/mirror.h"

struct mirror_bpf;

/* An interface that is mirrored. */
struct mirror_seat {
	unsigned int ifindex;
	struct tc_held held[2]; /* ingress, egress */
};

struct mirror_kernel {
	const struct dataplane *dp; /* whose counters the programs count in */
	struct mirror_bpf *skel;    /* NULL: nothing is there */
	struct mirror_table *table; /* mapped, as those below */
	struct policy_version *rules;
	struct mirror_count *counts; /* written only while no session has the element */
	int cpus;
	unsigned int pair[2];
	struct tc_held end[2]; /* near, far */
	struct mirror_seat *seat;
	unsigned int seats;
	int lock; /* one weir mirrors in a network namespace at a time; -1: we don't */
	char error[200];
};

/* Start. What an earlier weir left goes, unless another one is at it. */
void mirror_kernel_init(struct mirror_kernel *k, const struct dataplane *dp);

/**
 * mirror_kernel_open - programs and pair are there from now on
 *
 * Return: 0 or -errno with k->error. Called again, it does nothing.
 */
int mirror_kernel_open(struct mirror_kernel *k);

/* Off all interfaces, and the pair goes. */
void mirror_kernel_close(struct mirror_kernel *k);

/* The interfaces that are mirrored are these from now on. Return: 0 or the first -errno, with k->error. */
int mirror_kernel_seats(struct mirror_kernel *k, const unsigned int *ifindex, unsigned int n);

/* The element begins with @s and its entries, and counts from 0; mirror_kernel_order() has it asked. */
void mirror_kernel_put(struct mirror_kernel *k, unsigned int element,
		       const struct mirror_session *s, const struct policy_rule *rules);

/* Nobody is sent anything for it any more, and nothing is on its way. */
void mirror_kernel_end(struct mirror_kernel *k, unsigned int element);

/* Elements in the order in which they are asked. */
void mirror_kernel_order(struct mirror_kernel *k, const unsigned int *element, unsigned int n);

/* Of all CPUs. */
void mirror_kernel_count(const struct mirror_kernel *k, unsigned int element,
			 struct mirror_count *ret);

/**
 * mirror_sweep - take away what a weir that was killed has left here: the pair, filters of TC
 *
 * Return: how many things, 0; -EBUSY: a weir is at it.
 */
int mirror_sweep(void);

#endif
