// SPDX-License-Identifier: Apache-2.0
/*
 * host.c - see host.h.
 */
#include "loader/mirror/host_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/address.h"
#include "common/log.h"

#define NS_PER_S	UINT64_C(1000000000)
#define BURST_NS	100000000u /* of the budget, at one time; and one packet as large as there are */
#define PACKET_BYTES	65536u
#define NEIGHBOUR_TRIES 50 /* a neighbour in the same network answers within a millisecond or two */
#define NEIGHBOUR_NS	2000000

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

uint64_t mirror_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

__attribute__((format(printf, 3, 4))) static int refuse(struct policy_reply *reply, int r,
							const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reply->text, sizeof(reply->text), fmt, ap);
	va_end(ap);
	return r;
}

/* ---- the way to the target ---- */

static bool is_v6(const struct mirror_want *w)
{
	return memcmp(w->dst, mapped, sizeof(mapped)) != 0;
}

int mirror_find_way(const struct mirror_want *w, struct mirror_way *ret)
{
	*ret = (struct mirror_way){};
	if (w->to != MIRROR_TO_IFACE)
		return mirror_way_to(w->dst, ret);
	ret->out = if_nametoindex((const char *)w->out);
	ret->mtu = mirror_mtu(ret->out);
	return ret->out ? 0 : -ENODEV;
}

/* What a frame may have, so that the tunnel's packet is never in pieces. */
static uint32_t length_of(const struct mirror_want *w, const struct mirror_way *way)
{
	const uint32_t head = mirror_overhead(w->to, is_v6(w));
	uint32_t most = way->mtu > head ? way->mtu - head : 0;

	if (w->to == MIRROR_TO_IFACE)
		most = way->mtu + 14 + 4; /* Ethernet, one tag */
	if (most < MIRROR_LENGTH_MIN)
		return 0;
	return w->length && w->length < most ? w->length : most;
}

static void set_budget(const struct mirror_want *w, struct mirror_live *l, struct mirror_session *s)
{
	uint64_t bps = w->budget_bps;

	if (w->budget_pct) {
		l->link_bps = mirror_bits_per_second(s->out);
		bps = l->link_bps / 100 * w->budget_pct;
	}
	s->cost = bps ? (uint64_t)(((unsigned __int128)8 * NS_PER_S << 16) / bps) : 0;
	s->burst = s->cost * PACKET_BYTES >> 16;
	if (s->burst < BURST_NS)
		s->burst = BURST_NS;
}

static void set_way(struct mirror_live *l, const struct mirror_way *way)
{
	struct mirror_session *s = &l->s;

	l->way = *way;
	s->out = 0;
	s->length = length_of(&l->want, way);
	if (!way->out || !s->length)
		return;
	s->nh_v6 = way->nh_v6;
	memcpy(s->src, way->src, sizeof(s->src));
	memcpy(s->nh, way->nh, sizeof(s->nh));
	s->out = way->out;
	set_budget(&l->want, l, s);
}

/* The kernel's copy follows: nothing goes out while it is half written. */
static void publish_way(struct mirror_host *h, unsigned int element)
{
	struct mirror_session *to = &h->kernel.table->session[element];
	const struct mirror_session *s = &h->live[element].s;

	__atomic_store_n(&to->out, 0, __ATOMIC_RELEASE);
	if (!s->out)
		return;
	to->length = s->length;
	to->nh_v6 = s->nh_v6;
	to->cost = s->cost;
	to->burst = s->burst;
	memcpy(to->src, s->src, sizeof(to->src));
	memcpy(to->nh, s->nh, sizeof(to->nh));
	__atomic_store_n(&to->out, s->out, __ATOMIC_RELEASE);
}

static bool neighbour_is_there(const struct mirror_want *w, const struct mirror_way *way)
{
	return w->to == MIRROR_TO_IFACE || mirror_neighbour_is_there(way);
}

/* Routes and neighbours come and go. */
static void follow_way(struct mirror_host *h, unsigned int element)
{
	struct mirror_live *l = &h->live[element];
	const struct mirror_session was = l->s;
	struct mirror_way way;
	char to[96] = "";
	FILE *out;

	if (mirror_find_way(&l->want, &way) || way.local || !neighbour_is_there(&l->want, &way))
		way.out = 0;
	set_way(l, &way);
	if (!memcmp(&was, &l->s, sizeof(was)))
		return;
	publish_way(h, element);
	out = fmemopen(to, sizeof(to), "w");
	if (out) {
		mirror_print_to(out, &l->want);
		fclose(out);
	}
	if (!was.out != !l->s.out)
		log_warn(
			"mirror", "session %u, %s: %s", l->want.number, to,
			l->s.out
				? "there is a way again"
				: "no route or neighbour leads there; what it would get is counted");
	else if (was.length != l->s.length)
		log_info("mirror", "session %u, %s: frames are cut to %u bytes now", l->want.number,
			 to, l->s.length);
}

