// SPDX-License-Identifier: Apache-2.0
/*
 * guard_node.c - what this node needs to stay alive: its addresses and gateways (rtnetlink), resolvers,
 * the targets of its exports, the metadata service of its cloud, and who administers it now (sock_diag).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/policy/guard.h"
#include "weir/policy_map.h"

#define TCP_ESTABLISHED_BIT (1u << 1) /* enum of net/tcp_states.h */
#define RESOLV_CONF	    "/etc/resolv.conf"
#define RESOLV_BYTES	    65536

static void from_family(int family, const void *bytes, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (family == AF_INET) {
		addr[10] = addr[11] = 0xff;
		memcpy(addr + 12, bytes, 4);
	} else {
		memcpy(addr, bytes, 16);
	}
}

/* ---- answers of the kernel ---- */

static void address(const struct nlmsghdr *h, node_fn *fn, void *arg)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	const struct rtattr *a = IFA_RTA(m), *local = NULL;
	int left = (int)IFA_PAYLOAD(h);
	uint8_t addr[16];

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFA_LOCAL || (a->rta_type == IFA_ADDRESS && !local))
			local = a;
	if (!local || RTA_PAYLOAD(local) < (m->ifa_family == AF_INET ? 4u : 16u))
		return;
	from_family(m->ifa_family, RTA_DATA(local), addr);
	fn(arg, NODE_ADDRESS, addr);
}

static void route(const struct nlmsghdr *h, node_fn *fn, void *arg)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	const struct rtattr *a = RTM_RTA(m);
	int left = (int)RTM_PAYLOAD(h);
	uint8_t addr[16];

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || m->rtm_type != RTN_UNICAST)
		return;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type != RTA_GATEWAY ||
		    RTA_PAYLOAD(a) < (m->rtm_family == AF_INET ? 4u : 16u))
			continue;
		from_family(m->rtm_family, RTA_DATA(a), addr);
		fn(arg, NODE_GATEWAY, addr);
	}
}

static const struct nlmsghdr *next_message(const void *buf, size_t len, size_t *pos)
{
	const struct nlmsghdr *h = (const void *)((const char *)buf + *pos);

	if (*pos + sizeof(*h) > len || h->nlmsg_len < sizeof(*h) || h->nlmsg_len > len - *pos)
		return NULL;
	*pos += NLMSG_ALIGN(h->nlmsg_len);
	return h;
}

bool node_parse(const void *buf, size_t len, node_fn *fn, void *arg)
{
	const struct nlmsghdr *h;
	size_t pos = 0;

	while ((h = next_message(buf, len, &pos))) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return true;
		if (h->nlmsg_type == RTM_NEWADDR)
			address(h, fn, arg);
		else if (h->nlmsg_type == RTM_NEWROUTE)
			route(h, fn, arg);
	}
	return false;
}

static bool is_failsafe(uint16_t port)
{
	for (unsigned int i = 0; i < guard_failsafe_n; i++)
		if (guard_failsafe[i] == POLICY_FAILSAFE(IPPROTO_TCP, port, 0))
			return true;
	return false;
}

bool sessions_parse(const void *buf, size_t len, node_fn *fn, void *arg)
{
	const struct nlmsghdr *h;
	uint8_t addr[16], port[2];
	size_t pos = 0;

	while ((h = next_message(buf, len, &pos))) {
		const struct inet_diag_msg *m = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return true;
		if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
			continue;
		memcpy(port, &m->id.idiag_sport, sizeof(port));
		if (!is_failsafe((uint16_t)(port[0] << 8 | port[1])))
			continue;
		from_family(m->idiag_family, &m->id.idiag_dst, addr);
		fn(arg, NODE_ADDRESS, addr);
	}
	return false;
}

typedef bool parse_fn(const void *buf, size_t len, node_fn *fn, void *arg);

struct question {
	int protocol;
	const void *request;
	size_t len;
	parse_fn *parse;
};

/* What the kernel says instead of an answer: 0 or -errno. */
static int refusal(const void *buf, size_t len)
{
	size_t pos = 0;
	const struct nlmsghdr *h = next_message(buf, len, &pos);
	const struct nlmsgerr *e = h ? NLMSG_DATA(h) : NULL;

	return e && h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*e))
		       ? e->error
		       : 0;
}

