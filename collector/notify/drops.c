// SPDX-License-Identifier: Apache-2.0
#include "collector/notify/drops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/scan.h"

static const char *get(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static int family(const char *ip)
{
	return strchr(ip, ':') ? 6 : 4;
}

/* It acts, is no node's own, is a drop, and its addresses are some: what is written here goes to a shell's neighbour. */
static bool is_said(const json_t *d)
{
	const char *to = get(d, "to"), *mode = get(d, "mode");
	uint8_t ip[16];

	return !strcmp(get(d, "action"), "drop") && !*get(d, "node") &&
	       strcmp(mode, "shadow") != 0 && strcmp(mode, "canary") != 0 &&
	       !address_ip(get(d, "value"), ip) &&
	       (!*to || (!address_ip(to, ip) && family(to) == family(get(d, "value"))));
}

/* ---- keys ---- */

/* Return: false: the form has no words for it. */
static bool nft_key(const json_t *d, char key[DROP_KEY])
{
	const char *ip = get(d, "value"), *to = get(d, "to");
	const bool target = !strcmp(get(d, "scope"), "dst.ip");
	const int f = family(ip), port = (int)json_integer_value(json_object_get(d, "port"));

	if (*to)
		snprintf(key, DROP_KEY, "pair%d %.60s . %.60s", f, ip, to);
	else if (target && port)
		snprintf(key, DROP_KEY, "service%d %.60s . %d", f, ip, port);
	else
		snprintf(key, DROP_KEY, "%s%d %.60s", target ? "dst" : "src", f, ip);
	return true;
}

static bool flow_key(const json_t *d, char key[DROP_KEY])
{
	const char *ip = get(d, "value"), *to = get(d, "to");
	const bool target = !strcmp(get(d, "scope"), "dst.ip");
	const int bits = family(ip) == 6 ? 128 : 32,
		  port = (int)json_integer_value(json_object_get(d, "port"));
	char more[120] = "";

	if (*to)
		snprintf(more, sizeof(more), " destination %.60s/%d;", to, bits);
	else if (target && port)
		snprintf(more, sizeof(more), " destination-port =%d;", port);
	snprintf(key, DROP_KEY, "flow route { match { %s %.60s/%d;%s }",
		 target ? "destination" : "source", ip, bits, more);
	return true;
}

/* A route is about one address: pairs and services would take too much with them. */
static bool rtbh_key(const json_t *d, char key[DROP_KEY])
{
	const char *ip = get(d, "value");

	if (*get(d, "to") || json_integer_value(json_object_get(d, "port")))
		return false;
	snprintf(key, DROP_KEY, "route %.60s/%d", ip, family(ip) == 6 ? 128 : 32);
	return true;
}

/* ---- sets ---- */

int drops_add(struct drop_set *s, enum drop_form form, const json_t *decision, uint64_t now_us)
{
	static bool (*const keys[])(const json_t *d, char key[DROP_KEY]) = {nft_key, flow_key,
									    rtbh_key};
	struct drop_entry *more, e;

	if (scan_time_us(get(decision, "expires"), &e.until_us) || e.until_us <= now_us ||
	    !is_said(decision) || !keys[form](decision, e.key))
		return 0;
	if (s->n == s->cap) {
		more = reallocarray(s->v, s->cap ? s->cap * 2u : 64u, sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->v = more;
		s->cap = s->cap ? s->cap * 2u : 64u;
	}
	s->v[s->n++] = e;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct drop_entry *x = a, *y = b;

	return strcmp(x->key, y->key);
}

void drops_settle(struct drop_set *s, uint64_t now_us)
{
	uint32_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_key);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct drop_entry e = s->v[i];

		if (e.until_us <= now_us)
			continue;
		if (n && !strcmp(s->v[n - 1].key, e.key)) {
			if (e.until_us > s->v[n - 1].until_us)
				s->v[n - 1].until_us = e.until_us;
			continue;
		}
		s->v[n++] = e;
	}
	s->n = n;
}

void drops_done(struct drop_set *s)
{
	free(s->v);
	*s = (struct drop_set){};
}

/* ---- out ---- */

void drops_put_nft(FILE *out, const struct drop_set *s, uint64_t now_us)
{
	static const struct {
		const char *name, *type;
	} sets[] = {
		{"src4", "ipv4_addr"},
		{"src6", "ipv6_addr"},
		{"dst4", "ipv4_addr"},
		{"dst6", "ipv6_addr"},
		{"pair4", "ipv4_addr . ipv4_addr"},
		{"pair6", "ipv6_addr . ipv6_addr"},
		{"service4", "ipv4_addr . inet_service"},
		{"service6", "ipv6_addr . inet_service"},
	};

	fputs("add table inet weir\n", out);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		fprintf(out,
			"add set inet weir %s { type %s; flags timeout; }\nflush set inet weir %s\n",
			sets[i].name, sets[i].type, sets[i].name);
	for (uint32_t i = 0; i < s->n; i++) {
		const char *key = s->v[i].key;
		const int name = (int)strcspn(key, " ");

		if (s->v[i].until_us > now_us)
			fprintf(out, "add element inet weir %.*s {%s timeout %llus }\n", name, key,
				key + name,
				(unsigned long long)(s->v[i].until_us - now_us + 999999) / 1000000);
	}
}

static void put_change(FILE *out, enum drop_form form, const char *key, bool announce,
		       const struct drop_hops *hops)
{
	fprintf(out, "%s %s", announce ? "announce" : "withdraw", key);
	if (form == DROP_FLOWSPEC)
		fputs(announce ? " then { discard; } }\n" : " }\n", out);
	else /* RFC 7999: BLACKHOLE */
		fprintf(out, " next-hop %s%s\n", strchr(key, ':') ? hops->v6 : hops->v4,
			announce ? " community [65535:666]" : "");
}

void drops_put_changes(FILE *out, enum drop_form form, const struct drop_set *was,
		       const struct drop_set *now, const struct drop_hops *hops)
{
	uint32_t a = 0, b = 0;

	while (a < was->n || b < now->n) {
		const int order = a == was->n	? 1
				  : b == now->n ? -1
						: strcmp(was->v[a].key, now->v[b].key);

		if (order < 0)
			put_change(out, form, was->v[a].key, false, hops);
		else if (order > 0)
			put_change(out, form, now->v[b].key, true, hops);
		a += order <= 0;
		b += order >= 0;
	}
}
