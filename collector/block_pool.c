// SPDX-License-Identifier: Apache-2.0
/*
 * block_pool.c - the fixed pool of blocks and the queue to the writer; see block.h. A block's memory
 * is one mapping: pages of columns that nobody touches are never there.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "collector/block_int.h"

#define ALIGN 64u

struct block_pool {
	pthread_mutex_t lock;
	pthread_cond_t given; /* a block came back */
	pthread_cond_t sent;  /* one was sent, or the pool was closed */
	struct block *free;
	struct block *first, **last; /* the queue */
	struct block_pool_stats stats;
	bool closed;
	size_t block_bytes;
	char *map;
	struct block *blocks;
};

static size_t place(size_t *at, size_t bytes)
{
	size_t here = *at;

	*at += (bytes + ALIGN - 1) / ALIGN * ALIGN;
	return here;
}

/* Lay out one block at @p, or only measure with NULL. */
static size_t layout(struct block *b, char *p)
{
	size_t at = 0, here;

	for (unsigned int c = 0; c < _BC_MAX; c++) {
		here = place(&at, BLOCK_WORDS * sizeof(uint64_t));
		if (p)
			b->valid[c] = (uint64_t *)(void *)(p + here);
	}
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		here = place(&at, (size_t)BLOCK_ROWS * block_columns[c].size);
		if (p)
			b->data[c] = p + here;
	}
	here = place(&at, BLOCK_MARKS_MAX * sizeof(struct block_mark));
	if (p)
		b->marks = (struct block_mark *)(void *)(p + here);
	here = place(&at, BLOCK_TEXT);
	if (p)
		b->text = p + here;
	return (at + 4095) / 4096 * 4096;
}

void block_reset(struct block *b)
{
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		if (block_is_used(b, c))
			memset(b->valid[c], 0, BLOCK_WORDS * sizeof(uint64_t));
	}
	memset(b->used, 0, sizeof(b->used));
	b->more = false;
	b->rows = b->marks_n = b->text_len = 0;
	b->next = NULL;
}

struct block_pool *block_pool_new(uint32_t blocks)
{
	struct block_pool *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (!p)
		return NULL;
	p->last = &p->first;
	p->stats.blocks = p->stats.free = blocks;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->given, &attr);
	pthread_cond_init(&p->sent, &attr);
	pthread_condattr_destroy(&attr);
	p->block_bytes = layout(NULL, NULL);
	p->map = mmap(NULL, p->block_bytes * blocks, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	p->blocks = calloc(blocks, sizeof(*p->blocks));
	if (p->map == MAP_FAILED || !p->blocks)
		return block_pool_free(p);
	for (uint32_t i = blocks; i-- > 0;) {
		layout(&p->blocks[i], p->map + i * p->block_bytes);
		p->blocks[i].next = p->free;
		p->free = &p->blocks[i];
	}
	return p;
}

struct block_pool *block_pool_free(struct block_pool *p)
{
	if (!p)
		return NULL;
	if (p->map && p->map != MAP_FAILED)
		munmap(p->map, p->block_bytes * p->stats.blocks);
	pthread_cond_destroy(&p->given);
	pthread_cond_destroy(&p->sent);
	pthread_mutex_destroy(&p->lock);
	free(p->blocks);
	free(p);
	return NULL;
}

static void deadline(struct timespec *ts, uint32_t timeout_ms)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += timeout_ms / 1000;
	ts->tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}
}

struct block *block_get_wait(struct block_pool *p, uint32_t timeout_ms)
{
	struct timespec until;
	struct block *b;

	if (timeout_ms)
		deadline(&until, timeout_ms);
	pthread_mutex_lock(&p->lock);
	while (!p->free && timeout_ms) {
		if (pthread_cond_timedwait(&p->given, &p->lock, &until) == ETIMEDOUT)
			break;
	}
	b = p->free;
	if (b) {
		p->free = b->next;
		p->stats.free--;
		b->holders = 1;
	} else {
		p->stats.refused++;
	}
	pthread_mutex_unlock(&p->lock);
	if (b)
		block_reset(b);
	return b;
}

struct block *block_get(struct block_pool *p)
{
	return block_get_wait(p, 0);
}

void block_share(struct block_pool *p, struct block *b)
{
	pthread_mutex_lock(&p->lock);
	b->holders++;
	pthread_mutex_unlock(&p->lock);
}

void block_put(struct block_pool *p, struct block *b)
{
	pthread_mutex_lock(&p->lock);
	if (!--b->holders) {
		b->next = p->free;
		p->free = b;
		p->stats.free++;
		pthread_cond_signal(&p->given);
	}
	pthread_mutex_unlock(&p->lock);
}

void block_send(struct block_pool *p, struct block *b)
{
	b->next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->last = b;
	p->last = &b->next;
	p->stats.queued++;
	p->stats.sent++;
	pthread_cond_signal(&p->sent);
	pthread_mutex_unlock(&p->lock);
}

struct block *block_receive(struct block_pool *p, uint32_t timeout_ms)
{
	struct timespec until;
	struct block *b;

	deadline(&until, timeout_ms);
	pthread_mutex_lock(&p->lock);
	while (!p->first && !p->closed) {
		if (pthread_cond_timedwait(&p->sent, &p->lock, &until) == ETIMEDOUT)
			break;
	}
	b = p->first;
	if (b) {
		p->first = b->next;
		if (!p->first)
			p->last = &p->first;
		p->stats.queued--;
	}
	pthread_mutex_unlock(&p->lock);
	return b;
}

void block_close(struct block_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	pthread_cond_broadcast(&p->sent);
	pthread_mutex_unlock(&p->lock);
}

bool block_closed(struct block_pool *p)
{
	bool closed;

	pthread_mutex_lock(&p->lock);
	closed = p->closed;
	pthread_mutex_unlock(&p->lock);
	return closed;
}

void block_pool_stats(struct block_pool *p, struct block_pool_stats *ret)
{
	pthread_mutex_lock(&p->lock);
	*ret = p->stats;
	pthread_mutex_unlock(&p->lock);
}
