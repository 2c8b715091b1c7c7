// SPDX-License-Identifier: Apache-2.0
/*
 * output_eve.c - a record as events of Suricata's EVE format, one JSON object on a line each: tls,
 * quic, http and dns for the names that are known and that no earlier record of the flow has told, and
 * at last flow. All of a flow's events have the same flow_id, also those of its later records. Bytes
 * are IP bytes, as everywhere here.
 *
 * Source: Suricata's user guide, "Eve JSON Format".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/answer_text.h"
#include "common/flow_text.h"
#include "common/flow_words.h"
#include "common/json.h"
#include "common/num_text.h"
#include "common/output_int.h"

#define FLOW_ID_MASK ((UINT64_C(1) << 53) - 1) /* what a JSON number holds exactly */
#define FNV_BASIS    UINT64_C(14695981039346656037)
#define FNV_PRIME    UINT64_C(1099511628211)

struct eve {
	struct output *o;
	const struct flow_record *r;
	char *buf;
	size_t len;
	struct json j; /* of the event being written */
	int error;
};

static void key(struct json *j, const char *name)
{
	json_key(j, name, strlen(name));
}

static void text(struct json *j, const char *name, const char *value)
{
	key(j, name);
	json_str(j, value, strlen(value));
}

static void str(struct json *j, const char *name, struct flow_str s)
{
	key(j, name);
	json_str(j, s.s, s.len);
}

static void number(struct json *j, const char *name, uint64_t v)
{
	key(j, name);
	json_u64(j, v);
}

/* Suricata writes the offset of the time zone without a colon. */
static void put_time(struct json *j, const char *name, uint64_t ns)
{
	char buf[TIME_TEXT + 8];
	size_t n = time_text(ns, buf);

	snprintf(buf + n - 1, sizeof(buf) - n + 1, "+0000");
	text(j, name, buf);
}

static uint64_t hash(uint64_t h, const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len--)
		h = (h ^ *b++) * FNV_PRIME;
	return h;
}

/* The same for both directions and all records of a flow: what tells it from others. */
static uint64_t flow_id(const struct flow_record *r)
{
	const int order = memcmp(r->src_ip, r->dst_ip, 16);
	const bool turn = order > 0 || (!order && r->src_port > r->dst_port);
	const uint16_t ports[2] = {turn ? r->dst_port : r->src_port,
				   turn ? r->src_port : r->dst_port};
	const uint32_t rest[] = {r->ifindex, r->family ? r->proto : r->ethertype,
				 flow_has(r, FF_VNI) ? r->vni : 0,
				 flow_has(r, FF_VLAN) ? r->vlan[0] | (uint32_t)r->vlan[1] << 16 : 0,
				 flow_has(r, FF_ICMP_TYPE) ? r->icmp_type : 0};
	uint64_t h = FNV_BASIS;

	if (r->family) {
		h = hash(h, turn ? r->dst_ip : r->src_ip, 16);
		h = hash(h, turn ? r->src_ip : r->dst_ip, 16);
	}
	if (flow_has(r, FF_SRC_PORT))
		h = hash(h, ports, sizeof(ports));
	return hash(h, rest, sizeof(rest)) & FLOW_ID_MASK;
}

static const char *proto_name(const struct flow_record *r, char *buf)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = {{1, "ICMP"}, {6, "TCP"}, {17, "UDP"}, {58, "IPv6-ICMP"}, {132, "SCTP"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].proto == r->proto)
			return names[i].name;
	return proto_word(r->proto, buf);
}