/* ---- interfaces ---- */

/* Those that are watched here, and whose packets are this node's matter. */
static unsigned int watched(const struct mirror_host *h, struct iface_row *rows, unsigned int room)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < IFACE_ROWS && n < room; i++)
		if (iface_table_get(h->ifaces, i, &rows[n]) && rows[n].attached && !rows[n].netns &&
		    rows[n].role != ROLE_MIRROR)
			n++;
	return n;
}

static bool mirrors(const struct mirror_live *l, const struct iface_row *row)
{
	return l->used && (!l->want.iface[0] || !strcmp((const char *)l->want.iface, row->name));
}

/* Sessions that an interface has. */
static unsigned int sessions_of(const struct mirror_host *h, const struct iface_row *row)
{
	unsigned int n = 0;

	for (unsigned int e = 0; e < MIRROR_SESSIONS; e++)
		n += mirrors(&h->live[e], row);
	return n;
}

static void find_source(struct mirror_host *h, unsigned int e, const struct iface_row *rows,
			unsigned int n)
{
	struct mirror_live *l = &h->live[e];
	uint32_t ifindex = 0;

	l->ifaces = 0;
	for (unsigned int i = 0; i < n; i++) {
		if (!mirrors(l, &rows[i]))
			continue;
		l->ifaces++;
		ifindex = rows[i].ifindex;
	}
	if (!l->want.iface[0])
		return;
	l->s.ifindex = ifindex ?: UINT32_MAX;
	h->kernel.table->session[e].ifindex = l->s.ifindex;
}

static int put_seats(struct mirror_host *h)
{
	static struct iface_row rows[IFACE_ROWS];
	static unsigned int at[IFACE_ROWS];
	const unsigned int n = watched(h, rows, IFACE_ROWS);
	unsigned int seats = 0;

	for (unsigned int i = 0; i < n; i++)
		if (sessions_of(h, &rows[i]))
			at[seats++] = rows[i].ifindex;
	for (unsigned int e = 0; e < MIRROR_SESSIONS; e++)
		if (h->live[e].used)
			find_source(h, e, rows, n);
	return mirror_kernel_seats(&h->kernel, at, seats);
}

/* ---- sessions ---- */

unsigned int mirror_in_order(const struct mirror_host *h, unsigned int *element)
{
	unsigned int n = 0;

	for (unsigned int e = 0; e < MIRROR_SESSIONS; e++) {
		unsigned int i = n;

		if (!h->live[e].used)
			continue;
		for (; i && h->live[element[i - 1]].want.number > h->live[e].want.number; i--)
			element[i] = element[i - 1];
		element[i] = e;
		n++;
	}
	return n;
}

static unsigned int put_order(struct mirror_host *h)
{
	unsigned int element[MIRROR_SESSIONS];
	const unsigned int n = mirror_in_order(h, element);

	mirror_kernel_order(&h->kernel, element, n);
	return n;
}

int mirror_find(const struct mirror_host *h, uint32_t number)
{
	for (unsigned int e = 0; e < MIRROR_SESSIONS; e++)
		if (h->live[e].used && h->live[e].want.number == number)
			return (int)e;
	return -ENOENT;
}

void mirror_end(struct mirror_host *h, unsigned int element)
{
	struct mirror_live *l = &h->live[element];

	l->used = false;
	if (!put_order(h)) {
		mirror_kernel_end(&h->kernel, element);
		mirror_kernel_close(&h->kernel);
		return;
	}
	mirror_kernel_end(&h->kernel, element);
	put_seats(h);
}

/* Traffic of our own that a mirror would only make more of. */
static void put_exempts(struct mirror_host *h)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < h->n_exports && n < MIRROR_EXEMPTS; i++) {
		const struct export_cfg *x = &h->exports[i];
		struct mirror_exempt *e = &h->kernel.table->exempt[n];

		if (x->type < EXPORT_IPFIX_UDP || address_ip(x->host, e->addr))
			continue;
		e->proto = x->type == EXPORT_IPFIX_UDP ? 17 : 6;
		e->port = (uint16_t)(x->port >> 8 | x->port << 8);
		n++;
	}
}

/* ---- requests ---- */

static int check_room(struct mirror_host *h, const struct mirror_begin *b,
		      struct policy_reply *reply)
{
	const struct mirror_want *w = b->want;
	static struct iface_row rows[IFACE_ROWS];
	const unsigned int n = watched(h, rows, IFACE_ROWS);
	const char *iface = (const char *)w->iface;
	unsigned int fits = 0;

