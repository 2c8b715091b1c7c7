// SPDX-License-Identifier: Apache-2.0
#include "loader/ifaces.h"
#include "loader/mirror/net.h"
#include "loader/nic.h"
#include "common/log.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DUMP_MS 5000 /* the kernel answers at once */

bool iface_is_pattern(const char *name)
{
	return strpbrk(name, "*?[") != NULL;
}

/* What an interface is called everywhere. */
static void label_of(const struct ifaces *s, const char *ifname, char ret[IFACE_NAME_MAX])
{
	snprintf(ret, IFACE_NAME_MAX, "%s%s%s", s->ns.label, s->ns.label[0] ? "/" : "", ifname);
}

/* Is that of our network namespace? */
static bool is_here(const struct ifaces *s, const char *name)
{
	char label[NETNS_LABEL_MAX];

	return !netns_label(name, label) && !strcmp(label, s->ns.label);
}

static const struct iface_want *want_of_name(const struct ifaces *s, const char *name)
{
	for (unsigned int i = 0; i < s->wants; i++)
		if (!strcmp(s->want[i].name, name))
			return &s->want[i];
	return NULL;
}

/* Is it to be watched, and how? Names go before patterns. */
static bool wanted(const struct ifaces *s, const char *ifname, bool loopback,
		   struct iface_want *ret)
{
	char name[IFACE_NAME_MAX];
	const struct iface_want *w;

	label_of(s, ifname, name);
	w = want_of_name(s, name);

	if (w)
		*ret = *w;
	if (w || loopback || mirror_is_pair(ifname))
		return w != NULL;
	if (s->pick)
		return s->pick(s->pick_arg, name, ret);
	for (unsigned int i = 0; i < s->wants; i++) {
		if (!iface_is_pattern(s->want[i].name) ||
		    fnmatch(s->want[i].name, name, FNM_PATHNAME))
			continue;
		*ret = s->want[i];
		return true;
	}
	return false;
}

static struct attachment *attachment_of(const struct ifaces *s, unsigned int ifindex)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (s->at[i]->ifindex == ifindex)
			return s->at[i];
	return NULL;
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static const char *ingress_mode(const struct attachment *a)
{
	if (a->xdp)
		return a->hook == HOOK_MODE_GENERIC ? "generic XDP" : "native XDP";
	return a->tcx ? "TCX" : "TC clsact";
}

static void put_row(struct ifaces *s, const struct attachment *a, bool attached)
{
	struct iface_row row = {.ifindex = a->ifindex,
				.since_ns = wall_ns(),
				.netns = a->v.netns,
				.attached = attached,
				.role = (uint8_t)a->v.role};

	memcpy(row.name, a->label, sizeof(row.name));
	snprintf(row.mode, sizeof(row.mode), "%s + %s", ingress_mode(a),
		 a->tcx ? "TCX" : "TC clsact");
	iface_table_put(s->table, &row);
}

static struct attachment *attachment_new(struct ifaces *s)
{
	struct attachment *a;

	if (s->n == IFACES_MAX) {
		if (!s->full_said)
			log_warn(NULL,
				 "%u interfaces are watched, which is the limit; others are "
				 "passed over",
				 IFACES_MAX);
		s->full_said = true;
		return NULL;
	}
	if (s->n == s->cap) {
		unsigned int cap = s->cap ? 2 * s->cap : 16;
		struct attachment **at = reallocarray(s->at, cap, sizeof(struct attachment *));

		if (!at)
			return NULL;
		s->at = at;
		s->cap = cap;
	}
	a = calloc(1, sizeof(*a));
	if (a)
		s->at[s->n++] = a;
	return a;
}

/* @keep: programs that are pinned stay. */
static void attachment_free(struct ifaces *s, struct attachment *a, bool keep)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (s->at[i] == a)
			s->at[i] = s->at[--s->n];
	if (keep)
		attach_done(a);
	else
		attach_drop(a);
	free(a);
}

