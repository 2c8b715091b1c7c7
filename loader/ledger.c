// SPDX-License-Identifier: Apache-2.0
#include "loader/ledger.h"

#include <errno.h>

#include "loader/outbox.h"

#define MAGIC	0x7765697231676572ull
#define TABLES	0x7765697231746162ull
#define VERSION 6u
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

size_t ledger_bytes(uint32_t max_flows)
{
	return pages(sizeof(struct ledger_head)) +
	       pages(LEDGER_UNDO_SLOTS * sizeof(struct ledger_undo_slot)) +
	       pages(LEDGER_UNDO_FLOWS * sizeof(struct ledger_undo_flow)) +
	       pages(LEDGER_UNDO_DIDS * sizeof(struct ledger_undo_did)) + LEDGER_OUT_BYTES +
	       pages((uint64_t)max_flows * LEDGER_FLOW_BYTES) +
	       pages((uint64_t)max_flows * LEDGER_DID_BYTES);
}

size_t ledger_tables_bytes(uint64_t slots, uint64_t marks)
{
	return pages(sizeof(struct ledger_tables)) + pages(slots * LEDGER_SLOT_BYTES) +
	       pages(marks * LEDGER_MARK_BYTES);
}

/* Where everything is in the memory. */
static void lay_out(struct ledger *l, void *mem, uint32_t max_flows)
{
	uint8_t *p = mem;

	*l = (struct ledger){.head = mem};
	p += pages(sizeof(*l->head));
	l->undo_slot = (void *)p;
	p += pages(LEDGER_UNDO_SLOTS * sizeof(struct ledger_undo_slot));
	l->undo_flow = (void *)p;
	p += pages(LEDGER_UNDO_FLOWS * sizeof(struct ledger_undo_flow));
	l->undo_did = (void *)p;
	p += pages(LEDGER_UNDO_DIDS * sizeof(struct ledger_undo_did));
	l->out = p;
	l->flows = p + LEDGER_OUT_BYTES;
	l->did = l->flows + pages((uint64_t)max_flows * LEDGER_FLOW_BYTES);
}

static struct ledger_part *part_of(struct ledger *l, uint32_t id)
{
	for (unsigned int i = 0; i < l->parts; i++)
		if (l->part[i].id == id)
			return &l->part[i];
	return NULL;
}

static void put_slot_back(struct ledger *l, const struct ledger_undo_slot *u)
{
	const struct ledger_part *p = part_of(l, u->tables);

	if (p && u->index < p->slots)
		memcpy(p->slot + (uint64_t)u->index * LEDGER_SLOT_BYTES, u->was, LEDGER_SLOT_BYTES);
}

static void put_did_back(struct ledger *l, const struct ledger_undo_did *u)
{
	const struct ledger_part *p = part_of(l, u->tables);

	if (!u->tables && u->index < l->head->max_flows)
		memcpy(l->did + (uint64_t)u->index * LEDGER_DID_BYTES, u->was, LEDGER_DID_BYTES);
	else if (p && u->index < p->marks)
		memcpy(p->mark + (uint64_t)u->index * LEDGER_MARK_BYTES, u->was, LEDGER_MARK_BYTES);
}

/* Put back what was changed since the last commit. Backwards: the oldest copy is the true one. */
static void roll_back(struct ledger *l)
{
	uint64_t epoch = l->head->seq + 1;
	uint32_t n = 0;

	while (n < LEDGER_UNDO_SLOTS && l->undo_slot[n].epoch == epoch)
		n++;
	while (n-- > 0)
		put_slot_back(l, &l->undo_slot[n]);
	n = 0;
	while (n < LEDGER_UNDO_FLOWS && l->undo_flow[n].epoch == epoch)
		n++;
	while (n-- > 0)
		if (l->undo_flow[n].index < l->head->max_flows)
			memcpy(l->flows + l->undo_flow[n].index * LEDGER_FLOW_BYTES,
			       l->undo_flow[n].was, LEDGER_FLOW_BYTES);
	n = 0;
	while (n < LEDGER_UNDO_DIDS && l->undo_did[n].epoch == epoch)
		n++;
	while (n-- > 0)
		put_did_back(l, &l->undo_did[n]);
}

static int open_part(struct ledger *l, struct ledger_part *p)
{
	struct ledger_tables *t = p->mem;

	p->slot = (uint8_t *)t + pages(sizeof(*t));
	p->mark = p->slot + pages(p->slots * LEDGER_SLOT_BYTES);
	p->fresh = !t->magic;
	if (p->fresh) {
		t->slots = p->slots;
		t->marks = p->marks;
		__atomic_store_n(&t->magic, TABLES, __ATOMIC_RELEASE);
	}
	p->ring_pos = t->ring_pos[l->head->seq & 1];
	return t->magic != TABLES || t->slots != p->slots || t->marks != p->marks ? -ESTALE : 0;
}

int ledger_room(const void *mem, uint32_t *ret_flows)
{
	const struct ledger_head *h = mem;

	*ret_flows = h->magic ? h->max_flows : 0;
	return h->magic && (h->magic != MAGIC || h->version != VERSION) ? -ESTALE : 0;
}