	if (w->number && b->instead < 0 && mirror_find(h, w->number) >= 0)
		return refuse(reply, -EEXIST,
			      "session %u is there already: end it, or take another number",
			      w->number);
	for (unsigned int i = 0; i < n; i++) {
		if (*iface && strcmp(iface, rows[i].name) != 0)
			continue;
		fits++;
		if (sessions_of(h, &rows[i]) -
			    (b->instead >= 0 && mirrors(&h->live[b->instead], &rows[i])) >=
		    MIRROR_PER_IFACE)
			return refuse(reply, -ENOSPC,
				      "%s has %u sessions, which is the limit: end one",
				      rows[i].name, MIRROR_PER_IFACE);
	}
	if (!fits && b->from == MIRROR_BY_HAND)
		return refuse(reply, -ENODEV,
			      *iface ? "%s is not watched by weir here"
				     : "no interface is watched here",
			      iface);
	return 0;
}

static int check_way(const struct mirror_want *w, struct mirror_way *way,
		     struct policy_reply *reply)
{
	const struct timespec pause = {.tv_nsec = NEIGHBOUR_NS};
	int r = mirror_find_way(w, way);

	if (r)
		return refuse(reply, r, "no way leads to the target: %s", strerror(-r));
	if (way->local)
		return refuse(reply, -EINVAL, "the target is this node itself");
	if (!length_of(w, way))
		return refuse(
			reply, -EMSGSIZE,
			"the way to the target takes packets of %u bytes, too short for a mirror",
			way->mtu);
	for (int i = 0; i < NEIGHBOUR_TRIES && !neighbour_is_there(w, way); i++)
		nanosleep(&pause, NULL);
	return 0;
}

static int free_element(const struct mirror_host *h)
{
	for (int e = 0; e < (int)MIRROR_SESSIONS; e++)
		if (!h->live[e].used)
			return e;
	return -ENOSPC;
}

static void say_length(const struct mirror_live *l, struct policy_reply *reply)
{
	if (!l->s.out)
		refuse(reply, 0,
		       "nobody answers on the way to the target yet; what it would get is counted");
	else if (!l->want.length || l->s.length < l->want.length)
		refuse(reply, 0,
		       "frames beyond %u bytes are cut: the way to the target takes packets of %u bytes",
		       l->s.length, l->way.mtu);
	if (l->want.budget_pct && !l->link_bps && l->s.out)
		refuse(reply, 0,
		       "the link does not tell its speed: --budget %u%% means nothing here, and nothing limits the mirror",
		       l->want.budget_pct);
}

/* The session into its element, on its interfaces, and asked from then on. */
static int put_session(struct mirror_host *h, unsigned int e, const struct mirror_begin *b,
		       struct policy_reply *reply)
{
	struct mirror_live *l = &h->live[e], *old = b->instead < 0 ? NULL : &h->live[b->instead];
	int r;

	l->used = true;
	if (old)
		old->used = false;
	put_exempts(h);
	mirror_kernel_put(&h->kernel, e, &l->s, b->rules);
	r = put_seats(h);
	if (r) {
		refuse(reply, r, "%s", h->kernel.error);
		if (old)
			old->used = true;
		mirror_end(h, e);
		return r;
	}
	put_order(h); /* one store: a packet meets the old one or this */
	if (old) {
		mirror_kernel_end(&h->kernel, (unsigned int)b->instead);
		mirror_count_of(h, (unsigned int)b->instead, &l->before);
	}
	say_length(l, reply);
	reply->added = l->want.number;
	return 0;
}

static void fill(struct mirror_host *h, struct mirror_live *l, const struct mirror_begin *b)
{
	const struct mirror_want *w = b->want;
	struct mirror_way way = *b->way;

	*l = (struct mirror_live){.want = *w,
				  .from = b->from,
				  .until_ms = w->for_s ? mirror_mono_ms() + w->for_s * 1000
						       : UINT64_MAX};
	l->want.number = w->number ?: mirror_free_number(h);
	l->s = (struct mirror_session){
		.rules = w->rules,
		.until = mirror_clock(h, w->for_s ?: MIRROR_LEASE_S),
		.sample = w->sample,
		.vni = w->vni,
		.to = w->to,
		.also = w->also,
		.v6 = is_v6(w),
		.port = w->port,
		.number = l->want.number,
	};
	memcpy(l->s.dst, w->dst, sizeof(l->s.dst));
	if (!way.out || !neighbour_is_there(w, &way))
		way.out = 0;
	set_way(l, &way);
}

int mirror_begin(struct mirror_host *h, const struct mirror_begin *b, struct policy_reply *reply)
{
	const int e = free_element(h);
	int r;

	if (e < 0)
		return refuse(reply, e, "%u sessions are the limit: end one", MIRROR_SESSIONS);
	r = check_room(h, b, reply);
	if (r)
		return r;
	r = mirror_kernel_open(&h->kernel);
	if (r)
		return refuse(reply, r, "%s", h->kernel.error);
	fill(h, &h->live[e], b);
	return put_session(h, (unsigned int)e, b, reply);
}

