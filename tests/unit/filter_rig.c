// SPDX-License-Identifier: Apache-2.0
/*
 * filter_rig.c - see filter_rig.h.
 */
#include "filter_rig.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/abi.h"

static const char *resolve(void *arg, char kind, const char *name)
{
	static const struct {
		char kind;
		const char *name, *text;
	} known[] = {
		{'@', "local", "10.0.0.0/8, 192.168.0.0/16,\n fd00::/8, 2001:db8::1"},
		{'@', "empty", ""},
		{'@', "wrong", "10.0.0.0/8,\n 10.0.0.0/33"},
		{'@', "nested", "@local"},
		{'$', "n", "20"},
		{'$', "net", "10.0.0.0/8"},
		{'$', "wrong", "twenty"},
		{'$', "two", "20 30"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].kind == kind && !strcmp(known[i].name, name))
			return known[i].text;
	return NULL;
}

const struct filter_env filter_rig_env = {.resolve = resolve, .added = true};

const char *filter_rig_parse(const char *text)
{
	static char line[4096];
	struct filter_ast ast = {};
	struct filter_error err;
	struct filter_parser p = {.text = text,
				  .len = (uint32_t)strlen(text),
				  .ast = &ast,
				  .env = &filter_rig_env,
				  .err = &err};
	FILE *out;

	if (filter_parse_ast(&p)) {
		snprintf(line, sizeof(line), "%u:%u %s", err.line, err.column, err.message);
		return line;
	}
	out = fmemopen(line, sizeof(line), "w");
	if (out) {
		filter_ast_print(&ast, out);
		fclose(out);
	}
	filter_ast_done(&ast);
	return line;
}

int filter_rig_match(const char *text, const struct flow_record *r)
{
	struct filter_error err;
	struct filter *f;
	int match;

	if (filter_parse(text, strlen(text), &filter_rig_env, &f, &err))
		return -1;
	match = filter_match(f, r);
	filter_free(f);
	return match;
}

static void set_str(struct flow_record *r, enum flow_field f, const char *s)
{
	const struct flow_str str = {s, (uint32_t)strlen(s)};

	memcpy((char *)r + flow_fields[f].offset, &str, sizeof(str));
	flow_set(r, f);
}

static void set_all(struct flow_record *r, const enum flow_field *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		flow_set(r, f[i]);
}

static void set_ip(struct flow_record *r, enum flow_field f, const char *text)
{
	uint8_t *ip = (uint8_t *)r + flow_fields[f].offset;

	if (strchr(text, ':')) {
		inet_pton(AF_INET6, text, ip);
	} else {
		memcpy(ip, (uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12);
		inet_pton(AF_INET, text, ip + 12);
	}
	flow_set(r, f);
}

const struct flow_record *filter_rig_tls(void)
{
	static const enum flow_field has[] = {
		FF_START,	FF_END,		FF_SRC_PORT,	FF_DST_PORT,	  FF_PROTO,
		FF_PACKETS,	FF_BYTES,	FF_OUT_PACKETS, FF_OUT_BYTES,	  FF_IN_PACKETS,
		FF_IN_BYTES,	FF_TCP_FLAGS,	FF_STATE,	FF_COMMUNITY_ID,  FF_REASON,
		FF_TLS_VERSION, FF_TLS_OFFERED, FF_TLS_ALPN,	FF_RTT_CLIENT_US, FF_VLAN,
		FF_HTTP_HOSTS,	FF_LABELS,	FF_OUT_TTL_MIN, FF_TLS_ECH,	  FF_TUNNEL_TYPE,
		FF_VNI,		FF_OUT_DSCP,
	};
	static const struct flow_str hosts[] = {{"a.example.org", 13}, {"B.example.org", 13}};
	static const struct flow_str labels[] = {{"site=north", 10}, {"rack=7", 6}};
	static struct flow_record r;

	memset(&r, 0, sizeof(r));
	set_all(&r, has, sizeof(has) / sizeof(has[0]));
	set_ip(&r, FF_SRC_IP, "10.1.2.3");
	set_ip(&r, FF_DST_IP, "192.0.2.80");
	set_ip(&r, FF_TUNNEL_SRC, "2001:db8::9");
	set_str(&r, FF_TLS_SNI, "WWW.example.com");
	set_str(&r, FF_IFACE, "eth0");
	set_str(&r, FF_HTTP_METHOD, "GET");
	set_str(&r, FF_TLS_ALPN, "\x02h2\x08http/1.1");
	r.family = 4;
	r.proto = 6;
	r.src_port = 40000;
	r.dst_port = 443;
	r.start_ns = UINT64_C(1788266468120113999);
	r.end_ns = r.start_ns + 210000000;
	r.out.packets = 8;
	r.out.bytes = 1204;
	r.out.ttl_min = 64;
	r.out.dscp = 46;
	r.in.packets = 6;
	r.in.bytes = 2010;
	r.packets = 14;
	r.bytes = 3214;
	r.tcp_flags = 0x1a;
	r.state = FLOW_ESTABLISHED;
	r.reason = FLOW_END;
	r.tls_version = 0x0303;
	r.tls_offered = 0x0304;
	r.tls_ech = 1;
	r.rtt_client_us = 5000;
	r.vlan[0] = 10;
	r.vlan[1] = 20;
	r.http_hosts = (struct flow_strs){hosts, 2};
	r.labels = (struct flow_strs){labels, 2};
	r.tunnel_type = TUN_VXLAN;
	r.vni = 5001;
	return &r;
}

const struct flow_record *filter_rig_dns(void)
{
	static const enum flow_field has[] = {
		FF_START,	   FF_END,	  FF_SRC_PORT,	FF_DST_PORT,
		FF_PROTO,	   FF_PACKETS,	  FF_BYTES,	FF_OUT_PACKETS,
		FF_OUT_BYTES,	   FF_IN_PACKETS, FF_IN_BYTES,	FF_COMMUNITY_ID,
		FF_REASON,	   FF_DNS_QTYPE,  FF_DNS_RCODE, FF_DNS_QUERIES,
		FF_DNS_LATENCY_US, FF_NO_NAME,
	};
	static const struct flow_query queries[] = {
		{.qname = {"mail.example.net", 16}, .qtype = 15},
		{.qname = {"Deep.Example.net", 16}, .qtype = 1},
	};
	static struct flow_record r;

	memset(&r, 0, sizeof(r));
	set_all(&r, has, sizeof(has) / sizeof(has[0]));
	set_ip(&r, FF_SRC_IP, "2001:db8::1");
	set_ip(&r, FF_DST_IP, "2001:db8::53");
	set_str(&r, FF_DNS_QNAME, "example.net");
	r.family = 6;
	r.proto = 17;
	r.src_port = 5353;
	r.dst_port = 53;
	r.packets = r.out.packets = 3;
	r.bytes = r.out.bytes = 210;
	r.dns_qtype = 65;
	r.dns_rcode = 3;
	r.dns_latency_us = 1500;
	r.dns_queries = (struct flow_queries){queries, 2};
	r.no_name = NN_TRUNCATED;
	r.reason = FLOW_ACTIVE;
	return &r;
}
