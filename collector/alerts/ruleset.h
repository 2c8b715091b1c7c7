/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ruleset.h - the rules at work: files of rules.directories, rules put in over the REST interface and installed packs,
 * with what [list NAME], [rule NAME] and [pack NAME] of the configuration say. A set never changes; a reload makes
 * another. Whoever keeps something that points into one holds it. Any thread.
 */
#ifndef WEIR_COLLECTOR_ALERTS_RULESET_H
#define WEIR_COLLECTOR_ALERTS_RULESET_H

#include "collector/alerts/own_rules.h"
#include "collector/packs/packs.h"
#include "collector/rules/rule_files.h"
#include "collector/settings.h"

struct ruleset {
	struct rule_files files;
	struct site site;
	struct packs packs; /* without their files */
	uint32_t holders;   /* atomic */
	bool proof;	    /* a rule may act on sources: who of them is real has to be known */
	struct filter *local, *never; /* src.ip in @local, @never_block; the book's thread alone */
	char **texts;		      /* of the site */
	uint32_t n_texts;
	uint64_t fingerprint; /* of the files and what the configuration says of them */
};

/* What was wrong when rules were last read: "FILE:LINE:COLUMN: TEXT", one a line. */
struct ruleset_errors {
	char text[4096];
	uint32_t n;
};

/**
 * ruleset_load - read all files
 *
 * Return: 0 (no directory: a set without rules), -EINVAL: @errs says what, -ENOMEM.
 */
int ruleset_load(const struct settings *s, struct ruleset **ret, struct ruleset_errors *errs);

/* A change that might be made; of each NULL: none. */
struct ruleset_trial {
	const struct packs_trial *pack;
	const struct own_trial *own;
};

/* The same, as if a change had been made. @t: or NULL. */
int ruleset_load_as(const struct settings *s, const struct ruleset_trial *t, struct ruleset **ret,
		    struct ruleset_errors *errs);
/* Of that nothing is kept. */
int ruleset_try(const struct settings *s, const struct ruleset_trial *t,
		struct ruleset_errors *errs);

/**
 * ruleset_feeds - lists that have a feed: the site's, and those of packs of which the site does not speak
 * @ret: @ret_n pointers into the set and the settings; free() it
 *
 * Return: 0, -ENOMEM.
 */
int ruleset_feeds(const struct ruleset *r, const struct settings *s, const struct pack_list ***ret,
		  uint32_t *ret_n);

struct ruleset *ruleset_hold(struct ruleset *r); /* returns it */
void ruleset_drop(struct ruleset *r);		 /* NULL is fine */

/* Before the set is at work: another mode for one of its rules. */
void ruleset_set_mode(struct ruleset *r, const struct rule *rule, enum rule_mode mode);

/* The set's rules; pointers stay while it is held. */
static inline const struct rule_set *ruleset_rules(const struct ruleset *r)
{
	return &r->files.set;
}

/* Is an address in the list that @f is of? The book's thread. */
bool ruleset_has(const struct filter *f, const uint8_t ip[16]);

#endif
