/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - policies within the core's loop: the tables of the dataplane, the socket of the commands, the
 * names that the worker finds, netlink's news about the node, and a tick a second. One thread.
 */
#ifndef WEIR_LOADER_POLICY_HOST_H
#define WEIR_LOADER_POLICY_HOST_H

#include "loader/policy/serve.h"

#define POLICY_HOST_FDS (2 + SERVE_FDS)

struct dataplane;
struct iface_table;
struct settings;

struct mirror_host;
struct recorder;

struct policy_host {
	struct enforce *e;	    /* NULL: this kernel or object has no tables */
	struct mirror_host *mirror; /* asked on the same socket, and told of the same changes */
	struct serve serve;
	struct dataplane *dp;
	struct iface_table
		*table; /* shared with the worker: its progress, and what names are wanted */
	uint64_t progress;
	uint64_t progress_ms; /* when it last grew */
	int names;	      /* from the worker; -1: none */
	int node;	      /* rtnetlink; -1: none */
	uint64_t tick_ms;     /* the last */
};

struct policy_host_start {
	const struct enforce_cfg *cfg;
	const struct export_cfg *exports;
	unsigned int n_exports;
	struct dataplane *dp;
	struct iface_table *table;
	struct mirror_host *mirror; /* started */
	struct recorder *recorder;  /* may start later */
};

/**
 * policy_host_start - map the tables, bring back what was kept
 *
 * Before programs are put in place of others: what was blocked stays blocked. Return: 0 or -errno.
 */
int policy_host_start(struct policy_host *h, const struct policy_host_start *start);

/* Listen: to commands, to the node's news and, on @names, to the worker. */
void policy_host_open(struct policy_host *h, const struct control_cfg *control, int names);

/* Instead of policy_host_work() as long as there is no worker: what is enforced goes on. */
void policy_host_wait(struct policy_host *h);

/* What does not go on after us is said. Nothing to do is fine. */
void policy_host_stop(struct policy_host *h);

/* @p: POLICY_HOST_FDS of them. */
void policy_host_poll(const struct policy_host *h, struct pollfd *p);

/* What @p says, and what time brings. Often. */
void policy_host_work(struct policy_host *h, const struct pollfd *p);

/* Milliseconds until policy_host_work() has something to do by itself; -1: nothing. */
int policy_host_ms(const struct policy_host *h);

/* Fill in from the settings; what is wrong is said on standard error. Return: 0 or -EINVAL. */
int policy_host_cfg(const struct settings *s, struct enforce_cfg *ret);

#endif
