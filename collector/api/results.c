// SPDX-License-Identifier: Apache-2.0
/*
 * results.c - questions that take long: 202 and where their answer will be, which is asked for until it is there.
 */
#include <errno.h>
#include <microhttpd.h>
#include <string.h>

#include "collector/api/api_int.h"
#include "collector/api/jobs.h"

static const char *type_of(const json_t *line)
{
	return json_string_value(json_object_get(line, "type")) ?: "";
}

/* ---- begin ---- */

int api_begin(struct api_call *call, const struct job_spec *spec, int64_t *ret_id)
{
	int64_t id;
	const int r = jobs_start(call->api->jobs, spec, &id);

	if (r == -EBUSY)
		return api_problem(&call->problem, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
				   "%u questions are at work, as many as there may be",
				   JOBS_RUNNING_MAX);
	if (r || api_answer(call, json_pack("{s:I,s:s}", "id", (json_int_t)id, "state", "running")))
		return api_answer(call, NULL);
	call->status = MHD_HTTP_ACCEPTED;
	snprintf(call->location, sizeof(call->location), API_BASE "/results/%lld", (long long)id);
	*ret_id = id;
	return 0;
}

/* Names as they are; a file of rules, and its text's mistakes at once. */
int api_run_backtest(struct api_call *call)
{
	static const char *const keys[] = {"rules", "last", "from", "to"};
	const json_t *top = json_object_get(call->values, "top");
	json_t *text = json_object_get(call->values, "text"), *q;
	struct job_spec spec = {.run = call->api->cfg.ops->backtest,
				.arg = call->api->cfg.arg,
				.owner = call->who.name};
	char number[24];
	int64_t id;

	if (text && api_rules_wrong(call, text))
		return -1;
	q = json_object();
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(call->values, keys[i]))
			json_object_set(q, keys[i], json_object_get(call->values, keys[i]));
	if (text)
		json_object_set_new(q, "files",
				    json_pack("[{s:s,s:O}]", "name", "text", "text", text));
	snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(top));
	if (top)
		json_object_set_new(q, "top", json_string(number));
	spec.request = q;
	return api_begin(call, &spec, &id);
}

/* ---- ask ---- */

static int gone(struct api_call *call, int64_t id, int r)
{
	if (r == -ESTALE)
		return api_problem(&call->problem, MHD_HTTP_GONE, "gone",
				   "result %lld was cancelled, or is too old", (long long)id);
	return api_problem(&call->problem, MHD_HTTP_NOT_FOUND, "unknown", "there is no result %lld",
			   (long long)id);
}

static int failed(struct api_call *call, const struct job_view *v)
{
	struct api_problem *p = &call->problem;

	switch (v->failure) {
	case -EINVAL:
	case -EBADMSG:
	case -EFBIG:
		return api_problem(p, MHD_HTTP_BAD_REQUEST, "request", "%s", v->error);
	case -EBUSY:
		return api_problem(p, MHD_HTTP_SERVICE_UNAVAILABLE, "busy", "%s", v->error);
	case -ETIMEDOUT:
		return api_problem(p, MHD_HTTP_SERVICE_UNAVAILABLE, "timeout", "%s", v->error);
	default:
		return api_problem(p, MHD_HTTP_SERVICE_UNAVAILABLE, "store", "%s",
				   *v->error ? v->error : strerror(-v->failure));
	}
}

/*
 * Lines as one object: targets belong to the rule before them, the line of type done is about all, and what stands in
 * one of type end is the object's own. One of type whole is all of it.
 */
static json_t *whole(json_t *lines)
{
	json_t *o = json_object(), *items = json_array(), *last = NULL, *line;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		const bool done = !strcmp(type_of(line), "done");
		const bool rule = !strcmp(type_of(line), "rule");
		const bool end = !strcmp(type_of(line), "end");
		const bool all = !strcmp(type_of(line), "whole");
		const bool part = !strcmp(type_of(line), "target") && last;

		json_object_del(line, "type");
		if (all) {
			json_decref(items);
			json_decref(o);
			return json_incref(line);
		}
		if (done) {
			json_object_set(o, "summary", line);
		} else if (end) {
			json_object_update(o, line);
		} else if (part) {
			json_array_append(json_object_get(last, "targets"), line);
		} else {
			last = rule ? line : NULL;
			if (rule)
				json_object_set_new(line, "targets", json_array());
			json_array_append(items, line);
		}
	}
	json_object_set_new(o, "items", items);
	return o;
}

static int answer_lines(struct api_call *call, json_t *lines)
{
	int r = 0;

	if (json_array_size(lines))
		r = api_answer(call, whole(lines));
	else
		call->status = MHD_HTTP_NO_CONTENT;
	return r;
}

/* Whose it is, and who may do everything. */
static bool may_see(const struct api_call *call, const struct job_view *v)
{
	return !strcmp(v->owner, call->who.name) || api_may(call->who.rights, RIGHT_ADMIN);
}

static int view(struct api_call *call, int64_t id, struct job_view *ret)
{
	const int r = jobs_view(call->api->jobs, id, ret);

	if (r)
		return gone(call, id, r);
	if (may_see(call, ret))
		return 0;
	json_decref(ret->lines);
	return api_problem(&call->problem, MHD_HTTP_FORBIDDEN, "owner",
			   "it is the question of another token");
}

int api_result(struct api_call *call, int64_t id)
{
	struct job_view v;
	json_t *o;
	int r;

	if (view(call, id, &v))
		return -1;
	if (v.state == JOB_FAILED)
		return failed(call, &v);
	if (v.state == JOB_DONE) {
		r = answer_lines(call, v.lines);
		json_decref(v.lines);
		return r;
	}
	o = json_pack("{s:I,s:s}", "id", (json_int_t)id, "state", "running");
	if (v.percent >= 0)
		json_object_set_new(o, "percent", json_real(v.percent));
	if (api_answer(call, o))
		return -1;
	call->status = MHD_HTTP_ACCEPTED;
	return 0;
}

static int64_t id_of(const struct api_call *call)
{
	return json_integer_value(json_object_get(call->values, "id"));
}

int api_run_result(struct api_call *call)
{
	return api_result(call, id_of(call));
}

int api_run_result_end(struct api_call *call)
{
	const int64_t id = id_of(call);
	struct job_view v;
	int r;

	if (view(call, id, &v))
		return -1;
	json_decref(v.lines);
	r = jobs_cancel(call->api->jobs, id);
	if (r)
		return gone(call, id, r);
	call->status = MHD_HTTP_NO_CONTENT;
	return 0;
}
