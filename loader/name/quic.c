/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic.c - the ClientHello of a QUIC connection, out of the datagrams that carry it.
 *
 * Which side is the client comes out of the decryption: a packet opens with client keys derived
 * from its own Destination Connection ID only if a client sent it first. Nothing relies on the
 * order of arrival: what no key opens yet waits in a small stash.
 */
#include "loader/name/quic.h"
#include "loader/name/quic_packet.h"

#include <errno.h>
#include <string.h>

#define HANDSHAKE_CLIENT_HELLO 1u
#define HANDSHAKE_SERVER_HELLO 2u

/* RFC 9000 section 19; gQUIC's own numbers differ. */
enum quic_frame {
	QF_PADDING = 0x00,
	QF_PING = 0x01,
	QF_ACK = 0x02,
	QF_ACK_ECN = 0x03,
	QF_CRYPTO = 0x06,
	QF_CONNECTION_CLOSE = 0x1c,
	GQF_PING = 0x07,
	GQF_CRYPTO = 0x08,
};

static void conn_done(struct quic *q, struct quic_conn *conn)
{
	for (int side = 0; side < 2; side++) {
		if (!conn->crypto[side])
			continue;
		stream_done(conn->crypto[side], q->pool);
		pool_free(q->pool, conn->crypto[side], sizeof(struct stream));
	}
	memset(conn, 0, sizeof(*conn));
}

static void stash_drop(struct quic *q, struct quic_stash *st)
{
	pool_free(q->pool, st->data, st->len);
	st->data = NULL;
}

void quic_hello_done(struct quic *q, struct quic_flow *f)
{
	for (unsigned int i = 0; i < QUIC_CONNS; i++) {
		struct stream *s = f->conn[i].crypto[0];

		if (!s)
			continue;
		stream_done(s, q->pool);
		pool_free(q->pool, s, sizeof(*s));
		f->conn[i].crypto[0] = NULL;
	}
}

void quic_flow_done(struct quic *q, struct quic_flow *f)
{
	for (unsigned int i = 0; i < QUIC_CONNS; i++)
		conn_done(q, &f->conn[i]);
	for (unsigned int i = 0; i < QUIC_STASH; i++) {
		q->stats.decrypt_failed += f->stash[i].data != NULL;
		stash_drop(q, &f->stash[i]);
	}
}

/* Keys of one side of @conn for the packet's version: made when first needed. */
static const struct quic_keys *conn_keys(struct quic *q, struct quic_conn *conn,
					 const struct quic_packet *p, enum quic_side side)
{
	struct quic_keyset *s = &conn->set[0];

	if (s->version != 0 && s->version != p->version)
		s++;
	if (s->version != 0 && s->version != p->version)
		return NULL;
	if (!s->have[side] &&
	    quic_keys_derive(q->crypto, p->v, &conn->dcid, side, &s->keys[side]) < 0)
		return NULL;
	s->have[side] = 1;
	s->version = p->version;
	return &s->keys[side];
}

static int conn_open(struct quic *q, struct quic_conn *conn, struct quic_packet *p)
{
	enum quic_side side = p->dir == conn->client_dir ? QUIC_CLIENT : QUIC_SERVER;
	const struct quic_keys *keys = conn_keys(q, conn, p, side);
	struct quic_sealed sealed = {
		.data = p->data,
		.len = p->len,
		.pn_off = p->pn_off,
		.expected_pn = conn->next_pn[side],
	};
	int r;

	if (!keys)
		return -EBADMSG;
	r = quic_open(q->crypto, keys, &sealed, q->clear, &p->o);
	if (r == 0 && p->o.pn >= conn->next_pn[side])
		conn->next_pn[side] = p->o.pn + 1;
	return r;
}

static int conn_has_dcid(const struct quic_conn *conn, const struct quic_packet *p)
{
	return conn->dcid.len == p->dcid_len && memcmp(conn->dcid.b, p->dcid, p->dcid_len) == 0;
}

/* Open with the keys that are there, the ones of this very DCID first. */
static struct quic_conn *flow_open(struct quic *q, struct quic_flow *f, struct quic_packet *p)
{
	for (int exact = 1; exact >= 0; exact--) {
		for (unsigned int i = 0; i < QUIC_CONNS; i++) {
			struct quic_conn *conn = &f->conn[i];

			if (!conn->used || conn_has_dcid(conn, p) != exact)
				continue;
			if (conn_open(q, conn, p) == 0)
				return conn;
		}
	}
	return NULL;
}

/* A client's first Initial, or its first after Retry: the DCID in it makes the keys. */
static struct quic_conn *flow_new_conn(struct quic *q, struct quic_flow *f, struct quic_packet *p)
{
	struct quic_conn fresh = {.used = 1, .client_dir = p->dir};
	struct quic_conn *conn;

