/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_rules.h - rules that somebody has put in over the REST interface: a file each, STORE/rules/NAME.yaml, replaced
 * as a whole by one rename. All rules together are right, the file's own tests have passed and it is in the audit log
 * before anything is changed. They detect at most: how far they go is for somebody else to say.
 */
#ifndef WEIR_COLLECTOR_ALERTS_OWN_RULES_H
#define WEIR_COLLECTOR_ALERTS_OWN_RULES_H

#include "collector/rules/rule_files.h"
#include "collector/settings.h"

#define OWN_RULE_MAX 262144u

/* As if a change had been made already: the file has this text. @text NULL: it is gone. */
struct own_trial {
	const char *name; /* of the rule */
	const char *text;
	size_t len;
};

struct own_change {
	const struct settings *settings;
	const char *actor; /* for the audit log: "token:NAME" */
	struct own_trial to;
	bool made; /* set: there was none before */
};

/* The file of a rule, into @buf. Return: @buf. */
const char *own_rules_path(const struct settings *s, const char *name, char *buf, size_t cap);

/* All of them into @f, as a trial (or NULL) has them. Return: 0, also with errors: @f has them; -ENOMEM. */
int own_rules_read(const struct settings *s, const struct own_trial *t, struct rule_files *f);

/**
 * own_rules_change - put a rule in, in the place of what it was; or take it away
 * @said: PACKS_SAID bytes: lines of what is wrong, "text:LINE:COLUMN: TEXT" where it has a place in the text
 *
 * Return: 0; -EBADMSG: the text is wrong, or a test failed; -ENOENT: there is no such rule; -EEXIST: it stands
 *         elsewhere, or has another id; -ESTALE: without it others are wrong; -errno. One thread at a time.
 */
int own_rules_change(struct own_change *c, char *said);

#endif
