// SPDX-License-Identifier: Apache-2.0
#include "loader/export/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNKS_MIN 4u

static struct chunk *chunk_of(const struct queue *q, uint32_t i)
{
	return (struct chunk *)(void *)(q->mem + i * q->stride);
}

static uint32_t index_of(const struct queue *q, const struct chunk *c)
{
	return (uint32_t)((size_t)((const char *)c - q->mem) / q->stride);
}

int queue_init(struct queue *q, uint64_t bytes, uint32_t capacity)
{
	memset(q, 0, sizeof(*q));
	q->capacity = capacity;
	q->stride = (sizeof(struct chunk) + capacity + 63) & ~(size_t)63;
	q->n = CHUNKS_MIN;
	if (bytes / q->stride > q->n)
		q->n = (uint32_t)(bytes / q->stride);
	q->mem = mmap(NULL, q->n * q->stride, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (q->mem == MAP_FAILED) {
		q->mem = NULL;
		return -ENOMEM;
	}
	q->full = calloc(q->n, sizeof(*q->full));
	q->empty = calloc(q->n, sizeof(*q->empty));
	q->stack = calloc(q->n, sizeof(*q->stack));
	if (!q->full || !q->empty || !q->stack) {
		queue_done(q);
		return -ENOMEM;
	}
	while (q->depth < q->n) {
		q->stack[q->depth] = q->n - 1 - q->depth;
		q->depth++;
	}
	return 0;
}

void queue_done(struct queue *q)
{
	if (q->mem)
		munmap(q->mem, q->n * q->stride);
	free(q->full);
	free(q->empty);
	free(q->stack);
	memset(q, 0, sizeof(*q));
}

/* Those that came back since. */
static void collect(struct queue *q)
{
	uint64_t tail = atomic_load_explicit(&q->empty_tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&q->empty_head, memory_order_acquire);

	while (tail != head)
		q->stack[q->depth++] = q->empty[tail++ % q->n];
	atomic_store_explicit(&q->empty_tail, tail, memory_order_release);
}

struct chunk *queue_take(struct queue *q)
{
	struct chunk *c;

	collect(q);
	if (!q->depth)
		return NULL;
	c = chunk_of(q, q->stack[--q->depth]);
	memset(c, 0, sizeof(*c));
	return c;
}

void queue_untake(struct queue *q, struct chunk *c)
{
	q->stack[q->depth++] = index_of(q, c);
}

void queue_push(struct queue *q, struct chunk *c)
{
	uint64_t head = atomic_load_explicit(&q->full_head, memory_order_relaxed);

	q->full[head % q->n] = index_of(q, c);
	/* sequentially consistent: the waker looks at `asleep` after this */
	atomic_store(&q->full_head, head + 1);
}

uint32_t queue_waiting(const struct queue *q)
{
	return (uint32_t)(atomic_load(&q->full_head) -
			  atomic_load_explicit(&q->full_tail, memory_order_relaxed));
}

struct chunk *queue_at(const struct queue *q, uint32_t i)
{
	uint64_t tail = atomic_load_explicit(&q->full_tail, memory_order_relaxed);

	return chunk_of(q, q->full[(tail + i) % q->n]);
}

void queue_pop(struct queue *q)
{
	uint64_t tail = atomic_load_explicit(&q->full_tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&q->empty_head, memory_order_relaxed);

	atomic_store(&q->upto, queue_at(q, 0)->upto);
	q->empty[head % q->n] = q->full[tail % q->n];
	atomic_store_explicit(&q->full_tail, tail + 1, memory_order_release);
	atomic_store_explicit(&q->empty_head, head + 1, memory_order_release);
}