static void let_go(struct ifaces *s, struct attachment *a, const char *why)
{
	log_info(a->label, "%s", why);
	put_row(s, a, false);
	attachment_free(s, a, false);
}

static bool was_refused(const struct ifaces *s, const struct link_event *e)
{
	for (unsigned int i = 0; i < IFACES_REFUSED; i++)
		if (s->refused[i].ifindex == e->ifindex && !strcmp(s->refused[i].name, e->name))
			return true;
	return false;
}

static void note_refused(struct ifaces *s, const struct link_event *e)
{
	struct iface_refused *r = &s->refused[s->next_refused++ % IFACES_REFUSED];

	r->ifindex = e->ifindex;
	memcpy(r->name, e->name, sizeof(r->name));
}

static int load_and_attach(struct ifaces *s, struct attachment *a)
{
	int r = dataplane_load(s->dp, &s->dp->cfg, &a->v);

	if (!r)
		return attach_interface(a, s->dp, a->hook);
	snprintf(a->error, sizeof(a->error), "%s: load programs for it: %s", a->label,
		 strerror(-r));
	return r;
}

static void attach_to(struct ifaces *s, const struct link_event *e, const struct iface_want *w)
{
	struct attachment *a = attachment_new(s);
	bool by_name;
	int r;

	if (!a)
		return;
	memcpy(a->ifname, e->name, sizeof(a->ifname));
	label_of(s, a->ifname, a->label);
	by_name = want_of_name(s, a->label) != NULL;
	a->v = (struct dataplane_variant){.role = w->role,
					  .netns = s->ns.id,
					  .sample = w->sample,
					  .decap_depth = w->decap_depth,
					  .veth = nic_is_veth(a->ifname)};
	a->hook = w->hook;
	a->ifindex = e->ifindex;
	a->type = e->type;
	a->round = s->round;
	r = load_and_attach(s, a);
	if (r) {
		/* it may be gone again already, which is nobody's fault */
		if (r != -ENODEV || by_name)
			log_error(NULL, "%s", a->error);
		if (!s->error && by_name)
			s->error = r;
		note_refused(s, e);
		free(a);
		s->n--; /* it was the last */
		return;
	}
	put_row(s, a, true);
	s->appeared++;
	if (a->v.sample > 1 && s->dp->cfg.policy_entries)
		log_warn(a->label,
			 "sampled: packets that are passed over would have no verdict, so no "
			 "policy is enforced here");
	log_info(a->label, "%s (ingress) + %s (egress), %u flows [%s]", ingress_mode(a),
		 a->tcx ? "TCX" : "TC clsact", s->dp->cfg.flows, a->why);
}

/* An interface under another name: it may be somebody else's business now. */
static void renamed(struct ifaces *s, struct attachment *a, const struct link_event *e)
{
	char was[IFACE_NAME_MAX];
	struct iface_want w;

	memcpy(was, a->label, sizeof(was));
	if (!wanted(s, e->name, e->loopback, &w)) {
		log_warn(NULL, "%s is called %s now, which was not asked for", was, e->name);
		let_go(s, a, "detached");
		return;
	}
	memcpy(a->ifname, e->name, sizeof(a->ifname));
	label_of(s, a->ifname, a->label);
	put_row(s, a, true);
	log_info(a->label, "was %s", was);
}

static void on_link(void *arg, const struct link_event *e)
{
	struct ifaces *s = arg;
	struct attachment *a;
	struct iface_want w;

	if (e->what == LINK_DUMPED) {
		s->dumped = true;
		return;
	}
	a = attachment_of(s, e->ifindex);
	if (e->what == LINK_GONE) {
		if (a)
			let_go(s, a, "gone; what was counted on it is kept");
		return;
	}
	if (a) {
		a->round = s->round;
		if (strcmp(a->ifname, e->name))
			renamed(s, a, e);
		return;
	}
	if (wanted(s, e->name, e->loopback, &w) && !was_refused(s, e))
		attach_to(s, e, &w);
}

