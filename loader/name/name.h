/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name.h - what a flow is about, from the elements of the `events` ring.
 *
 * Events that are names already (TLS, HTTP, DNS, no_name) are turned into struct name_result as
 * they are; payload (EV_SEGMENT, EV_DATAGRAM) is assembled per flow and read here: long
 * ClientHellos, DTLS, QUIC. Memory is bounded by struct name_limits; what had to go is counted.
 * Everything is called by the drain thread alone: there are no locks.
 */
#ifndef WEIR_LOADER_NAME_H
#define WEIR_LOADER_NAME_H

#include <stddef.h>
#include <stdint.h>
#include "loader/name/dns_answers.h"
#include "weir/abi.h"

struct names;

/* Presentation form of a domain name at worst: 255 wire bytes, each as \DDD, plus dots. */
#define NAME_QNAME_TEXT_MAX 1025u

enum name_kind {
	NAME_TLS_CLIENT = 1, /* .tls: sni, alpn, offered, ech; quic_version for QUIC */
	NAME_TLS_SERVER = 2, /* .tls.version alone */
	NAME_HTTP = 3,
	NAME_DNS_QUERY = 4,
	NAME_MISSING = 5, /* no_name says why; superseded by a name that comes later */
	NAME_DNS_ANSWERS = 6,
};

struct name_tls {
	uint16_t version;  /* as on the wire (0x0304 = TLS 1.3, 0xfefd = DTLS 1.2); server:
				 * negotiated, client: highest offered; 0 = not known */
	uint16_t offered;  /* bit 0..4: SSL 3.0, TLS 1.0, 1.1, 1.2, 1.3; DTLS 1.0 = bit 2 */
	uint8_t ech;	   /* 1 = encrypted_client_hello, 2 = encrypted_server_name */
	uint8_t flags;	   /* enum tls_flag */
	uint8_t printable; /* sni is 0x21..0x7e only; else the writer has to escape it */
	uint8_t pad;
	uint16_t sni_len;
	uint16_t alpn_len; /* wire form: one length byte before each value; whole values only */
	uint8_t sni[WEIR_NAME_MAX]; /* as on the wire, not terminated */
	uint8_t alpn[WEIR_ALPN_MAX];
};

struct name_http {
	uint8_t flags;	   /* enum http_flag */
	uint8_t printable; /* host is 0x21..0x7e only */
	uint8_t method_len;
	uint8_t pad;
	uint16_t host_len;
	uint16_t path_len;
	uint8_t method[WEIR_METHOD_MAX]; /* none of these is terminated */
	uint8_t host[WEIR_NAME_MAX];
	uint8_t path[WEIR_PATH_MAX];
};

struct name_dns {
	uint16_t id;
	uint16_t flags; /* header flags word; NAME_DNS_RESPONSE = bit 15 */
	uint16_t qtype;
	uint16_t rcode;
	uint16_t qname_len; /* of the text */
	uint16_t pad[3];
	char qname[NAME_QNAME_TEXT_MAX + 7]; /* presentation form (RFC 4343), terminated */
};

#define NAME_DNS_RESPONSE 0x8000u

/* Addresses of a NAME_DNS_QUERY with the same id, type and name. */
struct name_answers {
	uint16_t id;
	uint16_t qtype;
	uint16_t qname_len;
	uint16_t n;
	struct dns_address v[DNS_ADDRESSES_MAX];
	char qname[NAME_QNAME_TEXT_MAX + 7];
};

/* What one event, or the end of a flow, brought to light. */
struct name_result {
	uint8_t kind;	 /* enum name_kind */
	uint8_t dir;	 /* direction of the packet that completed it */
	uint8_t proto;	 /* enum l7_proto */
	uint8_t no_name; /* enum no_name; TLS_CLIENT and HTTP: set where there's no name in it */
	uint32_t tick;
	uint64_t time_ns;
	uint32_t quic_version; /* as on the wire, 0 = not QUIC */
	uint32_t pad;
	struct flow_key key;
	union {
		struct name_tls tls;
		struct name_http http;
		struct name_dns dns;
		struct name_answers answers;
	};
};

struct name_limits {
	uint32_t flows;	   /* with assembly state at one time */
	uint64_t bytes;	   /* all of the state together */
	uint64_t stale_ns; /* state not touched for that long is dropped: more than a flow's
			    * idle timeout, so that names_flow_end() comes first
			    */
};

