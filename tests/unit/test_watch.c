// SPDX-License-Identifier: Apache-2.0
/*
 * test_watch.c - flows that agents' rules pick: told to the core when they have changed, once, and only where
 * the source has proven to be real; what happens when more change than the queue has room for.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/policy/watch.h"
#include "merge_rig.h"

static struct rig g;
static struct watch w;
static struct agent_board board;
static int core = -1;

static void look(void)
{
	while (watch_some(&w))
		;
}

static void rules(const char *const *where, uint32_t n)
{
	static struct agent_rows rows;

	memset(&rows, 0, sizeof(rows));
	rows.n = n;
	for (uint32_t i = 0; i < n; i++) {
		rows.row[i].slot = 2;
		rows.row[i].id[0] = (uint8_t)(i + 1);
		snprintf(rows.row[i].where, sizeof(rows.row[i].where), "%s", where[i]);
	}
	agent_board_put(&board, &rows);
	watch_wanted(&w);
	look(); /* at what was there before */
}

static void rule(const char *where)
{
	rules(&where, 1);
}

static void record(void *arg, const struct flow_record *r)
{
	(void)arg;
	watch_record(&w, merge_emitting(g.m), r);
}

static void setup(void)
{
	struct merge_cfg cfg = merge_cfg_default;
	int fds[2];

	cfg.emit = record;
	rig_init(&g, &cfg);
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0));
	w = (struct watch){.fd = fds[0], .board = &board, .merge = g.m};
	memset(&board, 0, sizeof(board));
	core = fds[1];
}

static void teardown(void)
{
	watch_done(&w);
	close(w.fd);
	close(core);
	rig_done(&g);
}

TestSuite(watch, .init = setup, .fini = teardown, .timeout = 600);

/* The next message; false: there is none. */
static bool told(struct agent_hit *ret)
{
	return recv(core, ret, sizeof(*ret), MSG_DONTWAIT) == sizeof(*ret);
}

static unsigned int count(void)
{
	struct agent_hit hit;
	unsigned int n = 0;

	while (told(&hit))
		n++;
	return n;
}

/* A handshake; both ends are on one CPU. */
static void begin(struct entry *e, const struct flow_key *key)
{
	entry_init(e, key);
	entry_packet(&g, e, 0, SYN, 100);
	entry_packet(&g, e, 1, SYN | ACK, 200);
	entry_packet(&g, e, 0, ACK, 300);
}

static struct flow_key from(unsigned int host)
{
	struct flow_key k = rig_key;

	k.addr[0][14] = (uint8_t)(host >> 8);
	k.addr[0][15] = (uint8_t)host;
	return k;
}

#define FORBIDDEN "proto == tcp and dst.port == 443 and state == established"

Test(watch, who_has_proven_to_be_real_is_told_once)
{
	struct agent_hit hit;
	struct entry e;

	rule(FORBIDDEN);
	begin(&e, &rig_key);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 0), "the server has not said anything yet");
	cr_expect(eq(u64, w.counts.unproven, 1));
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	look();
	cr_assert(told(&hit));
	cr_expect(eq(u32, hit.id[0], 1));
	cr_expect(eq(u32, hit.slot, 2));
	cr_expect(eq(int, memcmp(hit.addr, rig_key.addr[0], 16), 0));
	cr_expect(eq(int, memcmp(hit.to, rig_key.addr[1], 16), 0));
	cr_expect(eq(u32, hit.port, 443));
	cr_expect(ne(u64, hit.seen_ns, 0));
	entry_packet(&g, &e, 0, ACK, 0);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 0), "a moment ago");
}

Test(watch, what_no_rule_picks_is_not_told)
{
	struct entry e;

	rule("proto == tcp and dst.port == 80 and state == established");
	begin(&e, &rig_key);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 0));
	cr_expect(eq(u64, w.counts.looked, 1));
}

Test(watch, the_middle_of_a_connection_proves_nothing)
{
	struct entry e;

	rule(FORBIDDEN);
	entry_init(&e, &rig_key);
	entry_packet(&g, &e, 0, ACK, 0);
	entry_packet(&g, &e, 1, ACK, 0);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 0), "who begins it was not seen");
}

Test(watch, what_the_source_itself_sends_proves_nothing)
{
	struct entry e;

	rule("proto == tcp and dst.port == 443");
	begin(&e, &rig_key);
	entry_payload(&g, &e, 0, 400);
	entry_packet(&g, &e, 1, RST, 0);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 0), "as a forged source does");
}

Test(watch, an_end_in_good_order_proves_it)
{
	struct entry e;

	rule("proto == tcp and dst.port == 443 and state == closed");
	begin(&e, &rig_key);
	entry_packet(&g, &e, 0, FIN | ACK, 0);
	entry_packet(&g, &e, 1, FIN | ACK, 0);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 1));
}

