// SPDX-License-Identifier: Apache-2.0
/*
 * cloud_json.c - Azure's and Google's flow logs; see cloud.h.
 * Source: Microsoft, "NSG flow logs" (version 2) and "Virtual network flow logs" (version 4), log
 * formats; Google, "VPC Flow Logs records".
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "collector/ingest/cloud_int.h"
#include "common/scan.h"

static struct flow_str text_of(const json_t *v)
{
	struct flow_str none = {"", 0};

	return json_is_string(v)
		       ? (struct flow_str){json_string_value(v), (uint32_t)json_string_length(v)}
		       : none;
}

static struct flow_str member(const json_t *o, const char *name)
{
	return text_of(json_object_get(o, name));
}

/* A number, as one or as text. */
static bool number_of(const json_t *v, uint64_t max, uint64_t *ret)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*ret = (uint64_t)json_integer_value(v);
		return *ret <= max;
	}
	return cloud_number(text_of(v), max, ret);
}

/* ---- Azure: tuples are texts of values with commas between ---- */

enum {
	TUPLE_TIME,
	TUPLE_SRC,
	TUPLE_DST,
	TUPLE_SRC_PORT,
	TUPLE_DST_PORT,
	TUPLE_PROTO,
	TUPLE_DIRECTION,
	TUPLE_DECISION,	  /* NSG: A or D */
	TUPLE_STATE,	  /* B, C, E; VNet: D too, in the place of the decision */
	TUPLE_COUNTS = 9, /* packets and bytes out, packets and bytes in */
	TUPLE_FIELDS = 13,
};

struct azure {
	struct cloud *c;
	struct flow_str account;
	struct flow_str rule;
	struct flow_str mac;
	bool vnet;
};

static bool tuple_proto(struct cloud_row *row, struct flow_str s)
{
	uint64_t v;

	if (s.len == 1 && (*s.s == 'T' || *s.s == 'U')) {
		cloud_proto(row, *s.s == 'T' ? 6 : 17);
		return true;
	}
	if (!cloud_number(s, UINT8_MAX, &v))
		return false;
	cloud_proto(row, (uint8_t)v);
	return true;
}

/* Empty where a flow begins, or is denied. */
static bool tuple_counts(struct cloud_row *row, const struct flow_str *v)
{
	static const uint8_t fields[] = {FF_OUT_PACKETS, FF_OUT_BYTES, FF_IN_PACKETS, FF_IN_BYTES};

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t n;

		if (!v[i].len)
			continue;
		if (!cloud_number(v[i], INT64_MAX, &n))
			return false;
		cloud_count(row, fields[i], n);
	}
	return true;
}

/* NSG's time is in seconds, VNet's in milliseconds. */
static bool tuple_time(struct cloud_row *row, struct flow_str s, bool ms)
{
	uint64_t v;

	if (!cloud_number(s, ms ? UINT32_MAX * UINT64_C(1000) : UINT32_MAX, &v))
		return false;
	cloud_time(row, FF_END, v * (ms ? 1000000 : 1000000000));
	return true;
}

/* NSG: decision, state. VNet: state (D: denied), encryption. */
static void tuple_state(struct cloud_row *row, const struct flow_str *v, bool vnet)
{
	const struct flow_str *state = vnet ? &v[TUPLE_DECISION] : &v[TUPLE_STATE];
	const struct flow_str *decision = &v[TUPLE_DECISION];

	row->denied = decision->len == 1 && *decision->s == 'D';
	if (state->len == 1 && *state->s == 'E') {
		row->r.reason = FLOW_END;
		flow_set(&row->r, FF_REASON);
	} else if (state->len == 1 && *state->s == 'C') {
		row->r.reason = FLOW_ACTIVE;
		flow_set(&row->r, FF_REASON);
	}
	cloud_extra(row, "state", *state);
	if (vnet)
		cloud_extra(row, "encryption", v[TUPLE_STATE]);
}

