// SPDX-License-Identifier: Apache-2.0
#include "eve_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/address.h"

const char *eve_rig_line(const struct eve_rig_line *l, char *buf)
{
	const uint64_t us = (uint64_t)((int64_t)EVE_RIG_T0 + (int64_t)l->ms * 1000);
	const time_t s = (time_t)(us / 1000000);
	char time[32];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(
		buf, 2048,
		"{\"timestamp\":\"%s.%06u+0000\",\"flow_id\":1805461738637437,\"in_iface\":\"eth0\","
		"\"event_type\":\"alert\",\"src_ip\":\"%s\",\"src_port\":%d,\"dest_ip\":\"%s\",\"dest_port\":%d,"
		"\"proto\":\"%s\",\"alert\":{\"action\":\"allowed\",\"gid\":1,\"signature_id\":%u,\"rev\":3,"
		"\"signature\":\"TEST number %u\",\"category\":\"A Network Trojan was detected\",\"severity\":%d},"
		"\"app_proto\":\"http\",\"direction\":\"to_server\"%s}",
		time, (unsigned int)(us % 1000000), l->src, l->src_port, l->dst, l->dst_port,
		l->proto ?: "TCP", l->sid, l->sid, l->severity, l->more ?: "");
	return buf;
}

bool eve_rig_alert(struct eve_join *j, const struct eve_rig_line *l, uint64_t now_ms)
{
	struct json_t *doc = NULL;
	struct eve_alert a;
	char buf[2048];

	eve_rig_line(l, buf);
	if (eve_read_line(buf, strlen(buf), &a, &doc) != EC_ALERTS)
		return false;
	eve_join_alert(j, &a, 0, now_ms);
	json_decref(doc);
	return true;
}

void eve_rig_flow(struct block *b, const char *src, const char *dst, const int ports[2],
		  const int ms[2])
{
	struct flow_record r = {
		.proto = 6,
		.src_port = (uint16_t)ports[0],
		.dst_port = (uint16_t)ports[1],
		.start_ns = (uint64_t)((int64_t)EVE_RIG_T0 + (int64_t)ms[0] * 1000) * 1000,
		.end_ns = (uint64_t)((int64_t)EVE_RIG_T0 + (int64_t)ms[1] * 1000) * 1000,
		.state = FLOW_CLOSED,
		.reason = FLOW_END,
		.tls_sni = {"www.example", 11},
		.out = {.packets = 7, .bytes = 700}};
	static const uint8_t has[] = {FF_START,	   FF_END,	   FF_SRC_IP,	 FF_DST_IP,
				      FF_SRC_PORT, FF_DST_PORT,	   FF_PROTO,	 FF_STATE,
				      FF_REASON,   FF_OUT_PACKETS, FF_OUT_BYTES, FF_IN_PACKETS,
				      FF_IN_BYTES};

	for (unsigned int i = 0; i < sizeof(has); i++)
		flow_set(&r, has[i]);
	flow_set(&r, FF_TLS_SNI);
	cr_assert(zero(int, address_ip(src, r.src_ip)));
	cr_assert(zero(int, address_ip(dst, r.dst_ip)));
	cr_assert(zero(int, block_add_flow(b, &r, 1)));
}
