// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/exporter.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "collector/block_int.h"
#include "collector/ingest/ops.h"
#include "collector/store/store.h"

#define BUCKETS	 1024u
#define CLOCK_US INT64_C(60000000) /* messages that are looked at together: a minute's */

const struct ingest_count_info ingest_counts[_IC_MAX] = {
#define COUNT(id, name_, class_, doc_) \
	[IC_##id] = {.name = name_, .doc = doc_, .class = ICC_##class_},
#include "collector/ingest/counts.def"
#undef COUNT
};

struct override {
	uint8_t address[16];
	uint32_t rate;
	char name[EXPORTER_NAME];
	struct override *next;
};

struct exporters {
	pthread_mutex_t lock;
	const struct ingest_ops *ops;
	void *arg;
	uint32_t n;
	uint32_t max;
	struct override *overrides;
	struct exporter *first; /* in order of coming */
	struct exporter **last;
	struct bucket {
		uint32_t n, room;
		struct exporter **v;
	} bucket[BUCKETS];
};

/* ---- clocks ---- */

void exporter_clock_message(struct exporter *e, int64_t now_us, int64_t export_us)
{
	struct exporter_clock *c = &e->clock;
	const int64_t age = now_us - __atomic_load_n(&c->since_us, __ATOMIC_RELAXED);
	const int64_t least = __atomic_load_n(&c->least_us, __ATOMIC_RELAXED);
	const int64_t skew = now_us - export_us;

	if (age >= 0 && age < CLOCK_US) {
		if (skew < least)
			__atomic_store_n(&c->least_us, skew, __ATOMIC_RELAXED);
		return;
	}
	/* two threads at once: one of two messages is not looked at */
	__atomic_store_n(&c->before_us, age >= 0 && age < 2 * CLOCK_US ? least : INT64_MAX,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&c->least_us, skew, __ATOMIC_RELAXED);
	__atomic_store_n(&c->since_us, now_us, __ATOMIC_RELEASE);
}

bool exporter_skew(const struct exporter *e, int64_t *ret_us)
{
	int64_t least, before;

	if (!__atomic_load_n(&e->clock.since_us, __ATOMIC_ACQUIRE))
		return false;
	least = __atomic_load_n(&e->clock.least_us, __ATOMIC_RELAXED);
	before = __atomic_load_n(&e->clock.before_us, __ATOMIC_RELAXED);
	*ret_us = before < least ? before : least;
	return true;
}

/* ---- the table ---- */

struct exporters *exporters_new(const struct ingest_ops *ops, void *arg, uint32_t max)
{
	struct exporters *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->ops = ops;
	t->arg = arg;
	t->max = max;
	t->last = &t->first;
	return t;
}

struct exporters *exporters_free(struct exporters *t)
{
	if (!t)
		return NULL;
	for (unsigned int i = 0; i < BUCKETS; i++)
		free(t->bucket[i].v);
	while (t->first) {
		struct exporter *e = t->first;

		t->first = e->next;
		while (e->numberings) {
			struct numbering *n = e->numberings;

			e->numberings = n->next;
			free(n);
		}
		free(e);
	}
	while (t->overrides) {
		struct override *o = t->overrides;

		t->overrides = o->next;
		free(o);
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
	return NULL;
}

static struct bucket *bucket_of(struct exporters *t, const uint8_t address[static 16],
				uint32_t domain)
{
	uint64_t half[2], h;

	memcpy(half, address, sizeof(half));
	h = (half[0] ^ half[1] ^ domain) * UINT64_C(0x9e3779b97f4a7c15);
	return &t->bucket[h >> 54 & (BUCKETS - 1)];
}

static const struct override *override_of(const struct exporters *t,
					  const uint8_t address[static 16])
{
	const struct override *o = t->overrides;

	while (o && memcmp(o->address, address, 16) != 0)
		o = o->next;
	return o;
}

/* Tell the store, which may give another number. */
static int announce(struct exporters *t, struct exporter *e)
{
	struct store_exporter s = {.domain = e->domain};
	uint32_t id = t->n + 1, stream = id;

	memcpy(s.address, e->address, 16);
	s.node = (struct flow_str){e->node, (uint32_t)strlen(e->node)};
	s.labels = (struct flow_str){e->labels, e->labels_len};
	if (!t->ops || !t->ops->exporter) {
		if (e->id)
			return 0;
	} else {
		int r = t->ops->exporter(t->arg, &s, &id, &stream);

		if (r)
			return r;
	}
	__atomic_store_n(&e->id, id, __ATOMIC_RELAXED);
	__atomic_store_n(&e->stream, stream, __ATOMIC_RELAXED);
	return 0;
}

static struct exporter *make(struct exporters *t, struct bucket *b,
			     const uint8_t address[static 16], uint32_t domain)
{
	const struct override *o = override_of(t, address);
	struct exporter *e = t->n < t->max ? calloc(1, sizeof(*e)) : NULL;

	if (!e)
		return NULL;
	if (b->n == b->room) {
		struct exporter **v = realloc(b->v, (b->room + 8) * sizeof(struct exporter *));

		if (!v)
			goto fail;
		b->v = v;
		b->room += 8;
	}
	memcpy(e->address, address, 16);
	e->domain = domain;
	if (o) {
		memcpy(e->node, o->name, sizeof(e->node));
		e->rate = o->rate;
		e->rate_configured = o->rate;
	}
	if (announce(t, e))
		goto fail;
	b->v[b->n++] = e;
	t->n++;
	*t->last = e;
	t->last = &e->next;
	return e;
fail:
	free(e);
	return NULL;
}

struct exporter *exporters_get(struct exporters *t, const uint8_t address[static 16],
			       uint32_t domain)
{
	struct bucket *b = bucket_of(t, address, domain);
	struct exporter *e = NULL;

	pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < b->n && !e; i++)
		if (b->v[i]->domain == domain && !memcmp(b->v[i]->address, address, 16))
			e = b->v[i];
	if (!e)
		e = make(t, b, address, domain);
	pthread_mutex_unlock(&t->lock);
	return e;
}

int exporters_override(struct exporters *t, const uint8_t address[static 16], const char *name,
		       uint32_t rate)
{
	struct override *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	memcpy(o->address, address, 16);
	o->rate = rate;
	if (name)
		memcpy(o->name, name, strnlen(name, sizeof(o->name) - 1));
	o->next = t->overrides;
	t->overrides = o;
	return 0;
}

uint32_t exporters_rate(struct exporters *t, const uint8_t address[static 16])
{
	const struct override *o = override_of(t, address);

	return o ? o->rate : 0;
}

/* They come joined by commas. */
static bool same_labels(const struct exporter *e, const char *s, uint32_t len)
{
	uint32_t i = 0;

	while (i < len && i < e->labels_len &&
	       e->labels[i] == (s[i] == ',' ? LIST_SEPARATOR : s[i]))
		i++;
	return i == len && len == e->labels_len;
}

void exporters_name(struct exporters *t, struct exporter *e, const struct flow_str *node,
		    const struct flow_str *labels)
{
	uint32_t node_len = node->len < EXPORTER_NAME ? node->len : EXPORTER_NAME - 1;
	const uint32_t len = labels->len <= EXPORTER_LABELS ? labels->len : 0;

	pthread_mutex_lock(&t->lock);
	/* a configured name is the administrator's own word */
	if (override_of(t, e->address) && *override_of(t, e->address)->name)
		node_len = 0;
	if ((node_len && (strlen(e->node) != node_len || memcmp(e->node, node->s, node_len))) ||
	    !same_labels(e, labels->s, len)) {
		if (node_len) {
			memcpy(e->node, node->s, node_len);
			e->node[node_len] = 0;
		}
		for (uint32_t i = 0; i < len; i++)
			e->labels[i] = labels->s[i] == ',' ? LIST_SEPARATOR : labels->s[i];
		e->labels_len = len;
		announce(t, e); /* refused: the old name stays in the store */
	}
	pthread_mutex_unlock(&t->lock);
}

void exporters_interface(struct exporters *t, const uint8_t address[static 16], uint32_t domain,
			 uint32_t index, const struct flow_str *name)
{
	if (!t->ops || !t->ops->interface)
		return;
	pthread_mutex_lock(&t->lock);
	for (struct exporter *e = t->first; e; e = e->next)
		if (!memcmp(e->address, address, 16) && (!domain || e->domain == domain))
			t->ops->interface(t->arg, e->id, index, *name);
	pthread_mutex_unlock(&t->lock);
}

static struct numbering *find_numbering(const struct exporter *e, uint64_t epoch)
{
	struct numbering *n = e->numberings;

	while (n && n->epoch != epoch)
		n = n->next;
	return n;
}

static struct numbering *make_numbering(struct exporters *t, struct exporter *e, uint64_t epoch)
{
	struct numbering *n;
	uint64_t to = 0;
	uint32_t many = 0;

	for (n = e->numberings; n; n = n->next)
		many++;
	n = many < NUMBERINGS_MAX ? calloc(1, sizeof(*n)) : NULL;
	if (!n)
		return NULL;
	if (t->ops && t->ops->committed && t->ops->committed(t->arg, e->stream, epoch, &to))
		to = 0;
	*n = (struct numbering){
		.next = e->numberings, .e = e, .epoch = epoch, .taken = to, .committed = to};
	e->numberings = n;
	return n;
}

struct numbering *exporters_numbering(struct exporters *t, struct exporter *e, uint64_t epoch)
{
	struct numbering *n;

	pthread_mutex_lock(&t->lock);
	n = find_numbering(e, epoch);
	if (!n)
		n = make_numbering(t, e, epoch);
	pthread_mutex_unlock(&t->lock);
	return n;
}

bool exporters_committed(struct exporters *t, uint32_t stream, uint64_t epoch, uint64_t to)
{
	struct numbering *n = NULL;

	pthread_mutex_lock(&t->lock);
	for (const struct exporter *e = t->first; e && !n; e = e->next)
		if (e->stream == stream)
			n = find_numbering(e, epoch);
	if (n)
		__atomic_store_n(&n->committed, to, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&t->lock);
	return n;
}

struct exporter *exporters_next(struct exporters *t, const struct exporter *e)
{
	struct exporter *next;

	pthread_mutex_lock(&t->lock);
	next = e ? e->next : t->first;
	pthread_mutex_unlock(&t->lock);
	return next;
}

void exporters_names(struct exporters *t, const struct exporter *e,
		     char ret_node[static EXPORTER_NAME])
{
	pthread_mutex_lock(&t->lock);
	memcpy(ret_node, e->node, EXPORTER_NAME);
	pthread_mutex_unlock(&t->lock);
}