static int take_tuple(const struct azure *a, struct flow_str s)
{
	struct flow_str v[TUPLE_FIELDS] = {};
	struct cloud_row row;
	unsigned int n = 0;

	a->c->lines++;
	while (n < TUPLE_FIELDS && cloud_word(&s, ',', &v[n]))
		n++;
	cloud_row_begin(&row);
	if (n < TUPLE_DECISION + 1 || !tuple_time(&row, v[TUPLE_TIME], a->vnet) ||
	    !cloud_ip(&row, FF_SRC_IP, v[TUPLE_SRC]) || !cloud_ip(&row, FF_DST_IP, v[TUPLE_DST]) ||
	    !cloud_port(&row, FF_SRC_PORT, v[TUPLE_SRC_PORT]) ||
	    !cloud_port(&row, FF_DST_PORT, v[TUPLE_DST_PORT]) ||
	    !tuple_proto(&row, v[TUPLE_PROTO]) || !tuple_counts(&row, v + TUPLE_COUNTS))
		return cloud_bad(a->c);
	if (v[TUPLE_DIRECTION].len == 1)
		row.direction = *v[TUPLE_DIRECTION].s == 'I' ? DIRECTION_IN : DIRECTION_OUT;
	tuple_state(&row, v, a->vnet);
	cloud_extra(&row, "rule", a->rule);
	cloud_extra(&row, "mac", a->mac);
	row.account = a->account;
	(void)cloud_row_add(a->c, &row); /* lost: counted there */
	return 0;
}

static int take_tuples(const struct azure *a, const json_t *group)
{
	const json_t *tuples = json_object_get(group, "flowTuples");
	const json_t *v;
	size_t i;
	int r = 0;

	json_array_foreach(tuples, i, v) if (take_tuple(a, text_of(v))) r = -EBADMSG;
	return r;
}

/* @flows: objects of rules (NSG: again within, by interface; VNet: groups by rule). */
static int take_flows(struct azure *a, const json_t *flows)
{
	const json_t *flow, *group;
	size_t i, k;
	int r = 0;

	json_array_foreach(flows, i, flow)
	{
		const json_t *inner = json_object_get(flow, a->vnet ? "flowGroups" : "flows");
		json_array_foreach(inner, k, group)
		{
			int e;

			/* NSG: the rule is outside, the interface inside */
			if (!a->vnet)
				a->mac = member(group, "mac");
			a->rule = member(a->vnet ? group : flow, "rule");
			e = take_tuples(a, group);
			r = r ?: e;
		}
	}
	return r;
}

static int take_azure(struct cloud *c, const json_t *o)
{
	const json_t *nsg = json_object_get(json_object_get(o, "properties"), "flows");
	const json_t *vnet = json_object_get(json_object_get(o, "flowRecords"), "flows");
	struct azure a = {.c = c, .vnet = !nsg};

	a.account = member(o, nsg ? "resourceId" : "targetResourceID");
	if (!a.account.len)
		a.account = member(o, "systemId");
	a.mac = member(o, "macAddress");
	if (!json_is_array(nsg) && !json_is_array(vnet))
		return cloud_bad(c);
	return take_flows(&a, nsg ? nsg : vnet);
}

/* ---- Google ---- */

static bool gcp_time(struct cloud_row *row, enum flow_field f, const json_t *p, const char *name)
{
	char text[64];
	struct flow_str s = member(p, name);
	uint64_t us;

	if (!s.len || s.len >= sizeof(text))
		return false;
	memcpy(text, s.s, s.len);
	text[s.len] = 0;
	if (scan_time_us(text, &us))
		return false;
	cloud_time(row, f, us * 1000);
	return true;
}

static bool gcp_connection(struct cloud_row *row, const json_t *p)
{
	const json_t *c = json_object_get(p, "connection");
	uint64_t port, proto;

	if (!cloud_ip(row, FF_SRC_IP, member(c, "src_ip")) ||
	    !cloud_ip(row, FF_DST_IP, member(c, "dest_ip")) ||
	    !number_of(json_object_get(c, "protocol"), UINT8_MAX, &proto))
		return false;
	cloud_proto(row, (uint8_t)proto);
	if (number_of(json_object_get(c, "src_port"), UINT16_MAX, &port)) {
		row->r.src_port = (uint16_t)port;
		flow_set(&row->r, FF_SRC_PORT);
	}
	if (number_of(json_object_get(c, "dest_port"), UINT16_MAX, &port)) {
		row->r.dst_port = (uint16_t)port;
		flow_set(&row->r, FF_DST_PORT);
	}
	return true;
}

