// SPDX-License-Identifier: Apache-2.0
/*
 * watch.c - see watch.h.
 */
#include "loader/policy/watch.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/filter.h"
#include "common/log.h"
#include "loader/policy/board.h"

#define LOOK_NS	   UINT64_C(20000000)
#define LOOK_SHARE 20u
#define SLICE	   2048u /* flows looked at in one go */
#define AGAIN_NS   UINT64_C(1000000000)

_Static_assert(POLICY_AGENTS_MAX <= MERGE_PICKED_MAX, "a bit for each rule");

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- rules ---- */

void watch_done(struct watch *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		w->filter[i] = filter_free(w->filter[i]);
	w->n = 0;
}

static uint64_t fnv(uint64_t h, const void *of, size_t len) /* FNV-1a */
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const uint8_t *)of)[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t hash_of(const struct agent_row *row)
{
	uint64_t h = fnv(UINT64_C(0xcbf29ce484222325), &row->slot, sizeof(row->slot));

	h = fnv(h, row->id, sizeof(row->id));
	return fnv(h, row->where, strnlen(row->where, sizeof(row->where)));
}

/* Rules that stay, wherever they stand now: what they have picked they don't pick again. */
static void keep_picked(struct watch *w)
{
	uint64_t known[POLICY_AGENTS_MAX] = {};
	uint8_t to[MERGE_PICKED_MAX];
	const uint32_t n = w->rows.n <= POLICY_AGENTS_MAX ? w->rows.n : 0;

	for (uint32_t i = 0; i < n; i++)
		known[i] = hash_of(&w->rows.row[i]);
	for (uint32_t i = 0; i < MERGE_PICKED_MAX; i++) {
		uint32_t k = i < w->n ? 0 : n;

		while (k < n && known[k] != w->known[i])
			k++;
		to[i] = k < n ? (uint8_t)k : MERGE_PICKED_MAX;
	}
	memcpy(w->known, known, n * sizeof(known[0]));
	merge_picked_move(w->merge, to);
}

static void read_rules(struct watch *w)
{
	if (!agent_board_get(w->board, &w->rows, &w->seq))
		return;
	keep_picked(w);
	watch_done(w);
	w->n = w->rows.n <= POLICY_AGENTS_MAX ? w->rows.n : 0;
	for (uint32_t i = 0; i < w->n; i++) {
		const char *where = w->rows.row[i].where;
		struct filter_error e;

		if (filter_parse(where, strnlen(where, POLICY_WHERE_MAX), NULL, &w->filter[i], &e))
			log_warn("policy", "a rule for agents picks nothing here: %s", e.message);
	}
	memset(w->told, 0, sizeof(w->told));
	w->sweep = 0;
	w->sweeping = w->n && !merge_note_changes(w->merge);
	if (!w->n)
		merge_ignore_changes(w->merge);
}

bool watch_wanted(struct watch *w)
{
	if (agent_board_is_new(w->board, w->seq))
		read_rules(w);
	return w->n;
}

void watch_looked(struct watch *w, uint64_t from_ns)
{
	const uint64_t least = (mono_ns() - from_ns) * LOOK_SHARE;

	w->look_ns = from_ns + (least > LOOK_NS ? least : LOOK_NS);
}

/* ---- flows ---- */

/* Where it is kept that the source has been told; others may share it, and only repeat messages. */
static struct watch_told *place_of(struct watch *w, const struct flow_record *r, uint32_t rule)
{
	const uint64_t h = fnv(rule, r->src_ip, sizeof(r->src_ip));

	return &w->told[(h ^ h >> 32) % WATCH_TOLD];
}

/* Return: has it been told, now or a moment ago? */
static bool tell(struct watch *w, const struct flow_record *r, uint32_t rule, uint64_t now)
{
	const struct agent_row *row = &w->rows.row[rule];
	struct watch_told *t = place_of(w, r, rule);
	struct agent_hit hit = {
		.slot = row->slot, .port = r->dst_port, .proto = r->proto, .seen_ns = now};

	if (t->until_ns > now && t->rule == rule && !memcmp(t->addr, r->src_ip, sizeof(t->addr)))
		return true;
	memcpy(hit.id, row->id, sizeof(hit.id));
	memcpy(hit.addr, r->src_ip, sizeof(hit.addr));
	memcpy(hit.to, r->dst_ip, sizeof(hit.to));
	if (send(w->fd, &hit, sizeof(hit), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(hit)) {
		w->counts.lost++;
		return false;
	}
	w->counts.hits++;
	*t = (struct watch_told){.until_ns = now + AGAIN_NS, .rule = rule};
	memcpy(t->addr, r->src_ip, sizeof(t->addr));
	return true;
}

void watch_record(struct watch *w, uint32_t ref, const struct flow_record *r)
{
	uint64_t *picked = merge_picked(w->merge, ref), was = picked ? *picked : 0, now = 0;

	if (!flow_has(r, FF_SRC_IP))
		return;
	w->counts.looked++;
	for (uint32_t i = 0; i < w->n; i++) {
		if (was >> i & 1 || !w->filter[i] || !filter_match(w->filter[i], r))
			continue;
		if (!w->rows.row[i].any && !merge_proven(w->merge, ref)) {
			w->counts.unproven++;
			continue;
		}
		now = now ?: mono_ns();
		if (tell(w, r, i, now))
			was |= UINT64_C(1) << i;
	}
	if (picked)
		*picked = was;
}

static void look(void *arg, uint32_t ref, const struct flow_record *r)
{
	watch_record(arg, ref, r);
}

bool watch_some(struct watch *w)
{
	if (!w->n)
		return false;
	if (w->sweeping && !merge_live(w->merge, &w->sweep, SLICE, look, w))
		w->sweeping = false;
	return merge_changed(w->merge, SLICE, look, w) || w->sweeping;
}

void watch_counts(const struct watch *w, const struct policy_state *core, struct agent_counts *ret)
{
	*ret = w ? w->counts : (struct agent_counts){};
	ret->missed = w ? merge_changes_missed(w->merge) : 0;
	ret->made = core->agent_made;
	ret->refused = core->agent_refused;
}
