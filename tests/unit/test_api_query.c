// SPDX-License-Identifier: Apache-2.0
/*
 * test_api_query.c - questions about stored flows over HTTP: what they become, mistakes and their place, what takes
 * longer than somebody waits, and who has gone.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api_rig.h"
#include "collector/api/jobs.h"

/* On a slow machine too an answer comes before it is given up for one that is asked for later. */
static void begin(void)
{
	api_rig_begin();
	api_rig->patience_ms = 60000;
}

TestSuite(api_query, .init = begin, .fini = api_rig_end, .timeout = 600);

static void does(enum api_rig_backtest what)
{
	__atomic_store_n(&api_asked.backtest, (int)what, __ATOMIC_RELEASE);
}

static int at_work(void)
{
	return __atomic_load_n(&api_asked.query, __ATOMIC_ACQUIRE);
}

static void wait_a_moment(void)
{
	const struct timespec moment = {.tv_nsec = 2000000};

	nanosleep(&moment, NULL);
}

static const struct api_reply *get(const char *path)
{
	return api_as(ROLE_VIEWER, "GET", path, NULL);
}

static void expect_asked(const char *key, const char *want)
{
	const char *v = json_string_value(json_object_get(api_asked.spec, key)) ?: "(nothing)";

	cr_expect(eq(str, (char *)(uintptr_t)v, (char *)(uintptr_t)want), "%s", key);
}

#define ITEMS                                                                     \
	"[{\"src.ip\":\"192.0.2.1\",\"bytes\":18446744073709551,\"share\":0.75}," \
	"{\"bytes\":7,\"share\":0.25,\"other\":true}]"

Test(api_query, what_is_asked_is_the_question)
{
	const struct api_reply *r =
		get("/api/v1/top?filter=dst.port%20%3D%3D%2022&by=src.ip/24&measure=flows&top=3&"
		    "order=flows:asc&from=2026-09-01T12:00:00Z&to=2026-09-01T13:00:00Z&dedup=true");

	cr_assert(eq(long, r->status, 200), "%s", r->body);
	api_expect(r, "items", ITEMS);
	api_expect(r, "source", "\"flows\"");
	api_expect(r, "next", "");
	cr_expect(strstr(r->head, "Location") == NULL);
	expect_asked("filter", "dst.port == 22");
	expect_asked("by", "src.ip/24/64");
	expect_asked("measure", "flows");
	expect_asked("top", "3");
	expect_asked("order", "flows:asc");
	expect_asked("from", "2026-09-01T12:00:00.000000Z");
	expect_asked("to", "2026-09-01T13:00:00.000000Z");
	expect_asked("dedup", "yes");
	cr_expect(eq(long, get("/api/v1/pairs")->status, 200));
	expect_asked("by", "src.ip,dst.ip");
	cr_expect(eq(long, get("/api/v1/series?step=5m&previous=true")->status, 200));
	expect_asked("step", "300000000us");
	expect_asked("previous", "yes");
	r = get("/api/v1/flows?limit=7&cursor=3.4");
	cr_assert(eq(long, r->status, 200), "%s", r->body);
	api_expect(r, "next", "\"12.5\"");
	cr_expect(strstr(r->body, "40") != NULL, "%s", r->body);
	expect_asked("what", "flows");
	expect_asked("top", "7");
	expect_asked("cursor", "3.4");
}

static void expect_wrong(const char *path, const char *member, const char *text)
{
	const struct api_reply *r = get(path);

	cr_expect(eq(long, r->status, 400), "%s: %s", path, r->body);
	api_expect(r, "member", member);
	cr_expect(strstr(r->body, text) != NULL, "%s: %s", path, r->body);
}

