// SPDX-License-Identifier: Apache-2.0
#include "collector/query/watch.h"

#include <errno.h>
#include <time.h>

/* Until the time has passed or somebody wakes us. Return: is the query over? */
static bool wait_a_little(struct watch *w)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += WATCH_MS * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	while (!w->done && pthread_cond_timedwait(&w->wake, &w->lock, &t) != ETIMEDOUT)
		;
	return w->done;
}

static void *watching(void *arg)
{
	struct watch *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!wait_a_little(w)) {
		w->error = w->k->progress(w->k->progress_arg, store_progress(w->result));
		if (!w->error)
			continue;
		store_cancel(w->result);
		break;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

void watch_begin(struct watch *w, const struct answer_sink *k, struct store_result *result)
{
	pthread_condattr_t attr;

	*w = (struct watch){.k = k, .result = result};
	if (!k->progress)
		return;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	w->running = !pthread_create(&w->thread, NULL, watching, w);
}

int watch_end(struct watch *w)
{
	if (!w->running)
		return 0;
	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	w->running = false;
	return w->error;
}
