// SPDX-License-Identifier: Apache-2.0
/*
 * captures.c - files of packets that a collector's rules asked for: it is told of them as they come, end and go,
 * and given their octets as it wants them, a piece an answer. What other collectors asked for it neither
 * hears of nor has. After each loss of the connection everything is told again, so that nothing that either
 * side forgot is missing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/node_capture.h"
#include "common/scan.h"
#include "loader/capture/account.h"
#include "loader/capture/store.h"
#include "loader/follow/follow.h"

#define OPEN_MS	  8000
#define ANSWER_MS 15000
#define LOOK_MS	  500
#define REREAD_MS 2000 /* a directory that may change without its time changing */

/* What the collector knows of a file. */
enum { TOLD_OPEN = CAPTURE_OPEN, TOLD_COMPLETE = CAPTURE_COMPLETE, TOLD_NOTHING, NOT_FOR_IT };

struct captures_told {
	char id[STORE_ID + 1];
	uint8_t what;
};

static int64_t now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void forget(struct follow_captures *c)
{
	free(c->told);
	c->told = NULL;
	c->told_n = 0;
	c->whole = false;
	c->looked_ms = 0;
	c->piece_n = 0;
	c->piece = (struct node_text){};
}

/* That a collector can't be reached the other thread says. */
static enum follow_round lost(struct follow_captures *c)
{
	follow_hang_up(&c->f);
	forget(c);
	return ROUND_FAILED;
}

static enum follow_round refused(struct follow_captures *c, const struct http_reply *reply)
{
	struct node_text m;
	enum follow_round r;

	follow_problem(reply, &m);
	r = follow_denied(&c->f, reply, &m);
	forget(c);
	return r;
}

/* ---- the directory ---- */

/* -ENOENT: nothing was ever recorded. */
static int open_dir(struct follow_captures *c)
{
	const int fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT && !c->complained)
		log_warn("capture", "%s: %s: collectors hear of no captures", c->dir,
			 strerror(errno));
	c->complained = fd < 0 && errno != ENOENT;
	return fd < 0 ? -errno : fd;
}

