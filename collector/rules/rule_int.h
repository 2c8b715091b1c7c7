/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule_int.h - what the parts of the rule reader share: the table of keys, the file at hand, texts that
 * live as long as the set.
 */
#ifndef WEIR_COLLECTOR_RULES_RULE_INT_H
#define WEIR_COLLECTOR_RULES_RULE_INT_H

#include "collector/rules/rule.h"
#include "collector/rules/yaml.h"

enum rule_kind {
	RK_TEXT,
	RK_TEXTS,
	RK_NAME,
	RK_NAMES,
	RK_UUID,
	RK_VERSION,
	RK_WORD,
	RK_DURATION,
	RK_DURATIONS,
	RK_SIZE,
	RK_COUNT,
	RK_RATE,
	RK_VALUE,
	RK_FIELDS,
	RK_SCOPE,
	RK_FILTER,
	RK_HAVING,
	RK_SET,
	RK_PARAMS,
	RK_PAIRS,
	RK_ACTIONS,
	RK_OBJECT,
	RK_LIST,
	RK_SKIP,
	_RK_MAX
};

struct rule_key {
	uint8_t object; /* enum rule_object */
	uint8_t kind;	/* enum rule_kind */
	uint8_t needed;
	uint32_t offset; /* of the member in the object's struct */
	const char *name;
	const char *words;
	const char *doc;
};

extern const struct rule_key rule_keys[];
extern const unsigned int rule_keys_n;
extern const char *const rule_object_names[_RO_MAX];
extern const char *const rule_kind_words[_RK_MAX]; /* for people: "a duration such as 5m" */

/* Members without a use of their own are gone through by their node. */
struct rule_file {
	const char *groups, *tests, *lists;
	struct rule_texts rules;
};

struct rule_group {
	const char *name;
	const char *rules;
};

struct rule_test {
	const char *name;
	const char *flows, *expect;
	uint64_t wait_ns;
};

struct rule_flows {
	const char *series, *file;
	uint64_t every_ns, start_ns, repeat;
};

struct rule_events {
	uint64_t count;
	const char *match;
};

struct rule_expect {
	struct rule_events filter;
};

struct rule_reader {
	struct rule_set *set;
	struct yaml *y;
	const struct rule_site *site;
	struct config_errors *errs;
	const char *file;
	const char *group; /* at hand */
	struct rule *rule; /* at hand */
	bool no_memory;
};

/* An error at a node. */
void rule_fail(struct rule_reader *rr, uint32_t node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A copy that lives as long as the set; NULL: no memory, noted. */
const char *rule_keep(struct rule_reader *rr, const char *s, size_t len);

/* rule_keys.c: the keys of a map into @target, the struct of the object. */
void rule_read_object(struct rule_reader *rr, enum rule_object o, uint32_t node, void *target);

/* rule_kinds.c: one value into @member. */
void rule_read_value(struct rule_reader *rr, const struct rule_key *k, uint32_t node, void *member);

/* rule_check.c: what the parts of a rule mean together; filters are compiled. */
void rule_check(struct rule_reader *rr, struct rule *r);

/* rule_class.c: where it can run; fills class and class_why. */
int rule_classify(struct rule_reader *rr, struct rule *r);

/* The filter with its parameters and lists written out; to be freed. NULL: no memory. */
char *rule_where_bound(struct rule_reader *rr, const struct rule *r);

/* Is what a parameter is bound to beyond its bounds? */
bool rule_param_beyond(const struct rule_param *p);

/* A lint about a place of the rule's file. */
void rule_note(struct rule_set *set, const struct rule *r, struct rule_place at, const char *fmt,
	       ...) __attribute__((format(printf, 4, 5)));

static inline struct rule_place rule_place(const struct yaml *y, uint32_t node)
{
	return (struct rule_place){y->nodes[node].line, y->nodes[node].column};
}

#endif
