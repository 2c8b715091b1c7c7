/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack_rig.h - packs for tests: as files in memory, as directories, as tar.gz made octet by octet; and a site of
 * its own below a directory that goes with the test.
 */
#ifndef WEIR_TESTS_PACK_RIG_H
#define WEIR_TESTS_PACK_RIG_H

#include "collector/packs/packs.h"

/* The text of a file of the pack that all tests begin with; NULL ends the list. */
struct pack_rig_file {
	const char *name, *text;
};

#define PACK_RIG_FILES 8u

/* pack.yaml, one rule "rig-ssh" with $attempts, two tests, a list, a page. */
void pack_rig_files(struct pack_rig_file ret[PACK_RIG_FILES]);
/* Another text in the place of one of them. */
void pack_rig_set(struct pack_rig_file *files, const char *name, const char *text);

/* All into a pack; must be taken. */
void pack_rig_add(struct pack *p, const struct pack_rig_file *files);

/* A member of a tar: type '0' a file. */
struct pack_rig_member {
	const char *name, *text;
	char type;
};

/* tar.gz of members up to one without a name; free() it. */
char *pack_rig_tar(const struct pack_rig_member *v, size_t *ret_len);

/* ---- a site ---- */

struct pack_rig {
	char dir[64]; /* with store/, keys/, pack/ (what is to be put in), key.pem */
	struct settings *settings;
	uint8_t secret[POLICY_KEY];
	char said[PACKS_SAID];
	const char *conf; /* more of the configuration; NULL: nothing */
};

void pack_rig_init(struct pack_rig *r);
void pack_rig_done(struct pack_rig *r);
/* Read the configuration, with r->conf. */
void pack_rig_settings(struct pack_rig *r);
/* pack/ anew of these files, signed with the trusted key or not at all. */
void pack_rig_write(struct pack_rig *r, const struct pack_rig_file *files, bool sign);
/* packs_put() of pack/. */
int pack_rig_put(struct pack_rig *r, struct packs_change c);
/* A path below the directory, into @buf (256 bytes). */
const char *pack_rig_path(const struct pack_rig *r, const char *name, char *buf);

#endif
