// SPDX-License-Identifier: Apache-2.0
#include "loader/ledger.h"

#include <errno.h>

#include "loader/outbox.h"

#define MAGIC	0x7765697231676572ull
#define VERSION 2u
#define PAGE	4096u

#define OUT_SKIP UINT32_MAX /* the rest of the ring is left empty */

/* Ahead of each record in the outbox. */
struct out_hdr {
	uint32_t len; /* of the packed record, or OUT_SKIP */
	uint32_t pad;
};

static size_t pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

size_t ledger_bytes(uint64_t slots, uint32_t max_flows)
{
	return pages(sizeof(struct ledger_head)) +
	       pages(LEDGER_UNDO_SLOTS * sizeof(struct ledger_undo_slot)) +
	       pages(LEDGER_UNDO_FLOWS * sizeof(struct ledger_undo_flow)) + LEDGER_OUT_BYTES +
	       pages(slots * LEDGER_SLOT_BYTES) + pages((uint64_t)max_flows * LEDGER_FLOW_BYTES);
}

/* Put back what was changed since the last commit. Backwards: the oldest copy is the true one. */
static void roll_back(struct ledger *l)
{
	uint64_t epoch = l->head->seq + 1;
	uint32_t n = 0;

	while (n < LEDGER_UNDO_SLOTS && l->undo_slot[n].epoch == epoch)
		n++;
	while (n-- > 0)
		if (l->undo_slot[n].index < l->head->slots)
			memcpy(l->slots + l->undo_slot[n].index * LEDGER_SLOT_BYTES,
			       l->undo_slot[n].was, LEDGER_SLOT_BYTES);
	n = 0;
	while (n < LEDGER_UNDO_FLOWS && l->undo_flow[n].epoch == epoch)
		n++;
	while (n-- > 0)
		if (l->undo_flow[n].index < l->head->max_flows)
			memcpy(l->flows + l->undo_flow[n].index * LEDGER_FLOW_BYTES,
			       l->undo_flow[n].was, LEDGER_FLOW_BYTES);
}

int ledger_open(struct ledger *l, void *mem, uint64_t slots, uint32_t max_flows)
{
	uint8_t *p = mem;
	struct ledger_head *h = mem;

	*l = (struct ledger){.head = h};
	p += pages(sizeof(*h));
	l->undo_slot = (void *)p;
	p += pages(LEDGER_UNDO_SLOTS * sizeof(struct ledger_undo_slot));
	l->undo_flow = (void *)p;
	p += pages(LEDGER_UNDO_FLOWS * sizeof(struct ledger_undo_flow));
	l->out = p;
	p += LEDGER_OUT_BYTES;
	l->slots = p;
	l->flows = p + pages(slots * LEDGER_SLOT_BYTES);
	l->fresh = !h->magic;
	if (l->fresh) {
		h->version = VERSION;
		h->slots = slots;
		h->max_flows = max_flows;
		__atomic_store_n(&h->magic, MAGIC, __ATOMIC_RELEASE);
	}
	if (h->magic != MAGIC || h->version != VERSION || h->slots != slots ||
	    h->max_flows != max_flows)
		return -ESTALE;
	roll_back(l);
	/* what was saved is back: from here on nothing of it may be put back once more */
	__atomic_store_n(&h->seq, h->seq + 2, __ATOMIC_RELEASE);
	l->now = h->at[h->seq & 1];
	l->delivered = l->now.out_end;
	l->delivered_no = l->now.out_no;
	return 0;
}

const struct ledger_done *ledger_done(const struct ledger *l)
{
	return &l->head->done[l->head->done_seq & 1];
}

static void set_done(struct ledger *l, const struct ledger_done *d)
{
	struct ledger_head *h = l->head;

	h->done[(h->done_seq + 1) & 1] = *d;
	__atomic_store_n(&h->done_seq, h->done_seq + 1, __ATOMIC_RELEASE);
}

static struct out_hdr *out_at(const struct ledger *l, uint64_t pos)
{
	return (void *)(l->out + pos % LEDGER_OUT_BYTES);
}

