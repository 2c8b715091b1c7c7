// SPDX-License-Identifier: Apache-2.0
/*
 * captures_fetch.c - octets of a node's file on their way to whoever reads: one piece is there, or asked for, or
 * neither. A node is asked for one piece at a time, of each fetch in its turn.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/nodes/captures.h"
#include "collector/nodes/nodes_http.h"

#define PATIENCE_US INT64_C(10000000) /* for a piece */

enum fetch_state {
	FETCH_DUE,   /* the node is to be asked */
	FETCH_ASKED, /* it has been */
	FETCH_HERE,  /* some of a piece is to be read */
	FETCH_WRONG, /* nothing comes any more: error */
};

struct fetch {
	struct nodes *n;
	struct node *node;
	uint64_t number;
	char file[NODE_CAPTURE_ID + 1];
	bool remove, sized; /* sized: size is known */
	enum fetch_state state;
	int error;
	uint64_t at, size;     /* of the file; at: the next octet that is wanted of the node */
	uint64_t turn;	       /* when it was asked for last: a number that grows */
	size_t from, to;       /* in octets: what has not been read */
	pthread_cond_t change; /* of state */
	struct fetch *next;
	uint8_t octets[NODE_PIECE_OCTETS];
};

/* ---- the node's side; locked ---- */

static struct fetch *find(const struct nodes *n, const struct node *x, uint64_t number)
{
	struct fetch *f = n->fetches;

	while (f && (f->node != x || f->number != number))
		f = f->next;
	return f;
}

static void set(struct fetch *f, enum fetch_state s, int error)
{
	f->state = s;
	f->error = error;
	pthread_cond_broadcast(&f->change);
}

static int error_of(const char *word)
{
	return !strcmp(word, "gone") ? -ENOENT : !strcmp(word, "open") ? -EBUSY : -EIO;
}

static void take(struct fetch *f, const struct node_text *piece, const struct node_octets *octets)
{
	if (piece->error[0]) {
		set(f, FETCH_WRONG, error_of(piece->error));
		return;
	}
	/* a file grows while it is written: what it had at first is what is fetched */
	if (!f->sized)
		f->size = (uint64_t)piece->size;
	f->sized = true;
	if ((uint64_t)piece->offset != f->at && f->at <= f->size) {
		set(f, FETCH_WRONG, -EIO);
		return;
	}
	f->from = 0;
	f->to = octets->n;
	if (f->at < f->size && f->to > f->size - f->at)
		f->to = (size_t)(f->size - f->at);
	if (!f->remove && !f->to && f->at < f->size) {
		set(f, FETCH_WRONG, -EIO); /* it has become shorter */
		return;
	}
	memcpy(f->octets, octets->at, f->to);
	f->at += f->to;
	f->n->counts.fetched_octets += f->to;
	set(f, FETCH_HERE, 0);
}

void fetch_heard(struct nodes *n, struct node *x, const struct node_text *piece,
		 const struct node_octets *octets)
{
	struct fetch *f = x->asked ? find(n, x, x->asked) : NULL;

	x->asked = 0;
	if (!f || f->state != FETCH_ASKED)
		return;
	if ((uint64_t)piece->fetch == f->number)
		take(f, piece, octets);
	else
		set(f, FETCH_DUE, 0); /* it never heard of it, or its answer is lost */
}

/* The one of this node that has waited longest. */
static struct fetch *due(const struct nodes *n, const struct node *x)
{
	struct fetch *first = NULL;

	for (struct fetch *f = n->fetches; f; f = f->next)
		if (f->node == x && f->state == FETCH_DUE && (!first || f->turn < first->turn))
			first = f;
	return first;
}

bool fetch_is_due(const struct nodes *n, const struct node *x)
{
	return due(n, x) != NULL;
}

bool fetch_next(struct nodes *n, struct node *x, struct node_text *ret)
{
	struct fetch *f = due(n, x);

	if (!f)
		return false;
	f->state = FETCH_ASKED;
	f->turn = ++n->fetch_last;
	x->asked = f->number;
	*ret = (struct node_text){
		.fetch = (int64_t)f->number, .offset = (int64_t)f->at, .remove = f->remove};
	memcpy(ret->file, f->file, sizeof(f->file));
	return true;
}

/* ---- the reader's side ---- */

/* Locked. Return: 0 something is there, or the error. */
static int await(struct fetch *f)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_US / 1000000;
	while (!r && f->state < FETCH_HERE && !f->n->fetch_stop && !f->node->revoked_us)
		r = pthread_cond_timedwait(&f->change, &f->n->lock, &until);
	if (f->state == FETCH_HERE)
		return 0;
	return f->state == FETCH_WRONG ? f->error : -ETIMEDOUT;
}

static void ask(struct fetch *f)
{
	f->state = FETCH_DUE;
	http_resume(f->node->fetcher);
}

static int refuse(struct fetch_refusal *why, const char *code, const char *fmt, ...)
{
	va_list args;

	why->code = code;
	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return -1;
}

static int refuse_gone(const struct capture_row *row, struct fetch_refusal *why)
{
	return refuse(why, "gone", "capture %lld is gone: %s", (long long)row->id,
		      *row->reason
			      ? row->reason
			      : "removed on the node, for room under capture.quota or by hand");
}

static int refuse_offline(const struct capture_row *row, struct fetch_refusal *why)
{
	return refuse(why, "offline",
		      "node %s is not there: see that 'weir policy follow' runs on it and may read "
		      "capture.dir, then try again",
		      row->node);
}

