/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name.c - one element of the `events` ring to what it says about a flow.
 */
#include "loader/name/name.h"
#include "loader/name/name_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TLS_HANDSHAKE_RECORD   22u
#define TLS_TYPE_OFFSET	       5u /* handshake type, behind the record header */
#define HANDSHAKE_CLIENT_HELLO 1u
#define HANDSHAKE_SERVER_HELLO 2u

const struct name_limits name_limits_default = {
	.flows = 8192,
	.bytes = 32ull << 20,
	.stale_ns = 120000000000ull,
};

int names_new(const struct name_limits *limits, struct names **ret)
{
	struct names *n;
	int r;

	if (!limits)
		limits = &name_limits_default;
	if (limits->flows == 0 || limits->bytes < NAME_BYTES_MIN || limits->stale_ns == 0)
		return -EINVAL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->limits = *limits;
	n->pool.limit = limits->bytes;
	n->quic.pool = &n->pool;
	n->dtls.pool = &n->pool;
	r = name_table_init(n);
	if (r == 0)
		r = quic_crypto_new(&n->quic.crypto);
	if (r < 0) {
		names_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	name_table_done(n);
	quic_crypto_free(n->quic.crypto);
	free(n);
}

/* Results of a flow outside of its events are told as if by its last one. */
static void result_of_flow(struct name_result *ret, const struct name_flow *f, unsigned int kind)
{
	struct event_hdr ev = {
		.dir = f->dir,
		.tick = f->tick,
		.time_ns = f->last_ns,
		.key = f->key,
	};

	name_result_init(ret, &ev, kind, f->proto);
	if (f->quic)
		ret->quic_version = f->quic->version;
}

/* ---- payload ---- */

/* What a hello said, on the flow; the version of DTLS as that protocol writes it. */
static int tell_client(struct names *n, struct name_flow *f, const struct handshake *h,
		       int conflict, struct name_result *ret)
{
	int reason = hello_read_client(h, &n->hello, &ret->tls);

	f->told |= TOLD_CLIENT;
	if (reason == NN_MALFORMED || reason == NN_INCOMPLETE)
		return name_tell_missing(n, ret, conflict ? NN_CONFLICT : NN_MALFORMED);
	ret->kind = NAME_TLS_CLIENT;
	ret->no_name = (uint8_t)reason;
	ret->tls.flags |= conflict ? TLSF_CONFLICT : 0;
	ret->tls.printable = (uint8_t)name_is_printable(ret->tls.sni, ret->tls.sni_len);
	if (f->proto == L7P_DTLS)
		ret->tls.version = dtls_version(ret->tls.version);
	n->stats.no_name += reason != NN_NONE;
	n->stats.quic += f->proto == L7P_QUIC;
	n->stats.dtls += f->proto == L7P_DTLS;
	n->stats.tls += f->proto == L7P_TLS;
	return 1;
}

static int tell_server(struct names *n, struct name_flow *f, const struct handshake *h,
		       struct name_result *ret)
{
	uint16_t version = hello_read_server(h, &n->hello);

	f->told |= TOLD_SERVER;
	if (f->proto == L7P_DTLS)
		version = dtls_version(version);
	if (version == 0)
		return 0;
	ret->kind = NAME_TLS_SERVER;
	ret->tls.version = version;
	n->stats.servers++;
	return 1;
}

/* Nothing is left to learn: only the mark that the flow is done stays. */
static void settle(struct names *n, struct name_flow *f)
{
	if ((f->told & (TOLD_CLIENT | TOLD_SERVER)) == (TOLD_CLIENT | TOLD_SERVER))
		name_flow_clear(n, f);
}

/* gQUIC's CHLO has a name; versions and ALPN are TLS's. */
static int tell_chlo(struct names *n, struct name_flow *f, const struct handshake *h,
		     struct name_result *ret)
{
	struct gquic_piece sni;
	uint32_t need;

	f->told |= TOLD_CLIENT | TOLD_SERVER;
	ret->kind = NAME_TLS_CLIENT;
	if (gquic_chlo(h->msg, h->len, &need, &sni) < 0)
		return name_tell_missing(n, ret, NN_MALFORMED);
	if (sni.len > WEIR_NAME_MAX)
		sni.len = WEIR_NAME_MAX;
	if (sni.data)
		memcpy(ret->tls.sni, sni.data, sni.len);
	ret->tls.sni_len = (uint16_t)sni.len;
	ret->tls.printable = (uint8_t)name_is_printable(ret->tls.sni, ret->tls.sni_len);
	if (sni.len == 0) {
		ret->no_name = NN_NO_SNI;
		ret->tls.flags |= TLSF_NO_SNI;
		n->stats.no_name++;
	}
	n->stats.quic++;
	return 1;
}

/* A second result of the same event. */
static void tell_server_late(struct names *n, struct name_flow *f, const struct handshake *h,
			     const struct name_result *first)
{
	struct name_result *late = name_late(n);

	if (!late)
		return;
	*late = *first;
	memset(&late->tls, 0, sizeof(late->tls));
	late->no_name = 0;
	if (!tell_server(n, f, h, late))
		n->late_count--;
}

static void quic_count(struct names *n)
{
	const struct quic_stats *s = &n->quic.stats;

	n->stats.quic_initials = s->initials;
	n->stats.quic_decrypt_failed = s->decrypt_failed;
	n->stats.quic_retries = s->retries;
}

static int feed_quic(struct names *n, struct name_flow *f, const struct ev_payload *e,
		     struct name_result *ret)
{
	struct quic_datagram d = {
		.data = e->data,
		.len = e->len,
		.wire_len = e->orig_len,
		.dir = e->h.dir & 1u,
	};
	struct quic_found found;
	int r, told = 0;

	r = quic_feed(&n->quic, f->quic, &d, &found);
	quic_count(n);
	if (r < 0) {
		n->stats.not_recognised++;
		if (f->quic->version == 0) /* then the next datagram may be anything */
			name_flow_clear(n, f);
		return 0;
	}
	name_result_init(ret, &e->h, NAME_TLS_CLIENT, L7P_QUIC);
	ret->quic_version = f->quic->version;
	if (r & QUIC_CHLO)
		told = tell_chlo(n, f, &found.hello, ret);
	if (r & QUIC_CLIENT_HELLO)
		told = tell_client(n, f, &found.hello, found.conflict, ret);
	if (told) {
		quic_hello_done(&n->quic, f->quic);
		if (r & QUIC_SERVER_HELLO)
			tell_server_late(n, f, &found.server, ret);
	} else if (r & QUIC_SERVER_HELLO) {
		told = tell_server(n, f, &found.server, ret);
	} else if (f->quic->reason == NN_QUIC_VERSION && !(f->told & TOLD_MISSING)) {
		f->told |= TOLD_MISSING;
		told = name_tell_missing(n, ret, NN_QUIC_VERSION);
	}
	settle(n, f);
	return told;
}

static int feed_dtls(struct names *n, struct name_flow *f, const struct ev_payload *e,
		     struct name_result *ret)
{
	struct dtls_datagram d = {
		.data = e->data,
		.len = e->len,
		.wire_len = e->orig_len,
		.dir = e->h.dir & 1u,
	};
	struct dtls_found found;
	int r, told = 0;

	r = dtls_feed(&n->dtls, f->dtls, &d, &found);
	if (r < 0) {
		n->stats.not_recognised++;
		return 0;
	}
	name_result_init(ret, &e->h, NAME_TLS_CLIENT, L7P_DTLS);
	if (r & DTLS_CLIENT_HELLO)
		told = tell_client(n, f, &found.hello, found.conflict, ret);
	if ((r & DTLS_SERVER_HELLO) && told)
		tell_server_late(n, f, &found.server, ret);
	else if (r & DTLS_SERVER_HELLO)
		told = tell_server(n, f, &found.server, ret);
	settle(n, f);
	return told;
}

static void *flow_part(struct names *n, void *have, size_t size)
{
	void *p = have ? have : pool_alloc(&n->pool, size);

	if (!p)
		n->stats.out_of_memory++;
	return p;
}

static int feed_datagram(struct names *n, const struct ev_payload *e, struct name_result *ret)
{
	struct name_flow *f;
	int dtls;

	if (e->h.proto_hint == L7P_DNS)
		return name_feed_answers(n, e, ret);
	n->stats.datagrams++;
	f = name_table_get(n, &e->h);
	if (!f)
		return 0;
	if (f->told & TOLD_CLIENT && f->told & TOLD_SERVER)
		return 0;
	name_table_make_room(n, f);
	/* What the bytes are counts for more than the hint; a flow doesn't change. */
	dtls = f->dtls || (!f->quic && dtls_detect(e->data, e->len));
	f->proto = dtls ? L7P_DTLS : L7P_QUIC;
	if (dtls) {
		f->dtls = flow_part(n, f->dtls, sizeof(*f->dtls));
		return f->dtls ? feed_dtls(n, f, e, ret) : 0;
	}
	f->quic = flow_part(n, f->quic, sizeof(*f->quic));
	return f->quic ? feed_quic(n, f, e, ret) : 0;
}

/* A request whose head is beyond what the kernel keeps. */
static int read_http(struct names *n, struct name_flow *f, const struct stream *s,
		     struct name_result *ret)
{
	enum hello_http r;

	r = hello_read_http(s->buf, stream_ready(s), &n->hello, &ret->http);
	f->proto = L7P_HTTP;
	ret->proto = L7P_HTTP;
	if (r == HELLO_HTTP_MORE)
		return 0;
	f->tcp_done |= (uint8_t)(1u << ret->dir);
	if (r == HELLO_HTTP_NOT) {
		n->stats.not_recognised++;
		return 0;
	}
	f->told |= TOLD_CLIENT;
	if (r != HELLO_HTTP_OK)
		return name_tell_missing(n, ret, r == HELLO_HTTP_LONG ? NN_TOO_LONG : NN_MALFORMED);
	ret->kind = NAME_HTTP;
	ret->http.flags |= s->conflict ? HTTPF_CONFLICT : 0;
	ret->http.printable = (uint8_t)name_is_printable(ret->http.host, ret->http.host_len);
	ret->no_name = ret->http.host_len ? NN_NONE : NN_NO_HOST;
	n->stats.no_name += ret->http.host_len == 0;
	n->stats.http++;
	return 1;
}

/* A server's hello that isn't complete is no name that misses. */
static int is_server_stream(const struct stream *s)
{
	return stream_ready(s) > TLS_TYPE_OFFSET && s->buf[0] == TLS_HANDSHAKE_RECORD &&
	       s->buf[TLS_TYPE_OFFSET] == HANDSHAKE_SERVER_HELLO;
}

/* The hello in a direction's stream as far as it is there. Return: as name_feed(). */
static int read_stream(struct names *n, struct name_flow *f, const struct stream *s,
		       struct name_result *ret)
{
	size_t ready = stream_ready(s);
	struct handshake h;
	int r;

	if (ready == 0)
		return 0;
	if (s->buf[0] != TLS_HANDSHAKE_RECORD)
		return read_http(n, f, s, ret);
	r = tls_records_view(s->buf, ready, n->records, &h);
	if (r == 0 && (h.need == 0 || h.len < h.need) && ready < STREAM_MAX)
		return 0;
	f->tcp_done |= (uint8_t)(1u << ret->dir);
	if (r == 0 && h.need && h.len == h.need) {
		if (h.msg[0] == HANDSHAKE_SERVER_HELLO)
			return tell_server(n, f, &h, ret);
		if (h.msg[0] == HANDSHAKE_CLIENT_HELLO)
			return tell_client(n, f, &h, s->conflict, ret);
		r = -EPROTO;
	}
	if (is_server_stream(s))
		return 0;
	f->told |= TOLD_CLIENT;
	if (s->conflict)
		return name_tell_missing(n, ret, NN_CONFLICT);
	return name_tell_missing(n, ret, r == -EPROTO ? NN_MALFORMED : NN_TOO_LONG);
}

static int feed_segment(struct names *n, const struct ev_payload *e, struct name_result *ret)
{
	unsigned int dir = e->h.dir & 1u;
	struct name_flow *f;
	uint8_t conflict;
	int r;

	n->stats.segments++;
	f = name_table_get(n, &e->h);
	if (!f)
		return 0;
	f->proto = L7P_TLS;
	if (f->tcp_done & 1u << dir) {
		if (e->offset != 0)
			return 0;
		f->tcp_done &= (uint8_t) ~(1u << dir); /* another connection of the same key */
	}
	name_table_make_room(n, f);
	f->tcp[dir] = flow_part(n, f->tcp[dir], sizeof(struct stream));
	if (!f->tcp[dir])
		return 0;
	conflict = f->tcp[dir]->conflict;
	r = stream_put(f->tcp[dir], &n->pool, e->offset, e->data, e->len);
	n->stats.conflicts += f->tcp[dir]->conflict != conflict;
	n->stats.out_of_memory += r == -ENOMEM;
	n->stats.pieces_dropped += r < 0 && r != -ENOMEM;
	name_result_init(ret, &e->h, NAME_TLS_CLIENT, L7P_TLS);
	r = read_stream(n, f, f->tcp[dir], ret);
	if (f->tcp_done & 1u << dir) {
		stream_done(f->tcp[dir], &n->pool);
		pool_free(&n->pool, f->tcp[dir], sizeof(struct stream));
		f->tcp[dir] = NULL;
	}
	return r;
}

static int feed_payload(struct names *n, const struct ev_payload *e, size_t len,
			struct name_result *ret)
{
	if (len < offsetof(struct ev_payload, data) || e->len > WEIR_DATAGRAM_MAX ||
	    e->len > len - offsetof(struct ev_payload, data))
		return -EINVAL;
	return e->h.kind == EV_SEGMENT ? feed_segment(n, e, ret) : feed_datagram(n, e, ret);
}

int name_feed(struct names *n, const struct event_hdr *ev, size_t len, struct name_result *ret)
{
	int r = -EINVAL;

	n->stats.events++;
	if (len >= sizeof(*ev)) {
		switch (ev->kind) {
		case EV_TLS_CLIENT:
		case EV_TLS_SERVER:
			r = name_feed_tls(n, (const struct ev_tls *)ev, len, ret);
			break;
		case EV_HTTP:
			r = name_feed_http(n, (const struct ev_http *)ev, len, ret);
			break;
		case EV_DNS:
			r = name_feed_dns(n, (const struct ev_dns *)ev, len, ret);
			break;
		case EV_NO_NAME:
			name_result_init(ret, ev, NAME_MISSING, ev->proto_hint);
			r = name_tell_missing(n, ret, ev->reason);
			break;
		case EV_SEGMENT:
		case EV_DATAGRAM:
			r = feed_payload(n, (const struct ev_payload *)ev, len, ret);
			break;
		default:
			break;
		}
	}
	if (r < 0)
		n->stats.bad_events++;
	return r;
}

/* ---- ends ---- */

/* The part of a hello that came; *ret_reason stands when the name wasn't in it. */
static void flow_partial(struct names *n, struct name_flow *f, struct handshake *h,
			 unsigned int *ret_reason)
{
	memset(h, 0, sizeof(*h));
	if (f->quic) {
		quic_partial(f->quic, h);
		*ret_reason = f->quic->reason;
	} else if (f->dtls) {
		dtls_partial(&n->dtls, f->dtls, h);
		*ret_reason = f->dtls->reason;
	}
	for (int d = 0; d < 2; d++) {
		const struct stream *s = f->tcp[d];

		if (!s || is_server_stream(s))
			continue;
		if (s->conflict)
			*ret_reason = NN_CONFLICT;
		if (h->len == 0 && tls_records_view(s->buf, stream_ready(s), n->records, h) < 0)
			h->len = 0;
	}
}

/* A flow whose payload was nothing known has no name to miss. */
static int flow_recognised(const struct name_flow *f)
{
	if (f->quic)
		return f->quic->version != 0;
	if (f->dtls)
		return f->dtls->seen;
	return (f->tcp[0] && !is_server_stream(f->tcp[0])) ||
	       (f->tcp[1] && !is_server_stream(f->tcp[1]));
}

int name_flow_finish(struct names *n, struct name_flow *f, struct name_result *ret)
{
	unsigned int reason = NN_NONE;
	struct handshake h;

	if ((f->told & (TOLD_CLIENT | TOLD_MISSING)) || !flow_recognised(f))
		return 0;
	result_of_flow(ret, f, NAME_MISSING);
	flow_partial(n, f, &h, &reason);
	if (h.len && h.msg[0] == HANDSHAKE_CLIENT_HELLO &&
	    hello_read_client(&h, &n->hello, &ret->tls) == NN_NONE)
		return tell_client(n, f, &h, 0, ret);
	memset(&ret->tls, 0, sizeof(ret->tls));
	return name_tell_missing(n, ret, reason ? reason : NN_INCOMPLETE);
}

int names_flow_end(struct names *n, const struct flow_key *key, struct name_result *ret)
{
	struct name_flow *f = name_table_find(n, key);
	int r;

	if (!f)
		return 0;
	r = name_flow_finish(n, f, ret);
	name_table_drop(n, f);
	return r;
}

int names_next(struct names *n, struct name_result *ret)
{
	if (n->late_count == 0)
		return 0;
	*ret = n->late[n->late_head];
	n->late_head = (n->late_head + 1) % NAME_LATE_MAX;
	n->late_count--;
	return 1;
}

const struct name_stats *names_stats(const struct names *n)
{
	return &n->stats;
}

uint64_t names_memory(const struct names *n)
{
	return n->pool.used;
}

uint32_t names_flows(const struct names *n)
{
	return n->flows;
}
