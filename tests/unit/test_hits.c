// SPDX-License-Identifier: Apache-2.0
/*
 * test_hits.c - what nodes say that decisions have hit: messages, and rows that add up to what was said, however often
 * and in whichever order it comes.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/control/hits.h"
#include "collector/nodes/hits.h"
#include "collector/nodes/nodes_int.h"
#include "common/node_hits.h"

static struct nodes n;

static void begin(void)
{
	char error[DB_ERROR] = "";

	n = (struct nodes){};
	n.last = &n.first;
	cr_assert(eq(int, db_open(NULL, error, &n.db), 0), "%s", error);
	cr_assert(eq(int,
		     db_run(n.db,
			    "INSERT INTO node (name, labels, key, enrolled_us, expires_us)"
			    " VALUES ('edge', '', zeroblob(32), 1, 2), ('core', '',"
			    " randomblob(32), 1, 2)",
			    ""),
		     0));
	cr_assert(eq(int, table_load(&n), 0));
}

static void end(void)
{
	struct node *next;

	for (struct node *x = n.first; x; x = next) {
		next = x->next;
		free(x);
	}
	db_close(n.db);
}

TestSuite(hits, .init = begin, .fini = end);

/* ---- messages ---- */

static struct node_hit hit(uint8_t rule, uint8_t host, int64_t packets)
{
	struct node_hit h = {.entry = 7,
			     .packets = packets,
			     .bytes = 84 * packets,
			     .flows = packets / 2,
			     .last_us = 1000 + packets};

	h.id[15] = rule;
	h.addr[10] = h.addr[11] = 0xff;
	h.addr[15] = host;
	return h;
}

Test(hits, what_is_written_is_read_again_and_the_longest_fit)
{
	struct node_hit v[NODE_HITS_MAX], w[NODE_HITS_MAX];
	char error[NODE_MESSAGE_ERROR] = "", *text;
	size_t count;

	for (unsigned int i = 0; i < NODE_HITS_MAX; i++) {
		memset(v[i].id, 0xf0 | (int)i, sizeof(v[i].id));
		memset(v[i].addr, 0xab, sizeof(v[i].addr));
		v[i].entry = v[i].packets = v[i].bytes = v[i].flows = v[i].last_us = INT64_MAX;
	}
	text = node_hits_write(v, NODE_HITS_MAX);
	cr_assert(text && strlen(text) <= NODE_MESSAGE_MAX);
	cr_assert(eq(int, node_hits_read(text, strlen(text), w, &count, error), 0), "%s", error);
	cr_expect(eq(sz, count, NODE_HITS_MAX));
	cr_expect(eq(int, memcmp(v, w, sizeof(v)), 0));
	free(text);
}

Test(hits, a_mistake_is_named)
{
#define HIT(id, value, rest) "{\"hits\":[{\"id\":\"" id "\",\"value\":\"" value "\"," rest "}]}"
#define ID		     "000102030405060708090a0b0c0d0e0f"
#define COUNTS		     "\"entry\":1,\"packets\":1,\"bytes\":1,\"last_us\":1"
	static const struct {
		const char *text, *error;
	} cases[] = {
		{HIT(ID, "192.0.2.1", COUNTS), ""},
		{"{\"hits\":[]}", ""},
		{"{}", "hits: want a list, 64 at most"},
		{"[", "hits: want a list, 64 at most"},
		{"{\"hits\":[7]}", "want a JSON object"},
		{HIT("00", "192.0.2.1", COUNTS), "id: want 32 hexadecimal digits"},
		{HIT(ID, "192.0.2", COUNTS), "value: want an address"},
		{HIT(ID, "192.0.2.1", "\"packets\":1,\"bytes\":1,\"last_us\":1"),
		 "entry: is missing"},
		{HIT(ID, "192.0.2.1", "\"entry\":1,\"packets\":-1,\"bytes\":1,\"last_us\":1"),
		 "packets: out of range"},
	};
	struct node_hit v[NODE_HITS_MAX];
	size_t count;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[NODE_MESSAGE_ERROR] = "";
		const int r =
			node_hits_read(cases[i].text, strlen(cases[i].text), v, &count, error);

		cr_expect(eq(str, error, (char *)(uintptr_t)cases[i].error), "%s", cases[i].text);
		cr_expect(eq(int, r, *cases[i].error ? -EINVAL : 0), "%s", cases[i].text);
	}
}

/* ---- rows ---- */

