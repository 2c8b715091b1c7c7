// SPDX-License-Identifier: Apache-2.0
/*
 * merge_name.c - what was said in a flow: kept beside its state, bounded in total by names_bytes
 * and per flow by FLOW_HOSTS_MAX, FLOW_QUERIES_MAX and FLOW_ANSWERS_MAX. What doesn't fit is counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "loader/merge_answers.h"
#include "loader/name/name.h"

/* The first query is dns.qname ..., the others are dns.queries. */
#define QUERIES_KEPT (FLOW_QUERIES_MAX + 1)

struct query_meta {
	uint64_t time_ns; /* of the query; of the answer when only that was seen */
	uint16_t id;
	uint8_t carried; /* held back once already, waiting for its answer */
	uint8_t answer_only;
};

struct flow_names {
	struct flow_str sni, alpn;
	struct flow_str host, method, path;
	struct flow_str *hosts; /* FLOW_HOSTS_MAX, or NULL */
	struct flow_query *q;	/* q_cap */
	struct query_meta *qm;	/* the same */
	struct merge_answers answers;
	uint16_t hosts_n;
	uint16_t q_n, q_cap, q_told; /* q_told: in the record being written, from the front */
	uint16_t tls_version;	     /* wire numbers of TLS or DTLS */
	uint16_t tls_offered;
	uint32_t quic_version;
	uint8_t tls_ech;
	uint8_t tls_client; /* a ClientHello was read */
	uint8_t http;	    /* a request was read */
	uint8_t no_name;
	uint8_t told; /* FLOW_TOLD_x: in a record already */
	uint8_t hosts_told;
};

void *kept_alloc(struct merge *m, size_t size)
{
	void *p;

	if (m->names_used + size > m->cfg.names_bytes)
		return NULL;
	p = calloc(1, size);
	if (p)
		m->names_used += size;
	return p;
}

void kept_free(struct merge *m, void *p, size_t size)
{
	if (!p)
		return;
	m->names_used -= size;
	free(p);
}

bool kept_str(struct merge *m, struct flow_str *s, const void *from, size_t len)
{
	char *p;

	if (!len)
		return true;
	p = kept_alloc(m, len);
	if (!p)
		return false;
	memcpy(p, from, len);
	*s = (struct flow_str){p, (uint32_t)len};
	return true;
}

static void free_str(struct merge *m, struct flow_str *s)
{
	kept_free(m, (char *)s->s, s->len);
	*s = (struct flow_str){NULL, 0};
}

void merge_name_free(struct merge *m, struct flow_state *st)
{
	struct flow_names *n = st->names;

	if (!n)
		return;
	free_str(m, &n->sni);
	free_str(m, &n->alpn);
	free_str(m, &n->host);
	free_str(m, &n->method);
	free_str(m, &n->path);
	for (unsigned int i = 0; i < n->hosts_n; i++)
		free_str(m, &n->hosts[i]);
	kept_free(m, n->hosts, FLOW_HOSTS_MAX * sizeof(n->hosts[0]));
	for (unsigned int i = 0; i < n->q_n; i++)
		free_str(m, &n->q[i].qname);
	kept_free(m, n->q, n->q_cap * sizeof(n->q[0]));
	kept_free(m, n->qm, n->q_cap * sizeof(n->qm[0]));
	merge_answers_free(m, &n->answers);
	kept_free(m, n, sizeof(*n));
	st->names = NULL;
}

static bool str_equal_nocase(const struct flow_str *a, const void *b, size_t len)
{
	return a->len == len && !strncasecmp(a->s, b, len);
}

/* DTLS versions come in TLS numbering; on the wire they are ones' complement (RFC 6347, 9147). */
static uint16_t wire_version(const struct name_result *nr, uint16_t version)
{
	if (nr->proto != L7P_DTLS)
		return version;
	switch (version) {
	case 0x0302:
		return 0xfeff;
	case 0x0303:
		return 0xfefd;
	case 0x0304:
		return 0xfefc;
	default:
		return version;
	}
}