static int64_t changed_ns(int dir)
{
	struct stat st;

	return fstat(dir, &st) ? 0 : st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

/* May there be something to tell? */
static bool is_news(struct follow_captures *c)
{
	const int64_t now = now_ms(CLOCK_MONOTONIC);
	int64_t changed;
	int dir;

	if (!c->looked_ms)
		return true;
	if (now < c->looked_ms + LOOK_MS || (c->unsettled && now < c->looked_ms + REREAD_MS))
		return false;
	dir = open_dir(c);
	changed = dir < 0 ? 0 : changed_ns(dir);
	if (dir >= 0)
		close(dir);
	if (c->unsettled || changed != c->changed_ns)
		return true;
	c->looked_ms = now;
	return false;
}

/* ---- what is told of one ---- */

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

/* "rule:NAME@ISSUER", cut as collectors do it. */
static bool is_for(const json_t *o, const char *issuer)
{
	const char *at = strrchr(text_of(o, "origin"), '@');
	char cut[25];

	snprintf(cut, sizeof(cut), "%s", issuer);
	return at && !strcmp(at + 1, cut);
}

static void describe(const json_t *o, const struct store_file *f, const struct capture_account *a,
		     struct node_text *m)
{
	uint64_t fired;

	*m = (struct node_text){
		.alert = json_integer_value(json_object_get(o, "alert")),
		.decision = json_integer_value(json_object_get(o, "decision")),
		.first_us = (int64_t)(a->first_ns / 1000),
		.bytes = (int64_t)f->bytes,
	};
	snprintf(m->file, sizeof(m->file), "%s", f->id);
	snprintf(m->state, sizeof(m->state), "%s",
		 node_capture_words[f->part ? CAPTURE_OPEN : CAPTURE_COMPLETE]);
	snprintf(m->rule, sizeof(m->rule), "%s", text_of(o, "rule"));
	snprintf(m->scope, sizeof(m->scope), "%s", text_of(o, "scope"));
	snprintf(m->value, sizeof(m->value), "%s", text_of(o, "value"));
	snprintf(m->to, sizeof(m->to), "%s", text_of(o, "to"));
	if (!scan_time_us(text_of(o, "fired"), &fired))
		m->fired_us = (int64_t)fired;
	if (f->part)
		return;
	m->last_us = (int64_t)(a->last_ns / 1000);
	m->packets = (int64_t)a->packets;
	m->dropped = (int64_t)a->dropped;
}

/* Return: TOLD_...: what it knows once it has heard @ret. */
static uint8_t tell_of(const struct follow_captures *c, int dir, const struct store_file *f,
		       struct node_text *ret)
{
	struct capture_account a = {};
	json_t *o = store_tell(dir, f);
	const int fd = o ? store_open_file(dir, f->id) : -1;
	uint8_t what = TOLD_NOTHING; /* it is going just now: looked at again */

	if (fd >= 0 && !account_read(fd, &a)) {
		if (!is_for(o, c->f.e->issuer))
			what = NOT_FOR_IT;
		else if (a.first_ns || !f->part) /* none yet, and perhaps never */
			what = f->part ? TOLD_OPEN : TOLD_COMPLETE;
	} else if (!o && !f->part) {
		what = NOT_FOR_IT; /* nor for anybody else: it can't be read */
	}
	if (what == TOLD_OPEN || what == TOLD_COMPLETE)
		describe(o, f, &a, ret);
	if (fd >= 0)
		close(fd);
	json_decref(o);
	return what;
}

/* ---- telling ---- */

struct telling {
	struct follow_captures *c;
	int dir;
	size_t n; /* in c->of */
	enum follow_round round;
};

static void send_some(struct telling *t, bool all)
{
	struct follow_captures *c = t->c;
	const struct http_reply *reply = NULL;
	struct node_text *head = &c->of[NODE_CAPTURES_MAX];
	char *body;
	int r;

	*head = (struct node_text){.round = c->round, .all = all};
	body = node_captures_write(head, c->of, t->n);
	t->n = 0;
	r = body ? https_post(c->f.h, NODE_PATH_CAPTURES, body, ANSWER_MS) : -ENOMEM;
	free(body);
	r = r ?: https_wait(c->f.h, ANSWER_MS, NODE_MESSAGE_MAX, &reply);
	if (r != 1)
		t->round = lost(c);
	else if (reply->status != 204)
		t->round = refused(c, reply);
}

static void tell(struct telling *t)
{
	if (++t->n == NODE_CAPTURES_MAX)
		send_some(t, false);
}

static void tell_gone(struct telling *t, const char *id)
{
	struct node_text *m = &t->c->of[t->n];

	*m = (struct node_text){};
	snprintf(m->file, sizeof(m->file), "%s", id);
	snprintf(m->state, sizeof(m->state), "%s", node_capture_words[CAPTURE_REMOVED]);
	tell(t);
}

/* Those that were told, from @i on, and are not there any more: before @id; NULL: all. Return: the next one. */
static size_t pass_gone(struct telling *t, size_t i, const char *id)
{
	const struct follow_captures *c = t->c;

	for (; i < c->told_n && (!id || strcmp(c->told[i].id, id) < 0); i++)
		if (c->told[i].what < TOLD_NOTHING)
			tell_gone(t, c->told[i].id); /* nothing was told any more, if it fails */
	return i;
}

/* @f now, @was before (NULL: it was not there). Return: what the collector knows then. */
static uint8_t tell_change(struct telling *t, const struct store_file *f,
			   const struct captures_told *was)
{
	uint8_t what;

	if (was && (was->what == NOT_FOR_IT || was->what == (f->part ? TOLD_OPEN : TOLD_COMPLETE)))
		return was->what;
	what = tell_of(t->c, t->dir, f, &t->c->of[t->n]);
	if (what < TOLD_NOTHING)
		tell(t);
	return what;
}

/* What there is beside what was told, both by id. Return: what is told then, of @n; NULL: it failed. */
static struct captures_told *compare(struct telling *t, const struct store_file *f, size_t n)
{
	const struct follow_captures *c = t->c;
	struct captures_told *now = calloc(n + 1, sizeof(*now));
	size_t at = 0;

	t->round = now ? ROUND_GOOD : ROUND_FAILED;
	for (size_t i = 0; i < n && t->round == ROUND_GOOD; i++) {
		bool known;

		at = pass_gone(t, at, f[i].id);
		if (t->round != ROUND_GOOD)
			break;
		known = at < c->told_n && !strcmp(c->told[at].id, f[i].id);
		memcpy(now[i].id, f[i].id, sizeof(now[i].id));
		now[i].what = tell_change(t, &f[i], known ? &c->told[at] : NULL);
		at += known;
	}
	if (t->round == ROUND_GOOD)
		pass_gone(t, at, NULL);
	if (t->round == ROUND_GOOD && (t->n || !c->whole))
		send_some(t, !c->whole);
	if (t->round == ROUND_GOOD)
		return now;
	free(now);
	return NULL;
}

/* The directory as it is now against what was told. */
static enum follow_round tell_news(struct follow_captures *c)
{
	struct telling t = {.c = c, .dir = open_dir(c)};
	struct captures_told *now = NULL;
	struct store_file *f = NULL;
	const int64_t changed = t.dir < 0 ? 0 : changed_ns(t.dir);
	const int64_t began = now_ms(CLOCK_MONOTONIC);
	size_t n = 0;
	int r = t.dir == -ENOENT ? 0 : t.dir < 0 ? t.dir : store_list(t.dir, &f, &n);

	if (!r)
		now = compare(&t, f, n);
	if (t.dir >= 0)
		close(t.dir);
	if (now) {
		/* what changed within a moment of being read may have done so behind our back */
		c->unsettled = now_ms(CLOCK_REALTIME) < changed / 1000000 + REREAD_MS;
		for (size_t i = 0; i < n; i++)
			c->unsettled |= f[i].part;
		free(c->told);
		c->told = now;
		c->told_n = n;
		c->whole = true;
		c->changed_ns = changed;
		c->looked_ms = began;
	}
	free(f);
	return r ? lost(c) : t.round;
}

/* ---- pieces ---- */

static const char *cannot(struct follow_captures *c, const char *id, int r)
{
	if (r == -ENOENT)
		return "gone";
	if (r == -EBUSY)
		return "open";
	log_warn("capture", "%s/%s: %s", c->dir, id, strerror(-r));
	return "io";
}

/* Octets from @offset of a file; how many, or -errno; the file's size in @ret_size. */
static ssize_t read_octets(int dir, const struct node_text *want, uint8_t *to, int64_t *ret_size)
{
	const int fd = store_open_file(dir, want->file);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = fstat(fd, &st) ? -1 : 0;
	if (!n && want->offset < st.st_size)
		n = pread(fd, to, NODE_PIECE_OCTETS, want->offset);
	n = n < 0 ? -errno : n;
	*ret_size = st.st_size;
	close(fd);
	return n;
}

/* It is one that this collector may have. */
static bool may_have(const struct follow_captures *c, int dir, const char *id)
{
	struct store_file f = {};
	json_t *o;
	bool yes;

	if (!store_is_id(id))
		return false;
	snprintf(f.id, sizeof(f.id), "%s", id);
	o = store_tell(dir, &f);
	if (!o) {
		f.part = true;
		o = store_tell(dir, &f);
	}
	yes = is_for(o, c->f.e->issuer);
	json_decref(o);
	return yes;
}

static void fetch(struct follow_captures *c, const struct node_text *want)
{
	const int dir = open_dir(c);
	struct node_text *p = &c->piece;
	ssize_t n = dir < 0 ? dir : may_have(c, dir, want->file) ? 0 : -ENOENT;

	*p = (struct node_text){.fetch = want->fetch, .offset = want->offset};
	if (!n && want->remove)
		n = store_remove_file(dir, want->file);
	else if (!n)
		n = read_octets(dir, want, c->octets, &p->size);
	if (dir >= 0)
		close(dir);
	if (n < 0) {
		snprintf(p->error, sizeof(p->error), "%s", cannot(c, want->file, (int)n));
		n = 0;
	} else if (p->offset > p->size) {
		p->offset = p->size; /* of which there is nothing */
	}
	c->piece_n = (size_t)n;
	if (want->remove)
		c->looked_ms = 0;
}

static char *piece_line(const struct follow_captures *c)
{
	struct node_text m = c->piece;
	char *text, *line = NULL;

	m.wait_ms = NODE_WAIT_MS;
	text = node_message_write(NODE_PIECE, &m);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

/* Return: as https_wait(); -ESTALE: there is something to tell; -EINTR: the end. */
static int await(struct follow_captures *c, const struct http_reply **ret)
{
	int r = 0;

	for (int waited = 0; !r && waited < NODE_WAIT_MS + ANSWER_MS; waited += LOOK_MS) {
		r = https_wait(c->f.h, LOOK_MS, NODE_MESSAGE_MAX, ret);
		if (__atomic_load_n(&c->f.stop, __ATOMIC_RELAXED))
			return -EINTR;
		if (!r && is_news(c))
			return -ESTALE;
	}
	return r;
}

static enum follow_round ask(struct follow_captures *c)
{
	const struct http_reply *reply = NULL;
	char error[NODE_MESSAGE_ERROR], *line = piece_line(c);
	struct node_text *want = &c->of[0];
	int r;

	r = !line ? -ENOMEM
		  : https_post_octets(c->f.h, NODE_PATH_PIECE,
				      &(struct https_body){line, c->octets, c->piece_n}, ANSWER_MS);
	free(line);
	c->piece = (struct node_text){};
	c->piece_n = 0;
	r = r ?: await(c, &reply);
	if (r == -ESTALE || r == -EINTR) {
		follow_hang_up(&c->f); /* what was told stays so */
		return ROUND_GOOD;
	}
	if (r != 1)
		return lost(c);
	if (reply->status == 204)
		return ROUND_GOOD;
	if (reply->status != 200)
		return refused(c, reply);
	if (node_message_read(NODE_WANT, (const char *)reply->body, reply->length, want, error)) {
		log_warn(c->f.e->issuer, "what it wants of captures can't be read: %s", error);
		return lost(c);
	}
	fetch(c, want);
	return ROUND_GOOD;
}

/* ---- turns ---- */

static void pause_ms(const struct follow_captures *c, int ms)
{
	struct pollfd p = {.fd = c->f.wake, .events = POLLIN};

	poll(&p, 1, ms);
}

static enum follow_round turn(struct follow *f)
{
	struct follow_captures *c = (struct follow_captures *)f;
	const struct https_cfg cfg = enrolment_https(f->e);
	char error[HTTPS_ERROR];
	enum follow_round r = ROUND_GOOD;

	if (!f->h && c->whole && !c->told_n && !is_news(c)) {
		pause_ms(c, LOOK_MS); /* nothing to tell, nothing to fetch: no connection */
		return ROUND_GOOD;
	}
	if (!f->h && https_open(&cfg, OPEN_MS, error, &f->h))
		return lost(c);
	if (!c->whole)
		c->round = now_ms(CLOCK_REALTIME) * 1000;
	if (is_news(c))
		r = tell_news(c);
	if (r != ROUND_GOOD)
		return r;
	if (c->told_n || c->piece.fetch)
		return ask(c);
	follow_hang_up(f);
	return ROUND_GOOD;
}

void *follow_captures_run(void *arg)
{
	struct follow_captures *c = arg;

	c->of = calloc(NODE_CAPTURES_MAX + 1, sizeof(*c->of));
	c->octets = malloc(NODE_PIECE_OCTETS);
	if (c->of && c->octets)
		follow_turns(&c->f, turn);
	else
		log_error("capture", "no memory: %s hears of no captures", c->f.e->issuer);
	forget(c);
	free(c->of);
	free(c->octets);
	return NULL;
}
