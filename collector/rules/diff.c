// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"

/* ---- keys as text ---- */

static void put_text(FILE *out, const char *s)
{
	fputs(s ?: "", out);
}

static void put_duration(FILE *out, uint64_t ns)
{
	char buf[UNITS_TEXT];

	if (ns)
		fputs(units_duration(ns, buf), out);
}

static void put_mode(const struct rule *r, FILE *out)
{
	fputs(rule_word(RO_RULE, "mode", r->mode), out);
}

static void put_status(const struct rule *r, FILE *out)
{
	fputs(rule_word(RO_RULE, "status", r->status), out);
}

static void put_where(const struct rule *r, FILE *out)
{
	put_text(out, r->where.s);
}

static void put_having(const struct rule *r, FILE *out)
{
	put_text(out, r->having.s);
}

static void put_exempt(const struct rule *r, FILE *out)
{
	put_text(out, r->exempt_text.s);
}

static void put_window(const struct rule *r, FILE *out)
{
	put_duration(out, r->window.size_ns);
	if (r->window.size_ns)
		fputs(" by ", out);
	put_duration(out, r->window.slide_ns);
}

static void put_by(const struct rule *r, FILE *out)
{
	for (uint32_t i = 0; i < r->by.n; i++)
		fprintf(out, "%s%s", i ? ", " : "", flow_fields[r->by.v[i]].path);
}

static void put_for(const struct rule *r, FILE *out)
{
	put_duration(out, r->for_ns);
}

static void put_keep(const struct rule *r, FILE *out)
{
	put_duration(out, r->keep_ns);
}

static void put_groups_max(const struct rule *r, FILE *out)
{
	fprintf(out, "%llu", (unsigned long long)r->groups_max);
}

static void put_params(const struct rule *r, FILE *out)
{
	for (uint32_t i = 0; i < r->params.n; i++) {
		const struct rule_param *p = &r->params.v[i];

		fprintf(out, "%s%s = %s (%s to %s)", i ? ", " : "", p->name, p->value ?: "",
			p->min.s ?: "", p->max.s ?: "");
	}
}

static void put_evidence(const struct rule *r, FILE *out)
{
	fputs(r->evidence.handshake ? "handshake required" : "", out);
}

static void put_action(const struct rule_action *a, FILE *out)
{
	fprintf(out, "%s %s", rule_action_word(a->type),
		a->scope == RULE_SCOPE_PAIR ? "pair" : flow_fields[a->scope].path);
	fputs(a->direction == 1 ? " ingress" : a->direction == 2 ? " egress" : "", out);
	if (a->rate)
		fprintf(out, " %s", a->rate);
	if (a->ttl_ns)
		fputs(" for ", out);
	put_duration(out, a->ttl_ns);
	for (uint32_t i = 0; i < a->escalate.n; i++) {
		fputs(" then ", out);
		put_duration(out, a->escalate.ns[i]);
	}
}

static void put_actions(const struct rule *r, FILE *out)
{
	for (uint32_t i = 0; i < r->actions.n; i++) {
		fputs(i ? ", " : "", out);
		put_action(&r->actions.v[i], out);
	}
}

static void put_pairs(const struct rule_pairs *p, FILE *out)
{
	for (uint32_t i = 0; i < p->n; i++)
		fprintf(out, "%s%s: %s", i ? ", " : "", p->v[i].key, p->v[i].value);
}

static void put_labels(const struct rule *r, FILE *out)
{
	put_pairs(&r->labels, out);
}

static void put_annotations(const struct rule *r, FILE *out)
{
	put_pairs(&r->annotations, out);
}

static void put_correlate(const struct rule *r, FILE *out)
{
	if (!r->correlate.at.line)
		return;
	for (uint32_t i = 0; i < r->correlate.rules.n; i++)
		fprintf(out, "%s%s", i ? ", " : "", r->correlate.rules.v[i].s);
	fprintf(out, " of %s within ", r->correlate.by.s ?: "host");
	put_duration(out, r->correlate.within_ns);
}

static void put_name(const struct rule *r, FILE *out)
{
	put_text(out, r->name);
}

static const struct {
	const char *name;
	void (*put)(const struct rule *r, FILE *out);
} keys[] = {
	{"name", put_name},
	{"status", put_status},
	{"mode", put_mode},
	{"where", put_where},
	{"window", put_window},
	{"by", put_by},
	{"having", put_having},
	{"for", put_for},
	{"keep_firing_for", put_keep},
	{"groups_max", put_groups_max},
	{"params", put_params},
	{"evidence", put_evidence},
	{"exempt", put_exempt},
	{"correlate", put_correlate},
	{"actions", put_actions},
	{"labels", put_labels},
	{"annotations", put_annotations},
};

/* ---- two sets ---- */

static char *text_of(const struct rule *r, unsigned int key)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	keys[key].put(r, out);
	return fclose(out) ? NULL : text;
}

static json_t *one(const char *change, const struct rule *r)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s}", "change", change, "rule", r->name, "id", r->id,
			 "version", r->version, "mode", rule_word(RO_RULE, "mode", r->mode));
}

/* Keys that are not the same; NULL: no memory. */
static json_t *compare(const struct rule *a, const struct rule *b)
{
	json_t *list = json_array();
	bool ok = list != NULL;

	for (unsigned int i = 0; ok && i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *was = text_of(a, i), *is = text_of(b, i);

		ok = was && is;
		if (ok && strcmp(was, is) != 0)
			ok = !json_array_append_new(list,
						    json_pack("{s:s,s:s,s:s}", "key", keys[i].name,
							      "was", was, "is", is));
		free(was);
		free(is);
	}
	if (ok)
		return list;
	json_decref(list);
	return NULL;
}

/* Return: 0, -1: no memory. */
static int add_changed(json_t *to, const struct rule *a, const struct rule *b)
{
	json_t *list = compare(a, b), *o;

	if (!list)
		return -1;
	if (!json_array_size(list) && !strcmp(a->version, b->version)) {
		json_decref(list);
		return 0;
	}
	o = one("changed", b);
	json_object_set_new(o, "before", json_string(a->version));
	json_object_set_new(o, "keys", list);
	return json_array_append_new(to, o);
}

json_t *rules_diff(const struct rule_set *a, const struct rule_set *b, bool gone)
{
	json_t *list = json_array();
	int r = list ? 0 : -1;

	for (uint32_t i = 0; gone && !r && i < a->n; i++)
		if (!rules_find(b, a->v[i].id))
			r = json_array_append_new(list, one("gone", &a->v[i]));
	for (uint32_t i = 0; !r && i < b->n; i++) {
		const struct rule *was = rules_find(a, b->v[i].id);

		r = was ? add_changed(list, was, &b->v[i])
			: json_array_append_new(list, one("new", &b->v[i]));
	}
	if (!r)
		return list;
	json_decref(list);
	return NULL;
}
