/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packs.h - installed packs: what the commands, the API and the rules at work do with them. A pack is a directory
 * below packs.directory and is replaced as a whole, by one rename: after a crash there is the old one or the new
 * one. Whoever changes something holds a lock; what is changed is in the audit log before it is. Any thread.
 */
#ifndef WEIR_COLLECTOR_PACKS_PACKS_H
#define WEIR_COLLECTOR_PACKS_PACKS_H

#include <jansson.h>

#include "collector/packs/pack.h"
#include "collector/settings.h"

/* ---- what is installed, as it is on the disk now ---- */

struct packs {
	struct pack *v;
	uint32_t n;
};

/* As if a change had been made already: @staged is below packs.directory; NULL: the pack is gone. */
struct packs_trial {
	const char *name, *staged;
};

/**
 * packs_open - read and verify all
 * @t: or NULL
 * @f: hears of what is wrong with them
 *
 * Return: 0 (also when there are none), -EINVAL: @f has errors, -ENOMEM.
 */
int packs_open(const struct settings *s, const struct packs_trial *t, struct rule_files *f,
	       struct packs *ret);
void packs_done(struct packs *p);

/* The directory of packs, into @buf. Return: @buf. */
const char *packs_directory(const struct settings *s, char *buf, size_t cap);

/**
 * packs_rules - a pack's rules into a set
 *
 * None goes beyond detect by itself, nor beyond draft where an older version of it was one: what a rule may do is
 * the site's to say. Return: 0, also with errors: @f has them; -ENOMEM.
 */
int packs_rules(const struct settings *s, const struct pack *p, struct rule_files *f);

/*
 * What its lists stand for by themselves, with what their feeds have brought below the store's directory @feeds
 * (NULL: nothing). The site frees the texts. Return: 0, -E2BIG: too many lists, -EINVAL,
 * -ENOMEM.
 */
int packs_bind_lists(struct site *s, const struct pack *p, const char *feeds);

/* ---- changes ---- */

#define PACKS_SAID 4096u

struct packs_change {
	const struct settings *settings;
	const char *actor; /* for the audit log: "uid=0 (root)" */
	const char *path;  /* of a directory or a tar.gz; not of a removal */
	const char *name;  /* of a removal; of an update: it must be this one; NULL: any */
	bool unsigned_too; /* also when nobody that is trusted here has signed it: it is tainted then */
	bool downgrade; /* also an older version, or another one with the same number */
	bool update;	/* there is one of this name; else there must be none */
};

/**
 * packs_put, packs_remove - install or update; remove
 * @said: PACKS_SAID bytes: what was done, or lines of what is wrong
 * @ret:  the pack as packs_list() has it; NULL when it fails
 *
 * A pack's own tests have passed, and all rules together are right, before anything is changed.
 * Return: 0; -EEXIST, -ENOENT: it is there, it is not; -EKEYREJECTED: nobody that is trusted has signed it;
 *         -ESTALE: no newer version; -EBADMSG: it is wrong, or a test failed; -EBUSY: somebody else is at it;
 *         -errno.
 */
int packs_put(const struct packs_change *c, char *said, json_t **ret);
int packs_remove(const struct packs_change *c, char *said);

/* A list of objects {"name", "version", "state", "tainted", "why", "key", "rules", "lists", ...}; NULL: @said. */
json_t *packs_list(const struct settings *s, char *said);
/* One of them, with its rules, parameters and files; NULL: @said. */
json_t *packs_show(const struct settings *s, const char *name, char *said);

/* ---- for those who make packs ---- */

/* What `pack check` says about a directory or tar.gz: {"ok", "errors": [...], "tests": {"passed", "failed"}, ...} */
json_t *packs_check(const struct settings *s, const char *path);

/* Write the manifest of a directory. Return: 0, -errno: @said. */
int packs_sign(const char *path, const char *key_file, char *said);

#endif