static void put_tuple(struct json *j, const struct flow_record *r)
{
	char buf[IP_TEXT], word[WORD_TEXT];

	if (!r->family)
		return;
	if (flow_has(r, FF_SRC_IP)) {
		ip_text(r->src_ip, r->family, buf);
		text(j, "src_ip", buf);
	}
	if (flow_has(r, FF_SRC_PORT))
		number(j, "src_port", r->src_port);
	if (flow_has(r, FF_DST_IP)) {
		ip_text(r->dst_ip, r->family, buf);
		text(j, "dest_ip", buf);
	}
	if (flow_has(r, FF_DST_PORT))
		number(j, "dest_port", r->dst_port);
	if (flow_has(r, FF_PROTO))
		text(j, "proto", proto_name(r, word));
	if (flow_has(r, FF_ICMP_TYPE)) {
		number(j, "icmp_type", r->icmp_type);
		number(j, "icmp_code", r->icmp_code);
	}
}

static void put_vlan(struct json *j, const struct flow_record *r)
{
	if (!flow_has(r, FF_VLAN))
		return;
	key(j, "vlan");
	json_open(j, '[');
	for (unsigned int i = 0; i < FLOW_VLANS_MAX && r->vlan[i]; i++)
		json_u64(j, r->vlan[i]);
	json_close(j, ']');
}

/* The members that all events have. @return: where the event's own go. */
static struct json *begin(struct eve *e, const char *type)
{
	const struct flow_record *r = e->r;
	char id[COMMUNITY_ID_TEXT];
	struct json *j = &e->j;

	json_init(j, e->buf + e->len, OUTPUT_LINE_MAX - 1 - e->len);
	json_open(j, '{');
	put_time(j, "timestamp", r->end_ns);
	if (r->reason != FLOW_DROPPED)
		number(j, "flow_id", flow_id(r));
	if (flow_has(r, FF_IFACE))
		str(j, "in_iface", r->iface);
	text(j, "event_type", type);
	put_vlan(j, r);
	put_tuple(j, r);
	if (r->family && r->reason != FLOW_DROPPED && !community_id(e->o->community, r, id))
		text(j, "community_id", id);
	if (flow_has(r, FF_NODE))
		str(j, "host", r->node);
	return j;
}

static void end(struct eve *e)
{
	size_t len = 0;
	int r;

	json_close(&e->j, '}');
	r = json_end(&e->j, &len);
	if (r < 0) {
		e->error = r;
		e->len = 0;
		return;
	}
	e->len += len;
	e->buf[e->len++] = '\n';
}

static const char *app_proto(const struct flow_record *r)
{
	if (flow_has(r, FF_QUIC_VERSION))
		return "quic";
	if (flow_has(r, FF_TLS_SNI) || flow_has(r, FF_TLS_VERSION) || flow_has(r, FF_TLS_OFFERED))
		return "tls";
	if (flow_has(r, FF_HTTP_HOST) || flow_has(r, FF_HTTP_METHOD))
		return "http";
	return flow_has(r, FF_DNS_QNAME) ? "dns" : NULL;
}

/* ---- the events ---- */

static const char *tls_version(uint16_t version, char *buf)
{
	static const char *const names[] = {"SSLv3", "TLSv1", "TLS 1.1", "TLS 1.2", "TLS 1.3"};

	if (version >= 0x300 && version <= 0x304)
		return names[version - 0x300];
	return tls_version_word(version, buf);
}

static void put_alpns(struct json *j, struct flow_str wire)
{
	key(j, "client_alpns");
	json_open(j, '[');
	for (uint32_t i = 0, len; i < wire.len; i += len) {
		len = (uint8_t)wire.s[i++];
		if (len > wire.len - i)
			break;
		json_str(j, wire.s + i, len);
	}
	json_close(j, ']');
}

static void put_tls(struct eve *e)
{
	const struct flow_record *r = e->r;
	const bool quic = flow_has(r, FF_QUIC_VERSION);
	const char *type = quic ? "quic" : "tls";
	struct json *j = begin(e, type);
	char buf[WORD_TEXT];

	key(j, type);
	json_open(j, '{');
	if (quic)
		text(j, "version", quic_version_word(r->quic_version, buf));
	if (flow_has(r, FF_TLS_SNI))
		str(j, "sni", r->tls_sni);
	if (!quic && flow_has(r, FF_TLS_VERSION))
		text(j, "version", tls_version(r->tls_version, buf));
	if (flow_has(r, FF_TLS_ALPN))
		put_alpns(j, r->tls_alpn);
	json_close(j, '}');
	end(e);
}

