// SPDX-License-Identifier: Apache-2.0
#include "loader/policy/table.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "loader/policy/table_int.h"

#define NS_PER_S UINT64_C(1000000000)

/* ---- the maps ---- */

static int map_one(int fd, size_t value, void **ret, size_t *ret_bytes)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
	void *p;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	if (info.value_size != value)
		return -ESTALE;
	bytes = ((size_t)info.max_entries * value + page - 1) / page * page;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	(void)madvise(p, bytes, MADV_DONTFORK); /* the worker shall not have them */
	*ret = p;
	*ret_bytes = bytes;
	return (int)info.max_entries;
}

static int map_all(struct policy_table *t, const struct policy_fds *f)
{
	const struct {
		int fd;
		size_t value;
		void **to;
	} maps[6] = {
		{f->policy_control, sizeof(struct policy_control), (void **)&t->control},
		{f->policy_rules, sizeof(struct policy_slot), (void **)&t->slots},
		{f->policy_counts, sizeof(struct policy_count), (void **)&t->counts},
		{f->policy_index, sizeof(struct policy_bucket), (void **)&t->index},
		{f->policy_decisions, sizeof(struct policy_decision), (void **)&t->decisions},
		{f->policy_presence, sizeof(*t->presence), (void **)&t->presence},
	};
	int n[6];

	for (int i = 0; i < 6; i++) {
		n[i] = map_one(maps[i].fd, maps[i].value, maps[i].to, &t->bytes[i]);
		if (n[i] < 0)
			return n[i];
	}
	if (n[1] != POLICY_RULES || n[5] != PRESENCE_ALL || n[3] & (n[3] - 1))
		return -EINVAL;
	t->cpus = (uint32_t)n[2] / POLICY_RULES;
	t->buckets = (uint32_t)n[3];
	t->max = (uint32_t)n[4] - 1;
	return 0;
}

/* What is in the maps: nothing, or what an earlier process left. */
static int adopt(struct policy_table *t)
{
	struct policy_control *c = t->control;

	if (!c->seed[0]) {
		if (getrandom(c->seed, sizeof(c->seed), 0) != sizeof(c->seed))
			return -EIO;
		c->index_mask = t->buckets - 1;
		c->other_order = UINT32_MAX;
	}
	t->generation = c->generation;
	t->stopped = t->generation && !c->active;
	rules_adopt(t);
	for (uint32_t n = t->max; n > 0; n--) {
		decision_adopt(t, n);
		if (t->meta[n].state == DECISION_FREE)
			decision_free(t, n);
	}
	return 0;
}

