// SPDX-License-Identifier: Apache-2.0
/*
 * adder.c - see adder.h.
 */
#include "collector/store/adder.h"

#include <stdlib.h>

struct adder {
	struct rollup *r;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, done;
	const struct block **block; /* ring */
	uint32_t max, at, n;	    /* those that wait begin at `at` */
	uint32_t batch;
	bool busy, stop;
};

static void *run(void *arg)
{
	struct adder *a = arg;

	pthread_setname_np(pthread_self(), "store-rollup");

	pthread_mutex_lock(&a->lock);
	for (;;) {
		const struct block *b;
		uint32_t batch;

		while (!a->n && !a->stop)
			pthread_cond_wait(&a->more, &a->lock);
		if (!a->n)
			break;
		b = a->block[a->at];
		a->at = (a->at + 1) % a->max;
		a->n--;
		a->busy = true;
		batch = a->batch;
		pthread_mutex_unlock(&a->lock);
		rollup_add(a->r, b, batch);
		pthread_mutex_lock(&a->lock);
		a->busy = false;
		pthread_cond_broadcast(&a->done);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

struct adder *adder_new(struct rollup *r, uint32_t max)
{
	struct adder *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->r = r;
	a->max = max;
	a->block = calloc(max, sizeof(*a->block));
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->more, NULL);
	pthread_cond_init(&a->done, NULL);
	if (!a->block || pthread_create(&a->thread, NULL, run, a)) {
		free(a->block);
		free(a);
		return NULL;
	}
	return a;
}

struct adder *adder_free(struct adder *a)
{
	if (!a)
		return NULL;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->more);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->more);
	pthread_cond_destroy(&a->done);
	pthread_mutex_destroy(&a->lock);
	free(a->block);
	free(a);
	return NULL;
}

void adder_push(struct adder *a, const struct block *b, uint32_t batch)
{
	pthread_mutex_lock(&a->lock);
	while (a->n == a->max)
		pthread_cond_wait(&a->done, &a->lock);
	a->block[(a->at + a->n) % a->max] = b;
	a->n++;
	a->batch = batch;
	pthread_cond_signal(&a->more);
	pthread_mutex_unlock(&a->lock);
}

void adder_wait(struct adder *a)
{
	pthread_mutex_lock(&a->lock);
	while (a->n || a->busy)
		pthread_cond_wait(&a->done, &a->lock);
	pthread_mutex_unlock(&a->lock);
}