/* Ask, and read the answer to its end; what does not come within a moment is done without. 0 or -errno. */
static int ask_kernel(const struct question *q, node_fn *fn, void *arg)
{
	static _Alignas(struct nlmsghdr) char buf[64 * 1024];
	const struct timeval patience = {.tv_usec = 200000};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, q->protocol), r = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    send(fd, q->request, q->len, 0) != (ssize_t)q->len) {
		r = -errno;
		close(fd);
		return r;
	}
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		r = r ?: refusal(buf, (size_t)n);
		if (q->parse(buf, (size_t)n, fn, arg))
			break;
	}
	if (n < 0)
		r = -errno;
	close(fd);
	return r;
}

static void ask_routes(int type, node_fn *fn, void *arg)
{
	const struct {
		struct nlmsghdr h;
		struct rtgenmsg m;
	} request = {
		.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
		      .nlmsg_type = (uint16_t)type,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.m = {.rtgen_family = AF_UNSPEC},
	};
	const struct question q = {NETLINK_ROUTE, &request, sizeof(request), node_parse};

	ask_kernel(&q, fn, arg);
}

static void ask_sessions(uint8_t family, node_fn *fn, void *arg)
{
	const struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 m;
	} request = {
		.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct inet_diag_req_v2)),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.m = {.sdiag_family = family,
		      .sdiag_protocol = IPPROTO_TCP,
		      .idiag_states = TCP_ESTABLISHED_BIT},
	};
	const struct question q = {NETLINK_SOCK_DIAG, &request, sizeof(request), sessions_parse};
	static bool said;
	const int r = ask_kernel(&q, fn, arg);

	if (!r || said)
		return;
	said = true;
	log_warn(
		"policy",
		"who has a session here can't be read (%s; the module tcp_diag does that): nobody is "
		"kept from being blocked for it, put administrators into policy.admin",
		strerror(-r));
}

/* ---- resolvers ---- */

void resolvers_parse(const char *text, size_t len, node_fn *fn, void *arg)
{
	static const char word[] = "nameserver";
	const char *at = text, *end = text + len;
	uint8_t bytes[16], addr[16];
	char ip[64];

	while (at < end) {
		const char *nl = memchr(at, '\n', (size_t)(end - at)), *stop = nl ?: end;
		size_t n = 0;

		if ((size_t)(stop - at) > sizeof(word) && !memcmp(at, word, sizeof(word) - 1)) {
			const char *s = at + sizeof(word) - 1;

			while (s < stop && (*s == ' ' || *s == '\t'))
				s++;
			while (s + n < stop && n < sizeof(ip) - 1 && !strchr(" \t\r%#;", s[n]))
				n++;
			memcpy(ip, s, n);
			ip[n] = '\0';
			for (int family = AF_INET;; family = AF_INET6) {
				if (inet_pton(family, ip, bytes) == 1) {
					from_family(family, bytes, addr);
					fn(arg, NODE_ADDRESS, addr);
				}
				if (family == AF_INET6)
					break;
			}
		}
		at = nl ? nl + 1 : end;
	}
}

static void read_resolvers(node_fn *fn, void *arg)
{
	static char text[RESOLV_BYTES];
	int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));

	if (n > 0)
		resolvers_parse(text, (size_t)n, fn, arg);
	if (fd >= 0)
		close(fd);
}

/* ---- gathering ---- */

struct gather {
	struct guard *g;
	struct policy_draft *d;
	enum guard_why why;
	uint32_t left; /* how many more of this kind */
};

static bool is_loopback(const uint8_t addr[16])
{
	static const uint8_t one[16] = {[15] = 1};

	return !memcmp(addr, one, 16) || (addr[10] == 0xff && addr[11] == 0xff && addr[12] == 127);
}

static void add_prefix(struct gather *w, const uint8_t addr[16], uint8_t bits)
{
	struct policy_addr a = {.bits = bits, .role = ROLE_EITHER, .rule = w->why + 1u};
	const struct policy_addr *have = (const void *)w->d->of[POLICY_ADDR].at;

	memcpy(a.addr, addr, sizeof(a.addr));
	for (uint32_t i = 0; i < w->d->of[POLICY_ADDR].n; i++)
		if (!memcmp(&have[i], &a, sizeof(a)))
			return;
	if (w->left && !policy_add(w->d, POLICY_ADDR, &a))
		w->left--;
}

static void add_never(void *arg, enum node_what what, const uint8_t addr[16])
{
	static const uint8_t none[16];

	(void)what;
	if (!is_loopback(addr) && memcmp(addr, none, 16) != 0)
		add_prefix(arg, addr, 128);
}

