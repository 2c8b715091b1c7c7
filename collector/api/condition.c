// SPDX-License-Identifier: Apache-2.0
/*
 * condition.c - what is to be changed only if it is as somebody has seen it: by the tag of the answer that the GET of
 * its path gives. Source: RFC 9110 8.8.3, 13.1.1, 13.1.2.
 */
#include <microhttpd.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/api/api_int.h"

void api_etag_of(const char *text, size_t len, char ret[API_ETAG])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, len, hash);
	ret[0] = '"';
	for (unsigned int i = 0; i < 16; i++)
		snprintf(ret + 1 + 2 * i, 3, "%02x", hash[i]);
	ret[33] = '"';
	ret[34] = 0;
}

char *api_json_text(json_t *o, size_t *ret_len)
{
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	*ret_len = text ? strlen(text) : 0;
	if (text)
		text[(*ret_len)++] = '\n'; /* in place of the 0 */
	return text;
}

/* What GET says of it now. Return: is there something? */
static bool shown(const struct api_call *call, enum api_route_id route, char ret[API_ETAG])
{
	struct api_call look = {.api = call->api,
				.route = route,
				.values = call->values,
				.who = call->who,
				.fd = call->fd};
	const bool there = !api_routes[route].run(&look) && look.answer;
	char *text = NULL;
	size_t len = 0;

	*ret = 0;
	if (there) {
		text = api_json_text(look.answer, &len);
		api_etag_of(text ?: "", len, ret);
	}
	json_decref(look.problem.errors);
	free(text);
	return there;
}

int api_conditions(struct api_call *call, const char *match, const char *none)
{
	const struct api_route *get = api_route_shown(&api_routes[call->route]);
	char etag[API_ETAG];
	bool there;

	if (!get || (!match && !none))
		return 0;
	there = shown(call, (enum api_route_id)(get - api_routes), etag);
	if (match && !(there && api_etag_listed(match, etag)))
		return api_problem(&call->problem, MHD_HTTP_PRECONDITION_FAILED, "changed",
				   there ? "somebody has changed it meanwhile: look again"
					 : "it is gone");
	if (none && there && api_etag_listed(none, etag))
		return api_problem(&call->problem, MHD_HTTP_PRECONDITION_FAILED, "changed",
				   "it is there already");
	return 0;
}