static int64_t decide(uint8_t rule, uint8_t host, int64_t made_us, const char *state)
{
	const struct node_hit h = hit(rule, host, 0);

	cr_assert(
		eq(int,
		   db_run(n.db,
			  "INSERT INTO decision (alert, rule_id, rule, at, action, scope, a, port,"
			  " direction, mode, state, step, made_us, ttl_us, record)"
			  " VALUES (0, 'r', 'guess', 0, 'drop', 'src.ip', ?, 0, 0, 'enforce', ?, 0,"
			  " ?, 1, ?)",
			  "btib", h.addr, 16, state, made_us, h.id, 16),
		   0),
		"%s", db_error(n.db));
	return db_last_id(n.db);
}

static void say(const char *node, struct node_hit h)
{
	char error[NODE_MESSAGE_ERROR] = "", *text = node_hits_write(&h, 1);

	cr_assert(eq(int, hits_heard(&(struct who_tells){&n, node}, text, strlen(text), error), 0),
		  "%s", error);
	free(text);
}

static int64_t packets_of(int64_t decision)
{
	return db_number(n.db, -1, "SELECT coalesce(sum(packets), 0) FROM hit WHERE decision = ?",
			 "i", decision);
}

static int64_t number(const char *sql)
{
	return db_number(n.db, -1, sql, "");
}

Test(hits, counts_grow_and_nothing_counts_twice)
{
	const int64_t id = decide(1, 9, 1, "active");
	struct node_hit other;

	say("edge", hit(1, 9, 10));
	say("edge", hit(1, 9, 10));
	say("edge", hit(1, 9, 4)); /* on an older way */
	cr_expect(eq(i64, packets_of(id), 10));
	say("edge", hit(1, 9, 25));
	say("core", hit(1, 9, 3));
	cr_expect(eq(i64, packets_of(id), 28));
	other = hit(1, 9, 6); /* the tables are others */
	other.entry = 8;
	say("edge", other);
	say("edge", other);
	cr_expect(eq(i64, packets_of(id), 34));
	cr_expect(eq(i64, number("SELECT packets FROM hit_sum WHERE rule = 'guess'"), 34));
	cr_expect(eq(i64, number("SELECT bytes FROM hit_sum WHERE mode = 'enforce'"), 34 * 84));
	cr_expect(eq(i64, number("SELECT max(last_us) FROM hit"), 1025));
	cr_expect(eq(u64, n.counts.hits_unknown, 0));
}

/* The entry in the kernel stays when a decision takes the place of one that has ended. */
Test(hits, who_is_decided_on_anew_has_counts_of_his_own)
{
	const int64_t first = decide(1, 9, 100, "expired");
	int64_t second;

	say("edge", hit(1, 9, 10));
	cr_expect(eq(i64, packets_of(first), 10));
	second = decide(1, 9, 1015, "active");
	say("edge", hit(1, 9, 12)); /* at 1012: before */
	cr_expect(eq(i64, packets_of(first), 12));
	say("edge", hit(1, 9, 40));
	cr_expect(eq(i64, packets_of(first), 12));
	cr_expect(eq(i64, packets_of(second), 28));
	cr_expect(eq(i64, number("SELECT sum(packets) FROM hit"), 40));
}

Test(hits, what_nobody_knows_is_counted_and_made_good_later)
{
	int64_t id;

	decide(1, 9, 1, "refused");
	decide(2, 9, 1, "active");
	say("edge", hit(1, 9, 10));
	say("edge", hit(3, 9, 10));
	cr_expect(eq(u64, n.counts.hits_unknown, 2));
	cr_expect(eq(i64, number("SELECT count(*) FROM hit"), 0));
	id = decide(3, 9, 1, "active");
	say("edge", hit(3, 9, 11));
	cr_expect(eq(i64, packets_of(id), 11));
}

Test(hits, a_node_fills_no_disk)
{
	const int64_t id = decide(1, 9, 1, "active");

	for (int64_t i = 1; i <= HITS_ENTRIES + 5; i++) {
		struct node_hit h = hit(1, 9, 1);

		h.entry = i;
		say("edge", h);
	}
	cr_expect(eq(i64, packets_of(id), HITS_ENTRIES));
	cr_expect(eq(u64, n.counts.hits_unknown, 5));
}

Test(hits, rows_go_with_their_decision)
{
	const int64_t id = decide(1, 9, 1, "withdrawn");
	json_t *list;

	say("edge", hit(1, 9, 10));
	say("core", hit(1, 9, 1));
	list = hits_by_node(n.db, id);
	cr_expect(eq(sz, json_array_size(list), 2));
	cr_expect(eq(i64, json_integer_value(json_object_get(json_array_get(list, 1), "packets")),
		     10));
	json_decref(list);
	cr_assert(eq(int, db_run(n.db, "DELETE FROM decision WHERE id = ?", "i", id), 0));
	cr_expect(eq(i64, number("SELECT count(*) FROM hit"), 0));
	cr_expect(eq(i64, number("SELECT packets FROM hit_sum"), 11), "what was ever hit stays so");
}
