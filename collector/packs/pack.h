/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.h - a pack of rules in memory: pack.yaml, rules/, lists/, tests/, docs/ and a signed manifest, as they
 * come out of a directory or a tar.gz. Everything is bounded, and only files are in it: a name is a few words of
 * letters, digits and . _ - below one of these directories. Pure, but for pack_read_dir() and pack_write_dir().
 * One thread at a time.
 */
#ifndef WEIR_COLLECTOR_PACKS_PACK_H
#define WEIR_COLLECTOR_PACKS_PACK_H

#include "collector/rules/rule_files.h"
#include "common/policy.h"

#define PACK_FILES_MAX 512u
#define PACK_FILE_MAX  (16u << 20)
#define PACK_BYTES_MAX (32u << 20) /* of all files */
#define PACK_PATH_MAX  200u
#define PACK_DEPTH_MAX 4u
#define PACK_LISTS_MAX 32u
#define PACK_KEYS_MAX  64u
#define PACK_WHY       240u
#define PACK_HASH      32u /* bytes, SHA-256 */
#define PACK_META      "pack.yaml"
#define PACK_MANIFEST  "manifest"

/* How far what is there can be relied on. All but the first mark the pack as tainted. */
enum pack_trust { PACK_SIGNED, PACK_UNSIGNED, PACK_UNKNOWN_KEY, PACK_CHANGED };

struct pack_file {
	char *name;
	char *bytes; /* a 0 behind them */
	size_t len;
	uint8_t hash[PACK_HASH];
};

struct pack_meta {
	const char *name, *version, *engine, *licence, *title, *description, *author;
	struct rule_params params; /* bound: what its rules work with */
};

enum pack_format { PACK_PLAIN, PACK_CSV, PACK_HOSTS };

/* Where a list's values come from while the collector runs; url and file NULL: nowhere. */
struct pack_feed {
	const char *url, *file, *ca;
	uint64_t every_ns, jitter_ns, expire_ns, timeout_ns; /* expire 0: never */
	uint64_t max_entries, max_bytes;
	uint8_t format; /* enum pack_format */
};

struct pack_list {
	const char *name;
	const char *description;
	uint8_t names;			/* 1: names, not addresses */
	const struct pack_file *values; /* lists/NAME.txt; NULL: none */
	struct pack_feed feed;
};

struct pack {
	struct pack_file *files; /* by name, once pack_check() has seen them */
	uint32_t n, cap;
	size_t bytes;
	struct pack_meta meta;
	struct pack_list lists[PACK_LISTS_MAX];
	uint32_t n_lists;
	enum pack_trust trust;
	char why[PACK_WHY]; /* of trust, where it is not PACK_SIGNED */
	char key[17];	    /* of the manifest, in hex; "": there is none */
	struct rule_set memory;
};

/* Public keys that packs may be signed with. */
struct pack_keys {
	uint8_t v[PACK_KEYS_MAX][POLICY_KEY];
	uint32_t n;
};

void pack_done(struct pack *p); /* zeroed before the first use, and again after this */

/* Its files go, what pack.yaml says stays. */
void pack_forget(struct pack *p);

/**
 * pack_add - a file
 * @name:  as it came, not trusted
 * @bytes: of malloc(), @len of them and room for one more; taken over, also when it fails
 * @why:   PACK_WHY bytes; what is wrong
 *
 * Return: 0, -EINVAL, -E2BIG: no pack has such a file; -ENOMEM.
 */
int pack_add(struct pack *p, const char *name, char *bytes, size_t len, char *why);

const struct pack_file *pack_find(const struct pack *p, const char *name);

/**
 * pack_check - all files are there: what do pack.yaml and lists/ say?
 * @f:     hears of errors, with @where before their files' names; @f->binding says what parameters are here
 *
 * Rules are not read yet. Return: 0; -EINVAL: @f has errors; -ENOMEM.
 */
int pack_check(struct pack *p, struct rule_files *f, const char *where);

/* "1.10.0" and "1.9.2". Return: below, 0, above 0. */
int pack_version_compare(const char *a, const char *b);

/* ---- pack_tar.c ---- */

/**
 * pack_read_tar - files of a tar.gz: plain files and directories, nothing else
 *
 * A directory that all is in is left out of the names. Return: 0, -EINVAL, -E2BIG: @why; -ENOMEM.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format"; RFC 1952.
 */
int pack_read_tar(struct pack *p, const void *bytes, size_t len, char *why);
/* The same of what has been inflated. */
int pack_read_ustar(struct pack *p, const void *bytes, size_t len, char *why);

/* ---- pack_manifest.c ---- */

/* The manifest of what is in it but for an older one; free() it. NULL: no memory, or no such key. */
char *pack_manifest(const struct pack *p, const uint8_t private_key[POLICY_KEY], size_t *ret_len);

/* Is every file as somebody with one of these keys has signed it? Sets trust, why, key. */
void pack_verify(struct pack *p, const struct pack_keys *keys);

const char *pack_trust_word(enum pack_trust t);

/* ---- pack_dir.c ---- */

/**
 * pack_read_dir, pack_read - files of a directory; of a directory or a tar.gz
 *
 * Names that begin with a dot are passed over; what is no file and no directory is refused, not followed.
 * Return: 0; -EINVAL, -E2BIG, -errno: @why; -ENOMEM.
 */
int pack_read_dir(struct pack *p, const char *path, char *why);
int pack_read(struct pack *p, const char *path, char *why);

/* All files below a new directory @name of @dirfd, durable. Return: 0, -errno: @why. */
int pack_write_dir(const struct pack *p, int dirfd, const char *name, char *why);

/* All of a directory, and the directory; @name has no slash. Return: 0, -errno. */
int pack_remove_dir(int dirfd, const char *name);

/* Keys of a directory: its *.pem and *.pub. One that is not there has none. Return: 0, -errno: @why. */
int pack_read_keys(struct pack_keys *k, const char *path, char *why);

#endif
