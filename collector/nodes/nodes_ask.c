// SPDX-License-Identifier: Apache-2.0
/*
 * nodes_ask.c - what people ask of nodes and do to them, status and metrics.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/book_int.h"
#include "collector/nodes/hits.h"
#include "collector/nodes/nodes_int.h"
#include "common/num_text.h"
#include "common/scan.h"

#define TOKEN_US     (UINT64_C(3600) * 1000000)
#define TOKEN_MAX_NS (UINT64_C(30) * 86400 * 1000000000)

/* ---- a node as JSON ---- */

static void put_time(json_t *o, const char *key, int64_t us)
{
	char text[TIME_TEXT];

	if (!us)
		return;
	time_text((uint64_t)us * 1000, text);
	json_object_set_new(o, key, json_string(text));
}

static void put_text(json_t *o, const char *key, const char *text)
{
	if (*text)
		json_object_set_new(o, key, json_string(text));
}

static void put_u64(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *policy_json(uint64_t generation, uint32_t rules, uint32_t entries, const char *hash)
{
	json_t *o = json_object();

	put_u64(o, "generation", generation);
	put_u64(o, "rules", rules);
	put_u64(o, "entries", entries);
	put_text(o, "hash", hash);
	return o;
}

static json_t *node_json(const struct nodes *n, const struct node *x)
{
	const struct image *want = sync_wanted(n, x);
	const struct node_report *r = &x->report;
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string("node"));
	json_object_set_new(o, "name", json_string(x->name));
	json_object_set_new(o, "state", json_string(node_state_words[sync_state(n, x)]));
	json_object_set_new(o, "enforced", json_boolean(x->heard_us && sync_is_enforced(r, want)));
	json_object_set_new(o, "labels", json_string(x->labels));
	json_object_set_new(o, "canary", json_boolean(x->canary));
	if (want)
		json_object_set_new(o, "wants",
				    policy_json(want->generation, want->rules, want->entries,
						want->hash));
	if (x->heard_us) {
		json_object_set_new(o, "has",
				    policy_json(r->generation, r->rules, r->entries, r->hash));
		json_object_set_new(o, "clock_us", json_integer(x->skew_us));
	}
	put_text(o, "error", r->error);
	put_text(o, "version", x->version);
	put_text(o, "kernel", x->kernel);
	put_time(o, "enrolled", x->enrolled_us);
	put_time(o, "certificate_until", x->expires_us);
	put_time(o, "revoked", x->revoked_us);
	put_time(o, "seen", x->seen_us);
	return o;
}

/* ---- questions ---- */

static const char *text_of(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key)) ?: "";
}

static json_t *list(struct nodes *n, const char *only)
{
	json_t *out = json_array();
	json_int_t rows = 0;

	for (struct node *x = n->first; x; x = x->next) {
		if (*only && strcmp(only, x->name) != 0)
			continue;
		json_array_append_new(out, node_json(n, x));
		rows++;
	}
	if (*only && !rows) {
		json_decref(out);
		return book_refuse("unknown", "there is no node '%.64s'", only);
	}
	json_array_append_new(out, json_pack("{s:s,s:I}", "type", "end", "rows", rows));
	return out;
}

static json_t *done(const struct node *x)
{
	json_t *out = json_array();

	json_array_append_new(out, json_pack("{s:s,s:s,s:s}", "type", "done", "name", x->name,
					     "labels", x->labels));
	return out;
}

static json_t *token(struct nodes *n, const json_t *request, const char *actor)
{
	const char *valid = text_of(request, "for");
	struct token t = {.name = text_of(request, "name"), .valid_us = TOKEN_US};
	char labels[NODES_LABELS], text[NODE_TOKEN];
	json_t *out;
	uint64_t ns;

	t.labels = labels;
	if (*t.name && node_name_check(t.name))
		return book_refuse("request", "name '%.64s': want letters, digits, . _ -", t.name);
	if (table_labels(text_of(request, "labels"), labels))
		return book_refuse("request", "labels: want KEY or KEY=VALUE, 16 at most");
	if (*valid && scan_duration_ns(valid, 1, TOKEN_MAX_NS, &ns))
		return book_refuse("request", "for '%.40s': want a time such as 1h, 30d at most",
				   valid);
	if (*valid)
		t.valid_us = ns / 1000;
	if (table_token(n, &t, actor, text))
		return book_refuse("store", "%s", db_error(n->db));
	out = json_array();
	json_array_append_new(out, json_pack("{s:s,s:s,s:s,s:s}", "type", "done", "token", text,
					     "name", t.name, "labels", labels));
	put_time(json_array_get(out, 0), "until", nodes_wall_us() + (int64_t)t.valid_us);
	return out;
}

