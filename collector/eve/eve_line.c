// SPDX-License-Identifier: Apache-2.0
#include "collector/eve/eve_line.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/filter_int.h"
#include "common/json.h"
#include "common/scan.h"

#define TIME_MAX  40u
#define PROTO_MAX 24u

const struct eve_count_info eve_counts[_EC_MAX] = {
#define COUNT(id, name, class, doc) [EC_##id] = {name, ECC_##class},
#include "collector/eve/counts.def"
#undef COUNT
};

/* "2026-11-23T06:31:39.123456+0100": RFC 3339 but for the colon. */
static bool read_time(const json_t *v, uint64_t *ret_us)
{
	const char *s = json_string_value(v);
	const size_t len = s ? strlen(s) : 0;
	char text[TIME_MAX + 1];

	if (len < 6 || len >= TIME_MAX)
		return false;
	if ((s[len - 5] == '+' || s[len - 5] == '-') && !strchr(s + len - 5, ':'))
		snprintf(text, sizeof(text), "%.*s:%s", (int)len - 2, s, s + len - 2);
	else
		snprintf(text, sizeof(text), "%s", s);
	return !scan_time_us(text, ret_us);
}

/* Absent: fine. */
static bool read_number(const json_t *o, const char *name, uint64_t max, bool *ret_has,
			uint64_t *ret)
{
	const json_t *v = json_object_get(o, name);

	*ret_has = v != NULL;
	*ret = 0;
	if (!v)
		return true;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return *ret <= max;
}

/* Absent: empty. What is too long ends before the character that does not fit. */
static bool read_text(const json_t *o, const char *name, struct flow_str *ret)
{
	const json_t *v = json_object_get(o, name);

	*ret = (struct flow_str){"", 0};
	if (!v)
		return true;
	if (!json_is_string(v))
		return false;
	*ret = (struct flow_str){json_string_value(v), 0};
	for (size_t left = json_string_length(v), n; left; left -= n) {
		n = utf8_len(ret->s + ret->len, left) ?: 1;
		if (ret->len + n > EVE_TEXT_MAX)
			break;
		ret->len += (uint32_t)n;
	}
	return true;
}

/* ---- what flow it is of ---- */

static bool read_ip(const json_t *v, uint8_t ip[16])
{
	const char *s = json_string_value(v);

	return s && !address_ip(s, ip);
}

static bool read_proto(const json_t *v, uint8_t *ret)
{
	const char *s = json_string_value(v);
	uint64_t n;

	if (!s || !*s || strlen(s) > PROTO_MAX || filter_word_number(FT_PROTO, s, &n))
		return false;
	*ret = (uint8_t)n;
	return true;
}

/* Two numbers that are there together. */
static bool read_pair(const json_t *o, const char *const names[2], uint64_t max, uint64_t ret[2])
{
	bool has[2];

	return read_number(o, names[0], max, &has[0], &ret[0]) &&
	       read_number(o, names[1], max, &has[1], &ret[1]) && has[0] && has[1];
}

static bool read_ends(const json_t *o, struct flow_record *r)
{
	static const char *const ports[2] = {"src_port", "dest_port"};
	static const char *const icmp[2] = {"icmp_type", "icmp_code"};
	uint64_t v[2];

	if (json_object_get(o, ports[0]) || json_object_get(o, ports[1])) {
		if (!read_pair(o, ports, UINT16_MAX, v))
			return false;
		r->src_port = (uint16_t)v[0];
		r->dst_port = (uint16_t)v[1];
		flow_set(r, FF_SRC_PORT);
		flow_set(r, FF_DST_PORT);
	}
	if (json_object_get(o, icmp[0]) || json_object_get(o, icmp[1])) {
		if (!read_pair(o, icmp, UINT8_MAX, v))
			return false;
		r->icmp_type = (uint8_t)v[0];
		r->icmp_code = (uint8_t)v[1];
		flow_set(r, FF_ICMP_TYPE);
		flow_set(r, FF_ICMP_CODE);
	}
	return true;
}

static bool is_v4(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(ip, mapped, sizeof(mapped));
}

static bool read_flow(const json_t *o, struct eve_alert *a)
{
	struct flow_record *r = &a->flow;

	if (!read_ip(json_object_get(o, "src_ip"), r->src_ip) ||
	    !read_ip(json_object_get(o, "dest_ip"), r->dst_ip) ||
	    !read_proto(json_object_get(o, "proto"), &r->proto) || !read_ends(o, r))
		return false;
	if (is_v4(r->src_ip) != is_v4(r->dst_ip))
		return false;
	r->family = is_v4(r->src_ip) ? 4 : 6;
	flow_set(r, FF_SRC_IP);
	flow_set(r, FF_DST_IP);
	flow_set(r, FF_PROTO);
	community_tuple(r, a->tuple);
	return true;
}

/* ---- what it says ---- */

static bool read_alert(const json_t *alert, struct eve_alert *a)
{
	uint64_t sid, severity;
	bool has_sid, has;

	if (!read_number(alert, "signature_id", UINT32_MAX, &has_sid, &sid) || !has_sid ||
	    !read_number(alert, "severity", UINT8_MAX, &has, &severity) ||
	    !read_text(alert, "signature", &a->signature) ||
	    !read_text(alert, "category", &a->category) || !read_text(alert, "action", &a->action))
		return false;
	a->sid = (uint32_t)sid;
	a->severity = (uint8_t)severity;
	return true;
}

static enum eve_count read_object(const json_t *o, struct eve_alert *a)
{
	const json_t *alert = json_object_get(o, "alert");

	if (!read_time(json_object_get(o, "timestamp"), &a->time_us))
		return EC_BAD_TIME;
	if (!json_is_object(alert) || !read_alert(alert, a) ||
	    !read_text(o, "community_id", &a->community_id))
		return EC_BAD_ALERT;
	if (!json_object_get(o, "src_ip") && !json_object_get(o, "dest_ip"))
		return EC_NO_ADDRESS;
	return read_flow(o, a) ? EC_ALERTS : EC_BAD_ADDRESS;
}

enum eve_count eve_read_line(const char *s, size_t len, struct eve_alert *ret,
			     struct json_t **ret_doc)
{
	json_error_t error;
	const char *type;
	enum eve_count c;
	json_t *o;

	*ret_doc = NULL;
	if (len > EVE_LINE_MAX)
		return EC_BAD_LENGTH;
	/* most lines are other events: one that does not name the type is none of it and is not read */
	if (len > 2 && s[0] == '{' && s[len - 1] == '}' && !memmem(s, len, "\"alert\"", 7))
		return EC_OTHER;
	o = json_loadb(s, len, 0, &error);
	type = json_string_value(json_object_get(o, "event_type"));
	if (!json_is_object(o) || !type) {
		json_decref(o);
		return EC_BAD_JSON;
	}
	*ret = (struct eve_alert){};
	c = strcmp(type, "alert") ? EC_OTHER : read_object(o, ret);
	if (c == EC_ALERTS)
		*ret_doc = o;
	else
		json_decref(o);
	return c;
}
