// SPDX-License-Identifier: Apache-2.0
/*
 * open.c - opening and closing a store; exporters, interfaces and zones; how it is. See store.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/store/feed.h"
#include "collector/store/rebuild.h"
#include "collector/store/rollup.h"
#include "collector/store/store_int.h"

uint64_t store_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int64_t store_wall_s(void)
{
	return (int64_t)time(NULL);
}

void store_complain(struct store *s, const char *format, ...)
{
	char message[PATH_BYTES + STORE_ERROR];
	va_list ap;

	if (!s->cfg.complain)
		return;
	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	s->cfg.complain(s->cfg.arg, message);
}

static void defaults(struct store_cfg *c)
{
	if (!c->memory_bytes)
		c->memory_bytes = UINT64_C(512) << 20;
	if (!c->threads) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		c->threads = n > 0 ? (uint32_t)n : 1;
	}
	if (!c->partition_s)
		c->partition_s = 3600;
	c->partition_s = (c->partition_s + 299) / 300 * 300;
	if (!c->flush_rows)
		c->flush_rows = 1000000;
	if (!c->flush_ms)
		c->flush_ms = 5000;
	if (!c->upkeep_ms)
		c->upkeep_ms = 10000;
	if (!c->keep_1m_s)
		c->keep_1m_s = 14 * UINT64_C(86400);
	if (!c->keep_5m_s)
		c->keep_5m_s = 90 * UINT64_C(86400);
	if (!c->keep_1h_s)
		c->keep_1h_s = 730 * UINT64_C(86400);
	if (!c->hold_ms)
		c->hold_ms = 600000;
	if (!c->top_n)
		c->top_n = 1000;
}

#define NO_STATE "restore it from a copy, or let it be made anew by starting the collector"

/* Nothing to read, and nothing may be written. */
static int check_state(const struct store *s, const char *path, char *error)
{
	if (!s->cfg.read_only || !access(path, F_OK))
		return 0;
	snprintf(error, STORE_ERROR, "no store there, or one without its state.db: " NO_STATE);
	return -ENOENT;
}

static void say_damage(char *error, const char *why)
{
	size_t n;

	duck_words(error, why);
	n = strlen(error);
	snprintf(error + n, STORE_ERROR - n, " — " NO_STATE);
}

static int open_database(struct store *s, char *error)
{
	char path[PATH_BYTES], memory[32], threads[16];
	duckdb_config cfg;
	char *why = NULL;
	int r = 0;

	snprintf(path, sizeof(path), "%s/state.db", s->dir);
	snprintf(memory, sizeof(memory), "%lluMiB",
		 (unsigned long long)(s->cfg.memory_bytes >> 20));
	snprintf(threads, sizeof(threads), "%u", s->cfg.threads);
	r = check_state(s, path, error);
	if (r)
		return r;
	if (duck.create_config(&cfg) != DuckDBSuccess)
		return -ENOMEM;
	duck.set_config(cfg, "memory_limit", memory);
	duck.set_config(cfg, "threads", threads);
	duck.set_config(cfg, "access_mode", s->cfg.read_only ? "READ_ONLY" : "READ_WRITE");
	/* groups by a port, or by hosts of a small network, are places in a table and not hashed */
	duck.set_config(cfg, "perfect_ht_threshold", "17");
	/* small appends lie in the log until then, and are read from it after a crash */
	duck.set_config(cfg, "checkpoint_threshold", "64MiB");
	/* nothing is fetched or loaded because a query says so */
	duck.set_config(cfg, "autoinstall_known_extensions", "false");
	duck.set_config(cfg, "autoload_known_extensions", "false");
	if (duck.open_ext(path, &s->db, cfg, &why) != DuckDBSuccess) {
		r = duck_errno(DUCKDB_ERROR_IO, why);
		if (r == -EBUSY)
			snprintf(error, STORE_ERROR, "%s: another process has it open", s->dir);
		else
			say_damage(error, why);
		duck.free(why);
	} else if (duck.connect(s->db, &s->c) != DuckDBSuccess) {
		r = -ENOMEM;
	} else {
		r = feeder_register(s->feeder, s->c);
	}
	duck.destroy_config(&cfg);
	return r;
}

static void close_database(struct store *s)
{
	if (s->c)
		duck.disconnect(&s->c);
	if (s->db)
		duck.close(&s->db);
}

