// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/enrich.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/enrich/block_facts.h"
#include "collector/enrich/mmdb.h"
#include "collector/enrich/sites.h"
#include "common/log.h"

#define FILE_MAX (64u << 20)

/* ---- the site list as a source ---- */

struct site_source {
	struct sites *sites;
	uint16_t *zones; /* the store's number of each */
	struct site_source *before;
};

static int read_all(const char *path, char **ret, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r = 0;
	char *buf = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		r = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		r = -EFBIG;
	else if (!(buf = malloc((size_t)st.st_size + 1)))
		r = -ENOMEM;
	while (!r && len < (size_t)st.st_size) {
		const ssize_t n = read(fd, buf + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n ? -errno : 0;
			break;
		}
		len += (size_t)n;
	}
	close(fd);
	if (r) {
		free(buf);
		return r;
	}
	*ret = buf;
	*ret_len = len;
	return 0;
}

static void close_sites(void *state)
{
	struct site_source *t = state;

	if (!t)
		return;
	sites_free(t->sites);
	free(t->zones);
	free(t);
}

static int open_sites(const char *path, void **ret, char *error)
{
	struct site_source *t = calloc(1, sizeof(*t));
	char *text = NULL;
	size_t len = 0;
	int r = t ? read_all(path, &text, &len) : -ENOMEM;

	*error = 0;
	if (!r)
		r = sites_parse(text, len, &t->sites, error);
	if (r && !*error)
		snprintf(error, FACTS_ERROR, "%s", strerror(-r));
	free(text);
	if (r)
		close_sites(t);
	else
		*ret = t;
	return r;
}

static void find_sites(const void *state, struct facts *f, uint32_t n, const struct facts_sink *to)
{
	const struct site_source *t = state;

	(void)to;
	for (const struct facts *end = f + n; f < end; f++) {
		const struct site *site = sites_find(t->sites, f->ip);

		if (!site)
			continue;
		f->zone = f->zone ?: t->zones[site->zone];
		f->name = f->name ?: sites_name(t->sites, site);
	}
}

static const struct facts_source sites_source = {open_sites, find_sites, close_sites};

/* ---- sources ---- */

enum source { SRC_SITES, SRC_ASN, SRC_COUNTRY, _SRC_MAX };

static const struct {
	const struct facts_source *source;
	uint8_t setting;  /* enum collector_setting: its file */
	bool filters_too; /* not for flows alone */
} sources[_SRC_MAX] = {
	[SRC_SITES] = {&sites_source, CSET_ENRICH_SITES, true},
	[SRC_ASN] = {&mmdb_asn, CSET_ENRICH_ASN, false},
	[SRC_COUNTRY] = {&mmdb_country, CSET_ENRICH_COUNTRY, false},
};

struct enrich {
	struct store *store;
	pthread_rwlock_t lock; /* read: while a block is filled; write: when a source is replaced */
	void *state[_SRC_MAX]; /* NULL: there is none */
	uint64_t generation;   /* of them all */
	struct site_source *old; /* filters may still read their texts: they stay until the end */
	struct block_facts *blocks;
	struct filter_env env;
};

static int number_zones(struct enrich *e, struct site_source *t)
{
	const char *name;
	uint16_t n = 0;
	int r = 0;

	while (sites_zone(t->sites, n))
		n++;
	t->zones = calloc(n + 1u, sizeof(*t->zones));
	if (!t->zones)
		return -ENOMEM;
	for (uint16_t i = 0; e->store && !r && (name = sites_zone(t->sites, i)); i++)
		r = store_zone(e->store, (struct flow_str){name, (uint32_t)strlen(name)},
			       &t->zones[i]);
	return r;
}

/* @state takes the place of what there is; NULL: nothing does. */
static void put_state(struct enrich *e, enum source i, void *state)
{
	void *old;

	pthread_rwlock_wrlock(&e->lock);
	old = e->state[i];
	e->state[i] = state;
	e->generation++;
	pthread_rwlock_unlock(&e->lock);
	if (old && i == SRC_SITES) {
		((struct site_source *)old)->before = e->old;
		e->old = old;
	} else if (old) {
		sources[i].source->close(old);
	}
}

static int load(struct enrich *e, enum source i, const char *path)
{
	char error[FACTS_ERROR] = "";
	void *state = NULL;
	int r = sources[i].source->open(path, &state, error);

	if (!r && i == SRC_SITES && (r = number_zones(e, state))) {
		snprintf(error, sizeof(error), "%s", strerror(-r));
		close_sites(state);
	}
	if (!r)
		put_state(e, i, state);
	else if (*error >= '0' && *error <= '9') /* LINE:COLUMN: */
		log_error(NULL, "%s:%s", path, error);
	else
		log_error(path, "%s", error);
	return r && r != -ENOMEM ? -EINVAL : r;
}

