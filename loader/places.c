// SPDX-License-Identifier: Apache-2.0
#include "loader/places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"

#define PATH_LOOK_MS 1000 /* a path that is no mount (/proc/PID/ns/net) goes without a word */

/* ---- namespaces asked for ---- */

bool places_are_elsewhere(const struct iface_want *want, unsigned int wants)
{
	for (unsigned int i = 0; i < wants; i++)
		if (strchr(want[i].name, '/'))
			return true;
	return false;
}

int places_check(const struct iface_want *want, unsigned int wants)
{
	for (unsigned int i = 0; i < wants; i++) {
		const char *name = want[i].name;

		if (strchr(name, '/') || iface_is_pattern(name) || if_nametoindex(name))
			continue;
		log_error(name, "no such interface");
		return -ENODEV;
	}
	return 0;
}

/* The label of an interface asked for; false: it is of our own namespace. */
static bool label_of(const struct iface_want *w, char ret[NETNS_LABEL_MAX])
{
	return !netns_label(w->name, ret) && ret[0];
}

static bool is_wanted(const struct places *p, const char *label)
{
	char want[NETNS_LABEL_MAX];

	for (unsigned int i = 0; i < p->own.wants; i++)
		if (label_of(&p->own.want[i], want) && !fnmatch(want, label, FNM_PATHNAME))
			return true;
	return false;
}

static struct ifaces *find(const struct places *p, const char *label)
{
	for (unsigned int i = 0; i < p->others; i++)
		if (!strcmp(p->other[i]->ns.label, label))
			return p->other[i];
	return NULL;
}

/* ---- one namespace ---- */

static void wait_for(const struct places *p, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	if (fd >= 0)
		(void)epoll_ctl(p->poll_fd, EPOLL_CTL_ADD, fd, &e);
}

/* The caller's part of it. */
static void take_wants(struct ifaces *s, const struct ifaces *own)
{
	s->want = own->want;
	s->wants = own->wants;
	s->pick = own->pick;
	s->pick_arg = own->pick_arg;
}

/* Enter, do something there, come back. */
static int inside(struct ifaces *s, int (*fn)(struct ifaces *s))
{
	int r = netns_enter(&s->ns);

	if (r)
		return r;
	r = fn(s);
	netns_leave();
	return r;
}

static int update(struct ifaces *s)
{
	ifaces_update(s);
	return 0;
}

static int end(struct ifaces *s)
{
	ifaces_end(s, "its network namespace is gone; what was counted is kept");
	return 0;
}

static int stop(struct ifaces *s)
{
	ifaces_stop(s);
	return 0;
}

static void forget(struct places *p, struct ifaces *s)
{
	for (unsigned int i = 0; i < p->others; i++)
		if (p->other[i] == s)
			p->other[i] = p->other[--p->others];
	p->own.table->netns = p->others;
	netns_close(&s->ns);
	free(s);
}

