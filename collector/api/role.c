// SPDX-License-Identifier: Apache-2.0
#include "collector/api/role.h"

#include <string.h>

#define CAN(id) (1u << RIGHT_##id)

const struct api_role_row api_roles[_ROLE_MAX] = {
#define RIGHT(id, word, doc)
#define ROLE(id, word, rights, doc) [ROLE_##id] = {word, rights, doc},
#include "collector/api/roles.def"
#undef RIGHT
#undef ROLE
};

static const char *const right_words[_RIGHT_MAX] = {
	[RIGHT_OPEN] = "",
	[RIGHT_TOKEN] = "",
#define RIGHT(id, word, doc) [RIGHT_##id] = word,
#define ROLE(id, word, rights, doc)
#include "collector/api/roles.def"
#undef RIGHT
#undef ROLE
};

const char *api_right_word(enum api_right r)
{
	return right_words[r];
}

int api_role_find(const char *word)
{
	for (int i = 0; i < _ROLE_MAX; i++)
		if (!strcmp(api_roles[i].word, word))
			return i;
	return -1;
}

const char api_role_list[] =
#define RIGHT(id, word, doc)
#define ROLE(id, word, rights, doc) "|" word
#include "collector/api/roles.def"
#undef RIGHT
#undef ROLE
	;

bool api_may(uint32_t rights, enum api_right r)
{
	return r == RIGHT_OPEN || r == RIGHT_TOKEN || rights >> r & 1;
}