static void put_http(struct eve *e, const struct flow_str *host, bool first)
{
	const struct flow_record *r = e->r;
	struct json *j = begin(e, "http");

	key(j, "http");
	json_open(j, '{');
	if (host)
		str(j, "hostname", *host);
	if (first && flow_has(r, FF_HTTP_PATH))
		str(j, "url", r->http_path);
	if (first && flow_has(r, FF_HTTP_METHOD))
		str(j, "http_method", r->http_method);
	json_close(j, '}');
	end(e);
}

/* The addresses that this query's answer gave. */
static void put_answers(struct eve *e, const struct flow_query *q)
{
	const struct flow_record *r = e->r;
	struct json *j = &e->j;
	struct answer a;
	bool any = false;

	for (uint32_t i = 0; flow_has(r, FF_DNS_ANSWERS) && i < r->dns_answers.n; i++) {
		char ip[IP_TEXT], word[WORD_TEXT];

		if (answer_parse(r->dns_answers.v[i], &a) || a.name.len != q->qname.len ||
		    strncasecmp(a.name.s, q->qname.s, a.name.len) != 0 ||
		    answer_type(&a) != q->qtype)
			continue;
		if (!any) {
			key(j, "answers");
			json_open(j, '[');
		}
		any = true;
		json_open(j, '{');
		str(j, "rrname", a.name);
		text(j, "rrtype", dns_type_word(q->qtype, word));
		number(j, "ttl", a.ttl);
		ip_text(a.ip, 0, ip);
		text(j, "rdata", ip);
		json_close(j, '}');
	}
	if (any)
		json_close(j, ']');
}

static void put_dns(struct eve *e, const struct flow_query *q, bool answer)
{
	struct json *j = begin(e, "dns");
	char buf[WORD_TEXT];

	key(j, "dns");
	json_open(j, '{');
	number(j, "version", 2);
	text(j, "type", answer ? "answer" : "query");
	str(j, "rrname", q->qname);
	text(j, "rrtype", dns_type_word(q->qtype, buf));
	if (answer)
		text(j, "rcode", dns_rcode_word(q->rcode, buf));
	if (answer)
		put_answers(e, q);
	json_close(j, '}');
	end(e);
}

static void put_query(struct eve *e, const struct flow_query *q)
{
	put_dns(e, q, false);
	if (q->has_rcode)
		put_dns(e, q, true);
}

static void put_names(struct eve *e)
{
	const struct flow_record *r = e->r;
	struct flow_query first = {
		.qname = r->dns_qname, .qtype = r->dns_qtype, .rcode = r->dns_rcode};
	const char *app = app_proto(r);

	if (app && (*app == 't' || *app == 'q') && !(r->told & FLOW_TOLD_TLS))
		put_tls(e);
	if ((flow_has(r, FF_HTTP_HOST) || flow_has(r, FF_HTTP_METHOD)) &&
	    !(r->told & FLOW_TOLD_HTTP))
		put_http(e, flow_has(r, FF_HTTP_HOST) ? &r->http_host : NULL, true);
	for (uint32_t i = r->hosts_told; flow_has(r, FF_HTTP_HOSTS) && i < r->http_hosts.n; i++)
		put_http(e, &r->http_hosts.v[i], false);
	first.has_rcode = flow_has(r, FF_DNS_RCODE);
	if (flow_has(r, FF_DNS_QNAME))
		put_query(e, &first);
	for (uint32_t i = 0; flow_has(r, FF_DNS_QUERIES) && i < r->dns_queries.n; i++)
		put_query(e, &r->dns_queries.v[i]);
}

