// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/peer.h"
#include "loader/capture/recorder_int.h"
#include "loader/dataplane.h"
#include "loader/iface_table.h"
#include "loader/sandbox.h"

#define NS_PER_S UINT64_C(1000000000)
#define STEP_MS	 20 /* how often the ring is looked at while a file is written */
#define SAY_S	 60u

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- the process ---- */

struct work {
	int fd; /* from the core */
	struct recording_env env;
	struct recording of[RECORDER_FILES];
};

static bool same(const struct record_order *a, const struct record_order *b)
{
	return a->slot == b->slot && a->ends == b->ends && !memcmp(a->rule, b->rule, 16) &&
	       !memcmp(a->addr, b->addr, sizeof(a->addr));
}

/* Bytes that files being written may still grow to. */
static uint64_t held(const struct work *w)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < RECORDER_FILES; i++)
		if (w->of[i].used && w->of[i].buf)
			sum += w->of[i].order.max_bytes;
	return sum;
}

static void go_on(struct work *w, struct recording *c, const struct record_order *o)
{
	const uint64_t longest = c->order.fired_ns + RECORDER_LONGEST_S * NS_PER_S;
	const uint64_t end = o->fired_ns + o->post_s * NS_PER_S;

	w->env.counts->again++;
	if (end > c->end_ns)
		c->end_ns = end < longest ? end : longest;
}

static void begin(struct work *w, struct recording *c, struct record_order *o)
{
	struct record_counts *n = w->env.counts;
	int r;

	if (o->max_bytes > w->env.cfg->quota)
		o->max_bytes = w->env.cfg->quota;
	r = store_room(w->env.dir, w->env.cfg->quota, held(w), o->max_bytes, &n->removed);
	if (r == -ENOSPC) {
		n->full++;
		return;
	}
	r = r ?: recording_begin(c, &w->env, o);
	if (!r)
		return;
	n->failed++;
	log_error("capture", "no file for the rule '%.63s' in %s: %s", o->name, w->env.cfg->dir,
		  strerror(-r));
}

static void take(struct work *w, struct record_order *o)
{
	struct recording *empty = NULL;

	o->name[sizeof(o->name) - 1] = o->origin[sizeof(o->origin) - 1] = '\0';
	for (unsigned int i = 0; i < RECORDER_FILES; i++) {
		if (w->of[i].used && same(&w->of[i].order, o)) {
			go_on(w, &w->of[i], o);
			return;
		}
		if (!w->of[i].used && !empty)
			empty = &w->of[i];
	}
	if (empty)
		begin(w, empty, o);
	else
		w->env.counts->busy++;
}

/* False: the core is gone, or wants us to end. */
static bool hear(struct work *w)
{
	struct record_order o;

	for (unsigned int i = 0; i < 64; i++) {
		const ssize_t n = recv(w->fd, &o, sizeof(o), MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (!n)
			return false;
		if (n == sizeof(o))
			take(w, &o);
	}
	return true;
}

static unsigned int step(struct work *w, bool *ret_more)
{
	unsigned int open = 0;

	*ret_more = false;
	for (unsigned int i = 0; i < RECORDER_FILES; i++) {
		if (w->of[i].used)
			*ret_more |= recording_step(&w->of[i], &w->env, mono_ns());
		open += w->of[i].used;
	}
	w->env.counts->open = open;
	return open;
}

static int loop(struct work *w)
{
	struct pollfd p = {.fd = w->fd, .events = POLLIN};
	unsigned int open = 0;
	bool more = false;

	for (;;) {
		const int n = poll(&p, 1, more ? 0 : open ? STEP_MS : -1);

		if (n < 0 && errno != EINTR)
			return 1;
		if (n > 0 && !hear(w))
			break;
		open = step(w, &more);
	}
	for (unsigned int i = 0; i < RECORDER_FILES; i++)
		recording_end(&w->of[i], &w->env);
	return 0;
}

/* ---- its start ---- */

/* The directory, for the group. Whose it is has been said by its owner where it was there before. */
static int open_dir(const struct recorder_cfg *cfg)
{
	const gid_t group = peer_group(cfg->group);
	uid_t uid;
	gid_t gid;
	int fd;

	sandbox_ids(&uid, &gid);
	if (group != PEER_NO_GROUP)
		gid = group;
	if (mkdir(cfg->dir, 0700) && errno != EEXIST)
		return -errno;
	fd = open(cfg->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && (fchown(fd, uid, gid) || fchmod(fd, 02770)))
		log_warn("capture", "%s: %s", cfg->dir, strerror(errno));
	return fd;
}

static int become_recorder(const struct recorder_start *start, struct record_counts *counts, int fd)
{
	static struct work w;
	const int made = open_dir(start->cfg);
	const int dir = made < 0 ? made : fcntl(made, F_DUPFD, 64);
	char host[256] = "";
	sigset_t set;

	if (dir < 0) {
		log_error("capture", "%s: %s — capture.dir names another directory",
			  start->cfg->dir, strerror(-dir));
		return 1;
	}
	if (dup2(fd, 3) < 0 || dup2(dir, 4) < 0)
		return 1;
	syscall(SYS_close_range, 5u, ~0u, 0);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL); /* the core says when it is time to end */
	gethostname(host, sizeof(host) - 1);
	umask(027);
	w.fd = 3;
	w.env = (struct recording_env){.dir = 4,
				       .cfg = start->cfg,
				       .dp = start->dp,
				       .table = start->table,
				       .node = start->node && *start->node ? start->node : host,
				       .counts = counts};
	if (sandbox_enter_files()) {
		log_error("capture", "privileges can't be given up: nothing is recorded");
		return 1;
	}
	if (store_mend(w.env.dir))
		log_warn("capture", "%s: files of an earlier weir can't be renamed",
			 start->cfg->dir);
	return loop(&w);
}

/* ---- the core's side ---- */

int recorder_start(struct recorder *r, const struct recorder_start *start)
{
	int fds[2];

	*r = (struct recorder){.fd = -1, .counts = &start->table->records};
	r->off = !start->dp->recent  ? "it keeps no packets: capture.ring is 0"
		 : !*start->cfg->dir ? "there is no place for files: capture.dir is none"
				     : NULL;
	if (r->off)
		return 0;
	r->off = "the process that writes them has ended";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	fflush(NULL);
	r->pid = fork();
	if (!r->pid)
		_exit(become_recorder(start, r->counts, fcntl(fds[1], F_DUPFD, 64)));
	close(fds[1]);
	r->fd = fds[0];
	return r->pid < 0 ? -errno : 0;
}

bool recorder_order(struct recorder *r, const struct record_order *o)
{
	const uint64_t now = mono_ns() / NS_PER_S;

	if (r->fd >= 0 && send(r->fd, o, sizeof(*o), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(*o))
		return true;
	if (r->fd >= 0 && errno == EAGAIN) {
		__atomic_fetch_add(&r->counts->busy, 1, __ATOMIC_RELAXED);
		return false;
	}
	if (r->counts)
		r->counts->off++;
	if (now >= r->said_s) {
		r->said_s = now + SAY_S;
		log_warn("capture", "the rule '%.63s' asks for packets: %s", o->name,
			 r->off ?: "nothing records");
	}
	return false;
}

void recorder_stop(struct recorder *r)
{
	if (r->fd < 0)
		return;
	close(r->fd);
	r->fd = -1;
	waitpid(r->pid, NULL, 0);
}
