// SPDX-License-Identifier: Apache-2.0
/*
 * http.c - the REST interface over HTTP: who asks, what, and the answer's head. libmicrohttpd has a thread for
 * each connection, so that who waits for the store keeps nobody else waiting.
 */
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "collector/alerts/book_int.h"
#include "collector/api/api_int.h"
#include "collector/nodes/captures.h"
#include "common/log.h"

#define IDLE_S	     30u
#define MEMORY	     (32u << 10) /* of a connection: heads */
#define DISCARD_MAX  (2u << 20) /* octets of a body that nobody wants, before the connection ends */
#define BODY_STEP    4096u
#define STREAM_BLOCK (64u << 10)
#define PRIORITIES   "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define TYPE_JSON    "application/json"
#define TYPE_FILE    "application/gzip"
#define TYPE_PROBLEM "application/problem+json"

/* A request, from its head to the last octet of its answer. */
struct exchange {
	struct api *api;
	struct MHD_Connection *c;
	struct api_call call;
	enum api_method method;
	unsigned int allowed; /* methods of the path, for 405 */
	unsigned int wait_s;  /* for 429 */
	struct api_match match;
	char *body;
	size_t len, cap, discarded;
	uint64_t begin_us;
};

static uint64_t mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- who ---- */

static void address_of(struct MHD_Connection *c, uint8_t ret[16])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;

	memset(ret, 0, 16);
	if (sa && sa->sa_family == AF_INET6) {
		memcpy(ret, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	} else if (sa && sa->sa_family == AF_INET) {
		ret[10] = ret[11] = 0xff;
		memcpy(ret + 12, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	}
}

static int bad_token(struct exchange *x, bool there)
{
	struct api *a = x->api;
	uint8_t ip[16];

	address_of(x->c, ip);
	__atomic_fetch_add(&a->stats.bad_tokens, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&a->lock);
	x->wait_s = there ? guard_bad(&a->guard, ip, book_now_us()) : 0;
	pthread_mutex_unlock(&a->lock);
	if (x->wait_s)
		return api_problem(&x->call.problem, MHD_HTTP_TOO_MANY_REQUESTS, "token",
				   "too many wrong tokens from this address; again in %u s",
				   x->wait_s);
	return api_problem(&x->call.problem, MHD_HTTP_UNAUTHORIZED, "token",
			   there ? "the token is wrong, revoked, or has ended"
				 : "a token is wanted: Authorization: Bearer TOKEN");
}

/* Source: RFC 6750 2.1. */
static int identify(struct exchange *x)
{
	const char *header =
		MHD_lookup_connection_value(x->c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	const char *token = header;
	size_t len;

	if (!token || strncasecmp(token, "Bearer ", 7) != 0)
		return bad_token(x, token != NULL);
	token += 7 + strspn(token + 7, " ");
	len = strcspn(token, " \t");
	return tokens_find(x->api->tokens, token, len, &x->call.who) ? bad_token(x, true) : 0;
}

static int let_in(struct exchange *x)
{
	const enum api_right right = api_routes[x->match.route].right;

	if (right == RIGHT_OPEN)
		return 0;
	if (identify(x))
		return -1;
	if (api_may(x->call.who.rights, right))
		return 0;
	__atomic_fetch_add(&x->api->stats.denied, 1, __ATOMIC_RELAXED);
	return api_problem(&x->call.problem, MHD_HTTP_FORBIDDEN, "role",
			   "token '%s' has role %s, which may not '%s'", x->call.who.name,
			   api_roles[x->call.who.role].word, api_right_word(right));
}

/* ---- what ---- */

static int find_route(struct exchange *x, const char *method, const char *url)
{
	const int m = api_method_find(method);
	int r;

	x->method = m < 0 ? _METHOD_MAX : (enum api_method)m;
	r = api_match(x->method, url, &x->match, &x->allowed);
	x->call.route = x->match.route;
	if (r == -EPERM)
		return api_problem(&x->call.problem, MHD_HTTP_METHOD_NOT_ALLOWED, "method",
				   "%.16s is not for this path", method);
	if (r)
		return api_problem(&x->call.problem, MHD_HTTP_NOT_FOUND, "path",
				   "there is no such path; " API_BASE
				   "/openapi.json has those that there are");
	return 0;
}

static enum MHD_Result on_query(void *arg, enum MHD_ValueKind kind, const char *name,
				const char *value)
{
	struct exchange *x = arg;
	const struct api_text text = {value ?: "", value ? strlen(value) : 0};

	(void)kind;
	return api_check_query(x->match.route, name, text, x->call.values, &x->call.problem)
		       ? MHD_NO
		       : MHD_YES;
}

/* What is to be a file is one. */
static int check_file(struct exchange *x, const char *type)
{
	if (!x->len)
		return api_problem(&x->call.problem, MHD_HTTP_BAD_REQUEST, "missing",
				   "the body: is missing");
	if (!type || strcasecmp(type, TYPE_FILE) != 0)
		return api_problem(&x->call.problem, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "type",
				   "the body: want Content-Type: " TYPE_FILE);
	x->call.file = (struct api_text){x->body, x->len};
	return 0;
}

static int check_type(struct exchange *x)
{
	const char *type =
		MHD_lookup_connection_value(x->c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);

	const struct api_member *file = api_route_file(x->match.route);

	if (file)
		return check_file(x, type);
	if (!x->len || (type && !strncasecmp(type, TYPE_JSON, strlen(TYPE_JSON)) &&
			(!type[strlen(TYPE_JSON)] || strchr("; \t", type[strlen(TYPE_JSON)]))))
		return 0;
	return api_problem(&x->call.problem, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "type",
			   "the body: want Content-Type: " TYPE_JSON);
}

static const char *head_of(const struct exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->c, MHD_HEADER_KIND, name);
}

/* Nobody changes what somebody else is about to. */
static int run_change(struct exchange *x)
{
	struct api_call *call = &x->call;
	int r;

	pthread_mutex_lock(&x->api->changing);
	r = api_conditions(call, head_of(x, MHD_HTTP_HEADER_IF_MATCH),
			   head_of(x, MHD_HTTP_HEADER_IF_NONE_MATCH));
	r = r ?: api_routes[x->match.route].run(call);
	pthread_mutex_unlock(&x->api->changing);
	return r;
}

/* The whole request is there. */
static int run(struct exchange *x)
{
	struct api_call *call = &x->call;
	struct api_problem *p = &call->problem;

	if (api_check_path(&x->match, call->values, p))
		return -1;
	MHD_get_connection_values(x->c, MHD_GET_ARGUMENT_KIND, on_query, x);
	if (p->status || check_type(x) ||
	    (!call->file.s &&
	     api_check_body(x->match.route, (struct api_text){x->body, x->len}, call->values, p)) ||
	    api_check_all(x->match.route, call->values, p))
		return -1;
	call->range = MHD_lookup_connection_value(x->c, MHD_HEADER_KIND, MHD_HTTP_HEADER_RANGE);
	return api_route_shown(&api_routes[x->match.route]) ? run_change(x)
							    : api_routes[x->match.route].run(call);
}

/* ---- the answer ---- */

static void count(struct exchange *x, unsigned int status)
{
	const uint64_t us = mono_us() - x->begin_us;
	struct api_stats *st = &x->api->stats;
	unsigned int i = 0;

	while (i < API_BUCKETS && us > api_buckets_us[i])
		i++;
	__atomic_fetch_add(&st->duration[i], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&st->duration_us, us, __ATOMIC_RELAXED);
	__atomic_fetch_add(&st->by_class[status / 100], 1, __ATOMIC_RELAXED);
}

/* Source: RFC 9110 15.5.6, RFC 6750 3, RFC 6585 4. */
static void put_refusal(const struct exchange *x, unsigned int status, struct MHD_Response *r)
{
	char text[64] = "";

	if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
		for (int m = 0; m < _METHOD_MAX; m++)
			if (x->allowed >> m & 1)
				snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
					 *text ? ", " : "", api_method_word(m));
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, text);
	} else if (status == MHD_HTTP_UNAUTHORIZED) {
		MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
					"Bearer realm=\"weir-collector\"");
	} else if (status == MHD_HTTP_TOO_MANY_REQUESTS || x->call.retry_s) {
		snprintf(text, sizeof(text), "%u", x->call.retry_s ?: x->wait_s);
		MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, text);
	}
}

