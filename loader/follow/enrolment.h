/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enrolment.h - what this node keeps of a collector that it is enrolled with: a directory with the
 * issuer's name in policy.collectors, and in it url, ca.pem (who it is), node.key and node.pem (who we
 * are). Files are replaced in one step, the key is for its owner alone, and all belong to whom the
 * directory belongs to, so that root may enrol for weir's user. One thread for each.
 */
#ifndef WEIR_LOADER_FOLLOW_ENROLMENT_H
#define WEIR_LOADER_FOLLOW_ENROLMENT_H

#include <limits.h>
#include <stdint.h>

#include "loader/control/client.h"
#include "loader/follow/https.h"

#define ENROLMENTS_MAX	16u
#define ENROLMENT_ERROR 240u

struct enrolment {
	char issuer[32];
	char dir[PATH_MAX];
	char url[300]; /* host and port point into it */
	const char *host, *port;
	char ca[PATH_MAX + 16], key[PATH_MAX + 16], cert[PATH_MAX + 16];
};

/**
 * enrolment_dir - policy.collectors of the configuration
 * @ret: PATH_MAX octets
 *
 * Return: 0, EXIT_USAGE. Said on standard error.
 */
int enrolment_dir(const struct client_where *where, char *ret);

/* capture.dir; "": there is none. As above. */
int enrolment_captures(const struct client_where *where, char *ret);

/* Where keys of policies are looked for: the first directory of policy.keys; "": there is none. As above. */
int enrolment_keys_dir(const struct client_where *where, char *ret);

/**
 * enrolment_read - all that are in @dir
 * @ret:   of ENROLMENTS_MAX; free() it
 * @error: ENROLMENT_ERROR octets
 *
 * Return: how many; -EINVAL: one of them is none, -ENOMEM, -errno, with @error.
 */
int enrolment_read(const char *dir, struct enrolment **ret, char *error);

/* The enrolment in @dir/@issuer; nothing is read. */
void enrolment_init(struct enrolment *e, const char *dir, const char *issuer);

/* How it is connected to. */
struct https_cfg enrolment_https(const struct enrolment *e);

/* Make @path with the directories above it that are missing. 0, -errno. */
int enrolment_mkdir(const char *path, unsigned int mode);

/* Replace a file. 0, -errno. */
int enrolment_write(const char *path, unsigned int mode, const char *text);

/* When two thirds of the certificate's time have passed, seconds since 1970; 0: it can't be read. */
int64_t enrolment_renew_at(const struct enrolment *e);

#endif