	fresh.dcid.len = p->dcid_len;
	memcpy(fresh.dcid.b, p->dcid, p->dcid_len);
	if (conn_open(q, &fresh, p) < 0)
		return NULL;
	conn = &f->conn[f->next_conn];
	f->next_conn = (uint8_t)((f->next_conn + 1) % QUIC_CONNS);
	conn_done(q, conn);
	*conn = fresh;
	return conn;
}

static void put_crypto(struct quic *q, struct quic_conn *conn, unsigned int side, uint64_t off,
		       struct quic_cur piece)
{
	struct stream *s = conn->crypto[side];
	uint8_t conflict;
	int r;

	if (!s) {
		s = pool_alloc(q->pool, sizeof(*s));
		if (!s) {
			q->stats.out_of_memory++;
			return;
		}
		conn->crypto[side] = s;
	}
	conflict = s->conflict;
	r = stream_put(s, q->pool, off > STREAM_MAX ? STREAM_MAX : (uint32_t)off, piece.p,
		       piece.left);
	q->stats.conflicts += s->conflict != conflict;
	if (r == -ENOMEM)
		q->stats.out_of_memory++;
	else if (r < 0)
		q->stats.pieces_dropped++;
}

/* ACK (RFC 9000 section 19.3): nothing in it is wanted, but its end is. */
static int skip_ack(struct quic_cur *c, int ecn)
{
	uint64_t v, ranges;
	int r;

	r = quic_get_varint(c, &v);		/* largest acknowledged */
	r = r < 0 ? r : quic_get_varint(c, &v); /* delay */
	r = r < 0 ? r : quic_get_varint(c, &ranges);
	r = r < 0 ? r : quic_get_varint(c, &v); /* first range */
	if (r < 0)
		return r;
	/* Each range is two integers of a byte or more: bounded by what is left. */
	while (ranges--) {
		if (quic_get_varint(c, &v) < 0 || quic_get_varint(c, &v) < 0)
			return -EPROTO;
	}
	for (int i = 0; ecn && i < 3; i++) {
		if (quic_get_varint(c, &v) < 0)
			return -EPROTO;
	}
	return 0;
}

static int read_crypto(struct quic *q, struct quic_conn *conn, unsigned int side,
		       struct quic_cur *c)
{
	uint64_t off, len;
	struct quic_cur piece;

	if (quic_get_varint(c, &off) < 0 || quic_get_varint(c, &len) < 0)
		return -EPROTO;
	piece.p = c->p;
	if (quic_skip(c, len) < 0)
		return -EPROTO;
	piece.left = (size_t)len;
	put_crypto(q, conn, side, off, piece);
	return 0;
}

/* Frame types allowed in an Initial (RFC 9000 section 12.4); 1 = the rest is of no interest. */
static int read_frame(struct quic *q, struct quic_conn *conn, unsigned int side, struct quic_cur *c)
{
	uint8_t type = *c->p;

	quic_skip(c, 1);
	switch (type) {
	case QF_PADDING:
	case QF_PING:
		return 0;
	case QF_ACK:
	case QF_ACK_ECN:
		return skip_ack(c, type == QF_ACK_ECN);
	case QF_CRYPTO:
		return read_crypto(q, conn, side, c);
	case QF_CONNECTION_CLOSE:
		return 1;
	default:
		return -EPROTO;
	}
}

static int read_gquic_frame(struct quic *q, struct quic_conn *conn, unsigned int side,
			    struct quic_cur *c)
{
	uint8_t type = *c->p;

	quic_skip(c, 1);
	if (type == QF_PADDING || type == GQF_PING)
		return 0;
	return type == GQF_CRYPTO ? read_crypto(q, conn, side, c) : -EPROTO;
}

/* Is the first message of a side complete? */
static int check_hello(struct quic_flow *f, struct quic_conn *conn, unsigned int side,
		       struct quic_found *ret)
{
	struct handshake *h = side ? &ret->server : &ret->hello;
	struct stream *s = conn->crypto[side];
	size_t ready = s ? stream_ready(s) : 0;

	if (ready == 0)
		return 0;
	ret->conflict |= side ? 0 : s->conflict;
	if (handshake_view(s->buf, ready, h) < 0) {
		f->reason = NN_TOO_LONG;
		return 0;
	}
	if (s->buf[0] != (side ? HANDSHAKE_SERVER_HELLO : HANDSHAKE_CLIENT_HELLO)) {
		f->reason = side ? f->reason : NN_MALFORMED;
		return 0;
	}
	if (h->need == 0 || h->len < h->need)
		return 0;
	return side ? QUIC_SERVER_HELLO : QUIC_CLIENT_HELLO;
}