/* ---- lists of filters ---- */

static const char *resolve(void *arg, char kind, const char *name)
{
	struct enrich *e = arg;
	const struct site_source *t;
	const char *list = NULL;

	pthread_rwlock_rdlock(&e->lock);
	t = e->state[SRC_SITES];
	if (t && kind == '@')
		list = sites_list(t->sites, name);
	pthread_rwlock_unlock(&e->lock);
	return list;
}

const struct filter_env *enrich_lists(struct enrich *e)
{
	return &e->env;
}

/* ---- facts for blocks ---- */

static void find(void *arg, struct facts *f, uint32_t n, const struct facts_sink *to)
{
	const struct enrich *e = arg;

	for (unsigned int i = 0; i < _SRC_MAX; i++)
		if (e->state[i])
			sources[i].source->find(e->state[i], f, n, to);
}

void enrich_block(struct enrich *e, struct block *b)
{
	bool any = false;

	pthread_rwlock_rdlock(&e->lock);
	for (unsigned int i = 0; i < _SRC_MAX; i++)
		any |= e->state[i] != NULL;
	block_facts_add(e->blocks, b, e->generation, any);
	pthread_rwlock_unlock(&e->lock);
}

/* ---- life ---- */

static int open_blocks(struct enrich *e, const struct settings *s)
{
	const struct block_facts_cfg cfg = {
		.store = e->store,
		.find = find,
		.arg = e,
		.names = (uint32_t)collector_bound(s, CSET_ENRICH_NAMES),
		.keep_us = (int64_t)(settings_num(s, CSET_ENRICH_NAMES_KEEP) / 1000),
	};

	if (!e->store)
		return 0;
	e->blocks = block_facts_new(&cfg);
	return e->blocks ? 0 : -ENOMEM;
}

int enrich_new(const struct settings *s, struct store *store, struct enrich **ret)
{
	struct enrich *e = calloc(1, sizeof(*e));
	pthread_rwlockattr_t attr;
	int r;

	if (!e)
		return -ENOMEM;
	e->store = store;
	e->env = (struct filter_env){.resolve = resolve, .arg = e, .added = true};
	pthread_rwlockattr_init(&attr);
	/* blocks come one after the other: a reload would never have its turn */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&e->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	r = open_blocks(e, s);
	for (unsigned int i = 0; !r && i < _SRC_MAX; i++) {
		const char *path = collector_path(s, sources[i].setting);

		if (path && (store || sources[i].filters_too))
			r = load(e, i, path);
	}
	if (r) {
		enrich_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

void enrich_free(struct enrich *e)
{
	struct site_source *before;

	if (!e)
		return;
	for (unsigned int i = 0; i < _SRC_MAX; i++)
		sources[i].source->close(e->state[i]);
	for (; e->old; e->old = before) {
		before = e->old->before;
		close_sites(e->old);
	}
	block_facts_free(e->blocks);
	pthread_rwlock_destroy(&e->lock);
	free(e);
}

void enrich_reload(struct enrich *e, const struct settings *s)
{
	if (e->blocks)
		block_facts_set_keep(e->blocks,
				     (int64_t)(settings_num(s, CSET_ENRICH_NAMES_KEEP) / 1000));
	for (unsigned int i = 0; i < _SRC_MAX; i++) {
		const char *path = collector_path(s, sources[i].setting);

		if (path)
			/* what is wrong is said in the log; it stays as it was */
			(void)load(e, i, path);
		else if (e->state[i])
			put_state(e, i, NULL);
	}
}

/* ---- how it is ---- */

void enrich_stats(struct enrich *e, struct enrich_stats *ret)
{
	*ret = (struct enrich_stats){0};
	pthread_rwlock_rdlock(&e->lock);
	ret->sites = e->state[SRC_SITES] != NULL;
	if (e->state[SRC_ASN]) {
		ret->asn_built = mmdb_built(e->state[SRC_ASN]);
		ret->errors += mmdb_errors(e->state[SRC_ASN]);
	}
	if (e->state[SRC_COUNTRY]) {
		ret->country_built = mmdb_built(e->state[SRC_COUNTRY]);
		ret->errors += mmdb_errors(e->state[SRC_COUNTRY]);
	}
	pthread_rwlock_unlock(&e->lock);
	if (e->blocks)
		block_facts_names(e->blocks, &ret->names);
}