/* Past a gap at the end of the ring. */
static uint64_t out_skip(const struct ledger *l, uint64_t pos, uint64_t end)
{
	if (pos < end && out_at(l, pos)->len == OUT_SKIP)
		pos += LEDGER_OUT_BYTES - pos % LEDGER_OUT_BYTES;
	return pos;
}

/* The record after the one at @pos. */
static uint64_t out_next(const struct ledger *l, uint64_t pos)
{
	return pos + sizeof(struct out_hdr) + out_at(l, pos)->len;
}

/* Deliver from @pos up to @end. */
static void deliver(struct ledger *l, uint64_t pos, uint64_t end)
{
	static struct outbox_record rec;

	for (pos = out_skip(l, pos, end); pos < end; pos = out_skip(l, out_next(l, pos), end)) {
		const struct out_hdr *h = out_at(l, pos);

		if (h->len > LEDGER_OUT_BYTES - pos % LEDGER_OUT_BYTES - sizeof(*h))
			return; /* somebody has written over it */
		if (!outbox_unpack((const uint8_t *)(h + 1), h->len, &rec))
			l->deliver(l->arg, &rec.r);
	}
}

void ledger_redeliver(struct ledger *l)
{
	deliver(l, ledger_done(l)->out_start, l->now.out_end);
}

/* Give up the oldest record that the sinks have but have not confirmed. False: there is none. */
static bool forget_oldest(struct ledger *l)
{
	struct ledger_done d = *ledger_done(l);

	d.out_start = out_skip(l, d.out_start, l->now.out_end);
	if (d.out_start >= l->delivered)
		return false;
	d.out_start = out_next(l, d.out_start);
	d.out_no++;
	set_done(l, &d);
	l->head->unguarded++;
	return true;
}

/* Room for @len bytes in a row; the position, or UINT64_MAX. */
static uint64_t out_room(struct ledger *l, size_t len)
{
	uint64_t pos = l->now.out_end, left = LEDGER_OUT_BYTES - pos % LEDGER_OUT_BYTES;
	uint64_t end = (left < len ? pos + left : pos) + len;

	while (end - ledger_done(l)->out_start > LEDGER_OUT_BYTES)
		if (!forget_oldest(l))
			return UINT64_MAX;
	if (left < len) {
		out_at(l, pos)->len = OUT_SKIP;
		pos += left;
	}
	return pos;
}

void ledger_emit(struct ledger *l, const struct flow_record *r)
{
	size_t len = outbox_size(r);
	uint64_t pos = UINT64_MAX;

	if (len < LEDGER_OUT_BYTES / 4)
		pos = out_room(l, len + sizeof(struct out_hdr));
	if (pos == UINT64_MAX) {
		l->head->unguarded++;
		l->deliver(l->arg, r);
		return;
	}
	out_at(l, pos)->len = (uint32_t)len;
	outbox_pack(r, (uint8_t *)(out_at(l, pos) + 1));
	l->now.out_end = out_next(l, pos);
	l->now.out_no++;
}

void ledger_commit(struct ledger *l)
{
	struct ledger_head *h = l->head;

	h->at[(h->seq + 1) & 1] = l->now;
	__atomic_store_n(&h->seq, h->seq + 1, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	l->n_slot = 0;
	l->n_flow = 0;
	if (l->delivered == l->now.out_end)
		return;
	deliver(l, l->delivered, l->now.out_end);
	l->delivered = l->now.out_end;
	l->delivered_no = l->now.out_no;
}

void ledger_confirm(struct ledger *l, uint64_t no, const void *note, size_t len)
{
	struct ledger_done d = *ledger_done(l);

	while (d.out_no < no && d.out_start < l->delivered) {
		d.out_start = out_next(l, out_skip(l, d.out_start, l->delivered));
		d.out_no++;
	}
	memset(d.note, 0, sizeof(d.note));
	memcpy(d.note, note, len);
	set_done(l, &d);
}