int store_reopen(struct store *s, char *error, uint32_t *ret_batch)
{
	struct timespec until;
	uint64_t n = 0;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&s->lock);
	while (s->readers && !r)
		r = pthread_cond_timedwait(&s->idle, &s->lock, &until);
	if (s->readers) {
		pthread_mutex_unlock(&s->lock);
		return -EBUSY;
	}
	close_database(s);
	for (struct partition *p = s->partitions; p; p = p->next)
		p->attached = false;
	s->spare = false;
	r = open_database(s, error);
	if (!r)
		r = duck_number(s->c, error, "SELECT value FROM meta WHERE key = 'last_batch'", &n);
	*ret_batch = (uint32_t)n;
	if (!r)
		r = state_saved(s, error);
	for (struct partition *p = s->partitions; p && !r; p = p->next) {
		if (p->writing && !p->damaged)
			r = partition_attach(s, p, s->c, error);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int open_both(struct store *s, char *error)
{
	int r = open_database(s, error);

	return r ?: state_open(s, error);
}

/* state.db and what is in it; where it is missing or damaged, as much as the files of flows tell. */
static int open_state(struct store *s, char *error)
{
	int r;

	s->rebuild = !s->cfg.read_only && rebuild_is_due(s);
	r = open_both(s, error);
	if (r == -EIO && rebuild_set_aside(s, error)) {
		s->rebuild = true;
		close_database(s);
		state_forget(s);
		r = open_both(s, error);
	}
	if (r || !s->rebuild)
		return r;
	r = rebuild_state(s, error);
	state_forget(s);
	return r ?: state_open(s, error);
}

static int start(struct store *s, char *error)
{
	int r = duck_load(error);

	if (r)
		return r;
	if (mkdir(s->dir, 0750) && errno != EEXIST) {
		r = -errno;
		snprintf(error, STORE_ERROR, "%s: %s", s->dir, strerror(-r));
		return r;
	}
	s->feeder = feeder_new();
	if (!s->feeder)
		return -ENOMEM;
	r = open_state(s, error);
	if (!r)
		r = partition_recover(s, error);
	if (r)
		return r;
	s->rollup = rollup_new(s);
	if (!s->rollup)
		return -ENOMEM;
	r = rollup_recover(s->rollup, error);
	if (!r && s->rebuild)
		r = rebuild_rollups(s, error);
	s->rebuild = false;
	if (!r && s->cfg.pool && !s->cfg.read_only)
		r = writer_start(s);
	return r;
}

int store_open(const struct store_cfg *cfg, char *error, struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int r;

	error[0] = 0;
	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	defaults(&s->cfg);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->names, NULL);
	pthread_condattr_init(&attr);
	pthread_cond_init(&s->flushed, &attr);
	pthread_cond_init(&s->idle, &attr);
	pthread_condattr_destroy(&attr);
	s->dir = strdup(cfg->dir);
	r = s->dir && !strchr(s->dir, '\'') ? start(s, error) : -EINVAL;
	if (r) {
		if (!error[0])
			snprintf(error, STORE_ERROR, "%s: %s", cfg->dir, strerror(-r));
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

static void free_memory(struct store *s)
{
	state_forget(s);
	free(s->held);
	free(s->dir);
}

struct store *store_close(struct store *s)
{
	char error[STORE_ERROR];

	if (!s)
		return NULL;
	writer_stop(s);
	for (struct partition *p = s->partitions; p && s->c; p = p->next) {
		if (p->attached && p->writing && !s->cfg.read_only &&
		    duck_exec(s->c, error, "CHECKPOINT %s", p->catalog) == 0) {
			p->writing = false;
			state_partition(s, p, error);
		}
	}
	s->rollup = rollup_free(s->rollup);
	close_database(s);
	s->feeder = feeder_free(s->feeder);
	pthread_cond_destroy(&s->flushed);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->names);
	free_memory(s);
	free(s);
	return NULL;
}

int store_flush(struct store *s)
{
	uint64_t ticket;
	int r;

	pthread_mutex_lock(&s->lock);
	ticket = ++s->flush_asked;
	while (s->running && s->flush_done < ticket && !s->stop)
		pthread_cond_wait(&s->flushed, &s->lock);
	r = s->flush_done < ticket ? -ECANCELED : s->flush_error;
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- numbers ---- */

static bool same(const char *s, uint32_t len, const struct flow_str *with)
{
	return len == with->len && (!len || memcmp(s, with->s, len) == 0);
}

static char *copy(const struct flow_str *s)
{
	char *t = malloc(s->len + 1);

	if (t && s->len)
		memcpy(t, s->s, s->len);
	if (t)
		t[s->len] = 0;
	return t;
}

/* Number of the node that has this name; one of its own for who has none. */
static uint32_t node_of(const struct store *s, const struct store_exporter *e, uint32_t own)
{
	const struct exporter *v = s->exporters.v;

	for (uint32_t i = 0; i < s->exporters.n && e->node.len; i++) {
		if (same(v[i].name, v[i].name_len, &e->node))
			return v[i].node;
	}
	return own;
}

static int add_exporter(struct store *s, const struct store_exporter *e, uint32_t stream,
			struct exporter **ret)
{
	uint32_t node = node_of(s, e, s->exporters.n + 1);
	struct exporter *x;

	if (s->exporters.n == EXPORTERS_MAX)
		return -ENOSPC;
	x = names_add(&s->exporters, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->id = s->exporters.n;
	x->stream = stream ? stream : x->id;
	x->node = node;
	x->domain = e->domain;
	memcpy(x->address, e->address, sizeof(x->address));
	x->name = copy(&e->node);
	x->labels = copy(&e->labels);
	if (!x->name || !x->labels) {
		free(x->name);
		free(x->labels);
		s->exporters.n--;
		return -ENOMEM;
	}
	x->name_len = e->node.len;
	x->labels_len = e->labels.len;
	*ret = x;
	return 0;
}

int store_exporter(struct store *s, const struct store_exporter *e, uint32_t *ret_id,
		   uint32_t *ret_stream)
{
	struct exporter *found = NULL;
	uint32_t stream = 0;
	int r = 0;

	pthread_mutex_lock(&s->names);
	for (uint32_t i = s->exporters.n; i-- > 0 && !found;) {
		struct exporter *x = (struct exporter *)s->exporters.v + i;

		if (x->domain != e->domain || memcmp(x->address, e->address, sizeof(x->address)))
			continue;
		stream = x->stream;
		if (same(x->name, x->name_len, &e->node) &&
		    same(x->labels, x->labels_len, &e->labels))
			found = x;
	}
	if (!found)
		r = add_exporter(s, e, stream, &found);
	if (!r) {
		*ret_id = found->id;
		*ret_stream = found->stream;
	}
	pthread_mutex_unlock(&s->names);
	return r;
}

int store_committed(struct store *s, uint32_t stream, uint64_t epoch, uint64_t *ret_to)
{
	const struct committed *c;
	int r = -ENOENT;

	pthread_mutex_lock(&s->names);
	c = s->committed.v;
	for (uint32_t i = s->committed.n; i-- > 0;) {
		if (c[i].stream != stream || c[i].epoch != epoch || c[i].changed)
			continue;
		*ret_to = c[i].to;
		r = 0;
		break;
	}
	pthread_mutex_unlock(&s->names);
	return r;
}

static int add_name(struct names *n, uint32_t stream, uint32_t index, const struct flow_str *name)
{
	struct interface *i;
	char *t = copy(name);

	if (!t)
		return -ENOMEM;
	i = names_add(n, sizeof(*i));
	if (!i) {
		free(t);
		return -ENOMEM;
	}
	*i = (struct interface){.stream = stream, .index = index, .name = t, .len = name->len};
	return 0;
}

int store_interface(struct store *s, uint32_t exporter, uint32_t index, struct flow_str name)
{
	const struct interface *v;
	uint32_t stream;
	int r = 0;

	pthread_mutex_lock(&s->names);
	if (!exporter || exporter > s->exporters.n) {
		pthread_mutex_unlock(&s->names);
		return -EINVAL;
	}
	stream = ((struct exporter *)s->exporters.v)[exporter - 1].stream;
	v = s->interfaces.v;
	r = 1;
	for (uint32_t i = s->interfaces.n; i-- > 0;) {
		if (v[i].stream != stream || v[i].index != index)
			continue;
		r = !same(v[i].name, v[i].len, &name);
		break;
	}
	if (r)
		r = add_name(&s->interfaces, stream, index, &name);
	pthread_mutex_unlock(&s->names);
	return r;
}

int store_zone(struct store *s, struct flow_str name, uint16_t *ret)
{
	const struct interface *v;
	uint32_t i;
	int r = 0;

	pthread_mutex_lock(&s->names);
	v = s->zones.v;
	for (i = 0; i < s->zones.n && !same(v[i].name, v[i].len, &name); i++)
		;
	if (i == s->zones.n)
		r = i == UINT16_MAX ? -ENOSPC : add_name(&s->zones, 0, i + 1, &name);
	pthread_mutex_unlock(&s->names);
	if (!r)
		*ret = (uint16_t)(i + 1);
	return r;
}

int store_as(struct store *s, uint32_t number, struct flow_str name)
{
	int r;

	pthread_mutex_lock(&s->names);
	r = add_name(&s->asns, 0, number, &name);
	pthread_mutex_unlock(&s->names);
	return r;
}

/* ---- how it is ---- */

/* Tenths of days until retention by bytes begins: at the mean rate of the flows there are. */
static uint64_t days_left(const struct store *s, const struct store_stats *st)
{
	uint64_t span_s = (uint64_t)(st->last_us - st->first_us) / 1000000;

	if (!s->cfg.keep_bytes || !span_s || !st->bytes || st->bytes >= s->cfg.keep_bytes)
		return 0;
	return (uint64_t)((double)(s->cfg.keep_bytes - st->bytes) / (double)st->bytes *
			  (double)span_s / 8640);
}

bool store_is_sampled(const struct store *s)
{
	return __atomic_load_n(&s->sampled, __ATOMIC_RELAXED);
}

void store_stats(struct store *s, struct store_stats *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->stats;
	for (const struct partition *p = s->partitions; p; p = p->next) {
		if (p->damaged || !p->rows)
			continue;
		ret->partitions++;
		ret->cold += p->cold != 0;
		ret->rows += p->rows;
		if (!ret->first_us || (uint64_t)p->min_us < ret->first_us)
			ret->first_us = (uint64_t)p->min_us;
		if ((uint64_t)p->max_us > ret->last_us)
			ret->last_us = (uint64_t)p->max_us;
	}
	ret->days_left_x10 = days_left(s, ret);
	pthread_mutex_unlock(&s->lock);
}