static void add_own(void *arg, enum node_what what, const uint8_t addr[16])
{
	struct guard *g = ((struct gather *)arg)->g;

	if (what != NODE_ADDRESS || is_loopback(addr) || g->n_own == GUARD_NODE_MAX)
		return;
	memcpy(g->own[g->n_own].addr, addr, 16);
	g->own[g->n_own++].bits = 128;
}

static void add_gateway(void *arg, enum node_what what, const uint8_t addr[16])
{
	if (what == NODE_GATEWAY)
		add_never(arg, what, addr);
}

static void add_targets(struct gather *w)
{
	for (unsigned int i = 0; i < w->g->n_exports; i++) {
		uint8_t bytes[16], addr[16];

		for (int k = 0; k < 2; k++) {
			const int family = k ? AF_INET6 : AF_INET;

			if (inet_pton(family, w->g->exports[i].host, bytes) != 1)
				continue;
			from_family(family, bytes, addr);
			add_never(w, NODE_ADDRESS, addr);
		}
	}
}

static void add_metadata(struct gather *w)
{
	static const uint8_t v4[16] = {[10] = 0xff, 0xff, 169, 254, 169, 254};
	static const uint8_t v6[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54};

	add_never(w, NODE_ADDRESS, v4);
	add_never(w, NODE_ADDRESS, v6);
}

static void add_configured(struct gather *w, const struct guard_prefixes *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		add_prefix(w, p->v[i].addr, p->v[i].bits);
}

/* Sessions are taken down when a policy comes; between, those of before stay. */
static void keep_sessions(struct gather *w)
{
	const struct policy_addr *have = (const void *)w->g->never.of[POLICY_ADDR].at;

	for (uint32_t i = 0; i < w->g->never.of[POLICY_ADDR].n; i++)
		if (have[i].rule == GUARD_SESSION + 1)
			add_prefix(w, have[i].addr, have[i].bits);
}

static struct gather *of_kind(struct gather *w, enum guard_why why, uint32_t most)
{
	w->why = why;
	w->left = most;
	return w;
}

static void add_rules(struct policy_draft *d)
{
	for (unsigned int i = 0; i < _GUARD_MAX; i++) {
		struct policy_rule r = {
			.number = i + 1,
			.action = POLICY_NEVER,
			.flags = i >= GUARD_ADMIN ? RULE_FAILSAFE : 0,
			.direction = DIR_BOTH,
			.key = RULE_BY_ADDR,
			.id = {'g', 'u', 'a', 'r', 'd', (uint8_t)i},
		};

		snprintf((char *)r.name, sizeof(r.name), "%s", guard_names[i]);
		snprintf((char *)r.origin, sizeof(r.origin), "guard:%s", guard_names[i]);
		policy_add(d, POLICY_RULE, &r);
	}
}

static bool same(const struct policy_draft *a, const struct policy_draft *b)
{
	const struct policy_array *x = &a->of[POLICY_ADDR], *y = &b->of[POLICY_ADDR];

	return x->n == y->n && a->of[POLICY_RULE].n == b->of[POLICY_RULE].n &&
	       (!x->n || !memcmp(x->at, y->at, x->n * sizeof(struct policy_addr)));
}

bool guard_read_node(struct guard *g, bool sessions)
{
	struct policy_draft d = {};
	struct gather w = {.g = g, .d = &d};
	bool changed;

	g->n_own = 0;
	ask_routes(RTM_GETADDR, add_own, &w);
	add_rules(&d);
	ask_routes(RTM_GETROUTE, add_gateway, of_kind(&w, GUARD_GATEWAY, 256));
	read_resolvers(add_never, of_kind(&w, GUARD_RESOLVER, 16));
	add_targets(of_kind(&w, GUARD_TARGET, EXPORTS_MAX * 2));
	add_metadata(of_kind(&w, GUARD_METADATA, 2));
	add_configured(of_kind(&w, GUARD_CONFIGURED, GUARD_PREFIXES_MAX), &g->cfg->never);
	add_configured(of_kind(&w, GUARD_ADMIN, GUARD_PREFIXES_MAX), &g->cfg->admin);
	of_kind(&w, GUARD_SESSION, GUARD_SESSIONS_MAX);
	if (!sessions) {
		keep_sessions(&w);
	} else if (g->cfg->admin_sessions) {
		ask_sessions(AF_INET, add_never, &w);
		ask_sessions(AF_INET6, add_never, &w);
	}
	changed = !same(&d, &g->never);
	policy_draft_done(&g->never);
	g->never = d;
	return changed;
}

void guard_done(struct guard *g)
{
	policy_draft_done(&g->never);
}