/* What a complete answer did not mention went unheard. */
static void sweep(struct ifaces *s)
{
	for (unsigned int i = s->n; i-- > 0;)
		if (s->at[i]->round != s->round)
			let_go(s, s->at[i], "gone; what was counted on it is kept");
}

/* Ask for all links, and act on the answer. */
static int look_at_all(struct ifaces *s)
{
	struct pollfd p = {.fd = s->links_fd, .events = POLLIN};
	int r;

	for (int tries = 0; tries < 10; tries++) {
		s->round++;
		s->dumped = false;
		r = links_ask(s->links_fd);
		if (r)
			return r;
		while (!r && !s->dumped && poll(&p, 1, DUMP_MS) > 0)
			r = links_read(s->links_fd, on_link, s);
		if (!r && s->dumped) {
			sweep(s);
			return 0;
		}
		if (r && r != -ENOBUFS)
			return r;
	}
	return -EAGAIN;
}

static bool is_attached(const struct ifaces *s, const char *name)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (!strcmp(s->at[i]->label, name))
			return true;
	return false;
}

/* After look_at_all(): 0, or why a name has no programs. */
static int names_missing(struct ifaces *s)
{
	for (unsigned int i = 0; i < s->wants; i++) {
		const char *name = s->want[i].name;

		if (!is_here(s, name) || iface_is_pattern(name) || is_attached(s, name))
			continue;
		if (!s->error) {
			log_error(name, "no such interface");
			s->error = -ENODEV;
		}
		return s->error;
	}
	return 0;
}

static bool any_here(const struct ifaces *s)
{
	for (unsigned int i = 0; i < s->wants; i++)
		if (is_here(s, s->want[i].name))
			return true;
	return s->ns.label[0] != '\0';
}

int ifaces_start(struct ifaces *s)
{
	int r;

	s->links_fd = links_open();
	if (s->links_fd < 0)
		return s->links_fd;
	r = look_at_all(s);
	if (r) {
		log_error(NULL, "the list of interfaces: %s", strerror(-r));
		return r;
	}
	r = names_missing(s);
	if (!r && !s->n && (s->wants == 0 || any_here(s)))
		log_info(s->ns.label[0] ? s->ns.label : NULL, "no interface matches yet");
	return r;
}

void ifaces_update(struct ifaces *s)
{
	int r = links_read(s->links_fd, on_link, s);

	if (r == -ENOBUFS)
		r = look_at_all(s);
	if (r)
		log_warn(NULL, "news of interfaces: %s", strerror(-r));
}

int ifaces_change(struct ifaces *s)
{
	int r;

	for (unsigned int i = s->n; i-- > 0;) {
		struct attachment *a = s->at[i];
		struct iface_want w;

		if (!wanted(s, a->ifname, a->type == ARPHRD_LOOPBACK, &w))
			let_go(s, a, "detached");
		else if (w.role != a->v.role || w.hook != a->hook || w.sample != a->v.sample ||
			 w.decap_depth != a->v.decap_depth)
			let_go(s, a, "detached, to be attached in another way");
	}
	s->error = 0;
	memset(s->refused, 0, sizeof(s->refused)); /* once more */
	r = look_at_all(s);
	return r ?: names_missing(s);
}

static void close_all(struct ifaces *s)
{
	free(s->at);
	s->at = NULL;
	s->cap = 0;
	if (s->links_fd >= 0)
		close(s->links_fd);
	s->links_fd = -1;
}

void ifaces_end(struct ifaces *s, const char *why)
{
	while (s->n)
		let_go(s, s->at[s->n - 1], why);
	close_all(s);
}

void ifaces_stop(struct ifaces *s)
{
	while (s->n) {
		put_row(s, s->at[s->n - 1], false);
		attachment_free(s, s->at[s->n - 1], true);
	}
	close_all(s);
}