static json_t *change(struct nodes *n, const json_t *request, struct node *x, const char *actor)
{
	const bool revoke = !strcmp(text_of(request, "what"), "revoke");
	char labels[NODES_LABELS];
	int r;

	if (!revoke && table_labels(text_of(request, "labels"), labels))
		return book_refuse("request", "labels: want KEY or KEY=VALUE, 16 at most");
	r = revoke ? table_revoke(n, x, actor) : table_relabel(n, x, labels, actor);
	if (r)
		return book_refuse("store", "%s", db_error(n->db));
	http_wake(n);
	return done(x);
}

static json_t *ask(struct nodes *n, const json_t *request, const char *actor)
{
	const char *what = text_of(request, "what"), *name = text_of(request, "name");
	struct node *x;

	if (!strcmp(what, "list"))
		return list(n, "");
	if (!strcmp(what, "show"))
		return list(n, *name ? name : "?");
	if (!strcmp(what, "token"))
		return token(n, request, actor);
	if (strcmp(what, "revoke") != 0 && strcmp(what, "label") != 0)
		return book_refuse("request", "nodes: no such question '%.40s'", what);
	x = table_by_name(n, name);
	return x ? change(n, request, x, actor)
		 : book_refuse("unknown", "there is no node '%.64s'", name);
}

json_t *nodes_ask(struct nodes *n, const json_t *request, const struct endpoint_peer *peer)
{
	json_t *out;

	if (!n)
		return book_refuse("off", "this collector has no nodes: nodes.listen is none");
	pthread_mutex_lock(&n->lock);
	out = ask(n, request, peer->name);
	pthread_mutex_unlock(&n->lock);
	return out;
}

/* ---- status and metrics ---- */

static void count_states(const struct nodes *n, uint64_t ret[_NODE_STATE_MAX],
			 uint64_t *ret_enforced)
{
	memset(ret, 0, _NODE_STATE_MAX * sizeof(ret[0]));
	*ret_enforced = 0;
	for (const struct node *x = n->first; x; x = x->next) {
		const enum node_state s = sync_state(n, x);

		ret[s]++;
		*ret_enforced += s != NODE_GONE && s != NODE_REVOKED &&
				 sync_is_enforced(&x->report, sync_wanted(n, x));
	}
}

uint32_t nodes_canaries(struct nodes *n)
{
	uint32_t found = 0;

	if (!n)
		return 0;
	pthread_mutex_lock(&n->lock);
	for (const struct node *x = n->first; x; x = x->next)
		found += x->canary && sync_state(n, x) == NODE_IN_FORCE &&
			 sync_is_enforced(&x->report, sync_wanted(n, x));
	pthread_mutex_unlock(&n->lock);
	return found;
}

json_t *nodes_status(struct nodes *n)
{
	uint64_t states[_NODE_STATE_MAX], enforced;
	json_t *o = json_object(), *by = json_object();

	if (!n) {
		json_decref(by);
		return o;
	}
	pthread_mutex_lock(&n->lock);
	count_states(n, states, &enforced);
	put_u64(o, "nodes", n->n);
	put_u64(o, "enforced", enforced);
	for (unsigned int i = 0; i < _NODE_STATE_MAX; i++)
		if (states[i])
			put_u64(by, node_state_words[i], states[i]);
	json_object_set_new(o, "states", by);
	put_u64(o, "reports", n->counts.reports);
	put_u64(o, "sent", n->counts.sent);
	put_u64(o, "resyncs", n->counts.resyncs);
	put_u64(o, "enrolled", n->counts.enrolled);
	put_u64(o, "enrol_refused", n->counts.enrol_refused);
	put_u64(o, "renewed", n->counts.renewed);
	put_u64(o, "renew_refused", n->counts.renew_refused);
	put_u64(o, "denied", n->counts.denied);
	put_u64(o, "fetched", n->counts.fetched);
	put_u64(o, "fetched_octets", n->counts.fetched_octets);
	put_u64(o, "fetch_failed", n->counts.fetch_failed);
	put_u64(o, "hits_unknown", n->counts.hits_unknown);
	pthread_mutex_unlock(&n->lock);
	return o;
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *help, uint64_t v)
{
	head(out, name, "counter", help);
	fprintf(out, "%s %" PRIu64 "\n", name, v);
}

