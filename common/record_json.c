// SPDX-License-Identifier: Apache-2.0
/*
 * record_json.c - see record_json.h. Rows of weir/fields.def say where a member stands in the object
 * and how its text becomes a number.
 */
#include "common/record_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/flow_text.h"
#include "common/scan.h"

#define ALPN_BYTES 1024u

#define STRS_MAX 256u /* strings of one list: as many labels as can be set */

struct record_reader {
	char alpn[ALPN_BYTES];
	struct flow_str strs[FLOW_LISTS][STRS_MAX];
	struct flow_query queries[FLOW_QUERIES_MAX];
};

struct record_reader *record_reader_new(void)
{
	return calloc(1, sizeof(struct record_reader));
}

void record_reader_free(struct record_reader *rr)
{
	free(rr);
}

static json_t *member_of(json_t *obj, const char *path)
{
	const char *dot = strchr(path, '.');
	char group[32];

	if (!dot)
		return json_object_get(obj, path);
	snprintf(group, sizeof(group), "%.*s", (int)(dot - path), path);
	return json_object_get(json_object_get(obj, group), dot + 1);
}

static bool get_str(json_t *v, struct flow_str *ret)
{
	if (!json_is_string(v))
		return false;
	*ret = (struct flow_str){json_string_value(v), (uint32_t)json_string_length(v)};
	return true;
}

static bool get_u64(json_t *v, uint64_t max, uint64_t *ret)
{
	const json_int_t i = json_integer_value(v);

	if (!json_is_integer(v) || i < 0 || (uint64_t)i > max)
		return false;
	*ret = (uint64_t)i;
	return true;
}

static void put_number(struct flow_record *r, enum flow_field f, uint64_t v)
{
	char *p = (char *)r + flow_fields[f].offset;
	const uint32_t v32 = (uint32_t)v;
	const uint16_t v16 = (uint16_t)v;
	const uint8_t v8 = (uint8_t)v;

	switch (flow_number_width(flow_fields[f].type)) {
	case 8:
		memcpy(p, &v, sizeof(v));
		break;
	case 4:
		memcpy(p, &v32, sizeof(v32));
		break;
	case 2:
		memcpy(p, &v16, sizeof(v16));
		break;
	default:
		memcpy(p, &v8, sizeof(v8));
	}
}

