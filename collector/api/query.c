// SPDX-License-Identifier: Apache-2.0
/*
 * query.c - questions about stored flows, as `weir-collector query` and `flows` put them, row for row the same as their
 * -o json. Each is a job (jobs.h): what is there within two seconds is the answer, all else is to be asked for.
 */
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/api/api_int.h"
#include "collector/api/jobs.h"
#include "collector/query/answer_print.h"
#include "collector/query/spec.h"
#include "common/output.h"

/* ---- the question ---- */

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A word of the specification, of whatever type the member is. */
static int set(struct api_call *call, struct spec *s, const char *key, const char *member)
{
	const json_t *v = json_object_get(call->values, member);
	struct api_problem *p = &call->problem;
	char number[24], why[SPEC_ERROR];
	const char *text = json_string_value(v);

	if (!v)
		return 0;
	if (json_is_boolean(v))
		text = json_is_true(v) ? "yes" : "no";
	if (json_is_integer(v)) {
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
		text = number;
	}
	if (!spec_set(s, key, text, why))
		return 0;
	snprintf(p->member, sizeof(p->member), "%s", member);
	return api_problem(p, MHD_HTTP_BAD_REQUEST, "value", "%s: %s", member, why);
}

/* With its place, and with lists and words that the collector alone knows. */
static int check_filter(struct api_call *call, const struct spec *s)
{
	const char *text = api_text(call, "filter");
	struct api_problem *p = &call->problem;
	struct filter_error e;
	struct filter *f;
	const int r = *text ? filter_parse(text, strlen(text), spec_env(s), &f, &e) : -ENOENT;

	if (!r)
		filter_free(f);
	if (r != -EINVAL)
		return r == -ENOMEM ? api_answer(call, NULL) : 0;
	snprintf(p->member, sizeof(p->member), "filter");
	p->line = e.line;
	p->column = e.column;
	return api_problem(p, MHD_HTTP_BAD_REQUEST, "filter", "filter: %s", e.message);
}

/* What is meant where nothing is said. */
static int fill_in(struct api_call *call)
{
	const bool last = json_object_get(call->values, "last");
	const bool from = json_object_get(call->values, "from");

	if (last && from)
		return api_problem(&call->problem, MHD_HTTP_BAD_REQUEST, "value",
				   "last and from are two ways to say the same");
	if (!last && !from)
		json_object_set_new(call->values, "last", json_string("1h"));
	if ((call->route == ROUTE_PAIRS || call->route == ROUTE_GRAPH) &&
	    !json_object_get(call->values, "by"))
		json_object_set_new(call->values, "by", json_string("src.ip,dst.ip"));
	return 0;
}

/* Order is said of measures, the last hour of its end. */
static int read_spec(struct api_call *call, struct spec *s)
{
	static const char *const keys[] = {"filter", "by",	 "measure", "top",     "order",
					   "to",     "last",	 "from",    "step",    "dedup",
					   "raw",    "previous", "cursor",  "unscaled"};
	char why[SPEC_ERROR];
	int r;

	spec_init(s, call->route == ROUTE_FLOWS ? SPEC_FLOWS : SPEC_TOP, now_us());
	s->env = call->api->cfg.ops->lists(call->api->cfg.arg);
	r = fill_in(call) ?: check_filter(call, s);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !r; i++)
		r = set(call, s, keys[i], keys[i]);
	r = r ?: set(call, s, "top", "limit");
	if (!r && spec_finish(s, why))
		r = api_problem(&call->problem, MHD_HTTP_BAD_REQUEST, "value", "%s", why);
	if (!r && call->route == ROUTE_PAIRS && s->n_by != 2)
		r = api_problem(&call->problem, MHD_HTTP_BAD_REQUEST, "value",
				"by: a pair is of two fields, such as src.ip,dst.ip");
	if (!r && call->route == ROUTE_GRAPH && s->n_by < 2)
		r = api_problem(&call->problem, MHD_HTTP_BAD_REQUEST, "value",
				"by: links are between two fields or more, such as src.ip,dst.ip");
	return r;
}

static void put_pair(void *arg, const char *key, const char *value)
{
	json_object_set_new(arg, key, json_string(value));
}

/* ---- the answer, a line for each row ---- */

struct answering {
	const struct endpoint_answer *to;
	struct answer_print *print;
	struct output *flows;
	FILE *out;
	char *text; /* of out: the row at hand */
	size_t len;
	char line[OUTPUT_LINE_MAX];
};

static int put(struct answering *x, const char *type, json_t *o)
{
	if (!o || json_object_set_new(o, "type", json_string(type))) {
		json_decref(o);
		return -ENOMEM;
	}
	return x->to->line(x->to->arg, o);
}

static int on_head(void *arg, const struct answer_column *columns, uint32_t n)
{
	struct answering *x = arg;
	const struct answer_sink k = answer_print_sink(x->print);

	return k.head(k.arg, columns, n);
}

