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
#include "loader/capture/disk_ring.h"
#include "loader/capture/recorder_int.h"
#include "loader/dataplane.h"
#include "loader/iface_table.h"
#include "loader/sandbox.h"

#define NS_PER_S UINT64_C(1000000000)
#define STEP_MS	 20 /* how often the ring is looked at while a file is written */
#define SAY_S	 60u

/* Of one that dies soon again and again, no more are started. */
#define SOON_S	      60u
#define RESTARTS      5u
#define FIRST_WAIT_NS 50000000u /* doubled each time */

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
	struct disk_ring disk;
	struct recorder_board *board;
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
		if (w->of[i].used && w->of[i].reader)
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

/* Until the core wants it to end. Return: 0; 1: it can't go on. */
static int loop(struct work *w)
{
	struct pollfd p = {.fd = w->fd, .events = POLLIN};
	unsigned int open = 0;
	bool more = false;

	for (;;) {
		const bool busy = open || disk_ring_is_on(&w->disk);
		const int n = poll(&p, 1, more ? 0 : busy ? STEP_MS : -1);

		if (n < 0 && errno != EINTR)
			return 1;
		if (n > 0 && !hear(w))
			break;
		open = step(w, &more);
		more |= disk_ring_step(&w->disk, mono_ns());
	}
	for (unsigned int i = 0; i < RECORDER_FILES; i++)
		recording_end(&w->of[i], &w->env);
	disk_ring_stop(&w->disk);
	return 0;
}

static int record(struct work *w)
{
	if (store_mend(w->env.dir))
		log_warn("capture", "%s: files of an earlier weir can't be renamed",
			 w->env.cfg->dir);
	w->env.counts->open = 0;
	return loop(w);
}

/* ---- who looks after it ---- */

static void wait_ns(uint64_t ns)
{
	const struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S),
				    .tv_nsec = (long)(ns % NS_PER_S)};

	nanosleep(&ts, NULL);
}

/* Return: how it ended, as waitpid() has it; 0: it was told to. */
static int record_in_child(struct work *w)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(record(w));
	if (pid < 0)
		return -errno;
	__atomic_store_n(&w->board->pid, pid, __ATOMIC_RELAXED);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	__atomic_store_n(&w->board->pid, 0, __ATOMIC_RELAXED);
	return status;
}

static int look_after(struct work *w)
{
	for (unsigned int soon = 0;; soon++) {
		const uint64_t begun = mono_ns();
		const int status = record_in_child(w);

		if (!status)
			return 0;
		if (mono_ns() - begun > SOON_S * NS_PER_S)
			soon = 0;
		if (soon == RESTARTS)
			break;
		log_warn(
			"capture",
			"the process that writes packets has died (%s %d): another one takes its place",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		__atomic_fetch_add(&w->board->restarts, 1, __ATOMIC_RELAXED);
		wait_ns((uint64_t)FIRST_WAIT_NS << soon);
	}
	log_error(
		"capture",
		"the process that writes packets dies again and again: nothing is recorded any more");
	return 1;
}

/* ---- its start ---- */

/* A directory, for the group. Whose it is has been said by its owner where it was there before. */
static int open_dir(int at, const char *path, const struct recorder_cfg *cfg)
{
	const gid_t group = peer_group(cfg->group);
	uid_t uid;
	gid_t gid;
	int fd;

	sandbox_ids(&uid, &gid);
	if (group != PEER_NO_GROUP)
		gid = group;
	if (mkdirat(at, path, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && (fchown(fd, uid, gid) || fchmod(fd, 02770)))
		log_warn("capture", "%s: %s", path, strerror(errno));
	return fd;
}

enum { FD_CORE = 3, FD_DIR, FD_DISK, _FD_MAX };

/* The two directories and the core's socket are all that is open. Return: 0, -errno. */
static int keep_files(const struct recorder_cfg *cfg, int core)
{
	int dir = open_dir(AT_FDCWD, cfg->dir, cfg), disk;

	if (dir < 0)
		return dir;
	disk = open_dir(dir, DISK_DIR, cfg);
	if (disk < 0)
		return disk;
	dir = fcntl(dir, F_DUPFD, 64); /* out of the way of others on their way down */
	disk = fcntl(disk, F_DUPFD, 64);
	if (dup2(core, FD_CORE) < 0 || dup2(dir, FD_DIR) < 0 || dup2(disk, FD_DISK) < 0)
		return -errno;
	syscall(SYS_close_range, (unsigned int)_FD_MAX, ~0u, 0);
	return 0;
}

static int become_recorder(const struct recorder_start *start, int core)
{
	static struct work w;
	const int r = keep_files(start->cfg, core);
	char host[256] = "";
	sigset_t set;

	if (r) {
		log_error("capture", "%s: %s — capture.dir names another directory",
			  start->cfg->dir, strerror(-r));
		return 1;
	}
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL); /* the core says when it is time to end */
	gethostname(host, sizeof(host) - 1);
	umask(027);
	w.fd = FD_CORE;
	w.board = &start->table->recorder;
	w.env = (struct recording_env){.dir = FD_DIR,
				       .cfg = start->cfg,
				       .dp = start->dp,
				       .table = start->table,
				       .node = start->node && *start->node ? start->node : host,
				       .counts = &start->table->records};
	w.disk = (struct disk_ring){.dir = FD_DISK,
				    .board = &start->table->disk,
				    .dp = start->dp,
				    .table = start->table};
	if (sandbox_enter_files()) {
		log_error("capture", "privileges can't be given up: nothing is recorded");
		return 1;
	}
	return look_after(&w);
}

/* ---- the core's side ---- */

int recorder_start(struct recorder *r, const struct recorder_start *start)
{
	int fds[2];

	*r = (struct recorder){.fd = -1,
			       .counts = &start->table->records,
			       .board = &start->table->recorder,
			       .disk = &start->table->disk};
	r->disk->cfg = start->cfg->disk;
	r->off = !start->dp->recent  ? "it keeps no packets: capture.ring is 0"
		 : !*start->cfg->dir ? "there is no place for files: capture.dir is none"
				     : NULL;
	if (r->off)
		return 0;
	r->off = "the process that writes them has ended; the log says why";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	fflush(NULL);
	r->pid = fork();
	if (!r->pid)
		_exit(become_recorder(start, fcntl(fds[1], F_DUPFD, 64)));
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

void recorder_reload(struct recorder *r, const struct disk_cfg *disk)
{
	if (r->fd < 0)
		return;
	__atomic_store_n(&r->disk->cfg.file_bytes, disk->file_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&r->disk->cfg.file_ns, disk->file_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&r->disk->cfg.quota, disk->quota, __ATOMIC_RELAXED);
	send(r->fd, "", 1,
	     MSG_DONTWAIT | MSG_NOSIGNAL); /* look there: it may wait for nothing else */
}

void recorder_gone(struct recorder *r)
{
	log_error("capture", "%s: a restart of weir records again", r->off);
	__atomic_store_n(&r->board->pid, 0, __ATOMIC_RELAXED);
	close(r->fd);
	r->fd = -1;
	waitpid(r->pid, NULL, WNOHANG);
}

void recorder_stop(struct recorder *r)
{
	if (r->fd < 0)
		return;
	close(r->fd);
	r->fd = -1;
	waitpid(r->pid, NULL, 0);
}
