// SPDX-License-Identifier: Apache-2.0
/*
 * follow.c - see follow.h: one question after another, each with what holds here; its answer waits at the
 * collector until there is a policy for us. While it waits, the core is looked at: what changes there is
 * told at once.
 */
#include "loader/follow/follow.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/commands.h"
#include "common/log.h"
#include "common/policy.h"

#define OPEN_MS	     8000
#define ANSWER_MS    8000 /* to what needs no waiting */
#define LOOK_MS	     500  /* between looks at the core */
#define DELAY_MS     1000 /* after a failure; twice as long after each other one */
#define DELAY_MAX_MS 30000
#define DENIED_MS    15000 /* nobody changes that at once */
#define CLOCK_S	     5	   /* clocks that differ more are said */

static int64_t wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Each once, until something works. */
static void complain(struct follow *f, const char *what)
{
	if (!strcmp(f->complaint, what))
		return;
	snprintf(f->complaint, sizeof(f->complaint), "%s", what);
	log_warn(f->e->issuer, "%s", f->complaint);
}

void follow_hang_up(struct follow *f)
{
	https_close(f->h);
	f->h = NULL;
}

static enum follow_round lost(struct follow *f, int r)
{
	char text[HTTPS_ERROR];

	snprintf(text, sizeof(text), "%.120s: %s", f->e->host, r ? strerror(-r) : "no answer");
	complain(f, text);
	follow_hang_up(f);
	return ROUND_FAILED;
}

/* ---- one question ---- */

/* Return: as https_wait(); -ESTALE: what was told is not so any more; -EINTR: the end. */
static int await(struct follow *f, int ms, const struct http_reply **ret)
{
	int r = 0;

	for (int waited = 0; !r && waited < ms; waited += LOOK_MS) {
		r = https_wait(f->h, LOOK_MS, POLICY_BYTES_MAX, ret);
		if (__atomic_load_n(&f->stop, __ATOMIC_RELAXED))
			return -EINTR;
		if (!r && follow_look(f))
			return -ESTALE;
	}
	return r;
}

enum follow_round follow_denied(struct follow *f, const struct http_reply *reply,
				const struct node_text *m)
{
	const int status = reply->status;
	char text[HTTPS_ERROR];

	snprintf(text, sizeof(text), "the collector says %d: %.200s", status,
		 *m->detail ? m->detail : m->code);
	follow_hang_up(f); /* and the reply goes */
	complain(f, text);
	return status < 500 ? ROUND_DENIED : ROUND_FAILED;
}

void follow_problem(const struct http_reply *reply, struct node_text *ret)
{
	char error[NODE_MESSAGE_ERROR];

	if (node_message_read(NODE_PROBLEM, (const char *)reply->body, reply->length, ret, error))
		*ret = (struct node_text){};
}

static enum follow_round renew(struct follow *f)
{
	char error[NODE_MESSAGE_ERROR];
	const struct http_reply *reply = NULL;
	struct node_text m;
	int r = https_post(f->h, NODE_PATH_RENEW, "{}", ANSWER_MS);

	r = r ?: https_wait(f->h, ANSWER_MS, NODE_MESSAGE_MAX, &reply);
	if (r != 1)
		return lost(f, r);
	if (reply->status != 200) {
		follow_problem(reply, &m);
		return follow_denied(f, reply, &m);
	}
	r = node_message_read(NODE_ENROLLED, (const char *)reply->body, reply->length, &m, error);
	if (r) {
		complain(f, error);
		follow_hang_up(f);
		return ROUND_FAILED;
	}
	r = enrolment_write(f->e->cert, 0644, m.certificate);
	if (r)
		log_warn(f->e->issuer, "%s: %s; the certificate can't be renewed", f->e->cert,
			 strerror(-r));
	else
		log_info(f->e->issuer, "certificate renewed");
	follow_hang_up(f); /* the next connection shows it */
	f->renew_at_s = r ? INT64_MAX : enrolment_renew_at(f->e);
	return ROUND_GOOD;
}

