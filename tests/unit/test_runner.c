// SPDX-License-Identifier: Apache-2.0
/*
 * test_runner.c - the rules' thread: blocks are read beside the store and given back by both, a full queue
 * is counted and never waited for, alerts come out with what they need; who is proven not to be forged.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/alerts/proof.h"
#include "collector/alerts/runner.h"

#define SECOND UINT64_C(1000000000)
#define BLOCKS 8u

static const char rules[] = "groups:\n- name: g\n  rules:\n"
			    "  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01\n    name: a\n"
			    "    version: 1.0.0\n    mode: shadow\n    where: proto == tcp\n"
			    "    window: {size: 60s}\n    by: src.ip\n    having: count() >= 3\n"
			    "    keep_firing_for: 1h\n    evidence: {handshake: required}\n"
			    "    actions:\n    - drop: {scope: src.ip, ttl: 10m}\n";

struct seen {
	pthread_mutex_t lock;
	uint32_t n, proven, changes;
};

static struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
static struct block_pool *pool;
static struct runner *runner;
static char dir[] = "/tmp/weir-runner.XXXXXX";

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void on_event(void *arg, struct alert_event *ev)
{
	(void)arg;
	pthread_mutex_lock(&seen.lock);
	seen.changes += !ev->alert.rule;
	seen.n += ev->alert.rule != NULL;
	seen.proven += ev->proven;
	pthread_mutex_unlock(&seen.lock);
	alert_event_free(ev);
}

static struct ruleset *load(void)
{
	static struct settings_args args;
	static struct config_errors errs;
	static struct ruleset_errors wrong;
	struct settings *s;
	struct ruleset *set;
	char path[64], conf[64];
	FILE *f;

	cr_assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/a.yaml", dir);
	snprintf(conf, sizeof(conf), "%s/none.conf", dir);
	f = fopen(path, "w");
	fputs(rules, f);
	fclose(f);
	f = fopen(conf, "w");
	fclose(f);
	args.config = conf;
	settings_option(&args, SETTINGS_OPTION + CSET_RULES_DIRECTORIES, dir);
	cr_assert(eq(int, settings_load(&collector_settings, &args, &s, &errs), 0));
	cr_assert(eq(int, ruleset_load(s, &set, &wrong), 0), "%s", wrong.text);
	settings_free(s);
	unlink(path);
	unlink(conf);
	rmdir(dir);
	return set;
}

static void begin(uint32_t queue)
{
	const struct runner_cfg cfg = {.pool = pool = block_pool_new(BLOCKS),
				       .queue = queue,
				       .behind_ns = 3600 * SECOND,
				       .event = on_event};

	cr_assert(eq(int, runner_new(&cfg, &runner), 0));
}

static void end(void)
{
	runner_free(runner);
	if (pool)
		block_pool_free(pool);
}

TestSuite(runner, .fini = end, .timeout = 600);

/* Flows of 192.0.2.@host; @state and octets back say whether it is real. */
static void add(struct block *b, uint8_t host, uint8_t state, uint64_t in_bytes)
{
	static const enum flow_field there[] = {FF_START, FF_END,   FF_SRC_IP,	   FF_DST_IP,
						FF_PROTO, FF_STATE, FF_IN_PACKETS, FF_IN_BYTES};
	struct flow_record r = {.family = 4,
				.end_ns = now_ns(),
				.proto = 6,
				.state = state,
				.in = {.packets = 4, .bytes = in_bytes}};

	r.start_ns = r.end_ns;
	memcpy(r.src_ip, (uint8_t[16]){[10] = 0xff, 0xff, 192, 0, 2, host}, 16);
	memcpy(r.dst_ip, (uint8_t[16]){[10] = 0xff, 0xff, 10, 0, 0, 5}, 16);
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		flow_set(&r, there[i]);
	cr_assert(eq(int, block_add_flow(b, &r, 1), 0));
}

/* As a receiving thread does: to the rules, then to the store. */
static void offer(struct block *b)
{
	runner_offer(runner, b);
	block_send(pool, b);
	cr_assert(block_receive(pool, 0) == b);
}