int policy_table_open(const struct policy_fds *fds, struct policy_table **ret)
{
	struct policy_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->next_expiry = POLICY_FOREVER;
	r = map_all(t, fds);
	if (!r) {
		t->rule = calloc(POLICY_RULES, sizeof(*t->rule));
		t->meta = calloc(t->max + 1, sizeof(*t->meta));
		t->free = calloc(t->max / 64 + 1, sizeof(*t->free));
		r = t->rule && t->meta && t->free ? adopt(t) : -ENOMEM;
	}
	if (r) {
		policy_table_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void policy_table_titles(struct policy_table *t, struct policy_titles *titles)
{
	t->titles = titles;
}

void policy_table_gone(struct policy_table *t, policy_each_fn *fn, void *arg)
{
	t->gone = fn;
	t->gone_arg = arg;
}

struct policy_table *policy_table_free(struct policy_table *t)
{
	if (!t)
		return NULL;
	void *maps[6] = {t->control, t->slots, t->counts, t->index, t->decisions, t->presence};

	for (int i = 0; i < 6; i++)
		if (maps[i])
			munmap(maps[i], t->bytes[i]);
	free(t->rule);
	free(t->meta);
	free(t->free);
	free(t);
	return NULL;
}

void policy_table_time(struct policy_table *t, const struct policy_time *now)
{
	t->time = *now;
}

/* ---- a change: everything for t->next, then one store ---- */

static void change_begin(struct policy_table *t)
{
	t->epoch++;
	t->next = t->generation + 1;
	if (!(t->next & 0xffffff)) /* its low half would read as nothing enforced */
		t->next++;
}

static void publish(struct policy_table *t)
{
	struct policy_control *c = t->control;

	control_update(t);
	t->generation = t->next;
	c->generation = t->generation;
	if (!t->stopped)
		__atomic_store_n(&c->active, (uint64_t)t->generation << 8, __ATOMIC_RELEASE);
}

/* Nothing that was entered for t->next was ever in force. */
static void change_undo(struct policy_table *t)
{
	for (uint32_t n = 1; n <= t->max; n++)
		if (t->meta[n].state == DECISION_LIVE && t->decisions[n].from == t->next)
			decision_undo(t, n);
	rules_undo(t);
}

struct change {
	struct policy_table *t;
	uint32_t issuer;
	uint16_t *element; /* of each rule number */
	uint64_t until;	   /* of the last entry, and what that is by the policy clock */
	uint32_t expires;
};

static int put_rules(struct change *c, const struct policy_set *set)
{
	for (uint32_t i = 0; i < set->rules_n; i++) {
		int n = rule_put(c->t, c->issuer, &set->rules[i]);

		if (n < 0)
			return n;
		c->element[set->rules[i].number & POLICY_NUMBER_MAX] = (uint16_t)n;
	}
	return 0;
}

/* Policy clock of an entry's end. Whole lists have the same one. */
static uint32_t end_of(struct change *c, uint64_t until, uint32_t rule)
{
	until = until ?: c->t->rule[rule].rec.expires;
	if (until != c->until) {
		c->until = until;
		c->expires = policy_clock(c->t, until);
	}
	return c->expires;
}

/* One entry: known, or new. */
static int put_listing(void *arg, struct listing *l)
{
	struct change *c = arg;
	struct policy_table *t = c->t;
	uint32_t n, rule = c->element[l->number & POLICY_NUMBER_MAX];

	if (!rule)
		return -EINVAL;
	l->rule = (uint16_t)rule;
	l->expires = end_of(c, l->until, rule);
	n = decision_find(t, l);
	if (!n)
		return decision_add(t, l, c->issuer) ? 0 : -ENOSPC;
	if (t->meta[n].mark == t->epoch && t->meta[n].expires > l->expires)
		return 0; /* listed twice: the longer one holds */
	t->meta[n].mark = t->epoch;
	t->meta[n].issuer = (uint8_t)c->issuer;
	t->meta[n].expires = l->expires;
	__atomic_store_n(&t->decisions[n].expires, l->expires, __ATOMIC_RELAXED);
	if (l->expires < t->next_expiry)
		t->next_expiry = l->expires;
	return 0;
}

/* What the issuer had and doesn't want any more. */
static void end_unmarked(struct policy_table *t, uint32_t issuer)
{
	for (uint32_t n = 1; n <= t->max; n++)
		if (t->meta[n].state == DECISION_LIVE && t->meta[n].issuer == issuer &&
		    t->meta[n].mark != t->epoch)
			decision_end(t, n);
	for (uint32_t i = 1; i < POLICY_RULES; i++)
		if (t->rule[i].used && t->rule[i].issuer == issuer && t->rule[i].mark != t->epoch)
			rule_end(t, i);
}

/* Decisions of a rule that has ended have ended with it. */
static void end_orphans(struct policy_table *t)
{
	for (uint32_t n = 1; n <= t->max; n++)
		if (t->meta[n].state == DECISION_LIVE && t->rule[t->decisions[n].rule].ended)
			decision_end(t, n);
}

static int change(struct policy_table *t, uint32_t issuer, const struct policy_set *set,
		  bool replace)
{
	struct change c = {.t = t, .issuer = issuer, .expires = POLICY_FOREVER};
	int r;

	c.element = calloc(POLICY_NUMBER_MAX + 1, sizeof(*c.element));
	if (!c.element)
		return -ENOMEM;
	change_begin(t);
	if (!replace)
		for (uint32_t i = 1; i < POLICY_RULES; i++)
			if (t->rule[i].used && !t->rule[i].ended && t->rule[i].issuer == issuer)
				c.element[t->rule[i].rec.number & POLICY_NUMBER_MAX] = (uint16_t)i;
	r = put_rules(&c, set);
	r = r ?: listings_each(t, set, put_listing, &c);
	if (!r && replace)
		end_unmarked(t, issuer);
	if (r)
		change_undo(t);
	else
		publish(t);
	free(c.element);
	return r;
}

/* Room that is only waiting for packets on their way is made, and the change tried again. */
static int change_with_room(struct policy_table *t, uint32_t issuer, const struct policy_set *set,
			    bool replace)
{
	int r = -EINVAL;

	if (issuer >= POLICY_ISSUERS)
		return r;
	for (int i = 0; i < 3; i++) {
		r = change(t, issuer, set, replace);
		if (r != -ENOSPC || (!t->dead && i))
			break;
		policy_table_reclaim(t);
	}
	return r;
}

int policy_table_apply(struct policy_table *t, uint32_t issuer, const struct policy_set *set,
		       uint32_t *ret_generation)
{
	int r = change_with_room(t, issuer, set, true);

	if (!r && ret_generation)
		*ret_generation = t->generation;
	return r;
}

int policy_table_add(struct policy_table *t, uint32_t issuer, const struct policy_set *set,
		     uint32_t *ret_generation)
{
	int r = change_with_room(t, issuer, set, false);

	if (!r && ret_generation)
		*ret_generation = t->generation;
	return r;
}

int policy_table_remove(struct policy_table *t, uint32_t issuer, const uint8_t id[16])
{
	uint32_t rule = rule_find(t, issuer, id);

	if (!rule)
		return -ENOENT;
	change_begin(t);
	rule_end(t, rule);
	end_orphans(t);
	publish(t);
	return 0;
}

int policy_table_unlist(struct policy_table *t, uint32_t issuer, const struct policy_set *set)
{
	struct listing l = {};
	int ended = 0;

	if (!listing_at(t, set, 0, &l))
		return 0;
	change_begin(t);
	for (uint32_t i = 1; i < POLICY_RULES; i++) {
		uint32_t n;

		if (!t->rule[i].used || t->rule[i].issuer != issuer)
			continue;
		l.rule = (uint16_t)i;
		n = decision_find(t, &l);
		if (!n)
			continue;
		decision_end(t, n);
		ended++;
	}
	if (ended)
		publish(t);
	return ended;
}

void policy_table_sweep(struct policy_table *t)
{
	change_begin(t);
	for (uint32_t i = 1; i < POLICY_RULES; i++)
		if (t->rule[i].used && !t->rule[i].mark)
			rule_end(t, i);
	for (uint32_t n = 1; n <= t->max; n++)
		if (t->meta[n].state == DECISION_LIVE && !t->meta[n].mark)
			decision_end(t, n);
	end_orphans(t);
	publish(t);
}

/* What has expired ends; also for flows that an exemption let pass. Return: did anything? */
static bool expire(struct policy_table *t)
{
	uint32_t next = POLICY_FOREVER, ended = 0;

	for (uint32_t i = 1; i < POLICY_RULES; i++) {
		const struct rule_meta *m = &t->rule[i];

		if (!m->used || m->ended || t->slots[i].version[m->current].expires > t->time.now)
			continue;
		rule_end(t, i);
		ended++;
	}
	if (ended)
		end_orphans(t);
	if (t->time.now < t->next_expiry)
		return ended;
	for (uint32_t n = 1; n <= t->max; n++) {
		const struct decision_meta *m = &t->meta[n];

		if (m->state != DECISION_LIVE)
			continue;
		if (m->expires <= t->time.now) {
			decision_end(t, n);
			ended++;
		} else if (m->expires < next) {
			next = m->expires;
		}
	}
	t->next_expiry = next;
	return ended;
}

uint32_t policy_table_reclaim(struct policy_table *t)
{
	uint32_t n;
	bool rules = false;

	change_begin(t);
	if (expire(t))
		publish(t);
	for (uint32_t i = 1; i < POLICY_RULES && !rules; i++)
		rules = t->rule[i].used &&
			(t->rule[i].ended || t->slots[i].version[!t->rule[i].current].until);
	if (!t->dead && !rules)
		return 0;
	policy_grace();
	n = decisions_reclaim(t) + rules_reclaim(t);
	control_update(t);
	return n;
}

void policy_table_lease(struct policy_table *t, uint32_t seconds)
{
	uint64_t units = t->time.unit_ns ? seconds * NS_PER_S / t->time.unit_ns + 1 : 0;
	uint32_t until = seconds ? (uint32_t)(t->time.now + units) : 0;

	__atomic_store_n(&t->control->lease_until, until, __ATOMIC_RELEASE);
}

void policy_table_stop(struct policy_table *t, bool stop)
{
	t->stopped = stop;
	__atomic_store_n(&t->control->active, stop ? 0 : (uint64_t)t->generation << 8,
			 __ATOMIC_RELEASE);
}

int policy_table_failsafe(struct policy_table *t, const uint32_t *ports, size_t n)
{
	if (n > POLICY_FAILSAFE_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < POLICY_FAILSAFE_MAX; i++)
		t->control->failsafe[i] = i < n ? ports[i] : 0;
	return 0;
}
