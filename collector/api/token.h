/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h - tokens of the REST interface: 256 random bits, of which control.db has the SHA-256. All that are
 * good are kept in memory, so that a wrong one costs a hash and no more. What is done to tokens is in the audit
 * log. Any thread.
 */
#ifndef WEIR_COLLECTOR_API_TOKEN_H
#define WEIR_COLLECTOR_API_TOKEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/api/role.h"
#include "collector/control/db.h"

#define TOKEN_PREFIX "weirapi1-"
#define TOKEN_BYTES  32u
#define TOKEN_TEXT   (sizeof(TOKEN_PREFIX) + 2 * TOKEN_BYTES)
#define TOKEN_NAME   32u
#define TOKENS_MAX   1000u

struct tokens;

/* Whose token it is. */
struct api_who {
	char name[TOKEN_NAME + 1];
	enum api_role role;
	bool capture;
	uint32_t rights; /* bits, by enum api_right; that of capture among them */
	int64_t until_us;
};

/* Return: 0; -EIO with @error (DB_ERROR bytes); -ENOMEM. */
int tokens_open(const char *dir, char *error, struct tokens **ret);
void tokens_close(struct tokens *t); /* NULL is fine */

/**
 * tokens_find - whose token is this?
 * @text: as it came, @len octets, not terminated
 *
 * Return: 0, -EACCES: nobody's, or it has ended.
 */
int tokens_find(struct tokens *t, const char *text, size_t len, struct api_who *ret);

/* Who asks. */
struct tokens_asker {
	const char *actor; /* for the audit log */
	bool may_change;
	int64_t until_us; /* no token is made that is good for longer; 0: no such bound */
};

/* Requests "tokens": list, create, revoke. Return: lines, see book_ask(). */
json_t *tokens_ask(struct tokens *t, const json_t *request, const struct tokens_asker *asker);

#endif
