// SPDX-License-Identifier: Apache-2.0
/*
 * exports.c - the drain thread's half: filter, encode, hand over; start and end of the sinks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "loader/export/sink_int.h"

#define PATIENCE_NS	(20 * UINT64_C(1000000))
#define PAUSE_NS	(100 * UINT64_C(1000))
#define LOOK_NS		(100 * UINT64_C(1000000)) /* how often env.hurry is asked */
#define STOP_DEFAULT_NS (5 * EXPORT_NS_PER_S)

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * EXPORT_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t export_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t export_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void sink_sent(struct sink *s, uint64_t flows, uint64_t bytes)
{
	sink_add(&s->n.sent, flows);
	sink_add(&s->n.bytes, bytes);
	sink_add(&s->n.waiting, -flows);
	atomic_store_explicit(&s->n.last_ok_ns, export_wall_ns(), memory_order_relaxed);
}

void sink_lost(struct sink *s, uint64_t flows, enum export_loss why)
{
	sink_add(&s->n.lost[why], flows);
	sink_add(&s->n.waiting, -flows);
}

void sink_error(struct sink *s, const char *what, int err)
{
	pthread_mutex_lock(&s->text_lock);
	if (err)
		snprintf(s->last_error, sizeof(s->last_error), "%s: %s", what, strerror(err));
	else
		snprintf(s->last_error, sizeof(s->last_error), "%s", what);
	pthread_mutex_unlock(&s->text_lock);
	atomic_store_explicit(&s->n.last_error_ns, export_wall_ns(), memory_order_relaxed);
}

int sink_file(struct sink *s, uint32_t what, uint32_t n)
{
	const struct export_env *env = &s->x->env;

	return env->file ? env->file(env->arg, s->index, what, n) : export_file(s->cfg, what, n);
}

/* ---- start and end ---- */

static int make_filter(struct sink *s, char *reterr)
{
	char text[FILTER_ERROR_TEXT];
	struct filter_error e;
	int r;

	if (!*s->cfg->filter)
		return 0;
	r = filter_parse(s->cfg->filter, strlen(s->cfg->filter), NULL, &s->filter, &e);
	if (r)
		snprintf(reterr, EXPORT_ERR_MAX, "export %s: filter: %.180s", s->cfg->name,
			 filter_error_text(&e, text));
	return r;
}

static int sink_open(struct exports *x, unsigned int i, const struct export_cfg *cfg, char *reterr)
{
	struct sink *s = &x->sinks[i];
	int r;

	s->cfg = cfg;
	s->x = x;
	s->index = i;
	s->fd = -1;
	pthread_mutex_init(&s->text_lock, NULL);
	s->ops = cfg->type == EXPORT_IPFIX_UDP	? &sink_datagram_ops
		 : cfg->type > EXPORT_IPFIX_UDP ? &sink_stream_ops
						: &sink_text_ops;
	x->n = i + 1;
	sink_resume(s);
	r = make_filter(s, reterr);
	return r ?: s->ops->open(s, reterr);
}

int exports_new(const struct export_cfg *cfgs, unsigned int n, const struct export_env *env,
		struct exports **ret, char reterr[static EXPORT_ERR_MAX])
{
	struct exports *x;
	int r;

	snprintf(reterr, EXPORT_ERR_MAX, "exports: at most %u", EXPORTS_MAX);
	if (n > EXPORTS_MAX)
		return -E2BIG;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->env = *env;
	if (!x->env.patience_ns)
		x->env.patience_ns = PATIENCE_NS;
	x->patience_ns = x->env.patience_ns;
	x->calls = env->resume_start;
	x->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = x->event_fd < 0 ? -errno : 0;
	if (r)
		snprintf(reterr, EXPORT_ERR_MAX, "exports: eventfd: %s", strerror(-r));
	for (unsigned int i = 0; !r && i < n; i++)
		r = sink_open(x, i, &cfgs[i], reterr);
	if (r) {
		exports_free(x);
		return r;
	}
	*ret = x;
	return 0;
}

struct exports *exports_free(struct exports *x)
{
	if (!x)
		return NULL;
	if (x->started)
		exports_stop(x);
	for (unsigned int i = 0; i < x->n; i++) {
		struct sink *s = &x->sinks[i];

		s->ops->close(s);
		queue_done(&s->q);
		filter_free(s->filter);
		pthread_mutex_destroy(&s->text_lock);
	}
	if (x->event_fd >= 0)
		close(x->event_fd);
	free(x);
	return NULL;
}

int exports_start(struct exports *x)
{
	int r = pthread_create(&x->thread, NULL, export_thread, x);

	x->started = !r;
	return -r;
}

static void wake(struct exports *x)
{
	uint64_t one = 1;

	/* full only if it was told 2^64 times: it will look anyway */
	if (atomic_load(&x->asleep) && write(x->event_fd, &one, sizeof(one)) < 0)
		return;
}

void exports_reopen(struct exports *x)
{
	atomic_store(&x->reopen, true);
	wake(x);
}

/* ---- flows ---- */

/* At the end, while it waits: does somebody want it to be over? */
static void look_up(struct exports *x, uint64_t now)
{
	uint64_t deadline = atomic_load(&x->deadline_ns), waiting = 0;

	if (!x->env.hurry || now - x->looked_ns < LOOK_NS || now >= deadline)
		return;
	x->looked_ns = now;
	for (unsigned int i = 0; i < x->n; i++)
		if (!x->sinks[i].finished)
			waiting += x->sinks[i].n.waiting;
	if (!x->env.hurry(x->env.arg, waiting, deadline - now))
		return;
	atomic_store(&x->deadline_ns, now);
	wake(x);
}