/* The collector's clock says when; ours may be wrong. */
static void mind_clock(struct follow *f, int64_t date_s)
{
	const int64_t ahead = wall_us() / 1000000 - date_s;

	if (!date_s || f->warned_clock || (ahead <= CLOCK_S && ahead >= -CLOCK_S))
		return;
	f->warned_clock = true;
	log_warn(f->e->issuer,
		 "the clock here is %" PRId64 " s %s the collector's: what is blocked ends %s",
		 ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of",
		 ahead < 0 ? "late" : "early");
}

static enum follow_round take_answer(struct follow *f, const struct http_reply *reply)
{
	struct node_text m;

	mind_clock(f, reply->date_s);
	if (reply->status != 200 && reply->status != 204) {
		follow_problem(reply, &m);
		if (strcmp(m.code, "expired") != 0)
			return follow_denied(f, reply, &m);
		f->renew_at_s = 0; /* good for that alone */
		return ROUND_GOOD;
	}
	if (f->complaint[0])
		log_info(f->e->issuer, "%s: connected", f->e->host);
	f->complaint[0] = '\0';
	follow_confirm(f);
	if (reply->status == 200)
		follow_apply(f, reply->body, reply->length);
	if (reply->date_s && reply->date_s >= f->renew_at_s)
		f->renew_at_s = 0;
	if (reply->close)
		follow_hang_up(f);
	return ROUND_GOOD;
}

enum follow_round follow_tell(struct follow *f, const char *path, char *body, int *ret_status)
{
	const struct http_reply *reply = NULL;
	struct node_text m;
	int r = body ? https_post(f->h, path, body, ANSWER_MS) : -ENOMEM;

	*ret_status = 0;
	free(body);
	r = r ?: https_wait(f->h, ANSWER_MS, NODE_MESSAGE_MAX, &reply);
	if (r != 1)
		return lost(f, r);
	*ret_status = reply->status;
	if (reply->status == 204)
		return ROUND_GOOD;
	follow_problem(reply, &m);
	if (strcmp(m.code, "expired") != 0)
		return follow_denied(f, reply, &m);
	f->renew_at_s = 0;
	return ROUND_GOOD;
}

/* One decision of the agent. */
static enum follow_round tell_one(struct follow *f, const struct policy_decided *d)
{
	int status;
	const enum follow_round round =
		follow_tell(f, NODE_PATH_DECIDED, follow_decided(d), &status);

	if (status == 204 || status == 400 || status == 404)
		f->told = d->made_us; /* or it does not want to know, and will not later */
	return round;
}

/* What the agent has decided since it was last told. */
static enum follow_round tell_decided(struct follow *f)
{
	enum follow_round round = ROUND_GOOD;
	struct policy_result r;

	if (follow_news(f, &r))
		return ROUND_GOOD; /* no weir: the report says so */
	for (uint32_t i = 0; i < r.reply.n && round == ROUND_GOOD && f->renew_at_s; i++)
		round = tell_one(f, &r.decided[i]);
	policy_result_done(&r);
	return round;
}

/* Messages that go before the question. */
static enum follow_round tell_news(struct follow *f)
{
	enum follow_round round = f->decided > f->told ? tell_decided(f) : ROUND_GOOD;

	if (round == ROUND_GOOD && f->renew_at_s && f->h && follow_hits_due(f))
		round = follow_tell_hits(f);
	return round;
}

static enum follow_round ask(struct follow *f)
{
	const struct http_reply *reply = NULL;
	const int wait_ms = f->pending ? 0 : f->report.rules ? FOLLOW_HITS_MS : NODE_WAIT_MS;
	enum follow_round told;
	struct node_text m;
	char *body;
	int r;

