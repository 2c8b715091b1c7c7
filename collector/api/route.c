// SPDX-License-Identifier: Apache-2.0
#include "collector/api/route.h"

#include <errno.h>
#include <string.h>

#include "collector/api/api_int.h"

const struct api_route api_routes[_ROUTE_MAX] = {
#define ROUTE(id, method, path, right, run, command, what, doc)              \
	[ROUTE_##id] = {METHOD_##method, path, RIGHT_##right, api_run_##run, \
			command,	 what, doc,	      #id},
#define MEMBER(id, place, name, type, needed, words, max, doc)
#include "collector/api/routes.def"
#undef ROUTE
#undef MEMBER
};

const struct api_member api_members[] = {
#define ROUTE(id, method, path, right, run, command, what, doc)
#define MEMBER(id, place, name, type, needed, words, max, doc) \
	{ROUTE_##id, IN_##place, name, AT_##type, needed, words, max, doc},
#include "collector/api/routes.def"
#undef ROUTE
#undef MEMBER
};

const unsigned int api_members_n = sizeof(api_members) / sizeof(api_members[0]);

static const char *const methods[_METHOD_MAX] = {
	[METHOD_GET] = "GET",
	[METHOD_POST] = "POST",
	[METHOD_PUT] = "PUT",
	[METHOD_DELETE] = "DELETE",
};

const char *api_method_word(enum api_method m)
{
	return methods[m];
}

int api_method_find(const char *word)
{
	for (int i = 0; i < _METHOD_MAX; i++)
		if (!strcmp(methods[i], word))
			return i;
	return strcmp(word, "HEAD") ? -1 : METHOD_GET;
}

const struct api_member *api_route_file(enum api_route_id r)
{
	for (unsigned int i = 0; i < api_members_n; i++)
		if (api_members[i].route == r && api_members[i].type == AT_FILE)
			return &api_members[i];
	return NULL;
}

const struct api_route *api_route_shown(const struct api_route *route)
{
	for (unsigned int i = 0; i < _ROUTE_MAX; i++)
		if ((route->method == METHOD_PUT || route->method == METHOD_DELETE) &&
		    api_routes[i].method == METHOD_GET && !strcmp(api_routes[i].path, route->path))
			return &api_routes[i];
	return NULL;
}

bool api_route_has_body(enum api_route_id r)
{
	for (unsigned int i = 0; i < api_members_n; i++)
		if (api_members[i].route == r && api_members[i].place == IN_BODY)
			return true;
	return false;
}

/* ---- matching ---- */

/* "{id}" at @pattern: how long what stands for it is in @path. 0: it does not fit. */
static size_t part_length(const char *pattern, const char *path)
{
	static const char digits[] = "0123456789";
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	static const char address[] = "abcdefABCDEF0123456789.:";

	return strspn(path, !strncmp(pattern, "{id}", 4)   ? digits
			    : !strncmp(pattern, "{ip}", 4) ? address
							   : word);
}

/* Does @path look like @pattern? Then @ret is what stands for the part in braces. */
static bool fits(const char *pattern, const char *path, struct api_part *ret)
{
	*ret = (struct api_part){};
	while (*pattern && *pattern != '{' && *pattern == *path) {
		pattern++;
		path++;
	}
	if (*pattern == '{') {
		ret->name = pattern + 1;
		ret->name_len = strcspn(pattern, "}") - 1;
		ret->at = path;
		ret->len = part_length(pattern, path);
		pattern += ret->name_len + 2;
		path += ret->len;
		return ret->len && !strcmp(pattern, path);
	}
	return !*pattern && !*path;
}

int api_match(enum api_method method, const char *path, struct api_match *ret,
	      unsigned int *ret_methods)
{
	struct api_part part;
	int r = -ENOENT;

	*ret_methods = 0;
	if (strlen(path) > API_PATH_MAX)
		return r;
	for (unsigned int i = 0; i < _ROUTE_MAX; i++) {
		if (!fits(api_routes[i].path, path, &part))
			continue;
		*ret_methods |= 1u << api_routes[i].method;
		if (api_routes[i].method == method) {
			*ret = (struct api_match){i, part};
			r = 0;
		}
	}
	return r && *ret_methods ? -EPERM : r;
}
