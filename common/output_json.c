// SPDX-License-Identifier: Apache-2.0
/*
 * output_json.c - a record as one JSON object on a line; rows of weir/fields.def in their order.
 */
#include <errno.h>
#include <string.h>

#include "common/flow_text.h"
#include "common/flow_words.h"
#include "common/json.h"
#include "common/output_int.h"

static void put_key(struct json *j, const char *key)
{
	json_key(j, key, strlen(key));
}

static void put_alpn(struct json *j, struct flow_str wire)
{
	uint32_t i = 0;

	json_open(j, '[');
	while (i < wire.len) {
		uint32_t len = (uint8_t)wire.s[i++];

		if (len > wire.len - i)
			break;
		json_str(j, wire.s + i, len);
		i += len;
	}
	json_close(j, ']');
}

static void put_hosts(struct json *j, struct flow_strs hosts)
{
	json_open(j, '[');
	for (uint32_t i = 0; i < hosts.n; i++)
		json_str(j, hosts.v[i].s, hosts.v[i].len);
	json_close(j, ']');
}

static void put_vlan(struct json *j, const uint16_t *vlan)
{
	json_open(j, '[');
	for (unsigned int i = 0; i < FLOW_VLANS_MAX && vlan[i]; i++)
		json_u64(j, vlan[i]);
	json_close(j, ']');
}

static void put_queries(struct json *j, struct flow_queries queries)
{
	char buf[WORD_TEXT];
	const char *word;

	json_open(j, '[');
	for (uint32_t i = 0; i < queries.n; i++) {
		const struct flow_query *q = &queries.v[i];

		json_open(j, '{');
		put_key(j, "qname");
		json_str(j, q->qname.s, q->qname.len);
		put_key(j, "qtype");
		word = dns_type_word(q->qtype, buf);
		json_str(j, word, strlen(word));
		if (q->has_rcode) {
			put_key(j, "rcode");
			word = dns_rcode_word(q->rcode, buf);
			json_str(j, word, strlen(word));
		}
		if (q->has_latency) {
			put_key(j, "latency_us");
			json_u64(j, q->latency_us);
		}
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_value(struct json *j, const struct flow_record *r, enum flow_field f)
{
	const enum flow_type t = flow_fields[f].type;
	const char *member = (const char *)r + flow_fields[f].offset;
	char buf[FLOW_TEXT];
	struct flow_queries queries;
	struct flow_strs strs;
	struct flow_str s;

	if (flow_type_number(t)) {
		json_u64(j, flow_number(r, f));
		return;
	}
	switch (t) {
	case FT_ALPN:
		memcpy(&s, member, sizeof(s));
		put_alpn(j, s);
		break;
	case FT_STRS:
		memcpy(&strs, member, sizeof(strs));
		put_hosts(j, strs);
		break;
	case FT_QUERIES:
		memcpy(&queries, member, sizeof(queries));
		put_queries(j, queries);
		break;
	case FT_VLAN:
		put_vlan(j, r->vlan);
		break;
	default:
		s = flow_text(r, f, buf);
		json_str(j, s.s, s.len);
	}
}

static void put_field(struct output *o, struct json *j, const struct flow_record *r,
		      enum flow_field f)
{
	const char *path = flow_fields[f].path;
	const char *leaf = o->group_len[f] ? path + o->group_len[f] + 1 : path;
	char id[COMMUNITY_ID_TEXT];

	if (flow_fields[f].type == FT_CID) {
		if (community_id(o->community, r, id) < 0)
			return;
		put_key(j, leaf);
		json_str(j, id, COMMUNITY_ID_TEXT - 1);
		return;
	}
	put_key(j, leaf);
	put_value(j, r, f);
}

ssize_t output_json(struct output *o, const struct flow_record *r, char *buf)
{
	const char *group = NULL;
	size_t group_len = 0, len = 0;
	struct json j;
	int err;

	json_init(&j, buf, OUTPUT_LINE_MAX - 1);
	json_open(&j, '{');
	for (unsigned int w = 0; w < 2; w++) {
		for (uint64_t bits = r->present[w]; bits; bits &= bits - 1) {
			const unsigned int f = w * 64 + (unsigned int)__builtin_ctzll(bits);
			const char *path = flow_fields[f].path;
			const size_t n = o->group_len[f];

			if (group_len && (n != group_len || memcmp(path, group, n)))
				json_close(&j, '}');
			if (n && (n != group_len || memcmp(path, group, n))) {
				json_key(&j, path, n);
				json_open(&j, '{');
			}
			group = path;
			group_len = n;
			put_field(o, &j, r, f);
		}
	}
	if (group_len)
		json_close(&j, '}');
	json_close(&j, '}');
	err = json_end(&j, &len);
	if (err < 0)
		return err;
	buf[len] = '\n';
	return (ssize_t)len + 1;
}
