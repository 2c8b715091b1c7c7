/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packs_int.h - what the parts of the store of packs share.
 */
#ifndef WEIR_COLLECTOR_PACKS_PACKS_INT_H
#define WEIR_COLLECTOR_PACKS_PACKS_INT_H

#include "collector/packs/packs.h"

/* Something is wrong with a file, without a place in it. Return: 0, -ENOMEM. */
int packs_error(struct rule_files *f, const char *file, const char *text);

/* The keys of packs.keys; what is wrong is in @f. Return: 0, -ENOMEM. */
int packs_keys(const struct settings *s, struct rule_files *f, struct pack_keys *ret);

/* Ids of rules that were drafts when their pack was updated, one a line; free() it. NULL: none. */
char *packs_drafts(const char *dir, const char *name);
bool packs_is_draft(const char *drafts, const char *id);

/* "FILE:LINE:COLUMN: TEXT", one a line, as many as there is room for. */
void packs_say_errors(const struct rule_files *f, char *said);

/* tests.c: rules and tests of a pack that stands in a directory. */
struct packs_tests {
	uint32_t passed, failed;
	char first[PACK_WHY]; /* that failed, and why */
	json_t *list;	      /* of objects, or NULL: nobody wants them */
};

/**
 * packs_test - run all of its tests
 * @dir: where its files are
 * @f:   hears of errors
 *
 * Return: 0, also when tests fail; -EINVAL: @f has errors; -ENOENT: there are none; -ENOMEM.
 */
int packs_test(const struct pack *p, const char *dir, struct rule_files *f,
	       struct packs_tests *ret);

/* An object of packs_list(); the pack has been checked and verified. */
json_t *packs_json(const struct settings *s, const struct pack *p);

/* In the audit log of the store, where there is one. Return: 0, -errno: @said. */
int packs_audit(const struct packs_change *c, const char *action, const char *object,
		json_t *detail, char *said);

#endif