static const char *state_name(const struct flow_record *r)
{
	if (r->state == FLOW_CLOSED || r->state == FLOW_RESET)
		return "closed";
	return r->state == FLOW_ESTABLISHED ? "established" : "new";
}

static const char *reason_name(const struct flow_record *r)
{
	if (r->reason == FLOW_SHUTDOWN)
		return "shutdown";
	return r->reason == FLOW_EVICTED ? "forced" : "timeout";
}

static void put_flags(struct json *j, const char *name, uint8_t flags)
{
	char buf[4];

	snprintf(buf, sizeof(buf), "%02x", flags);
	text(j, name, buf);
}

static void put_tcp(struct json *j, const struct flow_record *r)
{
	static const char *const names[8] = {"fin", "syn", "rst", "psh",
					     "ack", "urg", "ecn", "cwr"};

	key(j, "tcp");
	json_open(j, '{');
	put_flags(j, "tcp_flags", r->tcp_flags);
	put_flags(j, "tcp_flags_ts", r->out.tcp_flags);
	put_flags(j, "tcp_flags_tc", r->in.tcp_flags);
	for (unsigned int i = 0; i < 8; i++) {
		if (!(r->tcp_flags >> i & 1))
			continue;
		key(j, names[i]);
		json_bool(j, true);
	}
	text(j, "state", state_name(r));
	json_close(j, '}');
}

/* What policy did; of the members Suricata has none for the counts. */
static void put_verdict(struct json *j, const struct flow_record *r)
{
	const bool did = r->verdict && r->verdict < FLOW_WOULD_DROP;

	if (flow_has(r, FF_VERDICT)) {
		key(j, "verdict");
		json_open(j, '{');
		text(j, "action", did ? "drop" : "pass");
		json_close(j, '}');
	}
	if (!flow_has(r, FF_DROPPED_PACKETS))
		return;
	key(j, "drop");
	json_open(j, '{');
	text(j, "reason", r->verdict == FLOW_LIMIT ? "rate limit" : "rules");
	if (flow_has(r, FF_RULE))
		str(j, "rule", r->rule);
	number(j, "pkts", r->dropped_packets);
	number(j, "bytes", r->dropped_bytes);
	json_close(j, '}');
}

/* Packets dropped before they were in a flow. */
static void put_drop(struct eve *e)
{
	struct json *j = begin(e, "drop");

	put_verdict(j, e->r);
	end(e);
}

static void put_flow(struct eve *e)
{
	const struct flow_record *r = e->r;
	struct json *j = begin(e, "flow");

	if (!r->family)
		number(j, "ether_type", r->ethertype);
	if (app_proto(r))
		text(j, "app_proto", app_proto(r));
	key(j, "flow");
	json_open(j, '{');
	number(j, "pkts_toserver", r->out.packets);
	number(j, "pkts_toclient", r->in.packets);
	number(j, "bytes_toserver", r->out.bytes);
	number(j, "bytes_toclient", r->in.bytes);
	put_time(j, "start", r->start_ns);
	put_time(j, "end", r->end_ns);
	number(j, "age", (r->end_ns - r->start_ns) / 1000000000);
	text(j, "state", state_name(r));
	text(j, "reason", reason_name(r));
	key(j, "alerted");
	json_bool(j, false);
	json_close(j, '}');
	put_verdict(j, r);
	if (flow_has(r, FF_TCP_FLAGS))
		put_tcp(j, r);
	end(e);
}

ssize_t output_eve(struct output *o, const struct flow_record *r, char *buf)
{
	struct eve e = {.o = o, .r = r, .buf = buf};

	if (r->reason == FLOW_DROPPED) {
		put_drop(&e);
		return e.error ? e.error : (ssize_t)e.len;
	}
	put_names(&e);
	if (!e.error)
		put_flow(&e);
	return e.error ? e.error : (ssize_t)e.len;
}
