/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - what the commands that show and change policies say to the core: one struct policy_request
 * and one struct policy_reply on a SOCK_SEQPACKET connection, again and again. Policies and lists come
 * along as sealed memory (memfd), so that the core reads no stream and parses no text. Both sides are
 * the same program; another version is refused.
 */
#ifndef WEIR_LOADER_POLICY_WIRE_H
#define WEIR_LOADER_POLICY_WIRE_H

#include <stdint.h>
#include "weir/policy.h"

#define POLICY_WIRE_VERSION  6u
#define POLICY_SOCKET_SUFFIX ".policy" /* behind the path of the control socket */

enum policy_ask {
	ASK_SHOW = 1,	/* every rule; the first two need no more than the socket's permission */
	ASK_WHY = 2,	/* rules that speak of an address, name or flow */
	ASK_APPLY = 3,	/* all that the image's issuer wants */
	ASK_ADD = 4,	/* the image's rules beside those that local has */
	ASK_REMOVE = 5, /* local's rules with this id, whatever their action */
	ASK_FLUSH = 6,	/* all rules of an issuer, or of all */
	ASK_PANIC = 7,
	ASK_RESUME = 8, /* the end of panic, and of the breaker's shadow */
	ASK_ROLLBACK = 9,
	ASK_CONFIRM = 10,     /* of an issuer, or all that waits */
	ASK_HELD = 11,	      /* what holds of an issuer; needs no more than the first two */
	ASK_DECIDED = 12,     /* what the agent has decided by an issuer's rules; as HELD */
	ASK_MIRROR_SHOW = 13, /* struct mirror_shown of each session; as HELD */
	ASK_MIRROR_ADD = 14,  /* the session that comes along */
	ASK_MIRROR_END = 15,  /* that of a number, or all */
	ASK_HITS = 16,	      /* what entries of an issuer have hit; as HELD */
	_ASK_MAX
};

enum policy_request_flag { REQUEST_DRY = 1 };

/* Why what holds of an issuer is what it is. */
enum policy_held {
	HELD_AS_APPLIED = 0,
	HELD_UNCONFIRMED = 1, /* rolled back: nobody confirmed */
	HELD_BY_HAND = 2,     /* flushed or rolled back by somebody here */
};

enum why_what { WHY_ADDR = 1, WHY_NAME = 2, WHY_FLOW = 3 };

struct policy_request {
	uint32_t version;
	uint32_t ask;	    /* enum policy_ask */
	uint32_t flags;	    /* enum policy_request_flag */
	uint32_t confirm_s; /* APPLY, ADD: rolled back after so long without ASK_CONFIRM; 0: never */
	uint64_t after; /* DECIDED: those since then, policy_decided.made_us; HITS: policy_reply.clock */
	/* FLUSH, ROLLBACK, CONFIRM, HELD, DECIDED, HITS; empty: all, the last one, all, -, -, - */
	uint8_t issuer[32];
	uint8_t id[16];	     /* REMOVE */
	uint8_t what;	     /* WHY: enum why_what */
	uint8_t proto;	     /* FLOW */
	uint16_t length;     /* NAME */
	uint16_t port[2];    /* FLOW; host order */
	uint8_t addr[2][16]; /* ADDR: the first, bits[0] of it; FLOW: both */
	uint8_t bits;
	uint8_t pad[3];
	uint32_t number; /* MIRROR_END: of the session, 0: all */
	uint8_t name[POLICY_NAME_MAX];
};

struct policy_reply {
	uint32_t version;
	int32_t r;	     /* 0 or -errno */
	char guard[32];	     /* the guard-rail that refused, or "" */
	char text[464];	     /* why it was refused, or what else is to be known */
	uint32_t generation; /* of the tables */
	uint32_t rules, rules_max;
	uint32_t decisions, decisions_max;
	uint32_t added,
		removed; /* decisions, or rules without; mirrors: number of the new one, how many */
	uint32_t n; /* policy_shown, policy_decided, mirror_shown, policy_hit in the memory that comes along */
	uint8_t stopped; /* panic */
	uint8_t breaker; /* all in shadow */
	uint8_t confirm; /* waits for a confirmation */
	uint8_t lease;	 /* 1: held */
	uint32_t lease_s;
	uint64_t took_ns; /* in the core, from the request to the last store */
	uint64_t dropped; /* packets, all rules */
	uint64_t dropped_bytes;
	/* HELD */
	uint64_t held;	  /* generation; 0: nothing */
	uint64_t highest; /* that has ever come */
	uint32_t held_rules, held_entries;
	uint64_t decided_us; /* policy_decided.made_us of the last one; 0: none */
	uint8_t hash[32];    /* SHA-256 of the image; zero where it was not signed */
	uint8_t why;	     /* enum policy_held */
	uint8_t pad[3];
	uint32_t clock; /* HITS: policy clock of the answer */
};

/* A rule with what became of it. */
struct policy_shown {
	struct policy_rule rule;
	uint8_t issuer[32];
	uint64_t issuer_generation;
	uint32_t entries;
	uint32_t type; /* enum policy_type of entry; 0: there is none */
	union {
		struct policy_addr addr;
		struct policy_addr_port addr_port;
		struct policy_flow flow;
		struct policy_name name;
	} entry; /* the first, or the one that was asked about */
#define COUNTED(member, metric, help) uint64_t member;
#include "weir/policy_counts.def"
#undef COUNTED
	uint64_t last; /* seconds since 1970; 0: never */
	uint64_t entry_packets, entry_bytes, entry_flows, entry_last;
	uint64_t expires; /* seconds from now; UINT64_MAX: never */
	uint32_t counted; /* 0: the tables don't have the rule (full, or expired) */
	uint32_t pad;
};

/* What the agent decided by itself. */
struct policy_decided {
	uint64_t made_us; /* since 1970; grows, whatever becomes of the clock */
	uint64_t took_ns; /* from the flow's evaluation to the entry that the kernel acts on */
	uint32_t ttl_s;
	uint8_t id[16];	  /* of the rule */
	uint8_t name[64]; /* its name */
	uint8_t addr[16];
	uint8_t to[16]; /* what it talked to */
	uint16_t port;
	uint8_t proto;
	uint8_t shadow;
};

/* What an entry of the kernel's tables has hit since it came. */
struct policy_hit {
	uint8_t id[16]; /* of the issuer's rule */
	uint8_t addr[16];
	uint64_t entry; /* which of those that the address has had under this rule; never 0 */
	uint64_t packets, bytes;
	uint64_t last_us; /* since 1970 */
	uint32_t flows;
	uint32_t at; /* policy clock: when it was looked at, or had gone */
};

_Static_assert(sizeof(struct policy_request) == 376, "one message");
_Static_assert(sizeof(struct policy_decided) % 8 == 0, "an array");
_Static_assert(sizeof(struct policy_shown) % 8 == 0, "an array");
_Static_assert(sizeof(struct policy_hit) == 72, "an array");

#endif