Test(watch, flows_that_were_there_before_the_rule)
{
	struct entry e;

	begin(&e, &rig_key);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	rule(FORBIDDEN);
	look();
	cr_expect(eq(u32, count(), 1));
}

Test(watch, flows_that_were_gone_before_anybody_looked)
{
	struct entry e;

	rule(FORBIDDEN);
	begin(&e, &rig_key);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(eq(u32, count(), 1));
}

Test(watch, other_rules_take_the_place_of_those_before)
{
	static const char *const two[] = {
		"proto == tcp and dst.port == 80 and state == established", FORBIDDEN};
	struct agent_hit hit;
	struct entry e;

	rule("no such words");
	cr_expect(watch_wanted(&w));
	begin(&e, &rig_key);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 0), "a filter that can't be read picks nothing");
	rules(two, 2);
	look();
	cr_assert(told(&hit));
	cr_expect(eq(u32, hit.id[0], 2));
	rules(NULL, 0);
	cr_expect(not(watch_wanted(&w)));
	entry_packet(&g, &e, 0, ACK, 0);
	entry_read(&g, &e);
	cr_expect(not(watch_some(&w)));
}

/* More than there is room for change between two looks: counted, and seen with their next packet. */
Test(watch, more_flows_than_the_queue_holds)
{
	const unsigned int more = 100, n = MERGE_CHANGED_MAX + more;
	struct entry *e = calloc(n, sizeof(*e));

	cr_assert(e != NULL);
	rule("proto == tcp and dst.port == 443 and packets > 100");
	for (unsigned int i = 0; i < n; i++) {
		const struct flow_key k = from(i);

		begin(&e[i], &k);
		entry_read(&g, &e[i]);
	}
	cr_expect(eq(u64, merge_changes_missed(g.m), more));
	look();
	cr_expect(eq(u64, w.counts.looked, MERGE_CHANGED_MAX));
	for (unsigned int i = n - more; i < n; i++) {
		entry_packet(&g, &e[i], 0, ACK, 0);
		entry_read(&g, &e[i]);
	}
	look();
	cr_expect(eq(u64, w.counts.looked, n));
	cr_expect(eq(u64, merge_changes_missed(g.m), more));
	free(e);
}

/* Nothing was told lately, as some time later. */
static void later(void)
{
	memset(w.told, 0, sizeof(w.told));
}

/* A flow that lies idle until its record: what was done about it may have ended, and is not done anew. */
Test(watch, a_record_tells_nothing_that_was_told_of_the_flow_as_it_is)
{
	struct entry e;

	rule(FORBIDDEN);
	begin(&e, &rig_key);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 1));
	later();
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(eq(u32, count(), 0));
}

Test(watch, a_record_tells_of_packets_that_nobody_has_looked_at)
{
	struct entry e;

	rule(FORBIDDEN);
	begin(&e, &rig_key);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 1));
	later();
	entry_packet(&g, &e, 0, ACK, 0);
	entry_read(&g, &e);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(eq(u32, count(), 1), "it went on");
}

Test(watch, what_only_a_record_says_is_told_with_it)
{
	static const char *const two[] = {FORBIDDEN, "proto == tcp and reason == shutdown"};
	struct agent_hit hit;
	struct entry e;

	rules(two, 2);
	begin(&e, &rig_key);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 1));
	later();
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(told(&hit));
	cr_expect(eq(u32, hit.id[0], 2));
	cr_expect(eq(u32, count(), 0));
}

/* Each change of a policy brings its rules again, perhaps in another order. */
Test(watch, rules_that_come_again_tell_nothing_again)
{
	static const char *const other[] = {"proto == tcp and dst.port == 443", FORBIDDEN};
	static struct agent_rows rows;
	struct agent_hit hit;
	struct entry e;

	rule(FORBIDDEN);
	begin(&e, &rig_key);
	entry_payload(&g, &e, 1, 400);
	entry_read(&g, &e);
	look();
	cr_expect(eq(u32, count(), 1));
	later();
	rule(FORBIDDEN);
	cr_expect(eq(u32, count(), 0));
	rows.n = 2; /* another rule before it, which keeps its id */
	for (uint32_t i = 0; i < 2; i++) {
		rows.row[i].slot = 2;
		rows.row[i].id[0] = (uint8_t)(2 - i);
		snprintf(rows.row[i].where, sizeof(rows.row[i].where), "%s", other[i]);
	}
	agent_board_put(&board, &rows);
	watch_wanted(&w);
	later();
	look();
	cr_assert(told(&hit));
	cr_expect(eq(u32, hit.id[0], 2), "the new one");
	cr_expect(eq(u32, count(), 0));
}