static void gcp_counts(struct cloud_row *row, const json_t *p)
{
	uint64_t n;

	if (number_of(json_object_get(p, "packets_sent"), INT64_MAX, &n))
		cloud_count(row, FF_OUT_PACKETS, n);
	if (number_of(json_object_get(p, "bytes_sent"), INT64_MAX, &n))
		cloud_count(row, FF_OUT_BYTES, n);
}

static void gcp_extras(struct cloud_row *row, const json_t *p)
{
	static const struct {
		const char *object, *name, *key;
	} kept[] = {
		{"src_instance", "vm_name", "src_instance"},
		{"dest_instance", "vm_name", "dest_instance"},
		{"src_instance", "zone", "src_zone"},
		{"dest_instance", "zone", "dest_zone"},
		{"src_vpc", "vpc_name", "src_vpc"},
		{"dest_vpc", "vpc_name", "dest_vpc"},
		{"src_vpc", "subnetwork_name", "src_subnetwork"},
		{"dest_vpc", "subnetwork_name", "dest_subnetwork"},
		{"src_location", "country", "src_country"},
		{"dest_location", "country", "dest_country"},
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		cloud_extra(row, kept[i].key,
			    member(json_object_get(p, kept[i].object), kept[i].name));
	cloud_extra(row, "rtt_msec", member(p, "rtt_msec"));
	cloud_extra(row, "reporter", member(p, "reporter"));
}

static int take_gcp(struct cloud *c, const json_t *o)
{
	const json_t *p = json_object_get(o, "jsonPayload");
	const json_t *labels = json_object_get(json_object_get(o, "resource"), "labels");
	struct flow_str reporter = member(p, "reporter");
	struct cloud_row row;

	c->lines++;
	cloud_row_begin(&row);
	if (!gcp_connection(&row, p) || !gcp_time(&row, FF_END, p, "end_time"))
		return cloud_bad(c);
	(void)gcp_time(&row, FF_START, p, "start_time"); /* some have none */
	gcp_counts(&row, p);
	gcp_extras(&row, p);
	if (reporter.len)
		row.direction = *reporter.s == 'S' ? DIRECTION_OUT : DIRECTION_IN;
	row.account = member(labels, "project_id");
	if (!row.account.len)
		row.account = member(o, "logName");
	(void)cloud_row_add(c, &row); /* lost: counted there */
	return 0;
}

/* ---- any ---- */

int cloud_json(struct cloud *c, const char *s, size_t len)
{
	json_error_t error;
	json_t *o = json_loadb(s, len, JSON_REJECT_DUPLICATES, &error);
	int r;

	if (!json_is_object(o)) {
		json_decref(o);
		return cloud_bad(c);
	}
	r = json_object_get(o, "jsonPayload") ? take_gcp(c, o) : take_azure(c, o);
	json_decref(o);
	return r;
}

int cloud_object(const char *s, size_t len, size_t *ret_at, size_t *ret_len)
{
	size_t at = 0, depth = 0;
	bool quoted = false;

	while (at < len && memchr(" \t\r\n,[]}", s[at], 8))
		at++;
	if (at == len)
		return -ENODATA;
	if (s[at] != '{')
		return -EBADMSG;
	for (size_t i = at; i < len; i++) {
		if (quoted && s[i] == '\\') {
			i++; /* what follows is no end */
			continue;
		}
		if (quoted) {
			quoted = s[i] != '"';
			continue;
		}
		quoted = s[i] == '"';
		depth += s[i] == '{';
		depth -= s[i] == '}';
		if (!depth) {
			*ret_at = at;
			*ret_len = i + 1 - at;
			return 0;
		}
	}
	return -EAGAIN;
}
