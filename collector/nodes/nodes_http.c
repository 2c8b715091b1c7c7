// SPDX-License-Identifier: Apache-2.0
/*
 * nodes_http.c - nodes over HTTPS: who asks is known by the certificate, the body is one message, the
 * answer another one, a policy, or nothing new. A thread of libmicrohttpd's serves all; questions that wait
 * are suspended. What is wrong is said as RFC 9457 has it.
 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/control/decide.h"
#include "collector/nodes/captures.h"
#include "collector/nodes/hits.h"
#include "collector/nodes/nodes_http.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/policy.h"

#define IDLE_S	     60u
#define MEMORY	     (32u << 10) /* of a connection: heads */
#define SPARE	     64u /* connections beside two for each node, and those that take their place */
#define BODY_STEP    1024u
#define PRIORITIES   "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"
#define TYPE_POLICY  "application/octet-stream"

/* ---- answers ---- */

enum MHD_Result http_text(struct MHD_Connection *c, unsigned int status, const char *type,
			  char *text)
{
	struct MHD_Response *r;
	enum MHD_Result ok;

	r = MHD_create_response_from_buffer(text ? strlen(text) : 0, text,
					    text ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (!r) {
		free(text);
		return MHD_NO;
	}
	if (text)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

enum MHD_Result http_problem(struct MHD_Connection *c, unsigned int status, const char *code,
			     const char *detail)
{
	struct node_text m = {};

	snprintf(m.code, sizeof(m.code), "%s", code);
	snprintf(m.detail, sizeof(m.detail), "%s", detail);
	snprintf(m.title, sizeof(m.title), "%s", MHD_get_reason_phrase_for(status));
	return http_text(c, status, TYPE_PROBLEM, node_message_write(NODE_PROBLEM, &m));
}

static void drop_image(void *arg)
{
	image_drop(arg);
}

/* @i is the answer's now. */
static enum MHD_Result send_image(struct MHD_Connection *c, struct image *i)
{
	struct MHD_Response *r;
	enum MHD_Result ok;

	r = MHD_create_response_from_buffer_with_free_callback_cls(i->len, i->bytes, drop_image, i);
	if (!r) {
		image_drop(i);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, TYPE_POLICY);
	ok = MHD_queue_response(c, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return ok;
}

/* ---- who is it ---- */

static const gnutls_datum_t *certificate(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	unsigned int n = 0;
	const gnutls_datum_t *chain =
		info ? gnutls_certificate_get_peers((gnutls_session_t)info->tls_session, &n) : NULL;

	return n ? chain : NULL;
}

void http_identify(struct nodes *n, struct MHD_Connection *c, bool renewing, struct who *ret)
{
	const uint64_t late_us = renewing ? n->return_us : 0;
	const gnutls_datum_t *shown = certificate(c);
	const int64_t now = nodes_wall_us();

	*ret = (struct who){};
	if (shown)
		ret->der = (struct ca_der){shown->data, shown->size};
	if (!shown) {
		ret->code = "certificate";
		ret->detail = "a node's certificate is wanted";
		return;
	}
	if (ca_check(n->ca, &ret->der, &ret->shown)) {
		ret->code = "certificate";
		ret->detail = "the certificate is not of this collector";
		return;
	}
	ret->node = table_by_key(n, ret->shown.key);
	if (!ret->node) {
		ret->code = "unknown";
		ret->detail = "no node has this key any more: enrol it again, with a new token";
	} else if (ret->node->revoked_us) {
		ret->code = "revoked";
		ret->detail = "this node is revoked";
	} else if (now > ret->shown.expires_us + (int64_t)late_us) {
		ret->code = "expired";
		ret->detail =
			renewing ? "the certificate ended too long ago: enrol it again, with a "
				   "new token"
				 : "the certificate has ended";
	}
}

enum MHD_Result http_deny(struct waiter *w, const struct who *who)
{
	w->n->counts.denied++;
	return http_problem(w->c,
			    strcmp(who->code, "certificate") != 0 ? MHD_HTTP_FORBIDDEN
								  : MHD_HTTP_UNAUTHORIZED,
			    who->code, who->detail);
}

/* ---- enrolment ---- */

static int policy_key(const struct nodes *n, char *ret, size_t cap)
{
	char path[4100];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%.4000s/policy/policy.pub", n->dir);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	len = fread(ret, 1, cap - 1, f);
	fclose(f);
	ret[len] = '\0';
	return len ? 0 : -EIO;
}

static enum MHD_Result send_certificate(struct waiter *w, const char *name,
					const struct ca_issued *issued)
{
	static __thread struct node_text m;

	m = (struct node_text){};
	snprintf(m.name, sizeof(m.name), "%s", name);
	snprintf(m.issuer, sizeof(m.issuer), "%s", w->n->issuer);
	snprintf(m.certificate, sizeof(m.certificate), "%s", issued->pem);
	if (policy_key(w->n, m.policy_key, sizeof(m.policy_key)))
		return http_problem(w->c, MHD_HTTP_SERVICE_UNAVAILABLE, "policy-key",
				    "the key that signs policies can't be read");
	return http_text(w->c, MHD_HTTP_OK, TYPE_JSON, node_message_write(NODE_ENROLLED, &m));
}

static enum MHD_Result refuse_enrolment(struct waiter *w, int r, const struct enrolling *e)
{
	struct nodes *n = w->n;

	n->counts.enrol_refused++;
	switch (r) {
	case -EACCES:
		return http_problem(w->c, MHD_HTTP_FORBIDDEN, "token",
				    "the token was used before, has ended, or never was");
	case -EEXIST:
		return http_problem(
			w->c, MHD_HTTP_CONFLICT, "name",
			"there is a node of this name; a token with --name lets it come again");
	case -ENOSPC:
		return http_problem(w->c, MHD_HTTP_FORBIDDEN, "full", "there are nodes.max nodes");
	case -EINVAL:
		return http_problem(
			w->c, MHD_HTTP_BAD_REQUEST, "request",
			e->error[0] ? e->error
				    : "name: want letters, digits, . _ -, a letter or digit first");
	default:
		log_error("nodes", "enrolment: %s", db_error(n->db));
		return http_problem(w->c, MHD_HTTP_SERVICE_UNAVAILABLE, "store",
				    "it can't be written down; try again");
	}
}

/* Locked. */
static enum MHD_Result do_enrol(struct waiter *w)
{
	static __thread struct node_text m;
	char error[NODE_MESSAGE_ERROR];
	uint8_t pin[NODE_PIN], own[CA_HASH], secret[NODE_SECRET];
	struct enrolling e = {.secret = secret, .wish = m.name, .csr = m.csr};
	struct node *x;
	int r;

	if (node_message_read(NODE_ENROL, w->body ?: "", w->len, &m, error))
		return http_problem(w->c, MHD_HTTP_BAD_REQUEST, "request", error);
	ca_pin(w->n->ca, own);
	if (node_token_read(m.token, pin, secret) || memcmp(pin, own, sizeof(pin)) != 0)
		r = -EACCES;
	else
		r = table_enrol(w->n, &e, &x);
	if (r)
		return refuse_enrolment(w, r, &e);
	w->n->counts.enrolled++;
	log_info("nodes", "%s: enrolled%s%s", x->name, *x->labels ? ", " : "", x->labels);
	return send_certificate(w, x->name, &e.issued);
}

/* Locked. */
static enum MHD_Result do_renew(struct waiter *w)
{
	struct ca_issued issued;
	struct who who;

	http_identify(w->n, w->c, true, &who);
	if (who.code) {
		w->n->counts.renew_refused++;
		return http_deny(w, &who);
	}
	if (ca_issue_again(w->n->ca, &who.der,
			   &(struct ca_wish){who.node->name, w->n->certificate_us}, &issued) ||
	    table_renewed(w->n, who.node, issued.expires_us)) {
		w->n->counts.renew_refused++;
		return http_problem(w->c, MHD_HTTP_SERVICE_UNAVAILABLE, "store",
				    "it can't be written down; try again");
	}
	w->n->counts.renewed++;
	return send_certificate(w, who.node->name, &issued);
}

/* ---- what holds, what shall ---- */

void http_resume(struct waiter *w)
{
	if (!w)
		return;
	*w->place = NULL;
	MHD_resume_connection(w->c);
}

void http_wait(struct waiter *w, struct node *x, struct waiter **place, int64_t wait_ms)
{
	if (*place)
		(*place)->late = true;
	http_resume(*place);
	w->node = x;
	w->place = place;
	w->until_us = nodes_mono_us() + wait_ms * 1000;
	*place = w;
	MHD_suspend_connection(w->c);
}

static enum MHD_Result answer_sync(struct waiter *w, struct node *x)
{
	struct image *want = sync_wanted(w->n, x);

	if (!w->n->stop && sync_judge(&x->report, want) == VERDICT_SEND) {
		w->n->counts.sent++;
		return send_image(w->c, image_hold(want));
	}
	return http_text(w->c, MHD_HTTP_NO_CONTENT, NULL, NULL);
}

/* Locked. */
static enum MHD_Result do_sync(struct waiter *w)
{
	static __thread struct node_text m;
	char error[NODE_MESSAGE_ERROR];
	struct node_report report;
	struct who who;

	http_identify(w->n, w->c, false, &who);
	if (who.code)
		return http_deny(w, &who);
	if (w->node) /* it has waited */
		return answer_sync(w, who.node);
	if (sync_read(w->body ?: "", w->len, &report, &m, error))
		return http_problem(w->c, MHD_HTTP_BAD_REQUEST, "request", error);
	snprintf(who.node->version, sizeof(who.node->version), "%s", m.version);
	snprintf(who.node->kernel, sizeof(who.node->kernel), "%s", m.kernel);
	if (m.clock_us)
		who.node->skew_us = m.clock_us - nodes_wall_us();
	if (sync_heard(w->n, who.node, &report) == VERDICT_SEND || !m.wait_ms || w->n->stop)
		return answer_sync(w, who.node);
	http_wait(w, who.node, &who.node->waiter, m.wait_ms);
	return MHD_YES;
}

/* Not locked: whoever writes it down may be waiting for us. */
static enum MHD_Result do_decided(struct waiter *w)
{
	static __thread struct node_text m;
	char error[NODE_MESSAGE_ERROR], name[NODE_NAME + 1] = "";
	struct node_decision d;
	enum MHD_Result denied = MHD_NO;
	struct who who;

	pthread_mutex_lock(&w->n->lock);
	http_identify(w->n, w->c, false, &who);
	if (who.code)
		denied = http_deny(w, &who);
	else
		snprintf(name, sizeof(name), "%s", who.node->name);
	pthread_mutex_unlock(&w->n->lock);
	if (who.code)
		return denied;
	if (sync_read_decided(w->body ?: "", w->len, &d, &m, error))
		return http_problem(w->c, MHD_HTTP_BAD_REQUEST, "request", error);
	d.node = name;
	if (w->n->decided(w->n->arg, &d))
		return http_problem(w->c, MHD_HTTP_SERVICE_UNAVAILABLE, "store",
				    "it can't be written down; try again");
	return http_text(w->c, MHD_HTTP_NO_CONTENT, NULL, NULL);
}

/* Locked. */
static enum MHD_Result do_hits(struct waiter *w)
{
	char error[NODE_MESSAGE_ERROR] = "";
	struct who who;
	int r;

	http_identify(w->n, w->c, false, &who);
	if (who.code)
		return http_deny(w, &who);
	r = hits_heard(&(struct who_tells){w->n, who.node->name}, w->body ?: "", w->len, error);
	if (r == -EINVAL)
		return http_problem(w->c, MHD_HTTP_BAD_REQUEST, "request", error);
	if (r)
		return http_problem(w->c, MHD_HTTP_SERVICE_UNAVAILABLE, "store",
				    "it can't be written down; try again");
	return http_text(w->c, MHD_HTTP_NO_CONTENT, NULL, NULL);
}

void http_wake(struct nodes *n)
{
	const int64_t now = nodes_mono_us();

	for (struct node *x = n->first; x; x = x->next) {
		struct waiter *w = x->waiter;

		if (w && (n->stop || x->revoked_us || now >= w->until_us ||
			  sync_judge(&x->report, sync_wanted(n, x)) == VERDICT_SEND))
			http_resume(w);
		w = x->fetcher;
		if (w && (n->stop || x->revoked_us || now >= w->until_us || fetch_is_due(n, x)))
			http_resume(w);
	}
}

/* ---- the server ---- */

static enum MHD_Result dispatch(struct waiter *w, const char *url)
{
	enum MHD_Result r;

	if (!strcmp(url, NODE_PATH_DECIDED))
		return do_decided(w);
	pthread_mutex_lock(&w->n->lock);
	if (!strcmp(url, NODE_PATH_SYNC))
		r = do_sync(w);
	else if (!strcmp(url, NODE_PATH_PIECE))
		r = http_piece(w);
	else if (!strcmp(url, NODE_PATH_HITS))
		r = do_hits(w);
	else if (!strcmp(url, NODE_PATH_CAPTURES))
		r = http_captures(w);
	else if (!strcmp(url, NODE_PATH_RENEW))
		r = do_renew(w);
	else if (!strcmp(url, NODE_PATH_ENROL))
		r = do_enrol(w);
	else
		r = http_problem(w->c, MHD_HTTP_NOT_FOUND, "path", "there is no such thing here");
	pthread_mutex_unlock(&w->n->lock);
	return r;
}

static struct waiter *begin(struct nodes *n, struct MHD_Connection *c, const char *url)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->n = n;
	w->c = c;
	w->max = http_is_piece(n, c, url) ? NODE_PIECE_MESSAGE : NODE_MESSAGE_MAX;
	return w;
}

static void take_body(struct waiter *w, const char *data, size_t len)
{
	char *more = w->body;

	w->too_long |= len > w->max - w->len;
	if (w->too_long)
		return;
	if (len > w->cap - w->len) {
		w->cap = w->max > NODE_MESSAGE_MAX ? w->max : w->len + len + BODY_STEP;
		more = realloc(w->body, w->cap);
	}
	if (!more) {
		w->too_long = true;
		return;
	}
	w->body = more;
	memcpy(w->body + w->len, data, len);
	w->len += len;
}

/* Called with the head, with each piece of the body, and at its end; again when it is resumed. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct waiter *w = *state;

	(void)version;
	if (!w) {
		w = *state = begin(arg, c, url);
		return w ? MHD_YES : MHD_NO;
	}
	if (*data_len) {
		take_body(w, data, *data_len);
		*data_len = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
		return http_problem(c, MHD_HTTP_METHOD_NOT_ALLOWED, "method", "POST only");
	if (w->too_long)
		return http_problem(c, MHD_HTTP_CONTENT_TOO_LARGE, "request",
				    "the body is too long");
	return dispatch(w, url);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct nodes *n = arg;
	struct waiter *w = *state;

	(void)c;
	(void)how;
	if (!w)
		return;
	pthread_mutex_lock(&n->lock);
	if (w->node && *w->place == w)
		*w->place = NULL;
	pthread_mutex_unlock(&n->lock);
	free(w->body);
	free(w);
	*state = NULL;
}

static void on_log(void *arg, const char *fmt, va_list ap)
{
	char text[200];

	(void)arg;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("nodes", "%s", text);
}

int http_start(struct nodes *n, const struct address *listen, char *error)
{
	char *chain = NULL, *key = NULL;
	int fd, r = ca_server(n->ca, &chain, &key);

	if (r) {
		snprintf(error, NODES_ERROR, "no certificate could be made");
		return r;
	}
	r = listen_tcp(listen, "nodes.listen", &fd);
	if (!r) {
		n->daemon = MHD_start_daemon(
			MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME |
				MHD_USE_ERROR_LOG,
			0, NULL, NULL, on_request, n, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
			MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_MEM_CERT, chain,
			MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_HTTPS_MEM_TRUST, chain,
			MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES, MHD_OPTION_NOTIFY_COMPLETED,
			on_completed, n, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
			MHD_OPTION_CONNECTION_LIMIT, 4 * n->max + SPARE, MHD_OPTION_END);
		if (!n->daemon) {
			snprintf(error, NODES_ERROR, "HTTPS does not start");
			close(fd);
			r = -EIO;
		}
	} else {
		snprintf(error, NODES_ERROR, "nodes.listen: %s", strerror(-r));
	}
	free(chain);
	explicit_bzero(key, strlen(key));
	free(key);
	return r;
}

void http_stop(struct nodes *n)
{
	if (!n->daemon)
		return;
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	http_wake(n);
	pthread_mutex_unlock(&n->lock);
	MHD_stop_daemon(n->daemon);
	n->daemon = NULL;
}