static uint16_t highest_offered(const struct name_tls *t)
{
	if (t->version)
		return t->version;
	for (uint16_t bit = 5; bit-- > 0;) {
		if (t->offered & 1u << bit)
			return 0x0300 + bit;
	}
	return 0;
}

/* The first hello counts; a second one (after HelloRetryRequest) may only add what it lacked. */
static bool apply_tls_client(struct merge *m, struct flow_names *n, const struct name_result *nr)
{
	const struct name_tls *t = &nr->tls;
	bool ok = true;

	if (!n->sni.len)
		ok &= kept_str(m, &n->sni, t->sni,
			       t->sni_len < WEIR_NAME_MAX ? t->sni_len : WEIR_NAME_MAX);
	if (!n->tls_client) {
		ok &= kept_str(m, &n->alpn, t->alpn,
			       t->alpn_len < WEIR_ALPN_MAX ? t->alpn_len : WEIR_ALPN_MAX);
		n->tls_offered = wire_version(nr, highest_offered(t));
		n->tls_ech = t->ech;
		n->tls_client = 1;
	}
	n->no_name = nr->no_name;
	return ok;
}

static bool apply_http(struct merge *m, struct flow_names *n, const struct name_result *nr)
{
	const struct name_http *h = &nr->http;
	size_t host_len = h->host_len < WEIR_NAME_MAX ? h->host_len : WEIR_NAME_MAX;
	bool ok = true;

	if (!n->http) {
		n->http = 1;
		ok &= kept_str(m, &n->host, h->host, host_len);
		ok &= kept_str(m, &n->method, h->method,
			       h->method_len < WEIR_METHOD_MAX ? h->method_len : WEIR_METHOD_MAX);
		ok &= kept_str(m, &n->path, h->path,
			       h->path_len < WEIR_PATH_MAX ? h->path_len : WEIR_PATH_MAX);
		n->no_name = nr->no_name;
		return ok;
	}
	if (!host_len || str_equal_nocase(&n->host, h->host, host_len))
		return true;
	for (unsigned int i = 0; i < n->hosts_n; i++) {
		if (str_equal_nocase(&n->hosts[i], h->host, host_len))
			return true;
	}
	if (n->hosts_n == FLOW_HOSTS_MAX)
		return false;
	if (!n->hosts)
		n->hosts = kept_alloc(m, FLOW_HOSTS_MAX * sizeof(n->hosts[0]));
	if (!n->hosts || !kept_str(m, &n->hosts[n->hosts_n], h->host, host_len))
		return false;
	n->hosts_n++;
	return true;
}

static bool queries_grow(struct merge *m, struct flow_names *n)
{
	unsigned int cap = !n->q_cap ? 1 : n->q_cap == 1 ? 4 : n->q_cap == 4 ? 16 : QUERIES_KEPT;
	struct flow_query *q;
	struct query_meta *qm;

	if (n->q_cap == QUERIES_KEPT)
		return false;
	q = kept_alloc(m, cap * sizeof(*q));
	qm = kept_alloc(m, cap * sizeof(*qm));
	if (!q || !qm) {
		kept_free(m, q, cap * sizeof(*q));
		kept_free(m, qm, cap * sizeof(*qm));
		return false;
	}
	if (n->q_n) {
		memcpy(q, n->q, n->q_n * sizeof(*q));
		memcpy(qm, n->qm, n->q_n * sizeof(*qm));
	}
	kept_free(m, n->q, n->q_cap * sizeof(*q));
	kept_free(m, n->qm, n->q_cap * sizeof(*qm));
	n->q = q;
	n->qm = qm;
	n->q_cap = (uint16_t)cap;
	return true;
}

/* Query and answer may come in either order: they can be seen on different CPUs. Same id, type and
 * name (letter case aside, RFC 1035 section 2.3.3); a repeated query counts from the first.
 */
