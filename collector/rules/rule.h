/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule.h - rules as read from their files and checked: the language of weir-collector-rules(8). A set
 * of rules owns everything its rules point to and never changes once it has been read. Pure: files
 * are the caller's. One thread while it is read, then any.
 */
#ifndef WEIR_COLLECTOR_RULES_RULE_H
#define WEIR_COLLECTOR_RULES_RULE_H

#include "common/config.h"
#include "common/filter_tree.h"
#include "common/having.h"

#define RULES_MAX	 1024u /* in one set */
#define RULE_BY_MAX	 4u
#define RULE_PARAMS_MAX	 16u
#define RULE_PAIRS_MAX	 32u
#define RULE_ACTIONS_MAX 8u
#define RULE_LADDER_MAX	 8u
#define RULE_TEXTS_MAX	 16u
#define RULE_CHAIN_MAX	 8u
#define RULE_PANES_MAX	 128u /* steps in a window */
#define RULE_NAME_MAX	 64u
#define RULE_HASH	 32u	/* octets */
#define RULE_GROUPS	 65536u /* groups_max where a rule says nothing */

enum rule_object {
	RO_FILE,
	RO_GROUP,
	RO_RULE,
	RO_WINDOW,
	RO_CORRELATE,
	RO_PARAM,
	RO_EVIDENCE,
	RO_DROP,
	RO_LIMIT,
	RO_RESET,
	RO_CAPTURE,
	RO_MIRROR,
	RO_TEST,
	RO_FLOWS,
	RO_EXPECT,
	RO_EVENTS,
	RO_PACK, /* what follows is of packs */
	RO_LIST,
	RO_FEED,
	_RO_MAX
};

enum rule_status { RS_EXPERIMENTAL, RS_TEST, RS_STABLE, RS_DEPRECATED };
enum rule_mode { RM_DRAFT, RM_DETECT, RM_SHADOW, RM_CANARY, RM_PREVENT };
enum rule_class { RC_KERNEL, RC_AGENT, RC_COLLECTOR };
enum rule_correlation { RT_TEMPORAL, RT_ORDERED };

/* A place in the file that is being read. */
struct rule_place {
	uint32_t line, column;
};

struct rule_text {
	const char *s; /* NULL: not given */
	uint32_t node; /* of the file's tree, while it is read */
	struct rule_place at;
};

struct rule_texts {
	const char *v[RULE_TEXTS_MAX];
	uint32_t n;
};

struct rule_pair {
	const char *key;
	const char *value; /* elements of a list with ", " between them */
	struct rule_place at;
};

struct rule_pairs {
	struct rule_pair v[RULE_PAIRS_MAX];
	uint32_t n;
};

struct rule_param {
	const char *name;
	struct rule_text def, min, max;
	const char *doc;
	const char *value; /* bound: what the rule works with */
	bool used;
};

struct rule_params {
	struct rule_param v[RULE_PARAMS_MAX];
	uint32_t n;
};

struct rule_fields {
	uint8_t v[RULE_BY_MAX]; /* enum flow_field */
	uint32_t n;
	struct rule_place at;
};

struct rule_ladder {
	uint64_t ns[RULE_LADDER_MAX];
	uint32_t n;
};

/* RULE_SCOPE_PAIR or an enum flow_field that is an address. */
#define RULE_SCOPE_PAIR 0xffu

struct rule_action {
	uint8_t type; /* RO_DROP ... RO_MIRROR */
	uint8_t scope;
	uint8_t direction; /* 0 both, 1 ingress, 2 egress */
	struct rule_place at, scope_at;
	uint64_t ttl_ns, pre_ns, post_ns, max_bytes;
	struct rule_ladder escalate;
	const char *rate;
	const char *to;
};

/* Captures and mirrors stop nothing: nodes look at packets. */
static inline bool rule_action_stops(const struct rule_action *a)
{
	return a->type < RO_CAPTURE;
}

/* "drop"; @type: RO_DROP ... RO_MIRROR */
const char *rule_action_word(unsigned int type);

struct rule_actions {
	struct rule_action v[RULE_ACTIONS_MAX];
	uint32_t n;
};

struct rule_window {
	uint64_t size_ns, slide_ns;
	struct rule_place at;
};

struct rule_names {
	struct rule_text v[RULE_CHAIN_MAX];
	uint32_t n;
};

