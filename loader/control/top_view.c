// SPDX-License-Identifier: Apache-2.0
/*
 * top_view.c - see top_view.h. Groups are found by their key, which is bytes: the ends of a flow, an
 * address, or text.
 */
#include "loader/control/top_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/flow_text.h"
#include "common/flow_words.h"
#include "common/json.h"
#include "common/num_text.h"

#define TABLE (TOP_GROUPS * 2)

/* Of by = flow: what tells flows apart, and what is shown of them. */
struct ends {
	uint8_t src[16], dst[16];
	uint32_t vni, ifindex;
	uint16_t src_port, dst_port, ethertype, vlan;
	uint8_t proto, family, has_ports, pad;
};

struct group {
	uint64_t bytes[2];
	uint64_t packets[2];
	uint64_t flows;
	uint32_t key; /* in text[] */
	uint32_t key_len;
	uint32_t name;
	uint32_t name_len;
	uint8_t state; /* of the flow */
	uint8_t pad[7];
};

struct top_view {
	struct request q;
	struct group *groups; /* [0]: what had no room */
	uint32_t n;
	uint32_t *table; /* index of groups, 0 = empty */
	uint32_t *sorted;
	char *text;
	uint32_t text_len;
	struct top_sums sums;
};

#define MAP_BYTES                                                       \
	(TOP_GROUPS * sizeof(struct group) + TABLE * sizeof(uint32_t) + \
	 TOP_GROUPS * sizeof(uint32_t) + TOP_TEXT)

int top_view_new(const struct request *q, struct top_view **ret)
{
	struct top_view *v = calloc(1, sizeof(*v));
	char *mem;

	if (!v)
		return -ENOMEM;
	mem = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED) {
		free(v);
		return -ENOMEM;
	}
	v->q = *q;
	v->groups = (struct group *)(void *)mem;
	v->table = (uint32_t *)(void *)(v->groups + TOP_GROUPS);
	v->sorted = v->table + TABLE;
	v->text = (char *)(v->sorted + TOP_GROUPS);
	v->n = 1;
	*ret = v;
	return 0;
}

void top_view_free(struct top_view *v)
{
	if (!v)
		return;
	munmap(v->groups, MAP_BYTES);
	filter_free(v->q.filter);
	free(v);
}

void top_view_clear(struct top_view *v)
{
	memset(v->groups, 0, v->n * sizeof(*v->groups));
	memset(v->table, 0, TABLE * sizeof(*v->table));
	v->n = 1;
	v->text_len = 0;
	v->sums = (struct top_sums){};
}

/* FNV-1a: the table lives for an interval, and its keys are not chosen to hurt it for long. */
static uint32_t hash_of(const void *key, uint32_t len)
{
	const uint8_t *p = key;
	uint64_t h = 0xcbf29ce484222325;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3;
	return (uint32_t)(h >> 32 ^ h);
}

static bool keep_text(struct top_view *v, const void *s, uint32_t len, uint32_t *ret)
{
	if (len > TOP_TEXT - v->text_len)
		return false;
	*ret = v->text_len;
	if (len)
		memcpy(v->text + v->text_len, s, len);
	v->text_len += len;
	return true;
}

/* The group of that key, a new one if need be; group 0 when there is no room. */
static struct group *group_of(struct top_view *v, const void *key, uint32_t len)
{
	uint32_t at = hash_of(key, len) % TABLE;
	struct group *g;

	for (; v->table[at]; at = (at + 1) % TABLE) {
		g = &v->groups[v->table[at]];
		if (g->key_len == len && !memcmp(v->text + g->key, key, len))
			return g;
	}
	g = &v->groups[v->n];
	if (v->n == TOP_GROUPS || !keep_text(v, key, len, &g->key))
		return &v->groups[0];
	g->key_len = len;
	v->table[at] = v->n++;
	v->sums.groups++;
	return g;
}