static bool pair_query(struct flow_names *n, const struct name_result *nr)
{
	const struct name_dns *d = &nr->dns;
	bool answer = d->flags & NAME_DNS_RESPONSE;

	for (unsigned int i = n->q_n; i-- > 0;) {
		struct flow_query *q = &n->q[i];
		struct query_meta *qm = &n->qm[i];
		uint64_t diff;

		if (qm->id != d->id || q->qtype != d->qtype ||
		    !str_equal_nocase(&q->qname, d->qname, d->qname_len))
			continue;
		if (answer && q->has_rcode)
			return true;
		if (!answer && !qm->answer_only) {
			if (q->has_rcode && nr->time_ns > qm->time_ns)
				return false; /* asked again after it was answered */
			return true;
		}
		if (answer) {
			q->rcode = d->rcode;
			q->has_rcode = 1;
			diff = nr->time_ns - qm->time_ns;
		} else {
			diff = qm->time_ns - nr->time_ns;
		}
		if ((int64_t)diff < 0)
			return answer;
		q->latency_us = diff / 1000;
		q->has_latency = 1;
		qm->answer_only = 0;
		qm->time_ns = answer ? qm->time_ns : nr->time_ns;
		return true;
	}
	return false;
}

static bool apply_dns(struct merge *m, struct flow_names *n, const struct name_result *nr)
{
	const struct name_dns *d = &nr->dns;
	struct flow_query *q;
	size_t len = d->qname_len < NAME_QNAME_TEXT_MAX ? d->qname_len : NAME_QNAME_TEXT_MAX;

	if (!len || pair_query(n, nr))
		return true;
	if (n->q_n == n->q_cap && !queries_grow(m, n))
		return false;
	q = &n->q[n->q_n];
	memset(q, 0, sizeof(*q));
	memset(&n->qm[n->q_n], 0, sizeof(n->qm[0]));
	if (!kept_str(m, &q->qname, d->qname, len))
		return false;
	q->qtype = d->qtype;
	n->qm[n->q_n].id = d->id;
	n->qm[n->q_n].time_ns = nr->time_ns;
	if (d->flags & NAME_DNS_RESPONSE) {
		q->rcode = d->rcode;
		q->has_rcode = 1;
		n->qm[n->q_n].answer_only = 1;
	}
	n->q_n++;
	return true;
}

/* Who sent it is the client, or the server: 1 + direction of the client, 0 = can't tell. */
static uint8_t client_dir(const struct name_result *nr)
{
	uint8_t dir = nr->dir & 1;

	switch (nr->kind) {
	case NAME_TLS_CLIENT:
	case NAME_HTTP:
		return 1 + dir;
	case NAME_TLS_SERVER:
		return 2 - dir;
	case NAME_DNS_QUERY:
		return nr->dns.flags & NAME_DNS_RESPONSE ? 2 - dir : 1 + dir;
	case NAME_DNS_ANSWERS:
		return 2 - dir;
	default:
		return 0;
	}
}

int merge_name_apply(struct merge *m, struct flow_state *st, const struct name_result *nr)
{
	struct flow_names *n = st->names;
	bool ok = true;

	if (!n)
		n = st->names = kept_alloc(m, sizeof(*n));
	if (!n) {
		m->stats.names_dropped++;
		return -ENOSPC;
	}
	if (!st->name_dir)
		st->name_dir = client_dir(nr);
	if (nr->quic_version && (!n->quic_version || nr->kind == NAME_TLS_CLIENT))
		n->quic_version = nr->quic_version;
	switch (nr->kind) {
	case NAME_TLS_CLIENT:
		ok = apply_tls_client(m, n, nr);
		break;
	case NAME_TLS_SERVER:
		if (!n->tls_version)
			n->tls_version = wire_version(nr, nr->tls.version);
		break;
	case NAME_HTTP:
		ok = apply_http(m, n, nr);
		break;
	case NAME_DNS_QUERY:
		ok = apply_dns(m, n, nr);
		break;
	case NAME_DNS_ANSWERS:
		ok = merge_answers_add(m, &n->answers, &nr->answers);
		break;
	case NAME_MISSING:
		n->no_name = nr->no_name;
		break;
	}
	if (!ok) {
		m->stats.names_dropped++;
		return -ENOSPC;
	}
	m->stats.names++;
	return 0;
}