struct rule_correlate {
	uint8_t type; /* enum rule_correlation */
	struct rule_names rules;
	uint32_t index[RULE_CHAIN_MAX]; /* of these rules in the set */
	struct rule_text by;
	uint8_t field; /* enum flow_field; _FF_MAX: host */
	uint64_t within_ns;
	struct rule_place at; /* line 0: none */
};

struct rule_evidence {
	uint8_t handshake; /* 1: required */
};

struct rule {
	const char *id;
	const char *name;
	const char *title;
	const char *version;
	const char *description;
	const char *group;
	const char *file;
	uint8_t status; /* enum rule_status */
	uint8_t mode;	/* enum rule_mode */
	uint8_t class;	/* enum rule_class */
	struct rule_place at;
	struct rule_texts false_positives, references;
	struct rule_text where, having, exempt_text;
	struct filter_tree exempt; /* of src.ip; .filter NULL: none */
	struct filter *filter;	   /* NULL: every flow */
	struct having *test;	   /* NULL: no window */
	struct rule_window window;
	struct rule_fields by;
	uint64_t for_ns, keep_ns;
	uint64_t groups_max;
	struct rule_correlate correlate;
	struct rule_params params;
	struct rule_texts shared; /* parameters of its pack that it has taken: NAME=VALUE */
	struct rule_evidence evidence;
	struct rule_pairs labels, annotations;
	struct rule_actions actions;
	const char *class_why; /* why it is no lower class */
	bool mode_set;	       /* by this site's configuration */
	const char *pack;      /* "NAME VERSION" it came with; NULL: none */
	bool own;	       /* put in over the REST interface */
	bool tainted;	       /* nobody that is trusted here has signed the pack as it is */
};

/* A lint: true, and worth knowing, but no error. */
struct rule_note {
	const char *file;
	const char *rule; /* its id */
	uint32_t line, column;
	char text[232];
};

struct rule_set {
	struct rule *v;
	uint32_t n, cap;
	struct rule_note *notes;
	uint32_t n_notes;
	struct rule_chunk *chunks; /* memory of their texts */
};

/* What `@list` and `$param` stand for where the rules are installed. */
struct rule_site {
	/* values of the list with commas between them; NULL: there is none */
	const char *(*list)(void *arg, const char *name);
	/* another value for a parameter of a rule; NULL: its default */
	const char *(*param)(void *arg, const char *rule, const char *param);
	void *arg;
	const struct rule_params *shared; /* of all rules of a pack, bound; NULL: none */
};

/* A file of rules. */
struct rule_source {
	const char *file; /* its name, for messages; copied */
	const char *text; /* for the length of the call */
	size_t len;
};

/**
 * rules_read - one file's rules into the set
 *
 * Every error of the file is said, not the first alone. Rules with an error are not in the set.
 * Return: 0; -EINVAL: @errs says what; -ENOMEM.
 */
int rules_read(struct rule_set *set, const struct rule_source *src, const struct rule_site *site,
	       struct config_errors *errs);

/**
 * rules_link - after all files: names that are there twice, what correlations name
 *
 * Return: 0; -EINVAL: @errs says what, the file first.
 */
int rules_link(struct rule_set *set, struct config_errors *errs);

void rules_done(struct rule_set *set);

/* A copy that lives as long as the set; NULL: no memory. */
const char *rule_set_keep(struct rule_set *set, const char *s);

/* By name or id; NULL: none. */
const struct rule *rules_find(const struct rule_set *set, const char *name);

/* The word of a number of a key's words: rule_word(RO_RULE, "mode", RM_SHADOW). */
const char *rule_word(enum rule_object o, const char *key, unsigned int n);

const char *rule_class_word(unsigned int class);

/**
 * rule_hash - what a rule does, in a number: SHA-256 of what it looks for, of whom, when it fires, what it does about it
 *
 * Two that have the same act alike; names, texts, labels, the mode and what lists have in them are no part of it.
 * Return: 0, -ENOMEM.
 */
int rule_hash(const struct rule *r, uint8_t ret[RULE_HASH]);

/* What a rule may cost at worst; for `explain`. */
struct rule_cost {
	uint64_t group_bytes;	 /* of one value of by, everything counted */
	uint64_t state_bytes;	 /* of groups_max of them */
	uint64_t reaction_ns;	 /* from the flow's record to the alert that fires, at most */
	uint32_t distinct_exact; /* distinct() is exact up to so many; 0: there is none */
	double distinct_error;	 /* standard error beyond */
};

void rule_cost(const struct rule *r, struct rule_cost *ret);

#endif