/* @text is taken over. */
static enum MHD_Result send_text(struct exchange *x, unsigned int status, const char *type,
				 struct api_text text)
{
	struct MHD_Response *r;
	enum MHD_Result ok;
	char etag[API_ETAG] = "";

	if (status == MHD_HTTP_OK && x->method == METHOD_GET) {
		const char *known = MHD_lookup_connection_value(x->c, MHD_HEADER_KIND,
								MHD_HTTP_HEADER_IF_NONE_MATCH);

		api_etag_of(text.s, text.len, etag);
		if (known && api_etag_listed(known, etag)) {
			status = MHD_HTTP_NOT_MODIFIED;
			free((void *)(uintptr_t)text.s);
			text = (struct api_text){NULL, 0};
		}
	}
	count(x, status);
	r = MHD_create_response_from_buffer(text.len, (void *)(uintptr_t)text.s,
					    text.s ? MHD_RESPMEM_MUST_FREE
						   : MHD_RESPMEM_PERSISTENT);
	if (!r) {
		free((void *)(uintptr_t)text.s);
		return MHD_NO;
	}
	if (text.len)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (*etag)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ETAG, etag);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL,
				*etag ? "private, no-cache" : "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (*x->call.location)
		MHD_add_response_header(r, MHD_HTTP_HEADER_LOCATION, x->call.location);
	put_refusal(x, status, r);
	ok = MHD_queue_response(x->c, status, r);
	MHD_destroy_response(r);
	return ok;
}

