// SPDX-License-Identifier: Apache-2.0
/*
 * test_follow.c - `weir policy follow` between a core and a collector that are played (follow_rig.h): what
 * it tells of what holds, what it makes of what comes, and the order of both.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/commands.h"
#include "common/policy.h"
#include "follow_rig.h"

static char dir[40], out[56];
static struct fake_core core;
static struct fake_collector collector;

static void begin(void)
{
	signal(SIGPIPE, SIG_IGN); /* as the command does */
	snprintf(dir, sizeof(dir), "/tmp/weir-test-follow.XXXXXX");
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	snprintf(out, sizeof(out), "%s/out", dir);
	cr_assert(ne(ptr, freopen(out, "w", stdout), NULL));
	fake_core_open(&core, dir);
	fake_collector_open(&collector, dir);
}

static void end(void)
{
	fake_core_close(&core);
	fake_collector_close(&collector);
	(void)unlink(out);
	(void)rmdir(dir);
}

TestSuite(follow, .init = begin, .fini = end, .timeout = 600);

static struct follow follower(void)
{
	return (struct follow){.e = &collector.e, .socket = core.socket};
}

/* A policy without rules; who follows looks into no more than this. */
static struct policy_header image(const char *issuer, uint64_t generation)
{
	struct policy_header h = {.generation = generation};

	memcpy(h.magic, POLICY_MAGIC, strlen(POLICY_MAGIC));
	snprintf((char *)h.issuer, sizeof(h.issuer), "%s", issuer);
	return h;
}

static void apply(struct follow *f, const struct policy_header *h)
{
	follow_apply(f, (const uint8_t *)h, sizeof(*h));
}

/* ---- what holds ---- */

static const struct {
	const char *what;
	struct policy_reply says;
	int64_t refused;
	const char *state, *error;
} holds[] = {
	{"nothing yet", {}, 0, "none", ""},
	{"what came", {.held = 7, .highest = 7}, 0, "in-force", ""},
	{"not what came last", {.held = 7, .highest = 7}, 8, "refused", "guard: no"},
	{"what was refused once", {.held = 9, .highest = 9}, 8, "in-force", "guard: no"},
	{"what was before",
	 {.held = 6, .highest = 7, .why = HELD_UNCONFIRMED},
	 0,
	 "rolled-back",
	 "nobody confirmed generation 7 within 20 s"},
	{"somebody flushed", {.highest = 7, .why = HELD_BY_HAND}, 0, "by-hand", ""},
	{"panic", {.held = 7, .highest = 7, .stopped = 1, .breaker = 1}, 0, "panic", ""},
	{"the breaker", {.held = 7, .highest = 7, .breaker = 1}, 8, "shadow", "guard: no"},
	{"a refusal of its own", {.r = -EACCES, .held = 7}, 0, "no-weir", ""},
};

Test(follow, tells_what_holds)
{
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		struct follow f = follower();

		core.held = holds[i].says;
		f.refused = holds[i].refused;
		snprintf(f.error, sizeof(f.error), "guard: no");
		cr_expect(eq(int, follow_look(&f), 1), "%s", holds[i].what);
		cr_expect(eq(str, f.report.state, (char *)holds[i].state), "%s", holds[i].what);
		cr_expect(eq(str, f.report.error, (char *)holds[i].error), "%s", holds[i].what);
		cr_expect(eq(i64, f.report.refused, holds[i].refused), "%s", holds[i].what);
		cr_expect(eq(int, follow_look(&f), 0), "%s: the same is no news", holds[i].what);
	}
}

Test(follow, tells_numbers_and_hash)
{
	struct follow f = follower();

	core.held =
		(struct policy_reply){.held = 7, .highest = 8, .held_rules = 2, .held_entries = 3};
	memset(core.held.hash, 0xab, sizeof(core.held.hash));
	cr_expect(eq(int, follow_look(&f), 1));
	cr_expect(eq(i64, f.report.generation, 7));
	cr_expect(eq(i64, f.report.highest, 8));
	cr_expect(eq(i64, f.report.rules, 2));
	cr_expect(eq(i64, f.report.entries, 3));
	cr_expect(eq(u64, strspn(f.report.hash, "ab"), 64));
	core.held.held = 0;
	cr_expect(eq(int, follow_look(&f), 1));
	cr_expect(eq(str, f.report.hash, "")); /* of nothing */
}