static struct flow_str name_of(const struct flow_record *r)
{
	if (flow_has(r, FF_TLS_SNI))
		return r->tls_sni;
	if (flow_has(r, FF_HTTP_HOST))
		return r->http_host;
	if (flow_has(r, FF_DNS_QNAME))
		return r->dns_qname;
	return (struct flow_str){"", 0};
}

static struct flow_str cut(struct flow_str s)
{
	s.len = s.len < TOP_KEY_SHOWN ? s.len : TOP_KEY_SHOWN;
	return s;
}

/* What no other flow has counted too. */
static uint64_t once(uint64_t all, uint64_t copied)
{
	return all > copied ? all - copied : 0;
}

/* @swap: seen from the other end. */
static void add(struct group *g, const struct live_news *news, bool swap)
{
	for (unsigned int d = 0; d < 2; d++) {
		g->bytes[d ^ swap] += once(news->bytes[d], news->copied_bytes[d]);
		g->packets[d ^ swap] += once(news->packets[d], news->copied_packets[d]);
	}
	g->flows += news->live;
}

static void add_flow(struct top_view *v, const struct flow_record *r, const struct live_news *news)
{
	const struct flow_str name = cut(name_of(r));
	struct ends e = {
		.family = r->family,
		.ifindex = r->ifindex,
		.proto = r->family ? r->proto : 0,
		.vlan = flow_has(r, FF_VLAN) ? r->vlan[0] : 0,
		.vni = flow_has(r, FF_VNI) ? r->vni : 0,
		.ethertype = r->family ? 0 : r->ethertype,
		.has_ports = flow_has(r, FF_SRC_PORT),
	};
	struct group *g;

	if (r->family) {
		memcpy(e.src, r->src_ip, 16);
		memcpy(e.dst, r->dst_ip, 16);
	}
	if (e.has_ports) {
		e.src_port = r->src_port;
		e.dst_port = r->dst_port;
	}
	g = group_of(v, &e, sizeof(e));
	add(g, news, false);
	g->state = flow_has(r, FF_STATE) ? r->state : 0;
	if (g->key_len && !g->name_len && keep_text(v, name.s, name.len, &g->name))
		g->name_len = name.len;
}

static void add_host(struct top_view *v, const uint8_t ip[16], int family,
		     const struct live_news *news, bool swap)
{
	char text[IP_TEXT];

	add(group_of(v, text, (uint32_t)ip_text(ip, family, text)), news, swap);
}

static void add_text(struct top_view *v, const struct flow_record *r, const struct live_news *news)
{
	char buf[FLOW_TEXT + 8], word[WORD_TEXT];
	struct flow_str s = {buf, 0};

	if (v->q.by == BY_NAME)
		s = name_of(r);
	else if (v->q.by == BY_FIELD && flow_has(r, v->q.field))
		s = flow_text(r, v->q.field, buf);
	else if (v->q.by == BY_PORT && flow_has(r, FF_DST_PORT))
		s.len = (uint32_t)snprintf(buf, sizeof(buf), "%u/%s", (unsigned int)r->dst_port,
					   proto_word(r->proto, word));
	s = cut(s);
	add(group_of(v, s.s, s.len), news, false);
}

void top_view_add(struct top_view *v, const struct flow_record *r, const struct live_news *news)
{
	if (!filter_match(v->q.filter, r))
		return;
	for (unsigned int d = 0; d < 2; d++) {
		v->sums.bytes[d] += once(news->bytes[d], news->copied_bytes[d]);
		v->sums.packets[d] += once(news->packets[d], news->copied_packets[d]);
	}
	v->sums.flows += news->live;
	if (v->q.by == BY_FLOW) {
		add_flow(v, r, news);
	} else if (v->q.by == BY_HOST && r->family) {
		add_host(v, r->src_ip, r->family, news, false);
		add_host(v, r->dst_ip, r->family, news, true);
	} else {
		add_text(v, r, news);
	}
}

/* ---- the largest ---- */

static uint64_t weight(const struct top_view *v, const struct group *g)
{
	switch (v->q.sort) {
	case SORT_RX:
		return g->bytes[1];
	case SORT_TX:
		return g->bytes[0];
	case SORT_PACKETS:
		return g->packets[0] + g->packets[1];
	case SORT_FLOWS:
		return g->flows;
	default:
		return g->bytes[0] + g->bytes[1];
	}
}

