// SPDX-License-Identifier: Apache-2.0
/*
 * test_api_results.c - questions that take long: where their answer will be, until it is there; cancelled, failed, too
 * long, too many, somebody else's.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api_rig.h"
#include "collector/api/jobs.h"

TestSuite(api_results, .init = api_rig_begin, .fini = api_rig_end, .timeout = 600);

static void does(enum api_rig_backtest what)
{
	__atomic_store_n(&api_asked.backtest, (int)what, __ATOMIC_RELEASE);
}

/* Begins one. Return: where its answer will be. */
static const char *ask(void)
{
	static char path[64];
	const struct api_reply *r = api_as(ROLE_ANALYST, "POST", "/api/v1/backtest", "");
	const char *at = strstr(r->head, "Location: ");

	cr_assert(eq(long, r->status, 202), "%s", r->body);
	api_expect(r, "state", "\"running\"");
	cr_assert(at != NULL);
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 10, "\r\n"), at + 10);
	return path;
}

/* Until it is at work no more. */
static const struct api_reply *wait_for(const char *path)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	const struct api_reply *r = api_as(ROLE_ANALYST, "GET", path, NULL);

	while (r->status == 202) {
		nanosleep(&moment, NULL);
		r = api_as(ROLE_ANALYST, "GET", path, NULL);
	}
	return r;
}

Test(api_results, an_answer_is_where_it_was_said)
{
	const struct api_reply *r;
	const char *path;

	does(RIG_WAITS);
	path = ask();
	do
		r = api_as(ROLE_ANALYST, "GET", path, NULL);
	while (r->status == 202 && !*api_member(r, "percent")); /* it has not begun */
	cr_expect(eq(long, r->status, 202));
	api_expect(r, "percent", "50.0");
	does(RIG_ANSWERS);
	r = wait_for(path);
	cr_expect(eq(long, r->status, 200));
	api_expect(r, "items", "[{\"rule\":\"a\",\"targets\":[{\"target\":\"x\"}]}]");
	api_expect(r, "summary", "{\"flows\":7}");
	r = api_as(ROLE_ANALYST, "GET", path, NULL);
	cr_expect(eq(long, r->status, 200), "it stays");
	cr_expect(eq(long, api_as(ROLE_ANALYST, "DELETE", path, NULL)->status, 204));
	cr_expect(eq(long, api_as(ROLE_ANALYST, "GET", path, NULL)->status, 410));
	cr_expect(eq(long, api_as(ROLE_ANALYST, "DELETE", path, NULL)->status, 410));
}

Test(api_results, nothing_is_204)
{
	does(RIG_SAYS_NOTHING);
	cr_expect(eq(long, wait_for(ask())->status, 204));
}

Test(api_results, what_is_cancelled_is_gone)
{
	const char *path;

	does(RIG_WAITS);
	path = ask();
	cr_expect(eq(long, api_as(ROLE_ANALYST, "DELETE", path, NULL)->status, 204));
	cr_expect(eq(long, api_as(ROLE_ANALYST, "GET", path, NULL)->status, 410));
	cr_expect(eq(long, api_as(ROLE_ANALYST, "GET", "/api/v1/results/1", NULL)->status, 410),
		  "of a start before");
	cr_expect(
		eq(long,
		   api_as(ROLE_ANALYST, "GET", "/api/v1/results/9223372036854775807", NULL)->status,
		   404));
}

Test(api_results, what_fails_says_why)
{
	const struct api_reply *r;

	does(RIG_FAILS);
	r = wait_for(ask());
	cr_expect(eq(long, r->status, 400));
	api_expect(r, "detail", "\"there is no rule x\"");
}

Test(api_results, an_answer_without_end_is_cut_off)
{
	const struct api_reply *r;

	does(RIG_GOES_ON);
	r = wait_for(ask());
	cr_expect(eq(long, r->status, 400));
	api_expect(r, "detail", "\"the answer is too long: ask for less\"");
}

Test(api_results, a_mistake_in_rules_is_told_at_once)
{
	const struct api_reply *r = api_as(ROLE_ANALYST, "POST", "/api/v1/backtest",
					   "{\"text\":\"groups:\\n- namex: g\\n\"}");

	cr_expect(eq(long, r->status, 400));
	api_expect(r, "line", "2");
	api_expect(r, "column", "3");
}

Test(api_results, somebody_elses_is_not_shown)
{
	const char *path;

	does(RIG_WAITS);
	path = ask();
	cr_expect(eq(long, api_as(ROLE_AUTHOR, "GET", path, NULL)->status, 403));
	cr_expect(eq(long, api_as(ROLE_AUTHOR, "DELETE", path, NULL)->status, 403));
	cr_expect(eq(long, api_as(ROLE_ADMIN, "GET", path, NULL)->status, 202));
	cr_expect(eq(long, api_as(ROLE_ADMIN, "DELETE", path, NULL)->status, 204));
}

Test(api_results, so_many_are_at_work_and_so_many_kept)
{
	char first[64];
	const struct api_reply *r;

	does(RIG_WAITS);
	snprintf(first, sizeof(first), "%s", ask());
	for (unsigned int i = 1; i < JOBS_RUNNING_MAX; i++)
		ask();
	r = api_as(ROLE_ANALYST, "POST", "/api/v1/backtest", "");
	cr_expect(eq(long, r->status, 503));
	api_expect(r, "code", "\"busy\"");
	does(RIG_ANSWERS);
	cr_expect(eq(long, wait_for(first)->status, 200));
	for (unsigned int i = 0; i < JOBS_KEPT_MAX; i++)
		wait_for(ask());
	cr_expect(eq(long, api_as(ROLE_ANALYST, "GET", first, NULL)->status, 410));
}

Test(api_results, the_end_waits_for_nobody)
{
	does(RIG_WAITS);
	ask();
	api_close(api_rig);
	api_rig_serve();
}