/* A TCP connection has one server name (a second hello repeats it): another is another's, whose
 * port is used again before anything of its end was read.
 */
static bool other_server(const struct flow_state *st, const struct name_result *nr)
{
	const struct flow_names *n = st->names;

	return nr->kind == NAME_TLS_CLIENT && is_tcp(&st->key) && n && n->sni.len &&
	       nr->tls.sni_len && nr->tls.sni_len <= WEIR_NAME_MAX &&
	       !str_equal_nocase(&n->sni, nr->tls.sni, nr->tls.sni_len);
}

static bool name_begins_anew(const struct merge *m, const struct flow_state *st,
			     const struct name_result *nr, uint64_t tick)
{
	if (nr->kind == NAME_MISSING)
		return false;
	if (st->flags & (FS_SEEN0 | FS_SEEN1)) {
		if (tick > state_last(st) + m->idle)
			return true;
		if (state_closed(st) && tick > state_last(st))
			return true;
	}
	return other_server(st, nr);
}

int merge_name(struct merge *m, const struct name_result *nr)
{
	uint64_t tick = clock_unwrap(m->cfg.clock, nr->tick);
	uint32_t hash = merge_hash(m, &nr->key);
	uint32_t ref = merge_find(m, &nr->key, hash);
	struct flow_state *st = ref ? merge_state(m, ref) : NULL;
	struct flow_state *older = st && st->older ? merge_state(m, st->older) : NULL;
	bool anew = st && name_begins_anew(m, st, nr, tick);

	if (older && older->flags & FS_ENDED && !memcmp(&older->key, &nr->key, sizeof(nr->key)) &&
	    tick < (st->flags & (FS_SEEN0 | FS_SEEN1) ? state_first(st) : st->first[0]))
		return merge_name_apply(m, older, nr);
	if (anew)
		merge_replace(m, st, state_closed(st) ? FLOW_END : FLOW_IDLE);
	if (anew || !st) {
		st = merge_insert(m, &nr->key, hash);
		st->older = anew ? ref : 0;
		st->prev_end = m->cfg.clock->now_tick;
		st->first[0] = tick;
		merge_schedule(m, st);
	}
	return merge_name_apply(m, st, nr);
}

/* Queries still waiting for an answer stay behind once, unless this is the flow's last record. */
static void queries_split(struct flow_names *n, bool final)
{
	unsigned int told = 0;

	for (unsigned int i = 0; i < n->q_n; i++) {
		struct flow_query q = n->q[i];
		struct query_meta qm = n->qm[i];

		if (!final && !q.has_rcode && !qm.carried) {
			n->qm[i].carried = 1;
			continue;
		}
		memmove(&n->q[told + 1], &n->q[told], (i - told) * sizeof(q));
		memmove(&n->qm[told + 1], &n->qm[told], (i - told) * sizeof(qm));
		n->q[told] = q;
		n->qm[told] = qm;
		told++;
	}
	n->q_told = (uint16_t)told;
}

/* Was the query seen? Without it anybody can send what looks like an answer. */
static bool asked(const void *arg, uint16_t id)
{
	const struct flow_names *n = arg;

	for (unsigned int i = 0; i < n->q_told; i++)
		if (n->qm[i].id == id && n->q[i].has_rcode && !n->qm[i].answer_only)
			return true;
	return false;
}

static void fill_answers(struct flow_names *n, struct flow_record *r)
{
	merge_answers_split(&n->answers, asked, n);
	if (!n->answers.told)
		return;
	r->dns_answers = (struct flow_strs){n->answers.v, n->answers.told};
	flow_set(r, FF_DNS_ANSWERS);
}