static void until(bool (*done)(void))
{
	for (unsigned int i = 0; i < 6000 && !done(); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	cr_assert(done());
}

static bool all_free(void)
{
	struct block_pool_stats st;

	block_pool_stats(pool, &st);
	return st.free == BLOCKS;
}

Test(runner, reads_beside_the_store_and_both_give_back)
{
	struct block_pool_stats st;
	struct block *b;

	begin(4);
	cr_assert(eq(int, runner_rules(runner, load(), SECOND, 3600 * SECOND), 0));
	b = block_get(pool);
	for (unsigned int i = 0; i < 3; i++)
		add(b, 1, FLOW_NO_REPLY, 0);
	offer(b);
	runner_free(runner); /* looks at everything first */
	runner = NULL;
	cr_expect(eq(u32, seen.n, 1));
	cr_expect(eq(u32, seen.changes, 1), "the rules have been told of first");
	block_pool_stats(pool, &st);
	cr_expect(eq(u32, st.free, BLOCKS - 1), "the store still has it");
	block_put(pool, b);
	cr_expect(all_free());
}

static bool queue_empty(void)
{
	struct runner_stats st;

	runner_stats(runner, &st);
	return st.queued == 0;
}

static bool at_work(void)
{
	bool yes;

	pthread_mutex_lock(&seen.lock);
	yes = seen.changes > 0;
	pthread_mutex_unlock(&seen.lock);
	return yes;
}

Test(runner, counts_what_its_queue_has_no_room_for)
{
	struct runner_stats st;
	struct block *b[4];

	begin(2);
	cr_assert(eq(int, runner_rules(runner, load(), SECOND, 3600 * SECOND), 0));
	for (unsigned int i = 0; i < 4; i++) {
		b[i] = block_get(pool);
		for (unsigned int k = 0; k < 3; k++)
			add(b[i], (uint8_t)(i + 1), FLOW_CLOSED, 0);
	}
	until(at_work);
	pthread_mutex_lock(&seen.lock); /* its thread waits in the first alert */
	offer(b[0]);
	until(queue_empty);
	for (unsigned int i = 1; i < 4; i++)
		offer(b[i]);
	runner_stats(runner, &st);
	pthread_mutex_unlock(&seen.lock);
	cr_expect(eq(u32, st.queued, 2));
	cr_expect(eq(u64, st.lost_queue, 3));
	for (unsigned int i = 0; i < 4; i++)
		block_put(pool, b[i]);
	until(all_free);
	runner_free(runner);
	runner = NULL;
	cr_expect(eq(u32, seen.n, 3));
}

Test(runner, says_of_an_alert_whether_its_source_is_real)
{
	struct block *b;

	begin(4);
	cr_assert(eq(int, runner_rules(runner, load(), SECOND, 3600 * SECOND), 0));
	b = block_get(pool);
	for (unsigned int i = 0; i < 3; i++) {
		add(b, 1, FLOW_NO_REPLY, 0);	   /* SYNs alone */
		add(b, 2, FLOW_RESET, 160);	   /* and resets of who was asked */
		add(b, 3, FLOW_CLOSED, 400);	   /* ended in good order */
		add(b, 4, FLOW_ESTABLISHED, 4000); /* the server has said something */
	}
	offer(b);
	runner_free(runner);
	runner = NULL;
	block_put(pool, b);
	cr_expect(eq(u32, seen.n, 4));
	cr_expect(eq(u32, seen.proven, 2));
}

static const uint8_t *ip(uint32_t host, uint8_t buf[16])
{
	memcpy(buf,
	       (uint8_t[16]){[10] = 0xff,
			     0xff,
			     10,
			     (uint8_t)(host >> 16),
			     (uint8_t)(host >> 8),
			     (uint8_t)host},
	       16);
	return buf;
}

Test(runner, a_proof_has_an_age_and_is_of_one_address)
{
	struct proof *p = proof_new();
	struct block *b;
	uint8_t buf[16];
	uint64_t now = now_ns();

	pool = block_pool_new(BLOCKS);
	b = block_get(pool);
	add(b, 3, FLOW_CLOSED, 400);
	proof_block(p, b);
	memcpy(buf, (uint8_t[16]){[10] = 0xff, 0xff, 192, 0, 2, 3}, 16);
	cr_expect(proof_has(p, buf, now - SECOND));
	cr_expect(not(proof_has(p, buf, now + 3600 * SECOND)));
	for (uint32_t i = 0; i < 100000; i++)
		cr_assert(not(proof_has(p, ip(i, buf), 0)));
	block_put(pool, b);
	proof_free(p);
}