static int on_row(void *arg, const struct answer_cell *cells, bool other)
{
	struct answering *x = arg;
	const struct answer_sink k = answer_print_sink(x->print);
	int r;

	rewind(x->out);
	r = k.row(k.arg, cells, other);
	if (!r && fflush(x->out))
		r = -ENOMEM;
	return r ?: put(x, "row", json_loadb(x->text, x->len, 0, NULL));
}

static int on_flow(void *arg, const struct flow_record *f)
{
	struct answering *x = arg;
	const ssize_t n = output_text(x->flows, f, x->line);

	return n < 0 ? (int)n : put(x, "row", json_loadb(x->line, (size_t)n, 0, NULL));
}

static int on_note(void *arg, const char *text)
{
	(void)arg;
	(void)text; /* explanations are not asked for */
	return 0;
}

static int on_end(void *arg, const struct answer_end *end)
{
	json_t *o = json_pack("{s:s}", "source", end->source);

	if (o && *end->cursor)
		json_object_set_new(o, "next", json_string(end->cursor));
	return put(arg, "end", o);
}

static int on_progress(void *arg, double percent)
{
	const struct answering *x = arg;

	return x->to->progress(x->to->arg, percent);
}

static int run_spec(const struct api *a, const struct spec *s, struct answering *x, char *error)
{
	const struct answer_sink k = {.head = on_head,
				      .row = on_row,
				      .flow = on_flow,
				      .note = on_note,
				      .end = on_end,
				      .arg = x,
				      .progress = on_progress,
				      .progress_arg = x};

	x->out = open_memstream(&x->text, &x->len);
	if (!x->out)
		return -ENOMEM;
	x->print = answer_print_new(&(struct print_cfg){.format = PRINT_JSON, .out = x->out});
	if (!x->print || output_new("json", -1, &x->flows))
		return -ENOMEM;
	output_added(x->flows);
	return a->cfg.ops->query(a->cfg.arg, s, &k, error);
}

int api_query_rows(const struct api *a, const struct spec *s, const struct endpoint_answer *to,
		   char *error)
{
	struct answering *x = calloc(1, sizeof(*x));
	int r = -ENOMEM;

	if (!x)
		return r;
	x->to = to;
	r = run_spec(a, s, x, error);
	answer_print_free(x->print);
	output_free(x->flows);
	if (x->out)
		fclose(x->out);
	free(x->text);
	free(x);
	return r;
}

int api_query_spec(const struct api *a, const json_t *pairs, struct spec *ret, char *error)
{
	const char *key;
	json_t *v;
	int r = 0;

	spec_init(ret, SPEC_TOP, now_us());
	ret->env = a->cfg.ops->lists(a->cfg.arg);
	json_object_foreach((json_t *)(uintptr_t)pairs, key, v)
		r = r ?: spec_set(ret, key, json_string_value(v), error);
	return r ?: spec_finish(ret, error);
}

/* A job: the request is the specification's pairs. */
static int answer(void *arg, const json_t *request, const struct endpoint_answer *to, char *error)
{
	struct spec *s = malloc(sizeof(*s));
	int r = s ? api_query_spec(arg, request, s, error) : -ENOMEM;

	r = r ?: api_query_rows(arg, s, to, error);
	free(s);
	return r;
}

/* ---- the route ---- */

/* Source: poll(2), POLLRDHUP. */
static bool has_gone(void *arg)
{
	const struct api_call *call = arg;
	struct pollfd p = {.fd = call->fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

int api_query(struct api_call *call, job_fn *run)
{
	struct jobs *jobs = call->api->jobs;
	struct spec *s = malloc(sizeof(*s));
	struct job_spec job = {.run = run,
			       .arg = call->api,
			       .owner = call->who.name,
			       .wait_ms = call->api->patience_ms};
	int64_t id;
	int r;

	if (!s)
		return api_answer(call, NULL);
	r = read_spec(call, s);
	if (!r) {
		job.request = json_object();
		spec_each(s, put_pair, job.request);
		if (json_object_get(call->values, "ip"))
			json_object_set(job.request, "ip", json_object_get(call->values, "ip"));
	}
	free(s);
	if (r || api_begin(call, &job, &id))
		return -1;
	r = jobs_wait(jobs, id, call->api->patience_ms, has_gone, call);
	if (r == -ETIMEDOUT && !has_gone(call))
		return 0; /* 202 has been said */
	if (!r) {
		json_decref(call->answer);
		call->answer = NULL;
		call->location[0] = 0;
		r = api_result(call, id);
	}
	(void)jobs_cancel(jobs, id); /* what has been answered is not kept */
	return r ? -1 : 0;
}

int api_run_query(struct api_call *call)
{
	return api_query(call, answer);
}