static void begin(struct ledger_head *h, uint32_t max_flows)
{
	h->version = VERSION;
	h->max_flows = max_flows;
}

int ledger_open(struct ledger *l, void *mem, uint32_t max_flows, const struct ledger_part *part,
		unsigned int parts)
{
	struct ledger_head *h = mem;
	uint32_t room;
	int r = 0;

	lay_out(l, mem, max_flows);
	l->fresh = !h->magic;
	if (l->fresh) {
		begin(h, max_flows);
		__atomic_store_n(&h->magic, MAGIC, __ATOMIC_RELEASE);
	}
	if (ledger_room(mem, &room) || room != max_flows || parts > LEDGER_TABLES_MAX)
		return -ESTALE;
	memcpy(l->part, part, parts * sizeof(*part));
	l->parts = parts;
	for (unsigned int i = 0; !r && i < parts; i++)
		r = open_part(l, &l->part[i]);
	if (r)
		return r;
	roll_back(l);
	/* what was saved is back: from here on nothing of it may be put back once more */
	__atomic_store_n(&h->seq, h->seq + 2, __ATOMIC_RELEASE);
	l->now = h->at[h->seq & 1];
	l->delivered = l->now.out_end;
	l->delivered_no = l->now.out_no;
	return 0;
}

void ledger_move(struct ledger *to, void *mem, uint32_t max_flows, const struct ledger *from)
{
	struct ledger_head *h = mem;

	lay_out(to, mem, max_flows);
	*h = *from->head; /* seq too: ring_pos[] of the tables goes by it */
	h->magic = 0;
	begin(h, max_flows);
	memcpy(to->out, from->out, LEDGER_OUT_BYTES);
}

void ledger_moved(struct ledger *to)
{
	__atomic_store_n(&to->head->magic, MAGIC, __ATOMIC_RELEASE);
}

static bool point_has_ended(const struct ledger_point *at, uint32_t tables)
{
	for (unsigned int i = 0; i < LEDGER_TABLES_MAX; i++)
		if (at->ended[i] == tables)
			return true;
	return false;
}

bool ledger_has_ended(const struct ledger *l, uint32_t tables)
{
	return point_has_ended(&l->now, tables);
}

bool ledger_at_has_ended(const void *mem, uint32_t tables)
{
	const struct ledger_head *h = mem;
	uint32_t room;

	return !ledger_room(mem, &room) && room && point_has_ended(&h->at[h->seq & 1], tables);
}

void ledger_end(struct ledger *l, struct ledger_part *p, const uint64_t counters[WEIR_CNT_SLOTS])
{
	unsigned int i = 0, k = 0;

	/* those that are not there any more need no mention */
	while (i + 1 < LEDGER_TABLES_MAX && l->now.ended[i] && part_of(l, l->now.ended[i]))
		i++;
	l->now.ended[i] = p->id;
	for (; k < WEIR_CNT_SLOTS; k++)
		l->now.counters[k] += counters[k];
	ledger_commit(l);
	p->mem = NULL;
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

void ledger_save_did(struct ledger *l, const struct ledger_part *p, uint64_t index)
{
	struct ledger_undo_did *u = &l->undo_did[l->n_did];

	if (l->n_did == LEDGER_UNDO_DIDS) {
		l->head->undo_full++;
		return;
	}
	if (p)
		memcpy(u->was, p->mark + index * LEDGER_MARK_BYTES, LEDGER_MARK_BYTES);
	else
		memcpy(u->was, l->did + index * LEDGER_DID_BYTES, LEDGER_DID_BYTES);
	u->index = (uint32_t)index;
	u->tables = p ? p->id : 0;
	__atomic_store_n(&u->epoch, l->head->seq + 1, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the change comes after */
	l->n_did++;
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
	l->head->unguarded_packets +=
		((const struct flow_record *)(out_at(l, d.out_start) + 1))->packets;
	d.out_start = out_next(l, d.out_start);
	d.out_no++;
	set_done(l, &d);
	l->head->unguarded++;
	return true;
}

/* While the receivers are behind, records between two questions. */
#define ASK_EVERY 64u

/* Room for @len bytes in a row; the position, or UINT64_MAX. */
static uint64_t out_room(struct ledger *l, size_t len)
{
	uint64_t pos = l->now.out_end, left = LEDGER_OUT_BYTES - pos % LEDGER_OUT_BYTES;
	uint64_t end = (left < len ? pos + left : pos) + len;

	if (end - ledger_done(l)->out_start > LEDGER_OUT_BYTES && l->ask &&
	    l->now.out_no - l->asked_no >= ASK_EVERY) {
		l->asked_no = l->now.out_no;
		l->ask(l->arg);
	}
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
		l->head->unguarded_packets += r->packets;
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
	for (unsigned int i = 0; i < l->parts; i++)
		if (l->part[i].mem)
			l->part[i].mem->ring_pos[(h->seq + 1) & 1] = l->part[i].ring_pos;
	__atomic_store_n(&h->seq, h->seq + 1, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	l->n_slot = 0;
	l->n_flow = 0;
	l->n_did = 0;
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
