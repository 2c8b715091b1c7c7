// SPDX-License-Identifier: Apache-2.0
/*
 * follow_core.c - between the collector and the core: what holds, what shall hold, that it may stay.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "common/log.h"
#include "common/num_text.h"
#include "common/policy.h"
#include "loader/follow/follow.h"

void follow_say(bool json, const uint8_t *image, size_t len, const struct policy_reply *r)
{
	const struct policy_header *h = (const void *)image;
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char at[TIME_TEXT];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	time_text((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, at);
	SHA256(image, len, hash);
	flockfile(stdout);
	if (!json) {
		printf("%s generation %" PRIu64 " of %s: %u rules, %u decisions in use, %.1f ms\n",
		       at, (uint64_t)h->generation, (const char *)h->issuer, h->count[POLICY_RULE],
		       r->decisions, (double)r->took_ns / 1e6);
	} else {
		printf("{\"time\":\"%s\",\"issuer\":\"%s\",\"generation\":%" PRIu64 ",\"rules\":%u,"
		       "\"entries\":%u,\"took_us\":%" PRIu64 ",\"hash\":\"",
		       at, (const char *)h->issuer, (uint64_t)h->generation, h->count[POLICY_RULE],
		       h->count[POLICY_ADDR], (uint64_t)r->took_ns / 1000);
		for (unsigned int i = 0; i < sizeof(hash); i++)
			printf("%02x", hash[i]);
		puts("\"}");
	}
	fflush(stdout);
	funlockfile(stdout);
}

/* ---- what holds ---- */

static enum node_state state_of(const struct follow *f, const struct policy_reply *r)
{
	if (r->stopped)
		return NODE_PANIC;
	if (r->breaker)
		return NODE_SHADOW;
	if (f->refused && (int64_t)r->held < f->refused)
		return NODE_REFUSED;
	if (r->why == HELD_UNCONFIRMED)
		return NODE_ROLLED_BACK;
	if (r->why == HELD_BY_HAND)
		return NODE_BY_HAND;
	return r->held ? NODE_IN_FORCE : NODE_NONE;
}

static void put_held(struct node_text *m, const struct policy_reply *r)
{
	m->generation = (int64_t)r->held;
	m->highest = (int64_t)r->highest;
	m->rules = r->held_rules;
	m->entries = r->held_entries;
	for (unsigned int i = 0; i < sizeof(r->hash) && r->held; i++)
		snprintf(m->hash + 2 * i, 3, "%02x", r->hash[i]);
}

bool follow_look(struct follow *f)
{
	struct node_text m = {};
	struct policy_request q;
	struct policy_result r;
	struct utsname u;
	bool same;

	policy_request_init(&q, ASK_HELD);
	snprintf((char *)q.issuer, sizeof(q.issuer), "%s", f->e->issuer);
	if (policy_call(f->socket, &q, NULL, 0, &r) || r.reply.r) {
		snprintf(m.state, sizeof(m.state), "%s", node_state_words[NODE_ABSENT]);
		f->pending = 0;
		f->decided = 0;
	} else {
		const enum node_state s = state_of(f, &r.reply);

		put_held(&m, &r.reply);
		f->decided = r.reply.decided_us;
		if (f->decided && f->decided < f->told)
			f->told = 0; /* another weir, and the clock was put back: twice is once */
		snprintf(m.state, sizeof(m.state), "%s", node_state_words[s]);
		if (f->refused) {
			m.refused = f->refused;
			snprintf(m.error, sizeof(m.error), "%s", f->error);
		} else if (s == NODE_ROLLED_BACK) {
			snprintf(m.error, sizeof(m.error),
				 "nobody confirmed generation %" PRIu64 " within %u s",
				 (uint64_t)r.reply.highest, FOLLOW_CONFIRM_S);
		} else {
			snprintf(m.error, sizeof(m.error), "%.255s", r.reply.text);
		}
		if (m.generation != f->pending)
			f->pending = 0; /* it has gone back */
	}
	snprintf(m.version, sizeof(m.version), "%s", WEIR_VERSION);
	if (!uname(&u))
		snprintf(m.kernel, sizeof(m.kernel), "%.64s", u.release);
	same = !memcmp(&m, &f->report, sizeof(m));
	f->report = m;
	return !same || f->decided > f->told;
}

int follow_news(const struct follow *f, struct policy_result *ret)
{
	struct policy_request q;

	policy_request_init(&q, ASK_DECIDED);
	snprintf((char *)q.issuer, sizeof(q.issuer), "%s", f->e->issuer);
	q.after = f->told;
	return policy_call(f->socket, &q, NULL, 0, ret);
}

char *follow_decided(const struct policy_decided *d)
{
	struct node_text m = {.port = d->port,
			      .made_us = (int64_t)d->made_us,
			      .took_us = (int64_t)(d->took_ns / 1000),
			      .ttl_s = d->ttl_s,
			      .shadow = d->shadow != 0};

	node_id_write(d->id, m.id);
	snprintf(m.rule, sizeof(m.rule), "%.63s", (const char *)d->name);
	ip_text(d->addr, 0, m.value);
	ip_text(d->to, 0, m.to);
	return node_message_write(NODE_DECIDED, &m);
}

/* ---- what shall hold ---- */

static void refuse(struct follow *f, int64_t generation, const char *why)
{
	f->refused = generation;
	snprintf(f->error, sizeof(f->error), "%.256s", why);
	log_warn(f->e->issuer, "generation %" PRId64 " is refused: %s", generation, f->error);
}

void follow_apply(struct follow *f, const uint8_t *image, size_t len)
{
	struct policy_request q;
	struct policy_result r;
	struct policy_header h;
	char why[257];

	if (len < sizeof(h) || memcmp(image, POLICY_MAGIC, strlen(POLICY_MAGIC)) != 0) {
		log_warn(f->e->issuer, "what it sent is no policy");
		return;
	}
	memcpy(&h, image, sizeof(h));
	h.issuer[sizeof(h.issuer) - 1] = '\0';
	if (strcmp((const char *)h.issuer, f->e->issuer) != 0) {
		refuse(f, (int64_t)(h.generation & INT64_MAX), "it is of another issuer");
		return;
	}
	policy_request_init(&q, ASK_APPLY);
	q.confirm_s = FOLLOW_CONFIRM_S;
	if (policy_call(f->socket, &q, image, len, &r))
		return; /* no weir; the next look tells */
	if (!r.reply.r) {
		f->refused = 0;
		f->error[0] = '\0';
		f->pending = (int64_t)h.generation;
		follow_say(f->json, image, len, &r.reply);
	} else if (r.reply.r != -EALREADY) {
		snprintf(why, sizeof(why), "%s%s%.220s", r.reply.guard,
			 r.reply.guard[0] ? ": " : "",
			 r.reply.text[0] ? r.reply.text : strerror(-r.reply.r));
		refuse(f, (int64_t)(h.generation & INT64_MAX), why);
	}
	policy_result_done(&r);
}

void follow_confirm(struct follow *f)
{
	struct policy_request q;
	struct policy_result r;

	if (!f->pending)
		return;
	f->pending = 0;
	policy_request_init(&q, ASK_CONFIRM);
	snprintf((char *)q.issuer, sizeof(q.issuer), "%s", f->e->issuer);
	if (!policy_call(f->socket, &q, NULL, 0, &r))
		policy_result_done(
			&r); /* nothing waits: it has gone back, which the next look tells */
}
