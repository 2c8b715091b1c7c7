// SPDX-License-Identifier: Apache-2.0
/*
 * notice_json.c - notices as JSON: as the collector's own commands have them, in the shape of Suricata's EVE,
 * and as the body of a webhook.
 */
#include <string.h>

#include "collector/notify/notice_int.h"
#include "common/num_text.h"

#define FNV_BASIS 2166136261u
#define FNV_PRIME 16777619u
#define GID	  32473 /* signatures of Suricata are of others */

static void put_text(json_t *o, const char *key, const char *value)
{
	if (*value)
		json_object_set_new(o, key, json_string(value));
}

static void put_number(json_t *o, const char *key, int64_t v)
{
	if (v)
		json_object_set_new(o, key, json_integer(v));
}

/* ---- as it is here ---- */

static json_t *own(const struct notice *n)
{
	json_t *o = json_copy(n->json);
	char text[NOTICE_TEXT], time[TIME_TEXT];

	time_text(n->at_us * 1000, time);
	json_object_del(o, "type");
	json_object_set_new(o, "event", json_string(notice_name(n->kind)));
	json_object_set_new(o, "event_id", json_integer(n->id));
	json_object_set_new(o, "told", json_string(time));
	json_object_set_new(o, "text", json_string(notice_text(n, text)));
	return o;
}

/* ---- EVE ---- */

/* A number for the rule that stays: Suricata's signatures have 32 bits, and many readers want them positive. */
static json_int_t signature_id(const char *rule_id)
{
	uint32_t h = FNV_BASIS;

	for (; *rule_id; rule_id++)
		h = (h ^ (unsigned char)*rule_id) * FNV_PRIME;
	return h & 0x7fffffff;
}

static json_t *eve_alert(const struct notice *n)
{
	static const int severity[] = {3, 2, 1, 1};
	json_t *a = json_object();
	char text[NOTICE_TEXT];

	put_text(a, "action",
		 n->kind == NOTICE_DECISION_ACTIVE && strcmp(notice_get(n, "mode"), "shadow") != 0
			 ? "blocked"
			 : "allowed");
	json_object_set_new(a, "gid", json_integer(GID));
	json_object_set_new(a, "signature_id",
			    json_integer(signature_id(*notice_get(n, "rule_id")
							      ? notice_get(n, "rule_id")
							      : notice_get(n, "rule"))));
	json_object_set_new(a, "rev", json_integer(1));
	json_object_set_new(a, "signature", json_string(notice_text(n, text)));
	put_text(a, "category", notice_get(n, "alert.category"));
	json_object_set_new(a, "severity", json_integer(severity[n->severity]));
	return a;
}

/* Suricata writes the offset of the time zone without a colon. */
static void eve_time(json_t *o, uint64_t at_us)
{
	char time[TIME_TEXT + 8];
	const size_t len = time_text(at_us * 1000, time);

	snprintf(time + len - 1, sizeof(time) - len + 1, "+0000");
	json_object_set_new(o, "timestamp", json_string(time));
}

static void eve_proto(json_t *o, const char *proto)
{
	char upper[16];
	size_t i;

	for (i = 0; proto[i] && i + 1 < sizeof(upper); i++)
		upper[i] = proto[i] >= 'a' && proto[i] <= 'z' ? (char)(proto[i] - 'a' + 'A')
							      : proto[i];
	upper[i] = 0;
	put_text(o, "proto", upper);
}

static json_t *eve(const struct notice_from *from, const struct notice *n)
{
	json_t *o = json_object(), *all = own(n);

	eve_time(o, n->at_us);
	put_text(o, "event_type", "alert");
	put_text(o, "host", from->host);
	put_text(o, "src_ip", notice_source(n));
	put_number(o, "src_port", notice_number(n, "src.port"));
	put_text(o, "dest_ip", notice_target(n));
	put_number(o, "dest_port", notice_target_port(n));
	eve_proto(o, notice_get(n, "proto"));
	json_object_set_new(o, "alert", eve_alert(n));
	json_object_set_new(o, "weir", all);
	return o;
}

/* ---- out ---- */

static int put(const char *text, size_t len, void *arg)
{
	return fwrite(text, 1, len, arg) == len ? 0 : -1;
}

void notice_json(FILE *out, enum channel_format f, const struct notice_from *from,
		 const struct notice *n)
{
	json_t *o = f == FORMAT_EVE ? eve(from, n) : own(n);

	json_dump_callback(o, put, out, JSON_COMPACT);
	json_decref(o);
}

void notice_webhook(FILE *out, const struct notice_from *from, const struct notice *v, uint32_t n)
{
	json_t *o = json_object(), *events = json_array();

	json_object_set_new(o, "collector", json_string(from->host));
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(events, own(&v[i]));
	json_object_set_new(o, "events", events);
	json_dump_callback(o, put, out, JSON_COMPACT);
	json_decref(o);
}
