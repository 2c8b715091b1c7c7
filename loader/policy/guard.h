/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - the guard-rails of this node, which no policy can weaken: what is never blocked, how broad
 * and how many automatic decisions may be, and when drops are too many. Each refusal says the name
 * of its guard. The privileged core's; one thread.
 */
#ifndef WEIR_LOADER_POLICY_GUARD_H
#define WEIR_LOADER_POLICY_GUARD_H

#include <net/if.h>
#include "common/policy.h"
#include "loader/export/sink.h"

#define GUARD_PREFIXES_MAX 256u
#define GUARD_NODE_MAX	   4096u /* addresses of this node */
#define GUARD_SESSIONS_MAX 64u

struct guard_prefix {
	uint8_t addr[16];
	uint8_t bits;
};

struct guard_prefixes {
	uint32_t n;
	struct guard_prefix v[GUARD_PREFIXES_MAX];
};

struct guard_cfg {
	struct guard_prefixes never; /* policy.never-block */
	struct guard_prefixes admin; /* policy.admin */
	bool admin_sessions;
	uint32_t rate;			/* new automatic decisions a minute; 0: any number */
	uint32_t breaker;		/* percent of the traffic that may be dropped; 0: off */
	struct guard_prefixes internal; /* policy.internal: no automatic decision may hit those */
};

/* Why something is never blocked. */
enum guard_why {
	GUARD_GATEWAY,
	GUARD_RESOLVER,
	GUARD_TARGET,
	GUARD_METADATA,
	GUARD_CONFIGURED,
	GUARD_ADMIN, /* the failsafe ports alone, as the next */
	GUARD_SESSION,
	_GUARD_MAX
};

/* "gateway", "resolver" ... */
extern const char *const guard_names[_GUARD_MAX];

/* Start zeroed. */
struct guard {
	const struct guard_cfg *cfg;
	const struct export_cfg *exports;
	unsigned int n_exports;
	uint32_t n_own;
	struct guard_prefix own[GUARD_NODE_MAX]; /* addresses of this node */
	struct policy_draft
		never;	    /* records of what is never blocked; rule number = enum guard_why + 1 */
	uint64_t window;    /* minute that `automatic` is of */
	uint32_t automatic; /* decisions in it */
	const struct policy *before; /* that takes the place of: what is in it is not new; or NULL */
	bool mirrors; /* all interfaces are targets of mirrors: nobody there can be answered */
};

/**
 * guard_read_node - addresses, gateways, resolvers, targets as they are now
 * @sessions: take down who has a session with a failsafe port now
 *
 * Return: true: something has changed.
 */
bool guard_read_node(struct guard *g, bool sessions);

void guard_done(struct guard *g);

/* A refusal. */
struct guard_error {
	const char *guard; /* its name */
	char text[240];
};

/**
 * guard_check - may these rules be?
 * @by_hand: every entry was meant; else a list that has some exempt ones is fine
 * @now:     seconds; for the rate
 *
 * Return: 0, or -EPERM with @reterr. Counts automatic decisions only when it returns 0.
 */
int guard_check(struct guard *g, const struct policy *p, bool by_hand, uint64_t now,
		struct guard_error *reterr);

/* What exempts an address: name of the guard, NULL: nothing. @ret_failsafe: on failsafe ports alone */
const char *guard_exempts(const struct guard *g, const uint8_t addr[16], unsigned int bits,
			  bool *ret_failsafe);

/* Broader than /24 (IPv6: /48): nothing that a machine may decide on. Pure. */
bool guard_too_broad(const uint8_t addr[16], unsigned int bits);

/* Does one prefix hold the other? Pure. */
bool guard_holds(const uint8_t addr[16], unsigned int bits, const uint8_t inner[16],
		 unsigned int inner_bits);

/* Ports that administrators always reach, see POLICY_FAILSAFE(). */
extern const uint32_t guard_failsafe[];
extern const unsigned int guard_failsafe_n;

/* ---- guard_node.c: netlink answers, pure ---- */

enum node_what { NODE_ADDRESS, NODE_GATEWAY };

typedef void node_fn(void *arg, enum node_what what, const uint8_t addr[16]);

/* Addresses and gateways of @len bytes of rtnetlink messages. Return: true: the dump has ended. */
bool node_parse(const void *buf, size_t len, node_fn *fn, void *arg);

/* Who has an established session with a local failsafe port, of sock_diag messages. As node_parse(). */
bool sessions_parse(const void *buf, size_t len, node_fn *fn, void *arg);

/* "nameserver ADDRESS" lines of resolv.conf. */
void resolvers_parse(const char *text, size_t len, node_fn *fn, void *arg);

#endif