Test(follow, nobody_is_there)
{
	struct follow f = follower();

	f.socket = dir;
	f.pending = 7;
	cr_expect(eq(int, follow_look(&f), 1));
	cr_expect(eq(str, f.report.state, "no-weir"));
	cr_expect(eq(i64, f.pending, 0)); /* whoever comes has nothing to confirm */
}

/* ---- what comes ---- */

Test(follow, what_is_taken_waits_to_be_confirmed)
{
	struct follow f = follower();
	const struct policy_header h = image(RIG_ISSUER, 7);
	char line[256] = "";
	FILE *said;

	f.json = true;
	f.refused = 6;
	apply(&f, &h);
	cr_expect(eq(u32, core.applied, 1));
	cr_expect(eq(u32, core.last.ask, ASK_APPLY));
	cr_expect(eq(u32, core.last.confirm_s, FOLLOW_CONFIRM_S));
	cr_expect(eq(i64, f.pending, 7));
	cr_expect(eq(i64, f.refused, 0));
	follow_look(&f);
	cr_expect(eq(i64, f.pending, 7));
	follow_confirm(&f);
	follow_confirm(&f); /* once is enough */
	cr_expect(eq(u32, core.confirmed, 1));
	cr_expect(eq(str, (char *)core.last.issuer, RIG_ISSUER));
	said = fopen(out, "r");
	cr_assert(ne(ptr, said, NULL));
	cr_expect(ne(ptr, fgets(line, sizeof(line), said), NULL));
	cr_expect(ne(ptr, strstr(line, "\"issuer\":\"" RIG_ISSUER "\",\"generation\":7,"), NULL),
		  "%s", line);
	fclose(said);
}

Test(follow, what_has_gone_back_is_not_confirmed)
{
	struct follow f = follower();
	const struct policy_header h = image(RIG_ISSUER, 7);

	apply(&f, &h);
	fake_core_hold(&core, 6, HELD_UNCONFIRMED);
	cr_expect(eq(int, follow_look(&f), 1));
	cr_expect(eq(str, f.report.state, "rolled-back"));
	follow_confirm(&f);
	cr_expect(eq(u32, core.confirmed, 0));
}

Test(follow, what_is_refused_is_told)
{
	struct follow f = follower();
	const struct policy_header h = image(RIG_ISSUER, 7), other = image("other", 9);

	follow_apply(&f, (const uint8_t *)"<html>", 6);
	cr_expect(eq(i64, f.refused, 0)); /* a proxy's page is no policy to speak of */
	apply(&f, &other);
	cr_expect(eq(u32, core.applied, 0)); /* the core need not be asked */
	cr_expect(eq(i64, f.refused, 9));
	cr_expect(eq(str, f.error, "it is of another issuer"));
	core.apply.r = -EPERM;
	snprintf(core.apply.guard, sizeof(core.apply.guard), "never-block");
	snprintf(core.apply.text, sizeof(core.apply.text), "it names this node");
	apply(&f, &h);
	cr_expect(eq(u32, core.applied, 1));
	cr_expect(eq(i64, f.refused, 7));
	cr_expect(eq(str, f.error, "never-block: it names this node"));
	cr_expect(eq(i64, f.pending, 0));
	core.apply = (struct policy_reply){.version = POLICY_WIRE_VERSION, .r = -EALREADY};
	apply(&f, &h);
	cr_expect(eq(i64, f.refused, 7)); /* what is there already is no news */
}

/* ---- with the collector ---- */

static int follow_script(const struct fake_answer *script, unsigned int n)
{
	struct follow_cfg cfg = {.enrolments = &collector.e, .n = 1, .socket = core.socket};
	int r;

	cfg.signals = collector.end;
	collector.arg = &core;
	fake_collector_start(&collector, script, n);
	r = follow_collectors(&cfg);
	fake_collector_wait(&collector);
	cr_expect(eq(str, collector.wrong, ""));
	cr_expect(eq(u32, collector.questions, n));
	return r;
}