static bool get_ip(json_t *v, struct flow_record *r, enum flow_field f)
{
	uint8_t *ip = (uint8_t *)r + flow_fields[f].offset;
	const char *s = json_string_value(v);
	const bool v6 = s && strchr(s, ':');

	if (!s)
		return false;
	if (!v6)
		memcpy(ip, (uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12);
	if (inet_pton(v6 ? AF_INET6 : AF_INET, s, v6 ? ip : ip + 12) != 1)
		return false;
	if (f != FF_TUNNEL_SRC)
		r->family = v6 ? 6 : 4;
	return true;
}

static bool get_flags(const char *s, uint64_t *ret)
{
	static const char letters[] = "FSRPAUEC";

	for (*ret = 0; *s; s++) {
		const char *at = strchr(letters, *s);

		if (!at)
			return false;
		*ret |= UINT64_C(1) << (at - letters);
	}
	return true;
}

static bool get_word(json_t *v, struct flow_record *r, enum flow_field f)
{
	const char *s = json_string_value(v);
	uint64_t n;

	if (!s)
		return false;
	if (flow_fields[f].type == FT_FLAGS ? !get_flags(s, &n)
					    : filter_word_number(flow_fields[f].type, s, &n) != 0)
		return false;
	put_number(r, f, n);
	return true;
}

static bool get_time(json_t *v, struct flow_record *r, enum flow_field f)
{
	uint64_t us;

	if (!json_is_string(v) || scan_time_us(json_string_value(v), &us) || us > UINT64_MAX / 1000)
		return false;
	put_number(r, f, us * 1000);
	return true;
}

/* ---- lists ---- */

static bool get_alpn(struct record_reader *rr, json_t *v, struct flow_record *r)
{
	uint32_t n = 0;
	struct flow_str s;

	for (size_t i = 0; i < json_array_size(v); i++) {
		if (!get_str(json_array_get(v, i), &s) || s.len > 255 || s.len + 1 > ALPN_BYTES - n)
			return false;
		rr->alpn[n++] = (char)s.len;
		memcpy(rr->alpn + n, s.s, s.len);
		n += s.len;
	}
	r->tls_alpn = (struct flow_str){rr->alpn, n};
	return json_is_array(v);
}

static bool get_strs(struct record_reader *rr, json_t *v, struct flow_record *r, enum flow_field f)
{
	const size_t n = json_array_size(v);
	unsigned int l = 0;

	while (flow_lists[l] != f)
		l++;
	if (!json_is_array(v) || n > STRS_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!get_str(json_array_get(v, i), &rr->strs[l][i]))
			return false;
	*flow_list(r, l) = (struct flow_strs){rr->strs[l], (uint32_t)n};
	return true;
}

static bool get_query(json_t *v, struct flow_query *ret)
{
	const char *qtype = json_string_value(json_object_get(v, "qtype"));
	const char *rcode = json_string_value(json_object_get(v, "rcode"));
	json_t *latency = json_object_get(v, "latency_us");
	uint64_t n = 0;

	*ret = (struct flow_query){.has_rcode = rcode != NULL, .has_latency = latency != NULL};
	if (!get_str(json_object_get(v, "qname"), &ret->qname) || !qtype ||
	    filter_word_number(FT_QTYPE, qtype, &n))
		return false;
	ret->qtype = (uint16_t)n;
	if (rcode && filter_word_number(FT_RCODE, rcode, &n))
		return false;
	ret->rcode = rcode ? (uint16_t)n : 0;
	return !latency || get_u64(latency, INT64_MAX, &ret->latency_us);
}

static bool get_queries(struct record_reader *rr, json_t *v, struct flow_record *r)
{
	const size_t n = json_array_size(v);

	if (!json_is_array(v) || n > FLOW_QUERIES_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!get_query(json_array_get(v, i), &rr->queries[i]))
			return false;
	r->dns_queries = (struct flow_queries){rr->queries, (uint32_t)n};
	return true;
}

static bool get_vlans(json_t *v, struct flow_record *r)
{
	const size_t n = json_array_size(v);
	uint64_t id;

	if (!json_is_array(v) || n > FLOW_VLANS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!get_u64(json_array_get(v, i), 4095, &id))
			return false;
		r->vlan[i] = (uint16_t)id;
	}
	return true;
}

/* ---- one member ---- */

static bool get_member(struct record_reader *rr, json_t *v, enum flow_field f,
		       struct flow_record *r)
{
	static const uint64_t max[_FT_MAX] = {
		[FT_U8] = UINT8_MAX,
		[FT_U16] = UINT16_MAX,
		[FT_U32] = UINT32_MAX,
		[FT_U64] = INT64_MAX,
	};
	const enum flow_type t = flow_fields[f].type;
	struct flow_str s;
	uint64_t n;

	switch (t) {
	case FT_U8:
	case FT_U16:
	case FT_U32:
	case FT_U64:
		if (!get_u64(v, max[t], &n))
			return false;
		put_number(r, f, n);
		return true;
	case FT_IP:
		return get_ip(v, r, f);
	case FT_TIME:
		return get_time(v, r, f);
	case FT_STR:
		if (!get_str(v, &s))
			return false;
		memcpy((char *)r + flow_fields[f].offset, &s, sizeof(s));
		return true;
	case FT_ALPN:
		return get_alpn(rr, v, r);
	case FT_STRS:
		return get_strs(rr, v, r, f);
	case FT_QUERIES:
		return get_queries(rr, v, r);
	case FT_VLAN:
		return get_vlans(v, r);
	case FT_CID:
		return json_is_string(v);
	default:
		return get_word(v, r, f);
	}
}

int record_read(struct record_reader *rr, json_t *obj, struct flow_record *ret,
		char reterr[static RECORD_JSON_ERROR])
{
	memset(ret, 0, sizeof(*ret));
	if (!json_is_object(obj)) {
		snprintf(reterr, RECORD_JSON_ERROR, "no JSON object");
		return -EINVAL;
	}
	for (unsigned int f = 0; f < _FF_MAX; f++) {
		json_t *v = member_of(obj, flow_fields[f].path);

		if (!v)
			continue;
		if (!get_member(rr, v, f, ret)) {
			snprintf(reterr, RECORD_JSON_ERROR, "%s is not as it should be",
				 flow_fields[f].path);
			return -EINVAL;
		}
		flow_set(ret, f);
	}
	return 0;
}