static int add(struct mirror_host *h, const struct mirror_want *w, const struct policy_rule *rules,
	       struct policy_reply *reply)
{
	struct mirror_way way = {};
	const struct mirror_begin b = {
		.want = w, .rules = rules, .way = &way, .from = MIRROR_BY_HAND, .instead = -1};
	int r;

	if (w->number && mirror_conf_has(h, w->number))
		return refuse(reply, -EEXIST,
			      "session %u is one of the configuration: take another number",
			      w->number);
	if (w->for_s > h->cfg->expires_max_s)
		return refuse(reply, -EINVAL, "for %llu s: longer than policy.max-duration, %llu s",
			      (unsigned long long)w->for_s,
			      (unsigned long long)h->cfg->expires_max_s);
	r = check_room(h, &b, reply); /* before anybody is looked for */
	r = r ?: check_way(w, &way, reply);
	return r ?: mirror_begin(h, &b, reply);
}

static int answer_add(struct mirror_host *h, const struct enforce_image *image,
		      const struct enforce_peer *peer, struct policy_reply *reply)
{
	const struct policy_rule *rules;
	const struct mirror_want *w;
	struct policy_error err;
	int r, e;

	if (!image->at)
		return refuse(reply, -EINVAL, "no session came along");
	r = mirror_check(image->at, image->len, &w, &rules, &err);
	if (r)
		return refuse(reply, r, "%s", err.text);
	r = add(h, w, rules, reply);
	if (r)
		return r;
	e = mirror_find(h, reply->added);
	if (e >= 0)
		h->live[e].uid = peer->uid;
	log_info("mirror", "session %u: %s", reply->added, w->filter);
	return 0;
}

/* @number 0: all. */
static int answer_end(struct mirror_host *h, uint32_t number, struct policy_reply *reply)
{
	for (unsigned int e = 0; e < MIRROR_SESSIONS; e++) {
		if (!h->live[e].used || (number && h->live[e].want.number != number) ||
		    h->live[e].from != MIRROR_BY_HAND)
			continue;
		mirror_end(h, e);
		reply->removed++;
	}
	if (number && mirror_conf_has(h, number))
		return refuse(
			reply, -EPERM,
			"session %u is one of the configuration: take [mirror %u] out of the file, and 'weir reload'",
			number, number);
	if (number && mirror_find(h, number) >= 0)
		return refuse(
			reply, -EPERM,
			"session %u is what rules ask for: 'weir-collector decisions withdraw' ends it, or another policy",
			number);
	if (number && !reply->removed)
		return refuse(reply, -ENOENT, "there is no session %u", number);
	return 0;
}

void mirror_host_answer(struct mirror_host *h, const struct policy_request *q,
			const struct enforce_peer *peer, const struct enforce_image *image,
			struct policy_answer *ret)
{
	struct policy_reply *reply = &ret->reply;

	*ret = (struct policy_answer){.reply = {.version = POLICY_WIRE_VERSION}};
	if (q->version != POLICY_WIRE_VERSION)
		reply->r = refuse(reply, -EPROTO, "the command is of another version of weir");
	else if (q->ask == ASK_MIRROR_SHOW)
		reply->r = mirror_answer_show(h, ret);
	else if (!peer->may_change)
		reply->r = refuse(reply, -EACCES,
				  "changing mirrors is for root and the group of policy.group");
	else if (q->ask == ASK_MIRROR_ADD)
		reply->r = answer_add(h, image, peer, reply);
	else
		reply->r = answer_end(h, q->number, reply);
}

/* ---- time ---- */

void mirror_host_tick(struct mirror_host *h)
{
	const uint64_t now = mirror_mono_ms();

	mirror_conf_tick(h);
	mirror_asks_tick(h, now);
	for (unsigned int e = 0; e < MIRROR_SESSIONS; e++) {
		if (!h->live[e].used)
			continue;
		if (now >= h->live[e].until_ms) {
			log_info("mirror", "session %u has ended", h->live[e].want.number);
			mirror_end(h, e);
			continue;
		}
		follow_way(h, e);
	}
	if (h->kernel.skel && put_seats(h))
		log_warn("mirror", "%s", h->kernel.error);
}

void mirror_host_start(struct mirror_host *h, const struct mirror_host_start *start)
{
	*h = (struct mirror_host){.dp = start->dp,
				  .ifaces = start->ifaces,
				  .cfg = start->cfg,
				  .exports = start->exports,
				  .n_exports = start->n_exports,
				  .asks = {.counts = start->asked}};
	mirror_kernel_init(&h->kernel, start->dp);
}

void mirror_host_stop(struct mirror_host *h)
{
	if (!h->dp)
		return;
	mirror_kernel_close(&h->kernel);
	*h = (struct mirror_host){};
}
