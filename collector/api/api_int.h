/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_int.h - what the parts of the REST interface share.
 */
#ifndef WEIR_COLLECTOR_API_API_INT_H
#define WEIR_COLLECTOR_API_API_INT_H

#include <pthread.h>

#include "collector/api/api.h"
#include "collector/api/guard.h"
#include "collector/api/route.h"
#include "collector/api/token.h"

/* Upper bounds of weir_http_request_duration_seconds, in microseconds; one more for what takes longer. */
#define API_BUCKETS 6u
extern const uint64_t api_buckets_us[API_BUCKETS];

struct api_stats {
	uint64_t by_class[6]; /* answers 1xx ... 5xx */
	uint64_t bad_tokens, denied;
	uint64_t duration[API_BUCKETS + 1], duration_us;
};

struct api {
	struct api_cfg cfg;
	char *cert, *key; /* texts, while it starts */
	struct tokens *tokens;
	struct jobs *jobs;
	struct MHD_Daemon *daemon;
	char *openapi;		/* the document */
	bool stop;		/* atomic */
	uint32_t patience_ms;	/* what takes no longer is answered at once */
	struct api_stats stats; /* atomic */
	pthread_mutex_t lock;	/* guard */
	struct guard guard;
	pthread_mutex_t changing; /* what is there is looked at and changed, by one at a time */
};

/* An answer that comes as it is sent: a file, or the rest of one. */
struct api_stream {
	struct fetch *f;     /* NULL: there is none */
	uint64_t from, size; /* of the file */
	char name[128];	     /* for whoever keeps it */
};

/* A request that has been let in, and its answer. */
struct api_call {
	struct api *api;
	enum api_route_id route;
	json_t *values;	      /* of members, checked */
	struct api_text file; /* a body that is no JSON */
	struct api_who who;
	int fd; /* of the client; -1: there is none */
	/* the answer */
	unsigned int status;
	json_t *answer; /* NULL: none, or the text */
	char *text;	/* malloc()ed */
	size_t text_len;
	const char *type; /* of the text */
	struct api_stream stream;
	unsigned int retry_s; /* with 503, when to come again; 0: not said */
	const char *range;    /* Range of the request, or NULL */
	char location[64];    /* of what is to be asked for; "" */
	struct api_problem problem;
};

/* Handlers of routes.def. Return: 0 with an answer, -1 with a problem. */
int api_run_health(struct api_call *call);
int api_run_ready(struct api_call *call);
int api_run_metrics(struct api_call *call);
int api_run_openapi(struct api_call *call);
int api_run_me(struct api_call *call);
int api_run_status(struct api_call *call);
int api_run_complete(struct api_call *call);
/* ---- ask.c: a question of the local socket ---- */
int api_run_page(struct api_call *call);  /* a list that may be long: pages are asked for */
int api_run_whole(struct api_call *call); /* a list that is not: pages are cut of it */
int api_run_one(struct api_call *call);	  /* the only line */
int api_run_act(struct api_call *call);	  /* something is done to one thing, which is the answer */
int api_run_make(struct api_call *call);  /* 201 and what was made */
int api_run_end(struct api_call *call);	  /* 204 */
/* ---- rules.c ---- */
int api_run_rules(struct api_call *call);
int api_run_rule(struct api_call *call);
int api_run_rules_check(struct api_call *call);
int api_run_rules_test(struct api_call *call);
int api_run_rules_explain(struct api_call *call);
int api_run_rules_diff(struct api_call *call);
int api_run_rules_compile(struct api_call *call);
/* Is a file of rules wrong? Return: 0, -1. */
int api_rules_wrong(struct api_call *call, const json_t *text);
int api_run_rule_put(struct api_call *call);
int api_run_rule_end(struct api_call *call);
/* ---- packs.c ---- */
int api_run_packs(struct api_call *call);
int api_run_pack(struct api_call *call);
int api_run_pack_put(struct api_call *call);
int api_run_pack_end(struct api_call *call);
/* ---- captures.c ---- */
int api_run_capture_file(struct api_call *call);
/* "bytes=N-": N. -1: there is none, or another kind of it, which may be passed over. Source: RFC 9110 14.2. */
int64_t api_range_from(const char *header);
/* ---- results.c: what takes long ---- */
int api_run_backtest(struct api_call *call);
int api_run_result(struct api_call *call);
int api_run_result_end(struct api_call *call);
/* Begins one, 202. @spec's request is taken over. Return: 0, -1. */
struct job_spec;
int api_begin(struct api_call *call, const struct job_spec *spec, int64_t *ret_id);
/* The answer, or 202. Return: 0, -1. */
int api_result(struct api_call *call, int64_t id);
/* ---- query.c: stored flows ---- */
int api_run_query(struct api_call *call);
/* A question of the request's parameters as a job: @run is given the pairs of it, and "ip" of the path. Return: 0, -1. */
int api_query(struct api_call *call, int (*run)(void *arg, const json_t *request,
						const struct endpoint_answer *to, char *error));
/* Pairs as a specification. @error: SPEC_ERROR octets. Return: 0, -EINVAL, -ENOENT. */
struct spec;
int api_query_spec(const struct api *a, const json_t *pairs, struct spec *ret, char *error);
/* Its rows, as lines of @to. Return: 0, or as endpoint_ops.query. */
int api_query_rows(const struct api *a, const struct spec *s, const struct endpoint_answer *to,
		   char *error);
/* ---- views.c ---- */
int api_run_graph(struct api_call *call);
int api_run_host(struct api_call *call);

/* The problem of a refusal (book_refuse()). Return: -1. */
int api_refuse(struct api_call *call, const char *code, const char *text);

/* A text of the request, "" where there is none. */
const char *api_text(const struct api_call *call, const char *key);
/* 200 with this; taken over. Return: 0, or -1: no memory. */
int api_answer(struct api_call *call, json_t *o);

/* Objects with @key, a page of them: @list is taken over. Return: 0, -1. */
int api_pages(struct api_call *call, json_t *list, const char *key);

/* ---- condition.c ---- */
#define API_ETAG (2u + 2u * 16u + 1u) /* quotes, 16 octets, a 0 */
void api_etag_of(const char *text, size_t len, char ret[API_ETAG]);
/* As it is sent, a line; @o is taken over. NULL: no memory. */
char *api_json_text(json_t *o, size_t *ret_len);
/* @match, @none: If-Match, If-None-Match; NULL: there is none. Return: 0, or -1: it is not to be changed. */
int api_conditions(struct api_call *call, const char *match, const char *none);

/* ---- openapi.c: the document, free() it; NULL: no memory ---- */
char *api_openapi_text(void);
json_t *api_openapi(void);

/* ---- http.c ---- */
int api_http_start(struct api *a, char *error);
void api_http_stop(struct api *a);

#endif
