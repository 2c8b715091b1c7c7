// SPDX-License-Identifier: Apache-2.0
/*
 * recording.c - one file of the recorder: packets of one address, or between two, from the ring to the disk. The
 * file grows by whole blocks, and ends before max_bytes with its account.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "common/json.h"
#include "common/log.h"
#include "common/num_text.h"
#include "loader/capture/recorder_int.h"
#include "loader/dataplane.h"
#include "weir/policy.h"

#define NS_PER_S      UINT64_C(1000000000)
#define COMMENT_BYTES PCAPNG_TEXT_MAX

static uint64_t now_ns_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t wall_ns(void)
{
	return now_ns_of(CLOCK_REALTIME);
}

/* ---- the file ---- */

static void fail(struct recording *c, struct recording_env *env, int r)
{
	env->counts->failed++;
	log_error("capture", "%s/%s: %s", env->cfg->dir, c->id, strerror(-r));
}

/* What is to be known of it, as one line of JSON. */
static void describe(const struct recording *c, const struct recording_env *env, char *ret)
{
	static const char *const scopes[] = {
		[CAPTURE_SRC] = "src.ip", [CAPTURE_DST] = "dst.ip", [CAPTURE_PAIR] = "pair"};
	const struct record_order *o = &c->order;
	char a[IP_TEXT], b[IP_TEXT], fired[TIME_TEXT];
	json_t *j = json_object();

	ip_text(o->addr[0], 0, a);
	ip_text(o->addr[1], 0, b);
	time_text(o->fired_ns + (uint64_t)c->file.blocks.wall_ns, fired);
	json_object_set_new(j, "id", json_string(c->id));
	json_object_set_new(j, "rule", json_string(o->name));
	json_object_set_new(j, "origin", json_string(o->origin));
	json_object_set_new(j, "scope", json_string(scopes[o->scope & 3] ?: ""));
	json_object_set_new(j, "value", json_string(a));
	if (o->ends == 2)
		json_object_set_new(j, "to", json_string(b));
	if (o->alert)
		json_object_set_new(j, "alert", json_integer((json_int_t)o->alert));
	if (o->decision)
		json_object_set_new(j, "decision", json_integer((json_int_t)o->decision));
	json_object_set_new(j, "node", json_string(env->node));
	json_object_set_new(j, "fired", json_string(fired));
	json_object_set_new(j, "pre_s", json_integer(o->pre_s));
	json_object_set_new(j, "post_s", json_integer(o->post_s));
	json_object_set_new(j, "max_bytes", json_integer((json_int_t)o->max_bytes));
	ret[json_dumpb(j, ret, COMMENT_BYTES - 1, JSON_COMPACT) % COMMENT_BYTES] = '\0';
	json_decref(j);
}

static int create(struct recording *c, struct recording_env *env)
{
	char name[STORE_NAME], comment[COMMENT_BYTES];

	store_new_id(&env->last_id, c->id);
	store_name(c->id, true, name);
	describe(c, env, comment);
	return packet_file_begin(&c->file, env->dir, name, comment);
}

int recording_begin(struct recording *c, struct recording_env *env, const struct record_order *o)
{
	const uint64_t pre = o->pre_s * NS_PER_S;
	int r;

	*c = (struct recording){
		.order = *o,
		.from_ns = o->fired_ns > pre ? o->fired_ns - pre : 0,
		.end_ns = o->fired_ns + o->post_s * NS_PER_S,
		.file = {.fd = -1,
			 .blocks = {.table = env->table,
				    .wall_ns = (int64_t)(wall_ns() - now_ns_of(CLOCK_MONOTONIC)),
				    .snaplen = RECENT_LEN_MAX}},
	};
	r = recent_open(env->dp, c->from_ns, &c->reader);
	r = r ?: create(c, env);
	if (r) {
		recent_close(c->reader);
		return r;
	}
	c->used = true;
	env->counts->files++;
	return 0;
}

/* ---- packets ---- */

/* By its headers: of the address, or between the two. */
static bool wanted(const struct record_order *o, const struct recent_packet *p)
{
	static const struct parse_cfg outer;
	struct pkt k = {};

	if (parse_frame(p->bytes, p->head.len, p->head.wire_len, &outer, &k) ||
	    (k.key.ethertype != ETH_P_IP && k.key.ethertype != ETH_P_IPV6))
		return false;
	for (unsigned int i = 0; i < 2; i++)
		if (!memcmp(k.key.addr[i], o->addr[0], 16) &&
		    (o->ends < 2 || !memcmp(k.key.addr[!i], o->addr[1], 16)))
			return true;
	return false;
}

/* No more into it: its account, and its final name. One without packets goes: they were at another node. */
static void close_file(struct recording *c, struct recording_env *env)
{
	char part[STORE_NAME], whole[STORE_NAME];
	const uint64_t lost = recent_lost(c->reader);
	const bool empty = !packet_file_packets(&c->file);
	int r;

	env->counts->lost += lost;
	r = c->file.fd >= 0 && !empty ? packet_file_account(&c->file, lost, wall_ns()) : 0;
	if (r)
		fail(c, env, r);
	store_name(c->id, true, part);
	store_name(c->id, false, whole);
	env->counts->empty += empty;
	if (empty ? unlinkat(env->dir, part, 0) : renameat(env->dir, part, env->dir, whole))
		log_error("capture", "%s/%s: %s", env->cfg->dir, part, strerror(errno));
	c->reader = recent_close(c->reader);
	packet_file_done(&c->file);
}

void recording_end(struct recording *c, struct recording_env *env)
{
	if (c->reader)
		close_file(c, env);
	c->used = false;
}

/* One that is wanted. */
static void take(struct recording *c, const struct recent_packet *p, struct recording_env *env)
{
	const int r = packet_file_put(&c->file, p, c->order.max_bytes);

	if (r > 0) {
		env->counts->packets++;
		return;
	}
	if (r < 0)
		fail(c, env, r);
	else
		env->counts->cut++;
	close_file(c, env); /* and waits for its end, so that no other begins */
}

bool recording_step(struct recording *c, struct recording_env *env, uint64_t now_ns)
{
	uint64_t until = now_ns - RECORDER_SETTLE_NS;
	struct recent_packet p;
	unsigned int n;
	int r;

	if (until > c->end_ns)
		until = c->end_ns;
	for (n = 0; c->reader && n < RECORDER_LOOK && recent_next(c->reader, until, &p); n++)
		if (wanted(&c->order, &p))
			take(c, &p, env);
	r = c->reader && n < RECORDER_LOOK ? packet_file_flush(&c->file) : 0;
	if (r) {
		fail(c, env, r);
		close_file(c, env);
	}
	if (n < RECORDER_LOOK && now_ns - RECORDER_SETTLE_NS >= c->end_ns)
		recording_end(c, env);
	return n == RECORDER_LOOK;
}
