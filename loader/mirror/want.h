/* SPDX-License-Identifier: Apache-2.0 */
/*
 * want.h - a mirror session as it is asked for: made of words by the command, sent to the core as records of
 * fixed size (a struct mirror_want and its entries), and checked there field by field. Pure; any thread.
 */
#ifndef WEIR_LOADER_MIRROR_WANT_H
#define WEIR_LOADER_MIRROR_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "common/filter.h"
#include "common/policy.h"
#include "weir/mirror.h"

#define MIRROR_NUMBER_MAX 32766u /* as cloud users know it */
#define MIRROR_VNI_MAX	  0xffffffu
#define MIRROR_ID_MAX	  1023u /* ERSPAN */
#define MIRROR_FILTER_MAX 192u
#define MIRROR_SAMPLE_MAX (1u << 20)

struct mirror_want {
	uint32_t number;     /* its priority, the lowest first; 0: the first that is free */
	uint8_t to;	     /* enum mirror_to */
	uint8_t also;	     /* packets that an earlier session has picked too */
	uint16_t port;	     /* of VXLAN and Geneve */
	uint32_t vni;	     /* ERSPAN: session id */
	uint32_t length;     /* bytes kept of a frame; 0: as many as the way takes */
	uint32_t sample;     /* 1 in N */
	uint32_t budget_pct; /* of the link that the mirror goes out by; 0: budget_bps says it */
	uint64_t budget_bps; /* 0: none */
	uint64_t for_s;	     /* 0: of the configuration */
	uint32_t rules;	     /* struct policy_rule, behind this */
	uint32_t pad;
	uint8_t dst[16];		   /* IPv4: mapped; MIRROR_TO_IFACE: zero */
	uint8_t out[16];		   /* MIRROR_TO_IFACE: its name */
	uint8_t iface[16];		   /* mirrored; "": all that are watched */
	uint8_t filter[MIRROR_FILTER_MAX]; /* what it is called */
};

/* One with its filter's entries, want.rules of them. */
struct mirror_image {
	struct mirror_want want;
	struct policy_rule rules[MIRROR_RULES];
};

#define MIRROR_TARGETS 4u

/* Where rules may have packets mirrored to: [mirror-target NAME]. */
struct mirror_target {
	uint8_t name[POLICY_TARGET_MAX]; /* filled up with NUL */
	struct mirror_want want;	 /* without entries */
};

/* Those of the configuration: by number, for_s 0; and its targets. */
struct mirror_images {
	uint32_t n, n_targets;
	struct mirror_image at[MIRROR_SESSIONS];
	struct mirror_target target[MIRROR_TARGETS];
};

/* Who wants a session. */
enum mirror_from {
	MIRROR_BY_HAND = 0,
	MIRROR_BY_CONFIG = 1, /* as long as the configuration has it */
	MIRROR_BY_RULE = 2,   /* as long as rules ask for it: asks.h */
};

/* A session as it is. */
struct mirror_shown {
	struct mirror_want want;
	struct mirror_count count; /* of all CPUs */
	uint64_t ends_s;	   /* from now; UINT64_MAX: by its configuration */
	uint32_t length;	   /* bytes kept of a frame, by what the way takes */
	uint32_t mtu;		   /* of the way; 0: there is none now */
	uint32_t ifaces;	   /* mirrored now */
	uint32_t uid;		   /* who asked for it */
	uint32_t from;		   /* enum mirror_from */
	uint32_t pad;
};

_Static_assert(sizeof(struct mirror_want) % 8 == 0, "entries follow");
_Static_assert(sizeof(struct mirror_shown) % 8 == 0, "an array");

/**
 * mirror_want_to - "vxlan:ADDR[:PORT],vni=N", "geneve:...", "erspan:ADDR,id=N", "iface:NAME"
 *
 * Return: 0, or -EINVAL with *ret_why.
 */
int mirror_want_to(const char *text, struct mirror_want *ret, const char **ret_why);

/* "10%", "100Mbps", "none". 0 or -EINVAL. */
int mirror_want_budget(const char *text, struct mirror_want *ret);

/* The target in the words of mirror_want_to(). */
void mirror_print_to(FILE *out, const struct mirror_want *w);

/**
 * mirror_rules - entries for what a filter picks
 * @direction: enum policy_direction
 * @ret: room for MIRROR_RULES
 *
 * Return: how many; -EINVAL with @reterr: not of a packet; -ENOMEM.
 */
int mirror_rules(const char *filter, enum policy_direction direction, struct policy_rule *ret,
		 struct filter_error *reterr);

/**
 * mirror_check - is this a session, in every field?
 * @image: @len bytes, aligned to 8, from elsewhere
 *
 * Return: 0 with *ret and *ret_rules pointing into it; -EINVAL with @reterr.
 */
int mirror_check(const void *image, size_t len, const struct mirror_want **ret,
		 const struct policy_rule **ret_rules, struct policy_error *reterr);

/* Bytes that are put before a frame, from the IP header on. */
unsigned int mirror_overhead(enum mirror_to to, bool v6);

#endif