Test(follow, comes_is_told_and_stays)
{
	const struct policy_header h = image(RIG_ISSUER, 7);
	const struct fake_answer script[] = {
		{.status = 200, .body = &h, .len = sizeof(h)},
		{.status = 204},
		{.status = 0},
	};

	cr_expect(eq(int, follow_script(script, 3), EXIT_OK));
	cr_expect(eq(u32, collector.connections, 1));
	cr_expect(eq(str, collector.asked[0].said.state, "none"));
	cr_expect(eq(i64, collector.asked[0].said.wait_ms, NODE_WAIT_MS));
	cr_expect(eq(str, collector.asked[1].said.state, "in-force"));
	cr_expect(eq(i64, collector.asked[1].said.generation, 7));
	cr_expect(eq(i64, collector.asked[1].said.wait_ms, 0)); /* it is to be confirmed now */
	cr_expect(eq(i64, collector.asked[2].said.wait_ms, NODE_WAIT_MS));
	cr_expect(eq(u32, core.applied, 1));
	cr_expect(eq(u32, core.confirmed, 1));
}

/* While a question waits somebody flushes: the next one comes at once, and says so. */
static void flush_by_hand(void *arg)
{
	fake_core_hold(arg, 0, HELD_BY_HAND);
}

Test(follow, what_changes_here_is_told_at_once)
{
	const struct fake_answer script[] = {
		{.status = 0, .before = flush_by_hand},
		{.status = 0},
	};

	fake_core_hold(&core, 7, HELD_AS_APPLIED);
	cr_expect(eq(int, follow_script(script, 2), EXIT_OK));
	cr_expect(eq(u32, collector.connections, 2));
	cr_expect(eq(str, collector.asked[0].said.state, "in-force"));
	cr_expect(eq(str, collector.asked[1].said.state, "by-hand"));
	cr_expect(eq(i64, collector.asked[1].said.highest, 7));
}

Test(follow, after_a_failure_it_asks_again)
{
	static const char problem[] = "{\"code\":\"busy\",\"detail\":\"later\"}";
	const struct fake_answer script[] = {
		{.status = 503, .body = problem, .len = sizeof(problem) - 1},
		{.status = 204},
	};

	cr_expect(eq(int, follow_script(script, 2), EXIT_OK));
	cr_expect(eq(u32, collector.connections, 2)); /* a new one each time */
}

/* Who is connected has it in memory. */
static void lose_certificate(void *arg)
{
	(void)arg;
	(void)remove(collector.e.cert);
}

Test(follow, a_certificate_is_renewed)
{
	static const char expired[] = "{\"code\":\"expired\"}";
	char enrolled[4096], pem[2048], escaped[3000];
	struct fake_answer script[] = {
		{.status = 401,
		 .body = expired,
		 .len = sizeof(expired) - 1,
		 .before = lose_certificate},
		{.status = 200, .body = enrolled},
		{.status = 204},
	};
	FILE *f = fopen(collector.e.cert, "r");
	size_t n = 0;

	cr_assert(ne(ptr, f, NULL));
	pem[fread(pem, 1, sizeof(pem) - 1, f)] = '\0';
	fclose(f);
	for (const char *c = pem; *c; c++)
		n += (size_t)snprintf(escaped + n, sizeof(escaped) - n, *c == '\n' ? "\\n" : "%c",
				      *c);
	script[1].len = (size_t)snprintf(enrolled, sizeof(enrolled),
					 "{\"name\":\"n\",\"issuer\":\"" RIG_ISSUER
					 "\",\"certificate\":\"%s\",\"policy_key\":\"k\"}",
					 escaped);
	cr_expect(eq(int, follow_script(script, 3), EXIT_OK));
	cr_expect(eq(str, collector.asked[1].path, NODE_PATH_RENEW));
	cr_expect(eq(str, collector.asked[2].path, NODE_PATH_SYNC));
	f = fopen(collector.e.cert, "r");
	cr_assert(ne(ptr, f, NULL));
	cr_expect(eq(u64, fread(enrolled, 1, sizeof(enrolled), f), strlen(pem)));
	fclose(f);
}