/* Locked. */
static int begin(struct nodes *n, const struct fetch_wish *w, struct capture_row *row,
		 struct fetch_refusal *why)
{
	const struct fetch *f = n->fetches;
	const int r = captures_find(n, w->id, row);
	const struct node *x;
	unsigned int under_way = 0;

	if (r < 0)
		return refuse(why, "store", "%s", db_error(n->db));
	if (!r)
		return refuse(why, "unknown", "there is no capture %lld", (long long)w->id);
	if (row->state == CAPTURE_REMOVED)
		return refuse_gone(row, why);
	x = table_by_name(n, row->node);
	if (!x || !captures_is_here(x))
		return refuse_offline(row, why);
	for (; f; f = f->next)
		under_way++;
	if (under_way == FETCHES_MAX || n->fetch_stop)
		return refuse(why, "busy", "%u captures are being fetched, as many as may be",
			      under_way);
	return 0;
}

/* Locked. NULL: no memory. */
static struct fetch *add(struct nodes *n, const struct capture_row *row)
{
	struct fetch *f = malloc(sizeof(*f));
	pthread_condattr_t attr;

	if (!f)
		return NULL;
	memset(f, 0, offsetof(struct fetch, octets));
	f->n = n;
	f->node = table_by_name(n, row->node);
	f->number = ++n->fetch_last;
	memcpy(f->file, row->file, sizeof(f->file));
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->change, &attr);
	pthread_condattr_destroy(&attr);
	f->next = n->fetches;
	n->fetches = f;
	return f;
}

/* Locked. */
static void drop(struct fetch *f)
{
	struct fetch **at = &f->n->fetches;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	pthread_cond_destroy(&f->change);
	free(f);
}

/* Locked. */
static int explain(struct nodes *n, const struct capture_row *row, int r, struct fetch_refusal *why)
{
	n->counts.fetch_failed++;
	if (r == -ENOENT) {
		captures_gone(n, row);
		return refuse_gone(row, why);
	}
	if (r == -EBUSY)
		return refuse(why, "conflict",
			      "capture %lld is being written: it stays until it is complete",
			      (long long)row->id);
	if (r == -EIO)
		return refuse(why, "offline", "node %s can't read it: its log says why", row->node);
	return refuse_offline(row, why);
}

/* Locked; it may be waited in between. */
static int open_locked(struct nodes *n, const struct fetch_wish *w, struct capture_row *row,
		       struct fetch_refusal *why, struct fetch **ret)
{
	struct fetch *f;
	int r = begin(n, w, row, why);

	if (r)
		return r;
	f = add(n, row);
	if (!f)
		return refuse(why, "busy", "out of memory");
	f->at = w->from;
	ask(f);
	r = await(f);
	if (r)
		r = explain(n, row, r, why);
	else if (w->from > f->size)
		r = refuse(why, "beyond", "it has %llu octets", (unsigned long long)f->size);
	else if (captures_fetched(n, row, w))
		r = refuse(why, "store", "%s", db_error(n->db));
	if (r)
		drop(f);
	else
		*ret = f;
	return r;
}

int fetch_open(struct nodes *n, const struct fetch_wish *w, struct fetch **ret,
	       struct fetch_of *ret_of, struct fetch_refusal *why)
{
	struct capture_row row;
	int r;

	if (!n)
		return refuse(why, "off", "this collector has no nodes: nodes.listen is none");
	pthread_mutex_lock(&n->lock);
	r = open_locked(n, w, &row, why, ret);
	if (!r) {
		n->counts.fetched++;
		ret_of->size = (*ret)->size;
		snprintf(ret_of->name, sizeof(ret_of->name), "weir-%s-%s.pcapng", row.node,
			 row.file);
	}
	pthread_mutex_unlock(&n->lock);
	return r;
}

ssize_t fetch_read(struct fetch *f, uint8_t *buf, size_t max)
{
	ssize_t n = 0;
	int r;

	pthread_mutex_lock(&f->n->lock);
	r = await(f);
	if (r) {
		f->n->counts.fetch_failed++;
		n = r == -ENOENT ? r : -EIO;
	} else {
		n = (ssize_t)(f->to - f->from < max ? f->to - f->from : max);
		memcpy(buf, f->octets + f->from, (size_t)n);
		f->from += (size_t)n;
		if (f->from == f->to && f->at < f->size)
			ask(f); /* it comes while this is sent */
	}
	pthread_mutex_unlock(&f->n->lock);
	return n;
}

void fetch_close(struct fetch *f)
{
	struct nodes *n;

	if (!f)
		return;
	n = f->n;
	pthread_mutex_lock(&n->lock);
	drop(f);
	pthread_mutex_unlock(&n->lock);
}

void fetch_stop(struct nodes *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->fetch_stop = true;
	for (struct fetch *f = n->fetches; f; f = f->next)
		pthread_cond_broadcast(&f->change);
	pthread_mutex_unlock(&n->lock);
}

/* ---- removal ---- */

int fetch_remove(struct nodes *n, const struct fetch_wish *w, struct fetch_refusal *why)
{
	struct capture_row row;
	struct fetch *f;
	int r;

	pthread_mutex_lock(&n->lock);
	r = begin(n, w, &row, why);
	f = r ? NULL : add(n, &row);
	if (!r && !f)
		r = refuse(why, "busy", "out of memory");
	if (f) {
		f->remove = true;
		ask(f);
		r = await(f);
		drop(f);
		if (r)
			r = explain(n, &row, r, why);
		else if (captures_removed(n, &row, w->actor))
			r = refuse(why, "store",
				   "it is removed, and that can't be written down: %s",
				   db_error(n->db));
	}
	pthread_mutex_unlock(&n->lock);
	return r;
}