static void fill_dns(struct flow_names *n, bool final, struct flow_record *r)
{
	const struct flow_query *q = n->q;

	queries_split(n, final);
	if (!n->q_told)
		return;
	r->dns_qname = q->qname;
	r->dns_qtype = q->qtype;
	r->dns_rcode = q->rcode;
	r->dns_latency_us = q->latency_us;
	flow_set(r, FF_DNS_QNAME);
	flow_set(r, FF_DNS_QTYPE);
	if (q->has_rcode)
		flow_set(r, FF_DNS_RCODE);
	if (q->has_latency)
		flow_set(r, FF_DNS_LATENCY_US);
	if (n->q_told > 1) {
		r->dns_queries = (struct flow_queries){q + 1, n->q_told - 1u};
		flow_set(r, FF_DNS_QUERIES);
	}
	fill_answers(n, r);
}

static void set_str(struct flow_record *r, enum flow_field f, struct flow_str *to,
		    const struct flow_str *s)
{
	if (!s->len)
		return;
	*to = *s;
	flow_set(r, f);
}

void merge_name_fill(const struct flow_state *st, bool final, struct flow_record *r)
{
	struct flow_names *n = st->names;

	set_str(r, FF_TLS_SNI, &r->tls_sni, &n->sni);
	set_str(r, FF_TLS_ALPN, &r->tls_alpn, &n->alpn);
	set_str(r, FF_HTTP_HOST, &r->http_host, &n->host);
	set_str(r, FF_HTTP_METHOD, &r->http_method, &n->method);
	set_str(r, FF_HTTP_PATH, &r->http_path, &n->path);
	r->tls_version = n->tls_version;
	r->tls_offered = n->tls_offered;
	r->tls_ech = n->tls_ech;
	r->quic_version = n->quic_version;
	if (n->tls_version)
		flow_set(r, FF_TLS_VERSION);
	if (n->tls_offered)
		flow_set(r, FF_TLS_OFFERED);
	if (n->tls_ech)
		flow_set(r, FF_TLS_ECH);
	if (n->quic_version)
		flow_set(r, FF_QUIC_VERSION);
	if (n->hosts_n) {
		r->http_hosts = (struct flow_strs){n->hosts, n->hosts_n};
		flow_set(r, FF_HTTP_HOSTS);
	}
	r->told = n->told;
	r->hosts_told = n->hosts_told;
	r->no_name = n->no_name;
	if (n->no_name && !n->sni.len && !n->host.len)
		flow_set(r, FF_NO_NAME);
	if (n->q_n)
		fill_dns(n, final, r);
}

/* No event tells why there is no name: the entries know whether one had begun, or was lost. */
void merge_gap_fill(const struct flow_state *st, bool final, struct flow_record *r)
{
	unsigned int dir = st->name_dir ? st->name_dir - 1u : st->init_dir;

	if (flow_has(r, FF_TLS_SNI) || flow_has(r, FF_HTTP_HOST) || flow_has(r, FF_NO_NAME) ||
	    flow_has(r, FF_DNS_QNAME))
		return;
	if (st->l7_gap & L7_LOST_0 << dir)
		r->no_name = NN_RING_FULL;
	else if (final && st->l7_gap & L7_OPEN_0 << dir)
		r->no_name = NN_INCOMPLETE;
	else
		return;
	flow_set(r, FF_NO_NAME);
}

/* Each query is in one record; the rest is in all of them, and is noted as told. */
void merge_name_reported(struct merge *m, struct flow_state *st)
{
	struct flow_names *n = st->names;
	unsigned int left = n->q_n - n->q_told;

	if (n->tls_client || n->tls_version || n->tls_offered || n->quic_version)
		n->told |= FLOW_TOLD_TLS;
	if (n->host.len || n->method.len)
		n->told |= FLOW_TOLD_HTTP;
	n->hosts_told = (uint8_t)n->hosts_n;
	for (unsigned int i = 0; i < n->q_told; i++)
		free_str(m, &n->q[i].qname);
	if (n->q_told && left) {
		memmove(n->q, n->q + n->q_told, left * sizeof(n->q[0]));
		memmove(n->qm, n->qm + n->q_told, left * sizeof(n->qm[0]));
	}
	n->q_n = (uint16_t)left;
	n->q_told = 0;
	merge_answers_clear(m, &n->answers);
}
