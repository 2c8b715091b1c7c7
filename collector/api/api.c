// SPDX-License-Identifier: Apache-2.0
#include "collector/api/api.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/alerts/book_int.h"
#include "collector/api/api_int.h"
#include "collector/api/jobs.h"
#include "collector/metrics_text.h"
#include "common/filter.h"

#define PATIENCE_MS 2000u

const uint64_t api_buckets_us[API_BUCKETS] = {1000, 5000, 25000, 100000, 500000, 2500000};

/* ---- answers ---- */

const char *api_text(const struct api_call *call, const char *key)
{
	return json_string_value(json_object_get(call->values, key)) ?: "";
}

int api_answer(struct api_call *call, json_t *o)
{
	if (!o)
		return api_problem(&call->problem, MHD_HTTP_SERVICE_UNAVAILABLE, "memory",
				   "out of memory");
	call->status = MHD_HTTP_OK;
	call->answer = o;
	return 0;
}

static int answer_text(struct api_call *call, char *text, size_t len, const char *type)
{
	if (!text)
		return api_answer(call, NULL);
	call->status = MHD_HTTP_OK;
	call->text = text;
	call->text_len = len;
	call->type = type;
	return 0;
}

/* ---- small routes ---- */

int api_run_health(struct api_call *call)
{
	return api_answer(call, json_pack("{s:s}", "status", "alive"));
}

int api_run_ready(struct api_call *call)
{
	if (__atomic_load_n(&call->api->stop, __ATOMIC_RELAXED))
		return api_problem(&call->problem, MHD_HTTP_SERVICE_UNAVAILABLE, "stopping",
				   "the collector is about to end");
	return api_answer(call, json_pack("{s:s}", "status", "ready"));
}

int api_run_metrics(struct api_call *call)
{
	size_t len = 0;
	char *text = call->api->cfg.ops->metrics(call->api->cfg.arg, &len);

	return answer_text(call, text, len, "text/plain; version=0.0.4");
}

int api_run_openapi(struct api_call *call)
{
	char *text = strdup(call->api->openapi);

	return answer_text(call, text, text ? strlen(text) : 0, "application/json");
}

int api_run_me(struct api_call *call)
{
	const struct api_who *who = &call->who;
	json_t *o = json_pack("{s:s,s:s,s:b}", "name", who->name, "role", api_roles[who->role].word,
			      "capture", who->capture);
	json_t *may = json_array();

	for (unsigned int r = RIGHT_TOKEN + 1; r < _RIGHT_MAX; r++)
		if (api_may(who->rights, r))
			json_array_append_new(may, json_string(api_right_word(r)));
	json_object_set_new(o, "may", may);
	book_put_time(o, "until", who->until_us);
	return api_answer(call, o);
}

int api_run_status(struct api_call *call)
{
	return api_answer(call, call->api->cfg.ops->status(call->api->cfg.arg));
}

static void add_word(void *arg, const char *word, const char *doc)
{
	json_array_append_new(arg, json_pack("{s:s,s:s}", "word", word, "doc", doc));
}

int api_run_complete(struct api_call *call)
{
	const json_t *q = json_object_get(call->values, "q");
	const json_t *pos = json_object_get(call->values, "pos");
	const size_t len = json_string_length(q);
	const size_t at = pos ? (size_t)json_integer_value(pos) : len;
	json_t *words = json_array();
	size_t from;

	from = filter_complete(json_string_value(q), at < len ? at : len, NULL, add_word, words);
	return api_answer(call, json_pack("{s:I,s:o}", "from", (json_int_t)from, "items", words));
}

/* ---- the local socket ---- */

json_t *api_ask(struct api *a, const json_t *request, const struct endpoint_peer *peer)
{
	const struct tokens_asker asker = {.actor = peer->name,
					   .may_change = !peer->uid || peer->uid == geteuid()};

	if (!a)
		return book_refuse("off",
				   "this collector has no REST interface: api.listen is none");
	return tokens_ask(a->tokens, request, &asker);
}

/* ---- what is counted ---- */

json_t *api_status(struct api *a)
{
	json_t *o = json_object();
	uint64_t n = 0;

	if (!a)
		return o;
	for (unsigned int i = 1; i < 6; i++)
		n += __atomic_load_n(&a->stats.by_class[i], __ATOMIC_RELAXED);
	json_object_set_new(o, "requests", json_integer((json_int_t)n));
	json_object_set_new(
		o, "bad_tokens",
		json_integer((json_int_t)__atomic_load_n(&a->stats.bad_tokens, __ATOMIC_RELAXED)));
	json_object_set_new(
		o, "denied",
		json_integer((json_int_t)__atomic_load_n(&a->stats.denied, __ATOMIC_RELAXED)));
	return o;
}

