// SPDX-License-Identifier: Apache-2.0
#include "collector/api/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 100 /* how often it is asked whether somebody waits */

struct job {
	struct jobs *jobs;
	int64_t id; /* 0: the place is free */
	struct job_spec spec;
	char owner[48];
	pthread_t thread;
	bool started;
	bool cancel; /* the lock */
	enum job_state state;
	double percent;
	json_t *lines;
	size_t bytes;
	int failure;
	char error[JOB_ERROR];
	int64_t ended_us; /* monotonic */
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* monotonic */
	int64_t first, next;  /* numbers of this start */
	bool stop;
	struct job v[JOBS_KEPT_MAX];
};

static int64_t clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool is_running(const struct job *x)
{
	return x->id && x->state == JOB_RUNNING;
}

/* Locked; it has ended: its thread has nothing to do with the lock any more. */
static void forget(struct job *x)
{
	if (x->started)
		pthread_join(x->thread, NULL);
	json_decref(x->lines);
	json_decref(x->spec.request);
	*x = (struct job){};
}

/* ---- at work ---- */

static int put_line(void *arg, json_t *line)
{
	struct job *x = arg;
	const size_t len = json_dumpb(line, NULL, 0, JSON_COMPACT);
	int r = 0;

	pthread_mutex_lock(&x->jobs->lock);
	if (x->cancel || x->jobs->stop)
		r = -ECANCELED;
	else if (x->bytes + len > JOB_BYTES_MAX)
		r = -EFBIG;
	else if (json_array_append(x->lines, line))
		r = -ENOMEM;
	x->bytes += len;
	pthread_mutex_unlock(&x->jobs->lock);
	json_decref(line);
	return r;
}

static int put_progress(void *arg, double percent)
{
	struct job *x = arg;
	int r;

	pthread_mutex_lock(&x->jobs->lock);
	x->percent = percent;
	r = x->cancel || x->jobs->stop ? -ECANCELED : 0;
	pthread_mutex_unlock(&x->jobs->lock);
	return r;
}

static void *work(void *arg)
{
	struct job *x = arg;
	struct jobs *j = x->jobs;
	const struct endpoint_answer to = {put_line, put_progress, x};
	char error[1024] = "";
	const int r = x->spec.run(x->spec.arg, x->spec.request, &to, error);

	pthread_mutex_lock(&j->lock);
	x->failure = r;
	x->state = x->cancel ? JOB_CANCELLED : r ? JOB_FAILED : JOB_DONE;
	snprintf(x->error, sizeof(x->error), "%.*s", (int)sizeof(x->error) - 1,
		 r == -EFBIG ? "the answer is too long: ask for less" : error);
	x->ended_us = clock_us(CLOCK_MONOTONIC);
	pthread_cond_broadcast(&j->ended);
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

/* ---- who is there ---- */

static struct job *find(struct jobs *j, int64_t id)
{
	for (uint32_t i = 0; i < JOBS_KEPT_MAX; i++)
		if (j->v[i].id == id && id)
			return &j->v[i];
	return NULL;
}

static void forget_old(struct jobs *j)
{
	const int64_t now = clock_us(CLOCK_MONOTONIC);

	for (uint32_t i = 0; i < JOBS_KEPT_MAX; i++)
		if (j->v[i].id && !is_running(&j->v[i]) &&
		    (j->v[i].cancel || now >= j->v[i].ended_us + JOB_KEEP_US))
			forget(&j->v[i]);
}

/* A free place, that of the answer that has been there longest; NULL: too many are at work. */
static struct job *place(struct jobs *j)
{
	struct job *free_one = NULL, *oldest = NULL;
	uint32_t running = 0;

	for (uint32_t i = 0; i < JOBS_KEPT_MAX; i++) {
		struct job *x = &j->v[i];

		running += is_running(x);
		if (!x->id)
			free_one = x;
		else if (!is_running(x) && (!oldest || x->ended_us < oldest->ended_us))
			oldest = x;
	}
	if (running >= JOBS_RUNNING_MAX || j->stop)
		return NULL;
	if (!free_one && oldest) {
		forget(oldest);
		free_one = oldest;
	}
	return free_one;
}

/* ---- life ---- */

int jobs_new(struct jobs **ret)
{
	struct jobs *j = calloc(1, sizeof(*j));
	pthread_condattr_t attr;

	if (!j)
		return -ENOMEM;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->ended, &attr);
	pthread_condattr_destroy(&attr);
	/* above those of a start before: what they were asked for is gone, and is no other answer */
	j->first = j->next = clock_us(CLOCK_REALTIME);
	*ret = j;
	return 0;
}

