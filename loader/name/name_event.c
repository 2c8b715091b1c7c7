/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_event.c - events that are names already, checked and put into struct name_result.
 */
#include "loader/name/name_int.h"

#include <errno.h>
#include <string.h>

int name_is_printable(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] < 0x21 || p[i] > 0x7e)
			return 0;
	}
	return 1;
}

void name_result_init(struct name_result *ret, const struct event_hdr *ev, unsigned int kind,
		      unsigned int proto)
{
	memset(ret, 0, sizeof(*ret));
	ret->kind = (uint8_t)kind;
	ret->dir = ev->dir & 1u;
	ret->proto = (uint8_t)proto;
	ret->tick = ev->tick;
	ret->time_ns = ev->time_ns;
	ret->key = ev->key;
}

int name_tell_missing(struct names *n, struct name_result *ret, unsigned int reason)
{
	ret->kind = NAME_MISSING;
	ret->no_name = (uint8_t)reason;
	n->stats.no_name++;
	return 1;
}

/* Only whole protocol names; a cut one is left out and flagged. */
static void put_alpn(struct name_tls *tls, const uint8_t *alpn, size_t len)
{
	size_t off = 0;

	while (off < len && alpn[off] != 0 && off + 1u + alpn[off] <= len)
		off += 1u + alpn[off];
	if (off < len)
		tls->flags |= TLSF_ALPN_CUT;
	memmove(tls->alpn, alpn, off);
	tls->alpn_len = (uint16_t)off;
}

int name_feed_tls(struct names *n, const struct ev_tls *e, size_t len, struct name_result *ret)
{
	struct name_tls *tls = &ret->tls;
	int client = e->h.kind == EV_TLS_CLIENT;

	if (len < sizeof(*e) || e->sni_len > WEIR_NAME_MAX || e->alpn_len > WEIR_ALPN_MAX)
		return -EINVAL;
	name_result_init(ret, &e->h, client ? NAME_TLS_CLIENT : NAME_TLS_SERVER, L7P_TLS);
	tls->version = e->version;
	if (!client) {
		n->stats.servers++;
		return 1;
	}
	tls->offered = e->offered;
	tls->ech = e->ech;
	tls->flags = e->flags;
	tls->sni_len = e->sni_len;
	memcpy(tls->sni, e->sni, e->sni_len);
	tls->printable = (uint8_t)name_is_printable(tls->sni, tls->sni_len);
	put_alpn(tls, e->alpn, e->alpn_len);
	if (tls->sni_len == 0) {
		ret->no_name = tls->ech ? NN_ENCRYPTED : NN_NO_SNI;
		n->stats.no_name++;
	}
	n->stats.tls++;
	return 1;
}

int name_feed_http(struct names *n, const struct ev_http *e, size_t len, struct name_result *ret)
{
	struct name_http *http = &ret->http;

	if (len < sizeof(*e) || e->host_len > WEIR_NAME_MAX || e->path_len > WEIR_PATH_MAX ||
	    e->method_len > WEIR_METHOD_MAX)
		return -EINVAL;
	name_result_init(ret, &e->h, NAME_HTTP, L7P_HTTP);
	http->flags = e->flags;
	http->method_len = e->method_len;
	http->host_len = e->host_len;
	http->path_len = e->path_len;
	memcpy(http->method, e->method, e->method_len);
	memcpy(http->host, e->host, e->host_len);
	memcpy(http->path, e->path, e->path_len);
	http->printable = (uint8_t)name_is_printable(http->host, http->host_len);
	if (http->host_len == 0) {
		ret->no_name = NN_NO_HOST;
		n->stats.no_name++;
	}
	n->stats.http++;
	return 1;
}

int name_feed_dns(struct names *n, const struct ev_dns *e, size_t len, struct name_result *ret)
{
	struct name_dns *dns = &ret->dns;
	int r;

	if (len < sizeof(*e) || e->qname_len > WEIR_NAME_MAX)
		return -EINVAL;
	name_result_init(ret, &e->h, NAME_DNS_QUERY, L7P_DNS);
	dns->id = e->id;
	dns->flags = e->flags;
	dns->qtype = e->qtype;
	dns->rcode = e->rcode;
	n->stats.dns++;
	/* A message without a question (DSO, some UPDATE replies): no name, yet a message. */
	if (e->qname_len == 0)
		return 1;
	r = dns_name_text(e->qname, e->qname_len, dns->qname, sizeof(dns->qname));
	if (r < 0) {
		n->stats.dns_malformed++;
		return name_tell_missing(n, ret, NN_MALFORMED);
	}
	dns->qname_len = (uint16_t)r;
	return 1;
}

int name_feed_answers(struct names *n, const struct ev_payload *e, struct name_result *ret)
{
	struct name_answers *to = &ret->answers;
	struct dns_answers a;
	int r;

	r = dns_answers_read(e->data, e->len, &a);
	if (r > 0) {
		name_result_init(ret, &e->h, NAME_DNS_ANSWERS, L7P_DNS);
		r = dns_name_text(a.qname, a.qname_len, to->qname, sizeof(to->qname));
	}
	n->stats.dns_malformed += r < 0;
	if (r <= 0)
		return 0;
	n->stats.dns_answers++;
	to->id = a.id;
	to->qtype = a.qtype;
	to->qname_len = (uint16_t)r;
	to->n = a.n;
	memcpy(to->v, a.v, a.n * sizeof(a.v[0]));
	return 1;
}