static int check_chlo(struct quic_flow *f, struct quic_conn *conn, struct quic_found *ret)
{
	struct stream *s = conn->crypto[0];
	size_t ready = s ? stream_ready(s) : 0;
	struct gquic_piece sni;
	uint32_t need;

	if (ready == 0)
		return 0;
	if (gquic_chlo(s->buf, ready, &need, &sni) < 0) {
		f->reason = NN_MALFORMED;
		return 0;
	}
	/* The name will do: padding makes most of a CHLO. */
	if (!sni.data && (need == 0 || ready < need))
		return 0;
	ret->hello.msg = s->buf;
	ret->hello.len = (uint32_t)ready;
	ret->hello.need = need;
	return QUIC_CHLO;
}

/* Frames of an opened packet, and what they complete. */
static int take_frames(struct quic *q, struct quic_flow *f, struct quic_conn *conn,
		       const struct quic_packet *p, struct quic_found *ret)
{
	unsigned int side = p->dir != conn->client_dir;
	struct quic_cur c = {p->o.payload, p->o.len};
	int r = 0;

	if (side == 0 && (f->found & (QUIC_CLIENT_HELLO | QUIC_CHLO)))
		return 0;
	while (c.left && r == 0)
		r = p->v->gquic_frames ? read_gquic_frame(q, conn, side, &c)
				       : read_frame(q, conn, side, &c);
	f->version = p->version;
	if (f->reason == NN_DECRYPT || f->reason == NN_QUIC_VERSION)
		f->reason = NN_NONE;
	if (r == -EPROTO && f->reason == NN_NONE)
		f->reason = NN_MALFORMED;
	if (p->v->chlo)
		return side ? 0 : check_chlo(f, conn, ret);
	return check_hello(f, conn, side, ret);
}

/* Keep a packet that no key opened: the one whose DCID makes the keys may be yet to come. */
static void stash_put(struct quic *q, struct quic_flow *f, const struct quic_packet *p)
{
	struct quic_stash *st = &f->stash[f->next_stash];

	f->next_stash = (uint8_t)((f->next_stash + 1) % QUIC_STASH);
	q->stats.decrypt_failed += st->data != NULL;
	stash_drop(q, st);
	st->data = pool_alloc(q->pool, p->len);
	if (!st->data) {
		q->stats.out_of_memory++;
		return;
	}
	memcpy(st->data, p->data, p->len);
	st->len = (uint16_t)p->len;
	st->dir = p->dir;
}

/* Once new keys are there, see what else they open. */
static int stash_retry(struct quic *q, struct quic_flow *f, struct quic_conn *conn,
		       struct quic_found *ret)
{
	int found = 0;

	for (unsigned int i = 0; i < QUIC_STASH; i++) {
		struct quic_stash *st = &f->stash[i];
		struct quic_cur c = {st->data, st->len};
		struct quic_packet p = {.dir = st->dir};

		/* It was a known version's Initial when it was put here. */
		if (!st->data || quic_parse_packet(&c, &p) < 0 || conn_open(q, conn, &p) < 0)
			continue;
		q->stats.initials++;
		found |= take_frames(q, f, conn, &p, ret);
		stash_drop(q, st);
	}
	return found;
}

/* Does nothing more matter of the side that sent @p? After Retry (which may have passed unseen, but
 * its token hasn't) the client's first packet with the new DCID does: it makes the server's keys.
 */
static int side_is_known(const struct quic_flow *f, const struct quic_packet *p)
{
	if (!(f->found & (QUIC_CLIENT_HELLO | QUIC_CHLO)))
		return 0;
	if (f->found & QUIC_SERVER_HELLO)
		return 1;
	if (p->dir != f->client_dir)
		return 0;
	for (unsigned int i = 0; i < QUIC_CONNS; i++) {
		if (f->conn[i].used && conn_has_dcid(&f->conn[i], p))
			return 1;
	}
	return !f->retry && p->token_len == 0;
}

static int read_initial(struct quic *q, struct quic_flow *f, struct quic_packet *p,
			struct quic_found *ret)
{
	struct quic_conn *conn;
	int found;

	if (side_is_known(f, p) || p->len > sizeof(q->clear))
		return 0;
	conn = flow_open(q, f, p);
	if (conn) {
		q->stats.initials++;
		return take_frames(q, f, conn, p, ret);
	}
	conn = flow_new_conn(q, f, p);
	if (!conn && (f->found & (QUIC_CLIENT_HELLO | QUIC_CHLO)) && p->dir == f->client_dir)
		return 0;
	if (!conn) {
		f->version = p->version;
		if (f->reason == NN_NONE && !f->conn[0].used)
			f->reason = NN_DECRYPT;
		stash_put(q, f, p);
		return 0;
	}
	q->stats.initials++;
	found = take_frames(q, f, conn, p, ret);
	found |= stash_retry(q, f, conn, ret);
	return found;
}

