/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enforce.h - the policies that hold on this node: whose they are, what they replaced, until when they
 * wait for a confirmation, what is remembered over restarts; and the lease on which the kernel enforces
 * them. Takes checked or unchecked images (it checks) and answers in words. The privileged core's;
 * one thread.
 */
#ifndef WEIR_LOADER_POLICY_ENFORCE_H
#define WEIR_LOADER_POLICY_ENFORCE_H

#include <sys/types.h>
#include "loader/policy/agent_board.h"
#include "loader/policy/board.h"
#include "loader/policy/guard.h"
#include "loader/policy/table.h"
#include "loader/policy/wire.h"

#define ENFORCE_KEYS_MAX 16u
#define ENFORCE_KEY_DIRS 4u
#define ENFORCE_KEY_PATH 192u

struct enforce_cfg {
	struct guard_cfg guard;
	uint8_t keys[ENFORCE_KEYS_MAX * POLICY_KEY];
	unsigned int n_keys;
	char key_dirs[ENFORCE_KEY_DIRS][ENFORCE_KEY_PATH]; /* where others may come later */
	unsigned int n_key_dirs;
	char group[64];	 /* whose members may change policies; "": root and weir's own user alone */
	char state[192]; /* directory; "": nothing is remembered */
	bool keep;	 /* policies too, not generations alone (--pin) */
	uint32_t lease_s;
	uint64_t expires_max_s;
	bool block_quic;
};

/* Keys that are in its directories now, behind those it has. Said in the log where one is none. */
void enforce_read_keys(struct enforce_cfg *cfg);

struct enforce;

struct enforce_start {
	const struct enforce_cfg *cfg; /* must stay */
	struct policy_fds fds;
	struct policy_titles *titles; /* names of rules, for the worker; or NULL */
	struct recorder *recorder;    /* for captures; must stay; or NULL */
	struct mirror_host *mirror;   /* started; must stay; or NULL */
	struct agent_board *agents;   /* rules that the worker holds flows against; or NULL */
	struct policy_time now;
	const struct export_cfg *exports; /* whose targets are never blocked; must stay */
	unsigned int n_exports;
};

/**
 * enforce_new - map the tables, and bring back what an earlier process left
 *
 * Return: 0, -ENOMEM, -errno.
 */
int enforce_new(const struct enforce_start *start, struct enforce **ret);

/* The process is about to end: rules that the next one will not know are said. */
void enforce_leave(const struct enforce *e);

/* Not kept: nothing is enforced any more. NULL is fine. */
void enforce_free(struct enforce *e);

/* Who asks. */
struct enforce_peer {
	uid_t uid;
	bool may_change;
};

/* Sealed memory that came along, aligned; NULL: none. */
struct enforce_image {
	const void *at;
	size_t len;
};

struct policy_answer {
	struct policy_reply reply;
	struct policy_shown *shown;	/* reply.n of them, to be freed; or NULL */
	struct policy_decided *decided; /* the same */
	struct mirror_shown *mirrors;	/* the same */
	struct policy_hit *hits;	/* the same */
};

/* Do what is asked for. */
void enforce_answer(struct enforce *e, const struct policy_request *q,
		    const struct enforce_peer *peer, const struct enforce_image *image,
		    struct policy_answer *ret);

/* Since the programs began. */
struct enforce_traffic {
	uint64_t frames;  /* that entered them */
	uint64_t dropped; /* packets */
	uint64_t dropped_bytes;
};

/**
 * enforce_tick - what time brings: lease, expiry, confirmations, breaker, a clock that was set
 * @alive: the worker goes on; without it the lease is not renewed
 *
 *
 * Call it about once a second. Return: true: the breaker has acted.
 */
bool enforce_tick(struct enforce *e, const struct policy_time *now, bool alive,
		  const struct enforce_traffic *traffic);

/* What there is, for others to see. */
void enforce_state(const struct enforce *e, struct policy_state *ret);

/* Addresses, routes or links have changed. */
void enforce_node_changed(struct enforce *e);

/* Have all interfaces the role mirror? */
void enforce_mirrors(struct enforce *e, bool all);

/* Who knows the interfaces on which XDP can send no reset, "va, vb". Asked with rules that reset, which say so. */
typedef void enforce_mute_fn(const void *arg, char *names, size_t size);
void enforce_mute(struct enforce *e, enforce_mute_fn *fn, const void *arg);

/* A name that userspace found, of the flow with these ends. Host order ports. */
struct enforce_name {
	uint8_t addr[2][16]; /* the client first */
	uint16_t port[2];
	uint8_t proto;
	uint8_t kind; /* enum policy_name_kind */
	uint16_t length;
	uint8_t name[POLICY_NAME_MAX];
};

/**
 * enforce_named - drop a flow if a rule by name says so
 *
 * The rule is looked up here: nobody else says which one it is. Return: 1 a decision was made or is
 * there, 0: no rule, -EINVAL: no such thing, -errno.
 */
int enforce_named(struct enforce *e, const struct enforce_name *n);

/**
 * enforce_hit - the worker has found a flow that an agent's rule picks
 *
 * The rule is looked up here, and the guard-rails are asked; then its source is an entry of it, for the rule's
 * time. Return: 1: it is, 0: it was already, is exempt, or the rule is gone; -EPERM: a guard-rail is in the way;
 * -ENOSPC: no room; -errno.
 */
int enforce_hit(struct enforce *e, const struct agent_hit *h);

/* Are there rules by name? 0: none; else another number each time they change. */
uint64_t enforce_wants_names(const struct enforce *e);

#endif