	follow_look(f);
	told = tell_news(f);
	if (told != ROUND_GOOD || !f->renew_at_s || !f->h)
		return told;
	m = f->report;
	m.wait_ms = wait_ms;
	m.clock_us = wall_us();
	body = node_message_write(NODE_REPORT, &m);
	r = body ? https_post(f->h, NODE_PATH_SYNC, body, ANSWER_MS) : -ENOMEM;
	free(body);
	r = r ?: await(f, wait_ms + ANSWER_MS, &reply);
	if (r == -ESTALE || r == -EINTR) {
		follow_hang_up(f);
		return ROUND_GOOD;
	}
	return r == 1 ? take_answer(f, reply) : lost(f, r);
}

static enum follow_round take_turn(struct follow *f)
{
	const struct https_cfg cfg = enrolment_https(f->e);
	char error[HTTPS_ERROR];

	if (!f->h && https_open(&cfg, OPEN_MS, error, &f->h)) {
		complain(f, error);
		follow_look(f);
		return ROUND_FAILED;
	}
	return f->renew_at_s ? ask(f) : renew(f);
}

/* ---- threads ---- */

/* Some of that, so that not all nodes come back at one moment. */
static int vary(int ms)
{
	return ms / 2 + (int)(wall_us() % (ms / 2 + 1));
}

void follow_turns(struct follow *f, enum follow_round (*turn)(struct follow *f))
{
	struct pollfd p = {.fd = f->wake, .events = POLLIN};
	int delay = DELAY_MS;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		const enum follow_round r = turn(f);

		if (r == ROUND_GOOD) {
			delay = DELAY_MS;
			continue;
		}
		poll(&p, 1, vary(r == ROUND_DENIED ? DENIED_MS : f->pending ? DELAY_MS : delay));
		delay = 2 * delay < DELAY_MAX_MS ? 2 * delay : DELAY_MAX_MS;
	}
	follow_hang_up(f);
}

static void *run(void *arg)
{
	struct follow *f = arg;

	f->renew_at_s = enrolment_renew_at(f->e);
	follow_turns(f, take_turn);
	return NULL;
}

/* Both threads of each. */
struct pair {
	struct follow policy;
	struct follow_captures captures;
	pthread_t threads[2];
	int n;
};

static bool start(const struct follow_cfg *cfg, struct pair *p, const struct enrolment *e, int wake)
{
	p->policy = (struct follow){.e = e, .socket = cfg->socket, .json = cfg->json, .wake = wake};
	p->captures = (struct follow_captures){.f = {.e = e, .wake = wake}, .dir = cfg->captures};
	p->n += !pthread_create(&p->threads[p->n], NULL, run, &p->policy);
	if (p->n && cfg->captures)
		p->n += !pthread_create(&p->threads[p->n], NULL, follow_captures_run, &p->captures);
	return p->n == (cfg->captures ? 2 : 1);
}

static void stop(struct pair *v, int n)
{
	for (int i = 0; i < n; i++) {
		__atomic_store_n(&v[i].policy.stop, true, __ATOMIC_RELAXED);
		__atomic_store_n(&v[i].captures.f.stop, true, __ATOMIC_RELAXED);
	}
	if (n)
		(void)eventfd_write(v->policy.wake, 1); /* they look twice a second anyway */
	for (int i = 0; i < n; i++)
		while (v[i].n)
			pthread_join(v[i].threads[--v[i].n], NULL);
}

int follow_collectors(const struct follow_cfg *cfg)
{
	struct pollfd p = {.fd = cfg->signals, .events = POLLIN};
	struct pair *v = calloc((size_t)cfg->n, sizeof(*v));
	int wake = eventfd(0, EFD_CLOEXEC), n = 0;
	bool good = v && wake >= 0;

	while (good && n < cfg->n) {
		good = start(cfg, &v[n], &cfg->enrolments[n], wake);
		n++;
	}
	while (good && poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	stop(v, n);
	if (wake >= 0)
		close(wake);
	free(v);
	return good ? EXIT_OK : EXIT_FAILED;
}