static int say_why(const char *label, int r)
{
	if (r == -EPERM)
		log_error(
			label,
			"not permitted — entering another network namespace needs root, or CAP_SYS_ADMIN "
			"beside CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
	else if (r == -ENOTUNIQ)
		log_error(label, "is the network namespace that weir runs in: its interfaces are "
				 "given by their names alone");
	else if (r == -EINVAL)
		log_error(label, "is no network namespace");
	else
		log_error(label, "no such network namespace");
	return r;
}

/* Room for one more, which is open. Takes it. NULL: it is not to be watched. */
static struct ifaces *add(struct places *p, const struct netns *ns)
{
	struct ifaces *s;

	for (unsigned int i = 0; i < p->others; i++)
		if (p->other[i]->ns.id == ns->id) {
			log_warn(ns->label, "is watched as %s already", p->other[i]->ns.label);
			return NULL;
		}
	if (p->others == PLACES_MAX) {
		if (!p->full_said)
			log_warn(ns->label, "%u network namespaces are watched, which is the limit",
				 PLACES_MAX);
		p->full_said = true;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->ns = *ns;
	s->links_fd = -1;
	s->dp = p->own.dp;
	s->table = p->own.table;
	take_wants(s, &p->own);
	p->other[p->others++] = s;
	p->own.table->netns = p->others;
	return s;
}

/* @named: it must be there. */
static int watch(struct places *p, const char *label, bool named)
{
	struct netns ns;
	struct ifaces *s;
	int r;

	if (find(p, label))
		return 0;
	r = netns_open(label, &ns);
	if (r)
		return named || r == -EPERM ? say_why(label, r) : 0;
	s = add(p, &ns);
	if (!s) {
		netns_close(&ns);
		return named ? -EBUSY : 0;
	}
	r = inside(s, ifaces_start);
	wait_for(p, s->links_fd, EPOLLIN);
	return named ? r : 0;
}

/* Those in NETNS_DIR that a pattern fits. */
static int watch_matching(struct places *p, const char *pattern)
{
	struct dirent *e;
	int r = 0;
	DIR *d = opendir(NETNS_DIR);

	while (d && r != -EPERM && (e = readdir(d)))
		if (e->d_name[0] != '.' && strlen(e->d_name) < NETNS_LABEL_MAX &&
		    !fnmatch(pattern, e->d_name, FNM_PATHNAME))
			r = watch(p, e->d_name, false);
	if (d)
		closedir(d);
	return r == -EPERM ? r : 0;
}

/* All that are asked for and there. @must: those asked for by name must be. */
static int watch_all(struct places *p, bool must)
{
	char label[NETNS_LABEL_MAX];
	int r = 0;

	for (unsigned int i = 0; !r && i < p->own.wants; i++) {
		if (!label_of(&p->own.want[i], label))
			continue;
		if (iface_is_pattern(label))
			r = watch_matching(p, label);
		else
			r = watch(p, label, must);
	}
	return r;
}

/* Let go of those whose names are gone, or that are not asked for any more. */
static void let_go(struct places *p)
{
	for (unsigned int i = p->others; i-- > 0;) {
		struct ifaces *s = p->other[i];
		uint32_t id = s->ns.id;
		bool there = netns_is_there(&s->ns);

		if (there && is_wanted(p, s->ns.label))
			continue;
		if (!there)
			log_info(s->ns.label,
				 "the network namespace is gone, %u interfaces with it", s->n);
		p->gone += !there;
		p->own.table->netns_gone = p->gone;
		(void)inside(s, end);
		forget(p, s);
		dataplane_unload(p->own.dp, id);
	}
}

/* ---- all of them ---- */

int places_start(struct places *p)
{
	int r;

	p->mounts = p->poll_fd = -1;
	p->entered = places_are_elsewhere(p->own.want, p->own.wants);
	p->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->poll_fd < 0)
		return -errno;
	r = ifaces_start(&p->own);
	wait_for(p, p->own.links_fd, EPOLLIN);
	if (r || !p->entered)
		return r;
	p->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	wait_for(p, p->mounts, EPOLLPRI);
	return watch_all(p, true);
}

int places_ms(const struct places *p)
{
	char label[NETNS_LABEL_MAX];

	for (unsigned int i = 0; i < p->own.wants; i++)
		if (label_of(&p->own.want[i], label) && label[0] == '/')
			return PATH_LOOK_MS;
	return -1;
}

void places_update(struct places *p)
{
	struct epoll_event e[16];
	int n = epoll_wait(p->poll_fd, e, 16, 0);

	for (int i = 0; i < n; i++) {
		if (e[i].data.fd == p->own.links_fd)
			ifaces_update(&p->own);
		for (unsigned int k = 0; k < p->others; k++)
			if (e[i].data.fd == p->other[k]->links_fd)
				(void)inside(p->other[k], update);
	}
	if (!p->entered)
		return;
	let_go(p);
	(void)watch_all(p, false);
}

int places_change(struct places *p)
{
	int r = ifaces_change(&p->own), inner;

	if (!p->entered) {
		if (places_are_elsewhere(p->own.want, p->own.wants))
			log_warn(NULL,
				 "other network namespaces take a restart: the capability to enter "
				 "them has been given up");
		return r;
	}
	for (unsigned int i = 0; i < p->others; i++)
		take_wants(p->other[i], &p->own);
	let_go(p);
	for (unsigned int i = 0; i < p->others; i++) {
		inner = inside(p->other[i], ifaces_change);
		r = r ?: inner;
	}
	inner = watch_all(p, true);
	return r ?: inner;
}

void places_stop(struct places *p)
{
	ifaces_stop(&p->own);
	while (p->others) {
		(void)inside(p->other[0], stop);
		forget(p, p->other[0]);
	}
	/* programs on their way through a packet end before this returns */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	if (p->mounts >= 0)
		close(p->mounts);
	if (p->poll_fd >= 0)
		close(p->poll_fd);
	p->mounts = p->poll_fd = -1;
}

unsigned int places_count(const struct places *p)
{
	unsigned int n = p->own.n;

	for (unsigned int i = 0; i < p->others; i++)
		n += p->other[i]->n;
	return n;
}

static size_t add_names(const struct ifaces *s, char *ret, size_t room, size_t n)
{
	for (unsigned int i = 0; i < s->n && n < room; i++)
		n += (size_t)snprintf(ret + n, room - n, " %s", s->at[i]->label);
	return n;
}

void places_names(const struct places *p, char *ret, size_t room)
{
	size_t n;

	ret[0] = '\0';
	n = add_names(&p->own, ret, room, 0);
	for (unsigned int i = 0; i < p->others; i++)
		n = add_names(p->other[i], ret, room, n);
}

static bool watches(const struct ifaces *s, unsigned int ifindex)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (s->at[i]->ifindex == ifindex)
			return true;
	return false;
}

bool places_watch(void *arg, uint32_t netns, unsigned int ifindex)
{
	const struct places *p = arg;

	if (!netns)
		return watches(&p->own, ifindex);
	for (unsigned int i = 0; i < p->others; i++)
		if (p->other[i]->ns.id == netns)
			return watches(p->other[i], ifindex);
	return false;
}
