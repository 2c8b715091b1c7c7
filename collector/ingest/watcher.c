// SPDX-License-Identifier: Apache-2.0
/*
 * watcher.c - the thread that may wait for a disk: it writes the file of templates when receiving
 * threads hand them over, and reads the flow logs that appear in watched directories.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/ingest/ingest_int.h"
#include "collector/ingest/reader.h"

#define TICK_MS	  500
#define STATE_MAX (64u << 20)
#define FLUSH_US  1000000

struct watcher {
	struct ingest *g;
	pthread_t thread;
	bool running;
	int stop, inotify;
	int *wd; /* per listener; -1: no directory */
	struct decoder *d;
	struct saved *last[UDP_THREADS_MAX]; /* what each thread handed over last */
};

/* ---- the file of templates ---- */

struct saved *saved_read(const char *path, int *ret_error)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct saved *s = NULL;
	struct stat st;
	ssize_t n;

	*ret_error = fd >= 0 || errno == ENOENT ? 0 : -errno;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st))
		*ret_error = -errno;
	else if (st.st_size <= (off_t)STATE_MAX)
		s = malloc(sizeof(*s) + (size_t)st.st_size);
	if (s) {
		n = read(fd, s->p, (size_t)st.st_size);
		*ret_error = n < 0 ? -errno : 0;
		s->len = n < 0 ? 0 : (size_t)n;
	}
	close(fd);
	return s;
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		const ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int saved_write(const char *path, struct saved *const *parts, uint32_t n)
{
	char tmp[4096];
	int fd, r = 0;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	for (uint32_t i = 0; i < n && !r; i++)
		if (parts[i])
			r = write_all(fd, parts[i]->p, parts[i]->len);
	if (!r && fsync(fd))
		r = -errno;
	close(fd);
	if (!r && rename(tmp, path))
		r = -errno;
	if (r)
		unlink(tmp);
	return r;
}

static void save(struct watcher *w)
{
	bool news = false;

	for (unsigned int i = 0; i < UDP_THREADS_MAX; i++) {
		struct saved *s = __atomic_exchange_n(&w->g->saved[i], NULL, __ATOMIC_ACQ_REL);

		if (!s)
			continue;
		free(w->last[i]);
		w->last[i] = s;
		news = true;
	}
	/* what fails now is tried with the next change: a lost file costs templates sent again */
	if (news)
		(void)saved_write(w->g->state, w->last, UDP_THREADS_MAX);
}

/* ---- directories ---- */

static bool wanted(const char *name)
{
	const size_t n = strlen(name);

	/* half-written ones, by the usual names */
	return *name != '.' && !(n > 4 && !strcmp(name + n - 4, ".tmp")) &&
	       !(n > 5 && !strcmp(name + n - 5, ".part"));
}

static void read_one(struct watcher *w, struct listener *l, const char *name)
{
	char path[4096];
	struct ingest_file counts = {};

	if (!wanted(name) ||
	    snprintf(path, sizeof(path), "%s/%s", l->cfg.dir, name) >= (int)sizeof(path))
		return;
	/* malformed: counted against the log's exporter */
	(void)reader_log(w->d, path, &counts);
	add_atomic(&l->octets[0], counts.octets);
	add_atomic(&l->files, 1);
}

static struct listener *listener_of(struct watcher *w, int wd)
{
	for (uint32_t i = 0; i < w->g->cfg.listeners_n; i++)
		if (w->wd[i] == wd)
			return &w->g->l[i];
	return NULL;
}

static void take_events(struct watcher *w)
{
	union {
		struct inotify_event align;
		char p[16384];
	} buf;
	const ssize_t n = read(w->inotify, &buf, sizeof(buf));

	for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
		const struct inotify_event *e = (const void *)(buf.p + at);
		struct listener *l = listener_of(w, e->wd);

		if (l && e->len && !(e->mask & IN_ISDIR))
			read_one(w, l, e->name);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
}

/* What is there when it starts. */
static void read_dir(struct watcher *w, struct listener *l)
{
	struct dirent **list;
	const int n = scandir(l->cfg.dir, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (list[i]->d_type == DT_REG || list[i]->d_type == DT_UNKNOWN)
			read_one(w, l, list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static void *run(void *arg)
{
	struct watcher *w = arg;
	struct pollfd fds[] = {{w->stop, POLLIN, 0}, {w->inotify, POLLIN, 0}};

	for (uint32_t i = 0; i < w->g->cfg.listeners_n; i++)
		if (w->g->l[i].cfg.transport == INGEST_DIR)
			read_dir(w, &w->g->l[i]);
	for (;;) {
		(void)poll(fds, 2, TICK_MS);
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents)
			take_events(w);
		decoder_flush(w->d, ingest_now_us() - FLUSH_US);
		save(w);
	}
}

/* ---- thread ---- */

static int watch(struct watcher *w, char *error)
{
	for (uint32_t i = 0; i < w->g->cfg.listeners_n; i++) {
		const struct listener *l = &w->g->l[i];

		w->wd[i] = -1;
		if (l->cfg.transport != INGEST_DIR)
			continue;
		w->wd[i] = inotify_add_watch(w->inotify, l->cfg.dir, IN_CLOSE_WRITE | IN_MOVED_TO);
		if (w->wd[i] < 0) {
			const int e = -errno;

			snprintf(error, INGEST_ERROR, "%.180s: %s", l->cfg.dir, strerror(-e));
			return e;
		}
	}
	return 0;
}

int watcher_new(struct ingest *g, char *error)
{
	struct decoder_cfg cfg = decoder_cfg_of(g, true);
	struct watcher *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	g->watcher = w;
	w->g = g;
	w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	w->wd = calloc(g->cfg.listeners_n ?: 1, sizeof(*w->wd));
	cfg.batch = false; /* a file's buffer moves */
	w->d = decoder_new(&cfg);
	if (!w->wd || !w->d || w->stop < 0 || w->inotify < 0)
		return -ENOMEM;
	return watch(w, error);
}

int watcher_start(struct watcher *w)
{
	int r = -pthread_create(&w->thread, NULL, run, w);

	w->running = !r;
	return r;
}

struct watcher *watcher_free(struct watcher *w)
{
	const uint64_t one = 1;

	if (!w)
		return NULL;
	if (w->running && write(w->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(w->thread, NULL);
	if (w->g->state)
		save(w);
	for (unsigned int i = 0; i < UDP_THREADS_MAX; i++)
		free(w->last[i]);
	decoder_free(w->d);
	if (w->stop >= 0)
		close(w->stop);
	if (w->inotify >= 0)
		close(w->inotify);
	free(w->wd);
	free(w);
	return NULL;
}
