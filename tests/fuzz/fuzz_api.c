// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_api.c - requests of the REST interface: "METHOD PATH?NAME=VALUE&..." on the first line, a body behind it.
 * Whatever is wrong becomes a problem that is JSON; what is right becomes values that JSON can write.
 *
 * Covers: collector/api/route.c collector/api/check.c collector/api/problem.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "collector/api/api_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_json(json_t *o)
{
	char *text = json_dumps(o, 0);
	json_t *again = text ? json_loads(text, 0, NULL) : NULL;

	if (!again || !json_equal(o, again))
		abort();
	json_decref(again);
	free(text);
}

static int check_query(enum api_route_id route, char *query, json_t *values, struct api_problem *p)
{
	char *one;

	while ((one = strsep(&query, "&"))) {
		char *value = strchr(one, '=');

		if (value)
			*value++ = 0;
		if (api_check_query(route, one, (struct api_text){value ?: "", strlen(value ?: "")},
				    values, p))
			return -1;
	}
	return 0;
}

static void one_request(char *line, struct api_text body)
{
	char *method = strsep(&line, " "), *path = strsep(&line, "?");
	const int m = api_method_find(method);
	json_t *values = json_object();
	struct api_problem p = {};
	struct api_match match;
	unsigned int methods;
	int r;

	r = m < 0 || !path ? -1 : api_match((enum api_method)m, path, &match, &methods);
	if (r) {
		api_problem(&p, 404, "path", "%.400s", path ?: method);
	} else {
		r = api_check_path(&match, values, &p);
		r = r ?: line ? check_query(match.route, line, values, &p) : 0;
		r = r ?: api_check_body(match.route, body, values, &p);
		r = r ?: api_check_all(match.route, values, &p);
	}
	if (r) {
		json_t *problem = api_problem_json(&p);

		must_be_json(problem);
		json_decref(problem);
	}
	must_be_json(values);
	json_decref(values);
}

/* What a change says when it is refused has names of files and words of the text in it. */
static void one_refusal(const char *said)
{
	static const struct api_refusal refusals[] = {{-1, 400, "rules"}, {0, 503, "store"}};
	struct api_problem p = {};
	json_t *problem;

	api_refused(&p, refusals, -(int)(*said & 1), said);
	problem = api_problem_json(&p);
	must_be_json(problem);
	json_decref(problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *body;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	(void)api_etag_listed(text, "\"0123\""); /* reads no further than the text */
	one_refusal(text);
	body = memchr(text, '\n', size);
	if (body)
		*body++ = 0;
	one_request(text, (struct api_text){body ?: text + size,
					    body ? (size_t)(text + size - body) : 0});
	free(text);
	return 0;
}