/* ---- a file ---- */

static ssize_t on_read(void *arg, uint64_t at, char *buf, size_t max)
{
	const ssize_t n = fetch_read(arg, (uint8_t *)buf, max);

	(void)at;
	return n > 0 ? n : n ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
}

static void on_sent(void *arg)
{
	fetch_close(arg);
}

/* Who gets less than it was told is cut off: what is whole can be told from what is not. Source: RFC 9110 14.4. */
static enum MHD_Result send_stream(struct exchange *x)
{
	const struct api_stream *s = &x->call.stream;
	struct MHD_Response *r;
	enum MHD_Result ok;
	char text[160];

	count(x, x->call.status);
	r = MHD_create_response_from_callback(s->size - s->from, STREAM_BLOCK, on_read, s->f,
					      on_sent);
	if (!r) {
		fetch_close(s->f);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, API_TYPE_PACKETS);
	MHD_add_response_header(r, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	snprintf(text, sizeof(text), "attachment; filename=\"%s\"", s->name);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_DISPOSITION, text);
	if (x->call.status == MHD_HTTP_PARTIAL_CONTENT) {
		snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, s->from,
			 s->size - 1, s->size);
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_RANGE, text);
	}
	ok = MHD_queue_response(x->c, x->call.status, r);
	MHD_destroy_response(r);
	return ok;
}

/* @o: taken over. */
static enum MHD_Result send_json(struct exchange *x, unsigned int status, const char *type,
				 json_t *o)
{
	size_t len;
	char *text = api_json_text(o, &len);

	if (!text)
		return MHD_NO;
	return send_text(x, status, type, (struct api_text){text, len});
}

static enum MHD_Result answer(struct exchange *x)
{
	struct api_call *call = &x->call;
	char *text;
	json_t *o;

	if (!call->problem.status && run(x) && !call->problem.status)
		api_answer(call, NULL);
	if (call->problem.status) {
		const unsigned int status = call->problem.status;

		return send_json(x, status, TYPE_PROBLEM, api_problem_json(&call->problem));
	}
	if (call->stream.f)
		return send_stream(x);
	o = call->answer;
	text = call->text;
	call->answer = NULL;
	call->text = NULL;
	if (text)
		return send_text(x, call->status, call->type,
				 (struct api_text){text, call->text_len});
	if (o)
		return send_json(x, call->status, TYPE_JSON, o);
	return send_text(x, call->status, TYPE_JSON, (struct api_text){NULL, 0});
}