Test(api_query, a_mistake_is_said_with_its_place)
{
	expect_wrong("/api/v1/top?filter=proto%3D%3Dtcp%20and%20dst.prot%3D1", "\"filter\"",
		     "\"line\":1,\"column\":16");
	expect_wrong("/api/v1/top?filter=dst.prot%3D1", "\"filter\"", "did you mean 'dst.port'");
	expect_wrong("/api/v1/top?by=src.pi", "\"by\"", "did you mean 'src.ip'");
	expect_wrong("/api/v1/top?measure=byts", "\"measure\"", "byts");
	expect_wrong("/api/v1/top?top=0", "\"top\"", "from 1");
	expect_wrong("/api/v1/top?top=10001", "\"top\"", "10000");
	expect_wrong("/api/v1/series", "\"step\"", "is missing");
	expect_wrong("/api/v1/series?step=1ms", "\"step\"", "1s or more");
	expect_wrong("/api/v1/flows?cursor=x", "\"cursor\"", "no cursor");
	cr_expect(eq(long, get("/api/v1/pairs?by=src.ip")->status, 400));
	cr_expect(eq(long, get("/api/v1/top?last=1h&from=2026-09-01T12:00:00Z")->status, 400));
	cr_expect(eq(long,
		     get("/api/v1/top?from=2026-09-01T12:00:00Z&to=2026-09-01T12:00:00Z")->status,
		     400));
	does(RIG_FAILS);
	expect_wrong("/api/v1/top", "", "no such thing");
	does(RIG_GOES_ON);
	expect_wrong("/api/v1/top", "", "ask for less");
}

Test(api_query, what_takes_long_is_asked_for_later)
{
	const struct api_reply *r;
	const char *at;
	char path[64];

	does(RIG_WAITS);
	api_rig->patience_ms = 20;
	r = get("/api/v1/top?by=src.ip");
	cr_assert(eq(long, r->status, 202), "%s", r->body);
	at = strstr(r->head, "Location: ");
	cr_assert(at != NULL);
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 10, "\r\n"), at + 10);
	cr_expect(eq(long, get(path)->status, 202));
	cr_expect(eq(long, api_as(ROLE_ANALYST, "GET", path, NULL)->status, 403));
	does(RIG_ANSWERS);
	while ((r = get(path))->status == 202)
		wait_a_moment();
	cr_expect(eq(long, r->status, 200));
	api_expect(r, "items", ITEMS);
	does(RIG_WAITS);
	r = get("/api/v1/top");
	at = strstr(r->head, "Location: ");
	cr_assert(at != NULL);
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 10, "\r\n"), at + 10);
	cr_expect(eq(long, api_as(ROLE_VIEWER, "DELETE", path, NULL)->status, 204));
	while (at_work() == 1)
		wait_a_moment();
	cr_expect(eq(int, at_work(), -ECANCELED));
}

Test(api_query, what_was_answered_is_not_kept)
{
	const struct api_reply *r;
	const char *at;
	char path[64];

	does(RIG_ANSWERS);
	r = api_as(ROLE_ANALYST, "POST", "/api/v1/backtest", "");
	at = strstr(r->head, "Location: ");
	cr_assert(at != NULL);
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 10, "\r\n"), at + 10);
	for (unsigned int i = 0; i < 2 * JOBS_KEPT_MAX; i++)
		cr_expect(eq(long, get("/api/v1/top")->status, 200));
	while ((r = api_as(ROLE_ANALYST, "GET", path, NULL))->status == 202)
		wait_a_moment();
	cr_expect(eq(long, r->status, 200), "the one that is kept stays");
}

Test(api_query, who_has_gone_wants_no_answer)
{
	char url[128], head[256];
	CURL *c = curl_easy_init();
	size_t n;

	does(RIG_WAITS);
	api_rig->patience_ms = 600000;
	snprintf(url, sizeof(url), "%s/", api_rig_url());
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	cr_assert(eq(int, (int)curl_easy_perform(c), (int)CURLE_OK));
	snprintf(head, sizeof(head),
		 "GET /api/v1/top HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
		 api_rig_tokens[ROLE_VIEWER]);
	cr_assert(eq(int, (int)curl_easy_send(c, head, strlen(head), &n), (int)CURLE_OK));
	cr_assert(eq(sz, n, strlen(head)));
	while (at_work() != 1)
		wait_a_moment();
	curl_easy_cleanup(c);
	while (at_work() == 1)
		wait_a_moment();
	cr_expect(eq(int, at_work(), -ECANCELED));
}