static bool any_running(const struct jobs *j)
{
	for (uint32_t i = 0; i < JOBS_KEPT_MAX; i++)
		if (is_running(&j->v[i]))
			return true;
	return false;
}

void jobs_free(struct jobs *j)
{
	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	j->stop = true;
	while (any_running(j))
		pthread_cond_wait(&j->ended, &j->lock);
	for (uint32_t i = 0; i < JOBS_KEPT_MAX; i++)
		forget(&j->v[i]);
	pthread_mutex_unlock(&j->lock);
	pthread_cond_destroy(&j->ended);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

static int start(struct jobs *j, struct job *x, const struct job_spec *spec)
{
	int r;

	*x = (struct job){.jobs = j, .id = j->next, .percent = -1, .lines = json_array()};
	x->spec = *spec;
	snprintf(x->owner, sizeof(x->owner), "%s", spec->owner);
	r = x->lines ? pthread_create(&x->thread, NULL, work, x) : ENOMEM;
	x->started = !r;
	if (r)
		forget(x);
	else
		j->next++;
	return -r;
}

/* Locked: until one ends, up to a time. */
static void wait_until(struct jobs *j, int64_t us)
{
	const struct timespec t = {us / 1000000, us % 1000000 * 1000};

	(void)pthread_cond_timedwait(&j->ended, &j->lock, &t); /* who waits looks again */
}

int jobs_start(struct jobs *j, const struct job_spec *spec, int64_t *ret_id)
{
	const int64_t until = clock_us(CLOCK_MONOTONIC) + (int64_t)spec->wait_ms * 1000;
	struct job *x;
	int r = -EBUSY;

	pthread_mutex_lock(&j->lock);
	forget_old(j);
	while (!(x = place(j)) && !j->stop && clock_us(CLOCK_MONOTONIC) < until)
		wait_until(j, until);
	*ret_id = j->next;
	if (x)
		r = start(j, x, spec);
	else
		json_decref(spec->request);
	pthread_mutex_unlock(&j->lock);
	return r;
}

/* ---- questions ---- */

static int gone(const struct jobs *j, int64_t id)
{
	return id < j->next ? -ESTALE : -ENOENT;
}

int jobs_view(struct jobs *j, int64_t id, struct job_view *ret)
{
	struct job *x;
	int r = 0;

	*ret = (struct job_view){};
	pthread_mutex_lock(&j->lock);
	forget_old(j);
	x = find(j, id);
	if (!x || x->cancel) {
		r = gone(j, id);
	} else {
		ret->state = x->state;
		ret->percent = x->percent;
		ret->failure = x->failure;
		snprintf(ret->owner, sizeof(ret->owner), "%s", x->owner);
		snprintf(ret->error, sizeof(ret->error), "%s", x->error);
		/* objects are shared with whoever else asks: counted under the lock, and not changed */
		if (x->state == JOB_DONE)
			ret->lines = json_deep_copy(x->lines);
	}
	pthread_mutex_unlock(&j->lock);
	return r;
}

int jobs_wait(struct jobs *j, int64_t id, uint32_t ms, bool (*left)(void *arg), void *arg)
{
	const int64_t until = clock_us(CLOCK_MONOTONIC) + (int64_t)ms * 1000;
	const struct job *x;
	int r = -ETIMEDOUT;

	pthread_mutex_lock(&j->lock);
	while ((x = find(j, id)) && is_running(x) && !x->cancel) {
		const int64_t now = clock_us(CLOCK_MONOTONIC), next = now + LOOK_MS * 1000;

		if (now >= until || j->stop || left(arg))
			break;
		wait_until(j, next < until ? next : until);
	}
	if (!x || x->cancel)
		r = -ECANCELED;
	else if (!is_running(x))
		r = 0;
	pthread_mutex_unlock(&j->lock);
	return r;
}

int jobs_cancel(struct jobs *j, int64_t id)
{
	struct job *x;
	int r = 0;

	pthread_mutex_lock(&j->lock);
	x = find(j, id);
	if (!x || x->cancel)
		r = gone(j, id);
	else if (is_running(x))
		x->cancel = true; /* forgotten when it has stopped */
	else
		forget(x);
	pthread_mutex_unlock(&j->lock);
	return r;
}