/* ---- the server ---- */

static int socket_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static struct exchange *begin(struct api *a, struct MHD_Connection *c)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->api = a;
	x->c = c;
	x->call.api = a;
	x->call.fd = socket_of(c);
	x->call.values = json_object();
	x->begin_us = mono_us();
	return x;
}

/* Return: 0, or -1: it has gone on for too long. */
static int take_body(struct exchange *x, const char *data, size_t len)
{
	struct api_problem *p = &x->call.problem;
	const struct api_member *file = p->status ? NULL : api_route_file(x->match.route);
	const size_t most = file ? file->max : API_BODY_MAX;
	char *more = x->body;

	if (!p->status && x->len + len > most)
		api_problem(p, MHD_HTTP_CONTENT_TOO_LARGE, "size", "the body: %zu octets at most",
			    most);
	if (!p->status && x->len + len > x->cap) {
		x->cap = (x->len + len + BODY_STEP) * 2;
		more = realloc(x->body, x->cap);
		if (!more)
			api_answer(&x->call, NULL);
		else
			x->body = more;
	}
	if (p->status) { /* it is read all the same, so that the answer comes through */
		x->discarded += len;
		return x->discarded > DISCARD_MAX ? -1 : 0;
	}
	memcpy(x->body + x->len, data, len);
	x->len += len;
	return 0;
}

/* Called with the head, with each piece of the body, and at its end. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct exchange *x = *state;
	int r;

	(void)version;
	if (!x) {
		x = begin(arg, c);
		if (!x)
			return MHD_NO;
		*state = x;
		/* what is wrong is told at the end of the body */
		(void)(find_route(x, method, url) ?: let_in(x));
		return MHD_YES;
	}
	if (*data_len) {
		r = take_body(x, data, *data_len);
		*data_len = 0;
		return r ? MHD_NO : MHD_YES;
	}
	return answer(x);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct exchange *x = *state;

	(void)arg;
	(void)c;
	(void)how;
	if (!x)
		return;
	json_decref(x->call.values);
	json_decref(x->call.answer);
	json_decref(x->call.problem.errors);
	free(x->call.text);
	free(x->body);
	free(x);
	*state = NULL;
}

/* A 0 ends no text: what has one is no path and no value of ours. */
static size_t on_unescape(void *arg, struct MHD_Connection *c, char *s)
{
	const size_t len = MHD_http_unescape(s);

	(void)arg;
	(void)c;
	for (size_t i = 0; i < len; i++)
		if (!s[i])
			s[i] = '\1';
	return len;
}

static void on_log(void *arg, const char *fmt, va_list ap)
{
	char text[200];

	(void)arg;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("api", "%s", text);
}

int api_http_start(struct api *a, char *error)
{
	const struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, a->cert},
					     {MHD_OPTION_HTTPS_MEM_KEY, 0, a->key},
					     {MHD_OPTION_HTTPS_PRIORITIES, 0,
					      (void *)(uintptr_t)PRIORITIES},
					     {MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	a->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
			MHD_USE_ITC | MHD_USE_ERROR_LOG | (a->cert ? MHD_USE_TLS : 0),
		0, NULL, NULL, on_request, a, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, a->cfg.fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, a,
		MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_CONNECTION_TIMEOUT,
		IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
		MHD_OPTION_CONNECTION_LIMIT, a->cfg.clients, MHD_OPTION_ARRAY, a->cert ? tls : none,
		MHD_OPTION_END);
	if (a->daemon)
		return 0;
	snprintf(error, API_ERROR, "%s does not start%s", a->cert ? "HTTPS" : "HTTP",
		 a->cert ? ": do tls.cert and tls.key belong together?" : "");
	return -EIO;
}

void api_http_stop(struct api *a)
{
	MHD_stop_daemon(a->daemon);
	a->daemon = NULL;
}