/* Names of nodes are words without quotes. */
static void node_metrics(const struct nodes *n, FILE *out)
{
	head(out, "weir_node_policy_generation", "gauge",
	     "Of a node's policy: wanted, and enforced as it says.");
	for (const struct node *x = n->first; x; x = x->next) {
		const struct image *want = sync_wanted(n, x);

		fprintf(out,
			"weir_node_policy_generation{node=\"%s\",which=\"wanted\"} %" PRIu64 "\n",
			x->name, want ? want->generation : 0);
		fprintf(out,
			"weir_node_policy_generation{node=\"%s\",which=\"enforced\"} %" PRIu64 "\n",
			x->name, x->report.generation);
	}
	head(out, "weir_node_policy_entries", "gauge",
	     "Addresses, names and flows in it: wanted, and enforced as it says.");
	for (const struct node *x = n->first; x; x = x->next) {
		const struct image *want = sync_wanted(n, x);

		fprintf(out, "weir_node_policy_entries{node=\"%s\",which=\"wanted\"} %u\n", x->name,
			want ? want->entries : 0);
		fprintf(out, "weir_node_policy_entries{node=\"%s\",which=\"enforced\"} %u\n",
			x->name, x->report.entries);
	}
	head(out, "weir_node_enforced", "gauge",
	     "1: the node enforces what it shall, to the octet; 0: it does not, or is gone.");
	for (const struct node *x = n->first; x; x = x->next)
		fprintf(out, "weir_node_enforced{node=\"%s\"} %d\n", x->name,
			sync_state(n, x) != NODE_GONE && sync_state(n, x) != NODE_REVOKED &&
				sync_is_enforced(&x->report, sync_wanted(n, x)));
	head(out, "weir_node_clock_skew_seconds", "gauge", "A node's clock less this collector's.");
	for (const struct node *x = n->first; x; x = x->next)
		if (x->heard_us)
			fprintf(out, "weir_node_clock_skew_seconds{node=\"%s\"} %.6f\n", x->name,
				(double)x->skew_us / 1e6);
}

void nodes_metrics(struct nodes *n, FILE *out)
{
	uint64_t states[_NODE_STATE_MAX], enforced;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	count_states(n, states, &enforced);
	head(out, "weir_nodes", "gauge", "Nodes by how it stands with their policy.");
	for (unsigned int i = 0; i < _NODE_STATE_MAX; i++)
		fprintf(out, "weir_nodes{state=\"%s\"} %" PRIu64 "\n", node_state_words[i],
			states[i]);
	node_metrics(n, out);
	one(out, "weir_node_reports_total", "What nodes have said.", n->counts.reports);
	one(out, "weir_node_policies_sent_total", "Policies sent to nodes.", n->counts.sent);
	one(out, "weir_node_resyncs_total",
	    "Policies made since a node had lost its own, or had another.", n->counts.resyncs);
	one(out, "weir_node_enrolled_total", "Nodes enrolled.", n->counts.enrolled);
	one(out, "weir_node_enrol_refused_total", "Enrolments refused.", n->counts.enrol_refused);
	one(out, "weir_node_renewed_total", "Certificates renewed.", n->counts.renewed);
	one(out, "weir_node_renew_refused_total", "Renewals refused.", n->counts.renew_refused);
	one(out, "weir_node_denied_total",
	    "Questions without a certificate that is good: none, revoked, ended.",
	    n->counts.denied);
	one(out, "weir_captures_fetched_total", "Files of packets fetched from nodes.",
	    n->counts.fetched);
	one(out, "weir_captures_fetched_octets_total", "Octets of them.", n->counts.fetched_octets);
	one(out, "weir_captures_fetch_failed_total",
	    "Fetches that failed, at their beginning or later: the node or the file was gone.",
	    n->counts.fetch_failed);
	one(out, "weir_node_hits_unknown_total",
	    "What nodes said to have hit by decisions that are not known here, or have too many entries.",
	    n->counts.hits_unknown);
	hits_metrics(n, out);
	pthread_mutex_unlock(&n->lock);
}