static int order(const void *a, const void *b, void *arg)
{
	const struct top_view *v = arg;
	const struct group *x = &v->groups[*(const uint32_t *)a];
	const struct group *y = &v->groups[*(const uint32_t *)b];
	const uint64_t p = weight(v, x), q = weight(v, y);
	const uint32_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
	int by_key;

	if (v->q.sort != SORT_KEY && p != q)
		return p < q ? 1 : -1;
	by_key = memcmp(v->text + x->key, v->text + y->key, n);
	return by_key ?: (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

uint32_t top_view_sort(struct top_view *v)
{
	uint32_t rows = 0;

	for (uint32_t i = 1; i < v->n; i++) {
		const struct group *g = &v->groups[i];

		if (g->flows || g->packets[0] || g->packets[1])
			v->sorted[rows++] = i;
	}
	qsort_r(v->sorted, rows, sizeof(*v->sorted), order, v);
	return rows < v->q.limit ? rows : v->q.limit;
}

const struct top_sums *top_view_sums(const struct top_view *v)
{
	return &v->sums;
}

/* ---- a row ---- */

static void put_key(struct json *j, const char *key)
{
	json_key(j, key, strlen(key));
}

static void put_rate(struct json *j, const char *key, uint64_t n, double seconds)
{
	put_key(j, key);
	json_u64(j, (uint64_t)((double)n / seconds + 0.5));
}

static void put_end(struct json *j, const char *key, const uint8_t ip[16], const struct ends *e)
{
	char text[IP_TEXT];

	put_key(j, key);
	json_open(j, '{');
	put_key(j, "ip");
	json_str(j, text, ip_text(ip, e->family, text));
	if (e->has_ports) {
		put_key(j, "port");
		json_u64(j, ip == e->src ? e->src_port : e->dst_port);
	}
	json_close(j, '}');
}

static void put_flow(struct json *j, const struct top_view *v, const struct group *g)
{
	char buf[WORD_TEXT];
	const char *word;
	struct ends e;

	memcpy(&e, v->text + g->key, sizeof(e));
	if (e.family) {
		put_end(j, "src", e.src, &e);
		put_end(j, "dst", e.dst, &e);
		word = proto_word(e.proto, buf);
		put_key(j, "proto");
		json_str(j, word, strlen(word));
	} else {
		put_key(j, "ethertype");
		json_u64(j, e.ethertype);
	}
	if (e.vlan) {
		put_key(j, "vlan");
		json_u64(j, e.vlan);
	}
	if (e.vni) {
		put_key(j, "vni");
		json_u64(j, e.vni);
	}
	if (g->state) {
		word = state_word(g->state, buf);
		put_key(j, "state");
		json_str(j, word, strlen(word));
	}
	if (g->name_len) {
		put_key(j, "name");
		json_str(j, v->text + g->name, g->name_len);
	}
}

int top_view_row(const struct top_view *v, uint32_t i, double seconds, char *buf, size_t cap)
{
	const struct group *g = &v->groups[v->sorted[i]];
	struct json j;
	size_t len = 0;
	int r;

	json_init(&j, buf, cap);
	json_open(&j, '{');
	if (v->q.by == BY_FLOW) {
		put_flow(&j, v, g);
	} else if (g->key_len) {
		put_key(&j, v->q.by_member);
		json_str(&j, v->text + g->key, g->key_len);
	}
	put_rate(&j, "rx_bps", g->bytes[1] * 8, seconds);
	put_rate(&j, "tx_bps", g->bytes[0] * 8, seconds);
	put_rate(&j, "rx_pps", g->packets[1], seconds);
	put_rate(&j, "tx_pps", g->packets[0], seconds);
	put_key(&j, "flows");
	json_u64(&j, g->flows);
	json_close(&j, '}');
	r = json_end(&j, &len);
	return r ? r : (int)len;
}
