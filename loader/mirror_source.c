// SPDX-License-Identifier: Apache-2.0
#include "loader/mirror_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "loader/key_hash.h"

#define CANDIDATES 4u
#define SEEN_LEAST 16u	 /* flows after which a candidate may be believed */
#define SEEN_MOST  4096u /* then what was long ago counts half */
#define PLACES	   (2 * MIRROR_SOURCES_MAX)

/* An address in flows of the source; only flows of its family are looked at. */
struct candidate {
	uint8_t addr[16];
	uint32_t seen; /* flows since it was first in one */
	uint32_t hits; /* those that it was in */
};

struct mirror_source {
	struct flow_key key; /* what is of the packets within is 0 */
	struct candidate candidate[CANDIDATES];
	uint32_t parent; /* number of a source of the same network, or its own */
};

struct mirror_sources {
	uint64_t seed[2];
	uint32_t place[PLACES]; /* numbers, open addressing; nothing is ever removed */
	uint32_t n;
	struct mirror_source at[MIRROR_SOURCES_MAX + 1]; /* 0 is nobody's */
};

_Static_assert((PLACES & (PLACES - 1)) == 0, "a mask");

int mirror_sources_new(struct mirror_sources **ret)
{
	struct mirror_sources *s =
		calloc(1, sizeof(*s)); /* pages are there once they are touched */

	if (!s)
		return -ENOMEM;
	if (getrandom(s->seed, sizeof(s->seed), 0) != sizeof(s->seed)) {
		free(s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

void mirror_sources_free(struct mirror_sources *s)
{
	free(s);
}

/* ---- by key ---- */

/* Of a flow's key, what is the tunnel's: flows that differ in it alone are told apart by it. */
static struct flow_key outer_of(const struct flow_key *key)
{
	struct flow_key k = {.vni = key->vni,
			     .ifindex = key->ifindex,
			     .vlan = {key->vlan[0], key->vlan[1]},
			     .tun_type = key->tun_type,
			     .netns = key->netns};

	memcpy(k.tun_src, key->tun_src, sizeof(k.tun_src));
	return k;
}

/* Its place, or the free one where it belongs. There always is a free one: half of them are. */
static uint32_t place_of(const struct mirror_sources *s, const struct flow_key *outer)
{
	uint32_t i = key_hash_user(outer, s->seed) % PLACES;

	while (s->place[i] && memcmp(&s->at[s->place[i]].key, outer, sizeof(*outer)) != 0)
		i = (i + 1) % PLACES;
	return i;
}

/* ---- the machine that is mirrored ---- */

static bool is_ip4(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(addr, mapped, sizeof(mapped));
}

static bool is(const struct candidate *c, const uint8_t addr[16])
{
	return c->seen && !memcmp(c->addr, addr, 16);
}

/* Is an address that nearly all flows have had. */
static bool is_believed(const struct candidate *c)
{
	return c->seen >= SEEN_LEAST && c->hits * 16 >= c->seen * 15;
}

static void age(struct candidate *c)
{
	if (c->seen < SEEN_MOST)
		return;
	c->seen /= 2;
	c->hits /= 2;
}

/* In the place of the one that is in the smallest share of flows, if that is not even half of them. */
static void propose(struct mirror_source *m, const uint8_t addr[16])
{
	struct candidate *least = &m->candidate[0];

	for (unsigned int i = 1; i < CANDIDATES; i++) {
		struct candidate *c = &m->candidate[i];

		if ((uint64_t)c->hits * (least->seen ?: 1) < (uint64_t)least->hits * (c->seen ?: 1))
			least = c;
	}
	if (least->seen && least->hits * 2 >= least->seen)
		return;
	*least = (struct candidate){.seen = 1, .hits = 1};
	memcpy(least->addr, addr, 16);
}

static void learn(struct mirror_source *m, const struct flow_key *key)
{
	bool known[2] = {false, false};

	for (unsigned int i = 0; i < CANDIDATES; i++) {
		struct candidate *c = &m->candidate[i];

		if (!c->seen || is_ip4(c->addr) != is_ip4(key->addr[0]))
			continue;
		c->seen++;
		for (unsigned int end = 0; end < 2; end++) {
			if (!is(c, key->addr[end]))
				continue;
			c->hits++;
			known[end] = true;
		}
		age(c);
	}
	for (unsigned int end = 0; end < 2; end++)
		if (!known[end])
			propose(m, key->addr[end]);
}

static bool is_machine(const struct mirror_source *m, const uint8_t addr[16])
{
	for (unsigned int i = 0; i < CANDIDATES; i++)
		if (is(&m->candidate[i], addr))
			return is_believed(&m->candidate[i]);
	return false;
}

int mirror_source_end(const struct mirror_sources *s, const struct flow_key *key)
{
	bool end[2] = {!memcmp(key->tun_src, key->addr[0], 16),
		       !memcmp(key->tun_src, key->addr[1], 16)};

	if (!end[0] && !end[1] && s) {
		const struct flow_key outer = outer_of(key);
		const struct mirror_source *m = &s->at[s->place[place_of(s, &outer)]];

		end[0] = is_machine(m, key->addr[0]);
		end[1] = is_machine(m, key->addr[1]);
	}
	return end[0] == end[1] ? -1 : end[1];
}

uint32_t mirror_source_flow(struct mirror_sources *s, const struct flow_key *key)
{
	const struct flow_key outer = outer_of(key);
	const uint32_t place = place_of(s, &outer);
	uint32_t n = s->place[place];

	if (!n && s->n < MIRROR_SOURCES_MAX) {
		n = s->place[place] = ++s->n;
		s->at[n] = (struct mirror_source){.key = outer, .parent = n};
	}
	if (n)
		learn(&s->at[n], key);
	return n;
}

uint32_t mirror_sources_n(const struct mirror_sources *s)
{
	return s->n;
}

/* ---- networks ---- */

static uint32_t root(struct mirror_sources *s, uint32_t n)
{
	while (s->at[n].parent != n) {
		s->at[n].parent = s->at[s->at[n].parent].parent;
		n = s->at[n].parent;
	}
	return n;
}

void mirror_sources_join(struct mirror_sources *s, uint32_t a, uint32_t b)
{
	if (a && b)
		s->at[root(s, a)].parent = root(s, b);
}

bool mirror_sources_joined(struct mirror_sources *s, uint32_t a, uint32_t b)
{
	return a && b && root(s, a) == root(s, b);
}
