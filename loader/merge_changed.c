// SPDX-License-Identifier: Apache-2.0
/*
 * merge_changed.c - which flows have had packets since somebody last looked: a queue of fixed size, and a bit
 * for each flow that is in it. Off, it costs a comparison a delta.
 */
#include <errno.h>
#include <stdlib.h>

#include "loader/merge_int.h"

#define BITS 64u

static uint64_t *noted(struct changed *c, uint32_t ref)
{
	return &c->noted[ref / BITS];
}

static uint64_t bit(uint32_t ref)
{
	return UINT64_C(1) << ref % BITS;
}

int merge_note_changes(struct merge *m)
{
	struct changed *c;

	if (m->changed)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->noted = calloc(m->cfg.max_flows / BITS + 1, sizeof(*c->noted));
	c->picked = calloc(m->cfg.max_flows + 1, sizeof(*c->picked));
	if (!c->noted || !c->picked) {
		free(c->noted);
		free(c->picked);
		free(c);
		return -ENOMEM;
	}
	m->changed = c;
	return 0;
}

void merge_ignore_changes(struct merge *m)
{
	if (!m->changed)
		return;
	m->missed += m->changed->missed;
	free(m->changed->noted);
	free(m->changed->picked);
	free(m->changed);
	m->changed = NULL;
}

void merge_note(struct merge *m, const struct flow_state *st)
{
	struct changed *c = m->changed;
	const uint32_t ref = merge_ref(m, st);

	c->picked[ref] = 0;
	if (*noted(c, ref) & bit(ref))
		return;
	if (c->n == MERGE_CHANGED_MAX) {
		c->missed++;
		return;
	}
	*noted(c, ref) |= bit(ref);
	c->refs[c->n++] = ref;
}

bool merge_changed(struct merge *m, uint32_t n, merge_live_fn fn, void *arg)
{
	struct changed *c = m->changed;

	if (!c)
		return false;
	for (; n && c->at < c->n; n--) {
		const uint32_t ref = c->refs[c->at++];
		const struct flow_state *st = merge_state(m, ref);

		*noted(c, ref) &= ~bit(ref);
		if (st->flags & FS_LIVE && st->flags & (FS_SEEN0 | FS_SEEN1))
			merge_show(m, ref, fn, arg);
	}
	if (c->at < c->n)
		return true;
	c->at = c->n = 0;
	return false;
}

uint64_t *merge_picked(struct merge *m, uint32_t ref)
{
	return m->changed ? &m->changed->picked[ref] : NULL;
}

void merge_picked_move(struct merge *m, const uint8_t to[MERGE_PICKED_MAX])
{
	for (uint32_t ref = 1; m->changed && ref <= m->slab_used; ref++) {
		uint64_t was = m->changed->picked[ref], now = 0;

		for (; was; was &= was - 1) {
			const uint8_t bit = to[__builtin_ctzll(was)];

			now |= bit < MERGE_PICKED_MAX ? UINT64_C(1) << bit : 0;
		}
		m->changed->picked[ref] = now;
	}
}

uint64_t merge_changes_missed(const struct merge *m)
{
	return m->missed + (m->changed ? m->changed->missed : 0);
}

bool merge_proven(const struct merge *m, uint32_t ref)
{
	const unsigned int handshake = 1u << NS_SYN | 1u << NS_SYNACK | 1u << NS_ACK;
	const struct flow_state *st;

	if (!ref || ref > m->slab_used)
		return false;
	st = merge_state(m, ref);
	if (!is_tcp(&st->key) || (st->ns_known & handshake) != handshake)
		return false;
	return st->ns_known & 1u << (st->init_dir ? NS_PAYLOAD0 : NS_PAYLOAD1) ||
	       st->tcp_flags[0] & st->tcp_flags[1] & TCP_FIN;
}