/* Cumulative, never reset. */
#define NAME_STATS(X)                                                                      \
	X(events, "events taken from the ring")                                            \
	X(bad_events, "events cut short or of an unknown kind")                            \
	X(tls, "ClientHellos named (TLS)")                                                 \
	X(dtls, "ClientHellos named (DTLS)")                                               \
	X(quic, "ClientHellos named (QUIC)")                                               \
	X(servers, "ServerHellos read")                                                    \
	X(http, "HTTP requests named")                                                     \
	X(dns, "DNS messages read")                                                        \
	X(dns_malformed,                                                                   \
	  "DNS names that are not valid wire form, answers that contradict themselves")    \
	X(dns_answers, "DNS answers with addresses read")                                  \
	X(no_name, "flows or messages without a name, reason given")                       \
	X(datagrams, "datagrams looked at")                                                \
	X(segments, "TCP segments looked at")                                              \
	X(quic_initials, "QUIC Initial packets decrypted")                                 \
	X(quic_decrypt_failed, "QUIC Initial packets that no key opened")                  \
	X(quic_retries, "QUIC Retry packets seen")                                         \
	X(not_recognised, "datagrams or segments that are no QUIC, DTLS or TLS handshake") \
	X(flows_evicted, "flows whose state made room for others")                         \
	X(flows_stale, "flows whose state was dropped unfinished, for age")                \
	X(out_of_memory, "pieces dropped: no memory within the limit")                     \
	X(pieces_dropped, "pieces dropped: beyond the longest hello, or too scattered")    \
	X(conflicts, "overlapping pieces with different bytes")                            \
	X(results_lost, "reasons of dropped flows not reported: nobody called names_next()")

struct name_stats {
#define NAME_STAT_MEMBER(name, help) uint64_t name;
	NAME_STATS(NAME_STAT_MEMBER)
#undef NAME_STAT_MEMBER
};

#define NAME_BYTES_MIN (1u << 18)

/* Defaults: 8192 flows, 32 MiB, 120 s. */
extern const struct name_limits name_limits_default;

/**
 * names_new - make the state of one drain thread
 * @limits: copied; NULL for the defaults
 *
 * Return:  0, -EINVAL (a limit is zero, or bytes below NAME_BYTES_MIN), -ENOMEM, or -EIO when libcrypto has no AES-128-GCM or
 *          HMAC-SHA-256 (call it before privileges and system calls are given up: it loads them).
 * Thread:  drain thread only, as all functions here.
 */
int names_new(const struct name_limits *limits, struct names **ret);
void names_free(struct names *n);

/**
 * name_feed - take one element of the `events` ring
 * @ev, @len: the element as it came out of the ring; checked against its kind
 * @ret:      filled when the return value is 1
 *
 * Return:  1 something was found, 0 nothing (yet), -EINVAL not a valid event (counted).
 * Source:  RFC 8446, 9147, 9000, 9001, 9369, 1035.
 */
int name_feed(struct names *n, const struct event_hdr *ev, size_t len, struct name_result *ret);

/**
 * names_flow_end - the flow is over: give its state back
 *
 * Return:  1 with *ret = NAME_MISSING when a hello was underway (NN_INCOMPLETE, or the reason
 *          found: NN_DECRYPT, NN_CONFLICT ...), else 0. Costs one hash lookup for other flows.
 */
int names_flow_end(struct names *n, const struct flow_key *key, struct name_result *ret);

/**
 * names_tick - drop state that nobody touched for limits.stale_ns
 * @now_ns: same clock as event_hdr.time_ns
 *
 * The reasons of flows dropped here, or evicted by name_feed(), wait for names_next().
 */
void names_tick(struct names *n, uint64_t now_ns);

/**
 * names_next - reason of a flow whose state was dropped before its end
 *
 * Return:  1 with *ret filled (NAME_MISSING), 0 when there are no more. Call until 0 after feeding
 *          a batch; at most 256 wait, the rest are counted in results_lost.
 */
int names_next(struct names *n, struct name_result *ret);

const struct name_stats *names_stats(const struct names *n);

/* Bytes of assembly state now, and flows that have some. */
uint64_t names_memory(const struct names *n);
uint32_t names_flows(const struct names *n);

/* ---- dns_text.c ---- */

/**
 * dns_name_text - wire form of a domain name to presentation form
 * @wire, @len: labels up to and with the root label; no compression pointers
 * @out, @cap:  NAME_QNAME_TEXT_MAX is always enough
 *
 * Root is "."; other names have no trailing dot; case is kept. '.' and '\' in a label are \. and
 * \\, bytes outside 0x21..0x7e are \DDD.
 * Return:  length of the text, or -EINVAL (not valid wire form), -ENOSPC.
 * Source:  RFC 1035 sections 3.1 and 5.1, RFC 4343 section 2.1.
 */
int dns_name_text(const uint8_t *wire, size_t len, char *out, size_t cap);

#endif