/* A little time for the sink thread, out of this tick's budget, or of what is left at the end. */
static bool wait_for_room(struct exports *x)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t deadline = atomic_load(&x->deadline_ns);

	if (deadline ? export_mono_ns() >= deadline : x->patience_ns < PAUSE_NS)
		return false;
	if (deadline)
		look_up(x, export_mono_ns());
	else
		x->patience_ns -= PAUSE_NS;
	wake(x);
	nanosleep(&pause, NULL);
	return true;
}

static void hand_over(struct sink *s)
{
	if (!s->chunk)
		return;
	s->chunk->upto = s->x->calls;
	if (s->chunk->len)
		queue_push(&s->q, s->chunk);
	else
		queue_untake(&s->q, s->chunk);
	s->chunk = NULL;
	wake(s->x);
}

static bool next_chunk(struct sink *s)
{
	hand_over(s);
	for (;;) {
		s->chunk = queue_take(&s->q);
		if (s->chunk)
			return true;
		if (atomic_load(&s->away))
			return false;
		if (atomic_load(&s->blocked) != LOSS_QUEUE_FULL && !atomic_load(&s->x->deadline_ns))
			return false; /* it does not go on: waiting would be of no use */
		if (!wait_for_room(s->x))
			return false;
	}
}

static void sink_flow(struct sink *s, const struct flow_record *r)
{
	long n;

	sink_add(&s->n.taken, 1);
	sink_add(&s->n.waiting, 1);
	if (atomic_load_explicit(&s->error, memory_order_relaxed)) {
		sink_lost(s, 1, LOSS_IO_ERROR);
		return;
	}
	n = s->chunk ? s->ops->encode(s, r, s->chunk) : -ENOSPC;
	if (n == -ENOSPC) {
		if (!next_chunk(s)) {
			sink_lost(s, 1, (enum export_loss)atomic_load(&s->blocked));
			return;
		}
		n = s->ops->encode(s, r, s->chunk);
	}
	if (n < 0) {
		sink_lost(s, 1, LOSS_TOO_LONG);
		return;
	}
	s->chunk->len += (uint32_t)n;
	s->chunk->flows++;
}

void exports_flow(struct exports *x, const struct flow_record *r)
{
	for (unsigned int i = 0; i < x->n; i++)
		if (x->calls >= x->sinks[i].skip_before && filter_match(x->sinks[i].filter, r))
			sink_flow(&x->sinks[i], r);
	x->calls++;
}

static int stdout_error(const struct exports *x)
{
	for (unsigned int i = 0; i < x->n; i++)
		if (x->sinks[i].cfg->type == EXPORT_STDOUT && atomic_load(&x->sinks[i].error))
			return atomic_load(&x->sinks[i].error);
	return 0;
}

int exports_tick(struct exports *x)
{
	x->patience_ns = x->env.patience_ns;
	for (unsigned int i = 0; i < x->n; i++)
		hand_over(&x->sinks[i]);
	return stdout_error(x);
}

void exports_finish(struct exports *x, uint64_t timeout_ns)
{
	atomic_store(&x->deadline_ns, export_mono_ns() + timeout_ns);
	wake(x);
}

/* The sink thread ends by itself, at the deadline if not before. */
static void join(struct exports *x)
{
	struct timespec until;

	do {
		look_up(x, export_mono_ns());
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LOOK_NS;
		if (until.tv_nsec >= (long)EXPORT_NS_PER_S) {
			until.tv_nsec -= (long)EXPORT_NS_PER_S;
			until.tv_sec++;
		}
	} while (pthread_clockjoin_np(x->thread, NULL, CLOCK_MONOTONIC, &until) == ETIMEDOUT);
}

int exports_stop(struct exports *x)
{
	if (!x->started)
		return stdout_error(x);
	if (!atomic_load(&x->deadline_ns))
		exports_finish(x, STOP_DEFAULT_NS);
	exports_tick(x);
	atomic_store(&x->stopping, true);
	wake(x);
	join(x);
	x->started = false;
	return stdout_error(x);
}

/* ---- what others see ---- */

unsigned int exports_n(const struct exports *x)
{
	return x->n;
}

const struct export_cfg *exports_cfg(const struct exports *x, unsigned int i)
{
	return x->sinks[i].cfg;
}

void exports_stats(const struct exports *x, unsigned int i, struct export_stats *ret)
{
	struct sink *s = (struct sink *)&x->sinks[i]; /* for its lock alone */

	memset(ret, 0, sizeof(*ret));
	ret->taken = s->n.taken;
	ret->sent = s->n.sent;
	ret->waiting = s->n.waiting;
	ret->replayed = s->n.replayed;
	ret->old_lost = s->n.old_lost;
	ret->bytes = s->n.bytes;
	ret->messages = s->n.messages;
	ret->trimmed = s->n.trimmed;
	ret->spool_bytes = s->n.spool_bytes;
	ret->last_ok_ns = s->n.last_ok_ns;
	ret->last_error_ns = s->n.last_error_ns;
	ret->reconnects = s->n.reconnects;
	ret->connected = s->n.connected;
	ret->queue_bytes = queue_waiting(&s->q) * s->q.stride;
	for (unsigned int l = 0; l < _LOSS_MAX; l++)
		ret->lost[l] = s->n.lost[l];
	pthread_mutex_lock(&s->text_lock);
	memcpy(ret->last_error, s->last_error, sizeof(ret->last_error));
	pthread_mutex_unlock(&s->text_lock);
}
