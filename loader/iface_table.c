// SPDX-License-Identifier: Apache-2.0
#include "loader/iface_table.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define READ_TRIES 1000 /* a row is written in some ns; its writer may have died over it */

struct iface_table *iface_table_new(void)
{
	void *p = mmap(NULL, sizeof(struct iface_table), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void iface_table_free(struct iface_table *t)
{
	if (t)
		munmap(t, sizeof(*t));
}

/* Where the row of an interface is looked for, @i-th try. */
static unsigned int home(uint32_t netns, uint32_t ifindex, unsigned int i)
{
	return (netns * 31 + ifindex + i) % IFACE_ROWS;
}

/* Rows are found by open addressing; none is ever emptied, so no search ends early. Its own row,
 * else one never used, else the first of an interface that is gone.
 */
static struct iface_row *place(struct iface_table *t, uint32_t netns, uint32_t ifindex)
{
	struct iface_row *gone = NULL;

	for (unsigned int i = 0; i < IFACE_ROWS; i++) {
		struct iface_row *r = &t->row[home(netns, ifindex, i)];

		if (!r->ifindex || (r->ifindex == ifindex && r->netns == netns))
			return r;
		if (!r->attached && !gone)
			gone = r;
	}
	return gone;
}

void iface_table_reloaded(struct iface_table *t, bool refused)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	__atomic_store_n(&t->refused_ns,
			 refused ? (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec : 0,
			 __ATOMIC_RELAXED);
}

void iface_table_put(struct iface_table *t, const struct iface_row *row)
{
	struct iface_row *r = place(t, row->netns, row->ifindex);
	uint32_t seq;

	if (!r)
		return; /* not as long as fewer can be attached than there are rows */
	seq = r->seq | 1;
	__atomic_store_n(&r->seq, seq, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy((char *)r + offsetof(struct iface_row, ifindex),
	       (const char *)row + offsetof(struct iface_row, ifindex),
	       sizeof(*r) - offsetof(struct iface_row, ifindex));
	r->number = row->netns ? IFACE_NUMBER_ELSEWHERE + (uint32_t)(r - t->row) : row->ifindex;
	__atomic_store_n(&r->seq, seq + 1, __ATOMIC_RELEASE);
}

bool iface_table_get(const struct iface_table *t, unsigned int i, struct iface_row *ret)
{
	const struct iface_row *r = &t->row[i];

	for (int tries = 0; tries < READ_TRIES; tries++) {
		uint32_t seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE);

		memcpy(ret, r, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) && seq == __atomic_load_n(&r->seq, __ATOMIC_RELAXED))
			return ret->ifindex != 0;
	}
	return false;
}

bool iface_table_find(const struct iface_table *t, uint32_t netns, uint32_t ifindex,
		      struct iface_row *ret)
{
	for (unsigned int i = 0; i < IFACE_ROWS; i++) {
		unsigned int n = home(netns, ifindex, i);
		uint32_t has = __atomic_load_n(&t->row[n].ifindex, __ATOMIC_RELAXED);

		if (!has)
			return false;
		if (has == ifindex && __atomic_load_n(&t->row[n].netns, __ATOMIC_RELAXED) == netns)
			return iface_table_get(t, n, ret) && ret->ifindex == ifindex &&
			       ret->netns == netns;
	}
	return false;
}

int iface_roles_get(struct iface_roles *r, const struct iface_table *t, uint32_t netns,
		    uint32_t ifindex)
{
	const size_t at = (netns + ifindex) % IFACE_ROLES_KNOWN;
	struct iface_row row;

	if (r->known[at].ifindex && r->known[at].ifindex == ifindex && r->known[at].netns == netns)
		return r->known[at].role;
	if (!iface_table_find(t, netns, ifindex, &row))
		return -1;
	r->known[at].netns = netns;
	r->known[at].ifindex = ifindex;
	r->known[at].role = row.role;
	return row.role;
}
