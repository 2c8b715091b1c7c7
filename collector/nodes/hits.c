// SPDX-License-Identifier: Apache-2.0
#include "collector/nodes/hits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/book_int.h"
#include "collector/metrics_text.h"
#include "collector/nodes/nodes_int.h"
#include "common/node_hits.h"

/* ---- what nodes say ---- */

struct decided {
	int64_t id;
	char rule[RULE_NAME_MAX + 1], action[16], mode[16];
};

/* What of it has been written down, of all decisions that this entry stood for. Return: 0, -EIO. */
static int known(struct nodes *n, const char *node, const struct node_hit *h, struct node_hit *ret)
{
	sqlite3_stmt *s = db_begin(n->db,
				   "SELECT coalesce(sum(packets), 0), coalesce(sum(bytes), 0),"
				   " coalesce(sum(flows), 0) FROM hit WHERE node = ? AND record = ?"
				   " AND a = ? AND entry = ?",
				   "tbbi", node, h->id, 16, h->addr, 16, h->entry);

	if (db_step(n->db, s) != 1)
		return -EIO;
	*ret = (struct node_hit){.packets = sqlite3_column_int64(s, 0),
				 .bytes = sqlite3_column_int64(s, 1),
				 .flows = sqlite3_column_int64(s, 2)};
	db_end(s);
	return 0;
}

/* The decision that the entry stood for at its last packet: the latest made by then. Return: 1, 0 none, -EIO. */
static int find(struct nodes *n, const struct node *x, const struct node_hit *h,
		struct decided *ret)
{
	sqlite3_stmt *s =
		db_begin(n->db,
			 "SELECT id, rule, action, mode FROM decision WHERE record = ? AND a = ?"
			 " AND (node IS NULL OR node = ?)"
			 " AND state IN ('active', 'expired', 'withdrawn')"
			 " ORDER BY made_us > ?, id DESC LIMIT 1",
			 "bbti", h->id, 16, h->addr, 16, x->name, h->last_us - x->skew_us);
	const int r = db_step(n->db, s);

	if (r != 1)
		return r;
	ret->id = sqlite3_column_int64(s, 0);
	snprintf(ret->rule, sizeof(ret->rule), "%s", db_text(s, 1));
	snprintf(ret->action, sizeof(ret->action), "%s", db_text(s, 2));
	snprintf(ret->mode, sizeof(ret->mode), "%s", db_text(s, 3));
	db_end(s);
	return 1;
}

/* A node that says of ever other entries fills no disk. */
static bool is_full(struct nodes *n, const char *node, int64_t decision)
{
	return db_number(n->db, 0, "SELECT count(*) FROM hit WHERE decision = ? AND node = ?", "it",
			 decision, node) >= HITS_ENTRIES;
}

static int add(struct nodes *n, const struct node *x, const struct node_hit *h,
	       const struct node_hit *more)
{
	struct decided d;
	int r = find(n, x, h, &d);

	if (r != 1) {
		n->counts.hits_unknown += !r;
		return r;
	}
	r = db_run(
		n->db,
		"UPDATE hit SET packets = packets + ?, bytes = bytes + ?, flows = flows + ?,"
		" last_us = max(last_us, ?) WHERE node = ? AND record = ? AND a = ? AND entry = ?"
		" AND decision = ?",
		"iiiitbbii", more->packets, more->bytes, more->flows, h->last_us, x->name, h->id,
		16, h->addr, 16, h->entry, d.id);
	if (!r && !db_changes(n->db)) {
		if (is_full(n, x->name, d.id)) {
			n->counts.hits_unknown++;
			return 0;
		}
		r = db_run(n->db, "INSERT INTO hit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", "tbbiiiiii",
			   x->name, h->id, 16, h->addr, 16, h->entry, d.id, more->packets,
			   more->bytes, more->flows, h->last_us);
	}
	return r
		       ?: db_run(n->db,
				 "INSERT INTO hit_sum VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
				 " packets = packets + excluded.packets, bytes = bytes + excluded.bytes,"
				 " flows = flows + excluded.flows",
				 "tttiii", d.rule, d.action, d.mode, more->packets, more->bytes,
				 more->flows);
}

static int64_t grown(int64_t now, int64_t was)
{
	return now > was ? now - was : 0;
}

static int take(struct nodes *n, const struct node *x, const struct node_hit *h)
{
	struct node_hit was, more = *h;
	const int r = known(n, x->name, h, &was);

	if (r)
		return r;
	more.packets = grown(h->packets, was.packets);
	more.bytes = grown(h->bytes, was.bytes);
	more.flows = grown(h->flows, was.flows);
	if (!more.packets && !more.bytes && !more.flows)
		return 0; /* told before, or overtaken */
	return add(n, x, h, &more);
}

static int end(struct nodes *n, int r)
{
	r = r ?: db_run(n->db, "COMMIT", "");
	if (r)
		(void)db_run(n->db, "ROLLBACK", ""); /* it may be over already */
	return r;
}

int hits_heard(const struct who_tells *who, const char *text, size_t len, char *reterr)
{
	struct node_hit *v = calloc(NODE_HITS_MAX, sizeof(*v));
	const struct node *x = table_by_name(who->n, who->node);
	size_t count = 0;
	int r = v && x ? 0 : -ENOMEM;

	r = r ?: node_hits_read(text, len, v, &count, reterr);
	if (!r) {
		r = db_run(who->n->db, "BEGIN IMMEDIATE", "");
		for (size_t i = 0; !r && i < count; i++)
			r = take(who->n, x, &v[i]);
		r = end(who->n, r);
	}
	free(v);
	return r;
}

/* ---- metrics ---- */

void hits_metrics(struct nodes *n, FILE *out)
{
	static const char *const counters[][2] = {
		{"weir_decision_packets_total",
		 "Packets that decisions have stopped on nodes, or in mode shadow would have."},
		{"weir_decision_bytes_total", "IP bytes of those packets."},
		{"weir_decision_flows_total",
		 "Flows among those packets: TCP SYNs, and the first packet of each flow let in before."},
	};

	for (int i = 0; i < 3; i++) {
		sqlite3_stmt *s = db_begin(n->db,
					   "SELECT rule, action, mode, packets, bytes, flows"
					   " FROM hit_sum ORDER BY rule, action, mode",
					   "");

		metrics_head(out, counters[i][0], "counter", counters[i][1]);
		while (db_step(n->db, s) == 1) {
			fprintf(out, "%s{rule=\"", counters[i][0]);
			metrics_label(out, db_text(s, 0));
			fprintf(out, "\",action=\"%s\",mode=\"%s\"} %lld\n", db_text(s, 1),
				db_text(s, 2), (long long)sqlite3_column_int64(s, 3 + i));
		}
	}
}
