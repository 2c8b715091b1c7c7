// SPDX-License-Identifier: Apache-2.0
/*
 * recording.c - one file of the recorder: packets of one address, or between two, from the ring to the disk. The
 * file grows by whole blocks, and ends before max_bytes with its account.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "common/json.h"
#include "common/log.h"
#include "common/num_text.h"
#include "loader/capture/recorder_int.h"
#include "loader/dataplane.h"
#include "weir/policy.h"

#define BUF_BYTES     (256u << 10)
#define LOOK	      4096u		/* packets looked at a step */
#define SETTLE_NS     UINT64_C(5000000) /* no CPU still writes a packet so old */
#define NS_PER_S      UINT64_C(1000000000)
#define TOTALS_BYTES  128u /* of an interface at most */
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

/* To the last whole block, if the disk would not take more. */
static int flush(struct recording *c)
{
	size_t at = 0;
	int r = 0;

	while (at < c->n && !r) {
		const ssize_t n = write(c->fd, c->buf + at, c->n - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			r = -errno;
	}
	if (r && ftruncate(c->fd, (off_t)(c->bytes - c->n)))
		r = -errno;
	if (r)
		c->bytes -= c->n;
	c->n = 0;
	return r;
}

static uint8_t *room(struct recording *c)
{
	return c->buf + c->n;
}

static void put(struct recording *c, size_t len)
{
	c->n += len;
	c->bytes += len;
}

static void fail(struct recording *c, struct recording_env *env, int r)
{
	env->counts->failed++;
	log_error("capture", "%s/%s: %s", env->cfg->dir, c->id, strerror(-r));
	close(c->fd);
	c->fd = -1;
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
	time_text(o->fired_ns + (uint64_t)c->blocks.wall_ns, fired);
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
	uint64_t id = wall_ns();

	if (id <= env->last_id)
		id = env->last_id + 1;
	env->last_id = id;
	snprintf(c->id, sizeof(c->id), "%016" PRIx64, id);
	store_name(c->id, true, name);
	c->fd = openat(env->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (c->fd < 0)
		return -errno;
	describe(c, env, comment);
	put(c, pcapng_section(room(c), "weir " WEIR_VERSION, "Linux", comment));
	return 0;
}

int recording_begin(struct recording *c, struct recording_env *env, const struct record_order *o)
{
	const uint64_t pre = o->pre_s * NS_PER_S;
	int r;

	*c = (struct recording){
		.order = *o,
		.fd = -1,
		.from_ns = o->fired_ns > pre ? o->fired_ns - pre : 0,
		.end_ns = o->fired_ns + o->post_s * NS_PER_S,
		.buf = malloc(BUF_BYTES),
		.blocks = {.table = env->table,
			   .wall_ns = (int64_t)(wall_ns() - now_ns_of(CLOCK_MONOTONIC)),
			   .snaplen = RECENT_LEN_MAX},
	};
	r = c->buf ? recent_open(env->dp, c->from_ns, &c->reader) : -ENOMEM;
	r = r ?: create(c, env);
	if (r) {
		recent_close(c->reader);
		free(c->buf);
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

static uint64_t account_bytes(const struct recording *c)
{
	return (c->blocks.n + 1) * (uint64_t)TOTALS_BYTES;
}

/* One that is wanted. False: it would be longer than it may. */
static bool take(struct recording *c, const struct recent_packet *p, struct recording_env *env)
{
	const uint64_t before = c->bytes;
	size_t len;
	const int iface = blocks_iface(&c->blocks, &p->head, room(c), &len);

	if (iface < 0)
		return true;
	put(c, len);
	len = blocks_packet(&c->blocks, p, iface, room(c));
	if (c->bytes + len + account_bytes(c) > c->order.max_bytes) {
		c->blocks.iface[iface].taken--;
		if (c->blocks.iface[iface].seen == 1)
			c->blocks.n--; /* nobody has been told of it */
		c->n -= c->bytes - before;
		c->bytes = before;
		return false;
	}
	put(c, len);
	env->counts->packets++;
	return true;
}

static void account(struct recording *c, struct recording_env *env)
{
	const uint64_t lost = recent_lost(c->reader), now = wall_ns();
	int r = 0;

	for (uint32_t i = 0; i < c->blocks.n && !r; i++) {
		if (c->n + BLOCKS_ROOM > BUF_BYTES)
			r = flush(c);
		put(c, blocks_totals(&c->blocks, i, lost, now, room(c)));
	}
	env->counts->lost += lost;
	r = r ?: flush(c);
	if (r)
		fail(c, env, r);
}

static uint64_t taken(const struct recording *c)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < c->blocks.n; i++)
		n += c->blocks.iface[i].taken;
	return n;
}

/* No more into it: its account, and its final name. One without packets goes: they were at another node. */
static void close_file(struct recording *c, struct recording_env *env)
{
	char part[STORE_NAME], whole[STORE_NAME];
	const bool empty = !taken(c);

	if (c->fd >= 0 && !empty)
		account(c, env);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	store_name(c->id, true, part);
	store_name(c->id, false, whole);
	env->counts->empty += empty;
	if (empty ? unlinkat(env->dir, part, 0) : renameat(env->dir, part, env->dir, whole))
		log_error("capture", "%s/%s: %s", env->cfg->dir, part, strerror(errno));
	c->reader = recent_close(c->reader);
	free(c->buf);
	c->buf = NULL;
}

void recording_end(struct recording *c, struct recording_env *env)
{
	if (c->buf)
		close_file(c, env);
	c->used = false;
}

bool recording_step(struct recording *c, struct recording_env *env, uint64_t now_ns)
{
	uint64_t until = now_ns - SETTLE_NS;
	struct recent_packet p;
	unsigned int n;
	int r;

	if (until > c->end_ns)
		until = c->end_ns;
	for (n = 0; c->buf && n < LOOK && recent_next(c->reader, until, &p); n++) {
		if (!wanted(&c->order, &p))
			continue;
		if (c->n + 2 * BLOCKS_ROOM > BUF_BYTES) {
			r = flush(c);
			if (r) {
				fail(c, env, r);
				close_file(c, env);
				break;
			}
		}
		if (!take(c, &p, env)) {
			env->counts->cut++;
			close_file(c, env); /* and waits for its end, so that no other begins */
		}
	}
	if (c->buf && c->n && n < LOOK) {
		r = flush(c);
		if (r) {
			fail(c, env, r);
			close_file(c, env);
		}
	}
	if (n < LOOK && now_ns - SETTLE_NS >= c->end_ns)
		recording_end(c, env);
	return n == LOOK;
}
