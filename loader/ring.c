// SPDX-License-Identifier: Apache-2.0
#include "loader/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

int ring_open(struct ring *r, int fd, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *consumer, *producer;

	consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (consumer == MAP_FAILED)
		return -errno;
	producer = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, fd, page);
	if (producer == MAP_FAILED) {
		int r2 = -errno;

		munmap(consumer, page);
		return r2;
	}
	*r = (struct ring){
		.consumer = consumer,
		.producer = producer,
		.data = (const uint8_t *)producer + page,
		.size = size,
		.pos = *(unsigned long *)consumer,
		.fd = -1,
	};
	return 0;
}

void ring_close(struct ring *r)
{
	size_t page = sysconf(_SC_PAGESIZE);

	if (!r->consumer)
		return;
	munmap(r->consumer, page);
	munmap(r->producer, page + 2 * r->size);
	*r = (struct ring){};
}

unsigned long ring_end(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
}

bool ring_has_more(const struct ring *r)
{
	return ring_end(r) != r->pos;
}

const void *ring_next(struct ring *r, unsigned long end, size_t *ret_len)
{
	while (r->pos < end) {
		const uint8_t *p = r->data + (r->pos & (r->size - 1));
		uint32_t hdr = __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
		uint32_t len = hdr & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (hdr & BPF_RINGBUF_BUSY_BIT)
			return NULL;
		r->pos += (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		if (hdr & BPF_RINGBUF_DISCARD_BIT)
			continue;
		*ret_len = len;
		return p + BPF_RINGBUF_HDR_SZ;
	}
	return NULL;
}

void ring_release(struct ring *r)
{
	__atomic_store_n(r->consumer, r->pos, __ATOMIC_RELEASE);
}
