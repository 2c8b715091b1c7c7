/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role.h - what a token of the REST interface may do, as roles.def says. Pure; any thread.
 */
#ifndef WEIR_COLLECTOR_API_ROLE_H
#define WEIR_COLLECTOR_API_ROLE_H

#include <stdbool.h>
#include <stdint.h>

enum api_right {
	RIGHT_OPEN,  /* anybody */
	RIGHT_TOKEN, /* whoever has a token */
#define RIGHT(id, word, doc) RIGHT_##id,
#define ROLE(id, word, rights, doc)
#include "collector/api/roles.def"
#undef RIGHT
#undef ROLE
	_RIGHT_MAX
};

enum api_role {
#define RIGHT(id, word, doc)
#define ROLE(id, word, rights, doc) ROLE_##id,
#include "collector/api/roles.def"
#undef RIGHT
#undef ROLE
	_ROLE_MAX
};

struct api_role_row {
	const char *word;
	uint32_t rights; /* bits, by enum api_right */
	const char *doc;
};

extern const struct api_role_row api_roles[_ROLE_MAX];

/* "see"; "" for RIGHT_OPEN and RIGHT_TOKEN. */
const char *api_right_word(enum api_right r);

/* Return: enum api_role, or -1. */
int api_role_find(const char *word);

/* "|viewer|analyst|..." */
extern const char api_role_list[];
#define API_ROLE_WORDS (api_role_list + 1) /* as cli.h has words */

/* Who has a token may do what is open, and what asks for a token alone. */
bool api_may(uint32_t rights, enum api_right r);

#endif
