/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - the sessions of this node's mirror, within the core's loop: asked for and ended by command
 * (policy/wire.h, the socket of policies), by time, and followed as routes, neighbours and interfaces change.
 * Core only; one thread.
 */
#ifndef WEIR_LOADER_MIRROR_HOST_H
#define WEIR_LOADER_MIRROR_HOST_H

#include "loader/export/sink.h"
#include "loader/iface_table.h"
#include "loader/mirror/asks.h"
#include "loader/mirror/kernel.h"
#include "loader/mirror/want.h"
#include "loader/policy/enforce.h"

struct mirror_live {
	struct mirror_want want;
	struct mirror_session s;    /* as the kernel has it, but for `full` */
	struct mirror_way way;	    /* out 0: none */
	struct mirror_count before; /* of what it has taken the place of */
	uint64_t until_ms; /* CLOCK_MONOTONIC; UINT64_MAX: as long as the configuration has it */
	uint64_t link_bps; /* that the budget is a share of; 0: not known */
	uint32_t ifaces;   /* mirrored now */
	uid_t uid;
	enum mirror_from from;
	bool used;
};

struct mirror_host {
	struct mirror_kernel kernel;
	struct mirror_live live[MIRROR_SESSIONS]; /* by element */
	struct dataplane *dp;
	const struct iface_table *ifaces;
	const struct enforce_cfg *cfg;
	const struct export_cfg *exports; /* whose packets are never mirrored */
	unsigned int n_exports;
	struct mirror_images conf; /* sessions of the configuration */
	uint32_t said;		   /* bits: why one of them has not begun has been said */
	struct mirror_asks asks;   /* of rules */
};

struct mirror_host_start {
	struct dataplane *dp;
	const struct iface_table *ifaces;
	struct mirror_rule_counts *asked; /* shared */
	const struct enforce_cfg *cfg;
	const struct export_cfg *exports;
	unsigned int n_exports;
};

/* What an earlier weir left in the kernel goes. */
void mirror_host_start(struct mirror_host *h, const struct mirror_host_start *start);

/**
 * mirror_host_configure - the configuration has these sessions from now on
 * @now: copied
 *
 * Those that it had and are the same go on; one that is another now takes the place of that by one store, and its
 * counts go on; others end. New ones begin with the next tick, and are tried again with each until they can.
 */
void mirror_host_configure(struct mirror_host *h, const struct mirror_images *now);

/* All sessions end. Never started is fine. */
void mirror_host_stop(struct mirror_host *h);

/* Do what is asked for: ASK_MIRROR_x. */
void mirror_host_answer(struct mirror_host *h, const struct policy_request *q,
			const struct enforce_peer *peer, const struct enforce_image *image,
			struct policy_answer *ret);

/* What time brings, and what has changed of links, routes and neighbours. About once a second. */
void mirror_host_tick(struct mirror_host *h);

#endif
