/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_fuzz.h - what the fuzz targets of loader/name share: input as a list of records, each an op
 * byte, two bytes of length and so many bytes; results checked for what every caller relies on.
 */
#ifndef WEIR_TESTS_NAME_FUZZ_H
#define WEIR_TESTS_NAME_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "loader/name/name.h"

#define FUZZ_FLOWS 3u /* of the four that an op can name: one has to go */
#define FUZZ_BYTES NAME_BYTES_MIN

struct fuzz_record {
	uint8_t op;
	size_t len;
	const uint8_t *data;
};

/* Return: 1 with the next record, 0 at the end. */
static inline int fuzz_next(const uint8_t **p, size_t *left, struct fuzz_record *ret)
{
	if (*left < 3)
		return 0;
	ret->op = (*p)[0];
	ret->len = (size_t)(*p)[1] << 8 | (*p)[2];
	*p += 3;
	*left -= 3;
	if (ret->len > *left)
		ret->len = *left;
	ret->data = *p;
	*p += ret->len;
	*left -= ret->len;
	return 1;
}

static inline void fuzz_must(int ok)
{
	if (!ok)
		abort();
}

static inline void fuzz_check_tls(const struct name_result *r)
{
	size_t off = 0;

	fuzz_must(r->tls.sni_len <= WEIR_NAME_MAX && r->tls.alpn_len <= WEIR_ALPN_MAX);
	while (off < r->tls.alpn_len)
		off += 1u + r->tls.alpn[off];
	fuzz_must(off == r->tls.alpn_len);
	fuzz_must(r->no_name == NN_NONE || r->tls.sni_len == 0);
}

static inline void fuzz_check(const struct name_result *r)
{
	switch (r->kind) {
	case NAME_TLS_CLIENT:
		fuzz_check_tls(r);
		break;
	case NAME_TLS_SERVER:
		fuzz_must(r->tls.version != 0 || r->proto == L7P_TLS);
		break;
	case NAME_HTTP:
		fuzz_must(r->http.host_len <= WEIR_NAME_MAX && r->http.path_len <= WEIR_PATH_MAX &&
			  r->http.method_len <= WEIR_METHOD_MAX);
		break;
	case NAME_DNS_QUERY:
		fuzz_must(strnlen(r->dns.qname, sizeof(r->dns.qname)) == r->dns.qname_len);
		break;
	case NAME_MISSING:
		fuzz_must(r->no_name != NN_NONE);
		break;
	default:
		abort();
	}
}

static inline void fuzz_drain(struct names *n)
{
	struct name_result r;

	while (names_next(n, &r))
		fuzz_check(&r);
}

/* One event in a block of its own, so that a read behind it is seen. */
static inline void fuzz_feed(struct names *n, const void *ev, size_t len)
{
	struct name_result r;
	void *copy = malloc(len ? len : 1);

	fuzz_must(copy != NULL);
	memcpy(copy, ev, len);
	if (name_feed(n, copy, len, &r) == 1)
		fuzz_check(&r);
	free(copy);
	fuzz_must(names_memory(n) <= FUZZ_BYTES);
	fuzz_drain(n);
}

static inline struct names *fuzz_names(void)
{
	struct name_limits limits = {.flows = FUZZ_FLOWS, .bytes = FUZZ_BYTES, .stale_ns = 1000};
	struct names *n = NULL;

	fuzz_must(names_new(&limits, &n) == 0);
	return n;
}

static inline void fuzz_event(struct ev_payload *ev, unsigned int kind, unsigned int op)
{
	memset(ev, 0, offsetof(struct ev_payload, data));
	ev->h.kind = (uint8_t)kind;
	ev->h.dir = op & 1u;
	ev->h.key.vni = op >> 6;
}

static inline void fuzz_payload(struct names *n, struct ev_payload *ev, const void *data,
				size_t len)
{
	ev->len = (uint16_t)(len < WEIR_DATAGRAM_MAX ? len : WEIR_DATAGRAM_MAX);
	ev->orig_len = (uint16_t)(ev->orig_len + ev->len);
	memcpy(ev->data, data, ev->len);
	fuzz_feed(n, ev, offsetof(struct ev_payload, data) + ev->len);
}

/* End all flows: nothing may be left of them. */
static inline void fuzz_finish(struct names *n)
{
	struct name_result r;
	struct ev_payload ev;

	for (unsigned int flow = 0; flow < 4; flow++) {
		fuzz_event(&ev, EV_DATAGRAM, flow << 6);
		if (names_flow_end(n, &ev.h.key, &r))
			fuzz_check(&r);
	}
	fuzz_drain(n);
	fuzz_must(names_flows(n) == 0 && names_memory(n) == 0);
}

#endif