static int feed_gquic(struct quic *q, struct quic_flow *f, const struct quic_datagram *d,
		      struct quic_found *ret)
{
	struct quic_conn *conn = &f->conn[0];
	struct gquic_piece piece;
	int r = gquic_parse(d->data, d->len, &piece);

	f->version = piece.version;
	if (r == -ENOTSUP) {
		f->reason = NN_QUIC_VERSION;
		return 0;
	}
	if (r == -EPROTO)
		f->reason = d->wire_len > d->len ? NN_TRUNCATED : NN_MALFORMED;
	if (r < 0)
		return 0;
	conn->used = 1;
	conn->client_dir = d->dir;
	/* A CHLO that repeats a rejected one follows it in the stream: each is a message. */
	if (piece.len >= 4 && memcmp(piece.data, "CHLO", 4) == 0 && piece.offset != f->chlo_base) {
		quic_hello_done(q, f);
		f->chlo_base = piece.offset;
	}
	if (piece.offset < f->chlo_base)
		return 0;
	put_crypto(q, conn, 0, piece.offset - f->chlo_base,
		   (struct quic_cur){piece.data, piece.len});
	return check_chlo(f, conn, ret);
}

/* RFC 9000 section 14.1: a client's Initial fills 1200 bytes, so that chance finds are few. */
static int note_unknown_version(struct quic_flow *f, const struct quic_datagram *d,
				const struct quic_packet *p)
{
	if (p->version == 0) /* Version Negotiation (RFC 8999 section 6): from the server */
		return 0;
	if (d->wire_len < 1200 || p->dcid_len < 8)
		return -EPROTO;
	if (!f->conn[0].used && f->reason == NN_NONE) {
		f->version = p->version;
		f->reason = NN_QUIC_VERSION;
	}
	return 0;
}

/* One packet of the datagram. Return: as quic_feed(); the cursor is at its end. */
static int feed_packet(struct quic *q, struct quic_flow *f, const struct quic_datagram *d,
		       struct quic_cur *c, struct quic_found *ret)
{
	struct quic_packet p = {.dir = d->dir};
	int r = quic_parse_packet(c, &p);

	if (r == 0 && !p.v) {
		c->left = 0;
		return note_unknown_version(f, d, &p);
	}
	if (r < 0) {
		c->left = 0;
		if (!p.v)
			return -EPROTO;
		f->version = f->version ? f->version : p.version;
		if (f->reason == NN_NONE)
			f->reason = d->wire_len > d->len ? NN_TRUNCATED : NN_MALFORMED;
		return 0;
	}
	if (p.type == QT_RETRY) {
		q->stats.retries++;
		f->retry = 1;
	}
	return p.type == QT_INITIAL ? read_initial(q, f, &p, ret) : 0;
}

int quic_feed(struct quic *q, struct quic_flow *f, const struct quic_datagram *d,
	      struct quic_found *ret)
{
	struct quic_cur c = {d->data, d->len};
	int found = 0, r;

	memset(ret, 0, sizeof(*ret));
	if (c.left == 0)
		return -EPROTO;
	if (gquic_detect(d->data, d->len)) {
		found = f->found & QUIC_CHLO ? 0 : feed_gquic(q, f, d, ret);
		f->found |= (uint8_t)found;
		return found;
	}
	if (!(*c.p & QUIC_LONG_HEADER)) /* 1-RTT: too late for a name */
		return f->version ? 0 : -EPROTO;
	while (c.left) {
		/* Zeros after a packet: padding of the datagram; and a GSO buffer is several. */
		if (*c.p == 0) {
			quic_skip(&c, 1);
			continue;
		}
		if (!(*c.p & QUIC_LONG_HEADER))
			break;
		r = feed_packet(q, f, d, &c, ret);
		if (r < 0)
			return found ? found : r;
		r &= ~f->found;
		if (r & (QUIC_CLIENT_HELLO | QUIC_CHLO))
			f->client_dir = d->dir;
		found |= r;
		f->found |= (uint8_t)r;
	}
	return found;
}

void quic_partial(const struct quic_flow *f, struct handshake *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < QUIC_CONNS; i++) {
		const struct stream *s = f->conn[i].crypto[0];
		struct handshake h;

		if (!s || stream_ready(s) <= ret->len)
			continue;
		if (handshake_view(s->buf, stream_ready(s), &h) == 0 && h.len > ret->len)
			*ret = h;
	}
}
