// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/alert_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/flow_text.h"
#include "common/json.h"
#include "common/num_text.h"

#define RENDERED 1024u
#define VALUE	 300u

static void put_text(struct json *j, const char *key, const char *s)
{
	json_key(j, key, strlen(key));
	json_str(j, s, strlen(s));
}

static void put_time(struct json *j, const char *key, uint64_t ns)
{
	char buf[TIME_TEXT];

	time_text(ns, buf);
	put_text(j, key, buf);
}

const char *alert_state_word(unsigned int state)
{
	static const char *const words[] = {"none", "pending", "firing", "resolved"};

	return words[state];
}

/* ---- values of by ---- */

static const char *value_path(const struct alert_value *v)
{
	return v->field == _FF_MAX ? "host" : flow_fields[v->field].path;
}

static enum flow_type value_type(const struct alert_value *v)
{
	return v->field == _FF_MAX ? FT_IP : flow_fields[v->field].type;
}

static struct flow_str value_text(const struct alert_value *v, char buf[static FLOW_TEXT])
{
	const enum flow_type t = value_type(v);

	if (t == FT_IP)
		return (struct flow_str){buf, (uint32_t)ip_text(v->ip, 0, buf)};
	if (t == FT_STR)
		return v->text;
	if (flow_type_number(t)) {
		snprintf(buf, FLOW_TEXT, "%llu", (unsigned long long)v->number);
		return (struct flow_str){buf, (uint32_t)strlen(buf)};
	}
	if (t == FT_FLAGS) {
		uint32_t n = 0;

		for (unsigned int i = 0; i < 8; i++)
			if (v->number >> i & 1)
				buf[n++] = "FSRPAUEC"[i];
		return (struct flow_str){buf, n};
	}
	{
		const char *s = flow_word(t, v->number, buf);

		return (struct flow_str){s, (uint32_t)strlen(s)};
	}
}

/* src.ip and src.port stand in one object. */
static void put_group(struct json *j, const struct alert *a, uint32_t first)
{
	const char *path = value_path(&a->by[first]), *dot = strchr(path, '.');
	char buf[FLOW_TEXT];

	if (dot) {
		json_key(j, path, (size_t)(dot - path));
		json_open(j, '{');
	}
	for (uint32_t i = first; i < a->n_by; i++) {
		const char *p = value_path(&a->by[i]);
		struct flow_str s;

		if (i != first && (!dot || strncmp(p, path, (size_t)(dot - path) + 1) != 0))
			continue;
		p = dot ? p + (dot - path) + 1 : p;
		json_key(j, p, strlen(p));
		s = value_text(&a->by[i], buf);
		if (flow_type_number(value_type(&a->by[i])))
			json_u64(j, a->by[i].number);
		else
			json_str(j, s.s, s.len);
	}
	if (dot)
		json_close(j, '}');
}

static bool begun(const struct alert *a, uint32_t at)
{
	const char *path = value_path(&a->by[at]), *dot = strchr(path, '.');

	for (uint32_t i = 0; dot && i < at; i++)
		if (!strncmp(value_path(&a->by[i]), path, (size_t)(dot - path) + 1))
			return true;
	return false;
}

/* ---- text for people ---- */

static void put_value(const struct alert *a, const char *name, size_t len, char *buf)
{
	char text[FLOW_TEXT];

	buf[0] = 0;
	if (len == 5 && !memcmp(name, "value", 5)) {
		if (!isnan(a->value))
			snprintf(buf, VALUE, a->value == floor(a->value) ? "%.0f" : "%.3g",
				 a->value);
		return;
	}
	for (uint32_t i = 0; name[0] == '$' && i < a->rule->params.n; i++) {
		const struct rule_param *p = &a->rule->params.v[i];

		if (strlen(p->name) == len - 1 && !memcmp(p->name, name + 1, len - 1))
			snprintf(buf, VALUE, "%s", p->value);
	}
	for (uint32_t i = 0; i < a->n_by; i++) {
		const char *path = value_path(&a->by[i]);
		struct flow_str s;

		if (strlen(path) != len || memcmp(path, name, len) != 0)
			continue;
		s = value_text(&a->by[i], text);
		snprintf(buf, VALUE, "%.*s", (int)s.len, s.s);
	}
}

const char *alert_render(const struct alert *a, const char *text, char *buf, size_t cap)
{
	size_t len = 0;
	char value[VALUE];

	while (*text && len + 1 < cap) {
		const char *end = !strncmp(text, "{{", 2) ? strstr(text, "}}") : NULL;

		if (!end) {
			buf[len++] = *text++;
			continue;
		}
		put_value(a, text + 2, (size_t)(end - text - 2), value);
		len += (size_t)snprintf(buf + len, cap - len, "%s", value);
		if (len >= cap)
			len = cap - 1;
		text = end + 2;
	}
	buf[len] = 0;
	return buf;
}

static void put_pairs(struct json *j, const char *key, const struct rule_pairs *p)
{
	json_key(j, key, strlen(key));
	json_open(j, '{');
	for (uint32_t i = 0; i < p->n; i++)
		put_text(j, p->v[i].key, p->v[i].value ?: "");
	json_close(j, '}');
}

static void put_annotations(struct json *j, const struct alert *a)
{
	char buf[RENDERED];

	for (uint32_t i = 0; i < a->rule->annotations.n; i++) {
		const struct rule_pair *p = &a->rule->annotations.v[i];

		put_text(j, p->key, alert_render(a, p->value ?: "", buf, sizeof(buf)));
	}
}

static void put_rule(struct json *j, const struct rule *r)
{
	put_text(j, "rule", r->name);
	put_text(j, "rule_id", r->id);
	put_text(j, "version", r->version);
	put_text(j, "group", r->group);
	put_text(j, "mode", rule_word(RO_RULE, "mode", r->mode));
	if (r->pack)
		put_text(j, "pack", r->pack);
	if (r->tainted) {
		json_key(j, "tainted", 7);
		json_bool(j, true);
	}
	json_key(j, "alert", 5);
	json_open(j, '{');
	put_text(j, "signature", r->title ?: r->name);
	put_text(j, "category", r->group);
	json_close(j, '}');
}

size_t alert_json(const struct alert *a, char *buf)
{
	struct json j;
	size_t len;

	json_init(&j, buf, ALERT_JSON - 1);
	json_open(&j, '{');
	put_time(&j, "timestamp", a->at_ns);
	put_text(&j, "event_type", "alert");
	put_text(&j, "state", alert_state_word(a->state));
	put_rule(&j, a->rule);
	for (uint32_t i = 0; i < a->n_by; i++)
		if (!begun(a, i))
			put_group(&j, a, i);
	put_time(&j, "since", a->since_ns);
	if (a->fired_ns)
		put_time(&j, "fired", a->fired_ns);
	if (!isnan(a->value)) {
		json_key(&j, "value", 5);
		json_f64(&j, a->value);
	}
	if (a->state == ALERT_RESOLVED && a->end == ALERT_EVICTED)
		put_text(&j, "reason", "evicted");
	if (a->exempt) {
		json_key(&j, "exempt", 6);
		json_bool(&j, true);
	}
	put_pairs(&j, "labels", &a->rule->labels);
	json_key(&j, "annotations", 11);
	json_open(&j, '{');
	put_annotations(&j, a);
	json_close(&j, '}');
	json_close(&j, '}');
	if (json_end(&j, &len))
		return 0;
	buf[len] = 0;
	return len;
}