/* Source: Prometheus' exposition formats: buckets are cumulative. */
static void put_durations(const struct api_stats *st, FILE *out)
{
	static const char name[] = "weir_http_request_duration_seconds";
	uint64_t n = 0;

	metrics_head(out, name, "histogram", "Time that answers of the REST interface took.");
	for (unsigned int i = 0; i <= API_BUCKETS; i++) {
		n += __atomic_load_n(&st->duration[i], __ATOMIC_RELAXED);
		if (i < API_BUCKETS)
			fprintf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
				(double)api_buckets_us[i] / 1e6, n);
		else
			fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, n);
	}
	fprintf(out, "%s_sum %.6f\n%s_count %" PRIu64 "\n", name,
		(double)__atomic_load_n(&st->duration_us, __ATOMIC_RELAXED) / 1e6, name, n);
}

void api_metrics(struct api *a, FILE *out)
{
	if (!a)
		return;
	metrics_head(out, "weir_http_requests_total", "counter",
		     "Answers of the REST interface, by class of status.");
	for (unsigned int i = 2; i < 6; i++)
		fprintf(out, "weir_http_requests_total{status=\"%uxx\"} %" PRIu64 "\n", i,
			__atomic_load_n(&a->stats.by_class[i], __ATOMIC_RELAXED));
	metrics_one(out, "weir_http_bad_tokens_total", "counter",
		    "Requests with a token that is none, or with none where one is wanted.",
		    __atomic_load_n(&a->stats.bad_tokens, __ATOMIC_RELAXED));
	metrics_one(out, "weir_http_denied_total", "counter",
		    "Requests whose token's role does not allow them.",
		    __atomic_load_n(&a->stats.denied, __ATOMIC_RELAXED));
	put_durations(&a->stats, out);
}

/* ---- life ---- */

#define PEM_MAX (256u << 10)

/* A file of PEM as a text; it may be a secret. */
static int read_pem(const char *path, char **ret, char *error)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = calloc(1, PEM_MAX);
	size_t len = 0;
	ssize_t n = -1;

	while (fd >= 0 && text && len < PEM_MAX - 1 &&
	       (n = read(fd, text + len, PEM_MAX - 1 - len)) > 0)
		len += (size_t)n;
	if (n)
		snprintf(error, API_ERROR, "%s: %s", path, n < 0 ? strerror(errno) : "too large");
	if (fd >= 0)
		close(fd);
	*ret = text;
	return n ? -EIO : 0;
}

static void forget_key(struct api *a)
{
	if (a->key)
		explicit_bzero(a->key, PEM_MAX);
	free(a->key);
	free(a->cert);
	a->key = a->cert = NULL;
}

static int open_all(struct api *a, char *error)
{
	uint64_t seed;
	int r = 0;

	if (RAND_bytes((unsigned char *)&seed, sizeof(seed)) != 1)
		return -EIO;
	guard_init(&a->guard, seed);
	a->openapi = api_openapi_text();
	if (!a->openapi)
		return -ENOMEM;
	if (a->cfg.cert)
		r = read_pem(a->cfg.cert, &a->cert, error) ?: read_pem(a->cfg.key, &a->key, error);
	r = r ?: tokens_open(a->cfg.dir, error, &a->tokens);
	r = r ?: jobs_new(&a->jobs);
	return r ?: api_http_start(a, error);
}

int api_open(const struct api_cfg *cfg, char *error, struct api **ret)
{
	struct api *a = calloc(1, sizeof(*a));
	int r;

	if (!a) {
		close(cfg->fd);
		return -ENOMEM;
	}
	a->cfg = *cfg;
	a->patience_ms = PATIENCE_MS;
	pthread_mutex_init(&a->lock, NULL);
	pthread_mutex_init(&a->changing, NULL);
	r = open_all(a, error);
	forget_key(a);
	a->cfg.cert = a->cfg.key = a->cfg.dir = NULL; /* settings go with a reload */
	if (r)
		api_close(a);
	else
		*ret = a;
	return r;
}

void api_stop(struct api *a)
{
	if (!a || !a->daemon)
		return;
	__atomic_store_n(&a->stop, true, __ATOMIC_RELAXED);
	api_http_stop(a); /* with it the socket */
	a->cfg.fd = -1;
	jobs_free(a->jobs);
	a->jobs = NULL;
}

void api_close(struct api *a)
{
	if (!a)
		return;
	api_stop(a);
	if (a->cfg.fd >= 0)
		close(a->cfg.fd);
	jobs_free(a->jobs);
	tokens_close(a->tokens);
	free(a->openapi);
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->changing);
	free(a);
}
