// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/enrich.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/enrich/sites.h"
#include "common/log.h"

#define FILE_MAX (64u << 20)

/* A site list in force. Those before it stay until the end: somebody may still read them. */
struct table {
	struct sites *sites;
	uint16_t *zones; /* the store's number of each */
	struct table *before;
};

struct enrich {
	struct store *store;
	struct table *now; /* atomic; NULL: there is none */
	struct filter_env env;
};

/* ---- the file ---- */

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

static void table_free(struct table *t)
{
	if (!t)
		return;
	sites_free(t->sites);
	free(t->zones);
	free(t);
}

static int number_zones(struct enrich *e, struct table *t)
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

static int load(struct enrich *e, const char *path)
{
	struct table *t = calloc(1, sizeof(*t));
	char error[SITES_ERROR] = "", *text = NULL;
	size_t len = 0;
	int r = t ? read_all(path, &text, &len) : -ENOMEM;

	if (!r)
		r = sites_parse(text, len, &t->sites, error);
	free(text);
	if (!r)
		r = number_zones(e, t);
	if (r) {
		if (*error)
			log_error(NULL, "%s:%s", path, error);
		else
			log_error(path, "%s", strerror(-r));
		table_free(t);
		return r == -ENOMEM ? r : -EINVAL;
	}
	t->before = e->now;
	__atomic_store_n(&e->now, t, __ATOMIC_RELEASE);
	return 0;
}

/* ---- lists of filters ---- */

static const char *resolve(void *arg, char kind, const char *name)
{
	struct enrich *e = arg;
	const struct table *t = __atomic_load_n(&e->now, __ATOMIC_ACQUIRE);

	return t && kind == '@' ? sites_list(t->sites, name) : NULL;
}

const struct filter_env *enrich_lists(struct enrich *e)
{
	return &e->env;
}

/* ---- life ---- */

int enrich_new(const struct settings *s, struct store *store, struct enrich **ret)
{
	const char *path = collector_path(s, CSET_ENRICH_SITES);
	struct enrich *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->store = store;
	e->env = (struct filter_env){resolve, e};
	r = path ? load(e, path) : 0;
	if (r) {
		enrich_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

void enrich_free(struct enrich *e)
{
	struct table *t = e ? e->now : NULL, *before;

	for (; t; t = before) {
		before = t->before;
		table_free(t);
	}
	free(e);
}

void enrich_reload(struct enrich *e, const struct settings *s)
{
	const char *path = collector_path(s, CSET_ENRICH_SITES);
	struct table *t;

	if (path) {
		/* said in the log; the list stays as it was */
		(void)load(e, path);
		return;
	}
	/* an empty list in its place */
	t = calloc(1, sizeof(*t));
	if (!t)
		return;
	t->before = e->now;
	if (sites_parse("", 0, &t->sites, (char[SITES_ERROR]){0}) || number_zones(e, t))
		table_free(t);
	else
		__atomic_store_n(&e->now, t, __ATOMIC_RELEASE);
}

/* ---- blocks ---- */

static void add_site(const struct table *t, struct block *b, uint32_t row, bool src)
{
	const enum block_column hi = src ? BC_SRC_HI : BC_DST_HI;
	const enum block_column zone = src ? BC_SRC_ZONE : BC_DST_ZONE;
	const enum block_column name = src ? BC_SRC_NAME : BC_DST_NAME;
	const struct site *site;
	const char *text;
	uint64_t half[2];
	uint8_t ip[16];

	if (!block_is_valid(b, hi, row))
		return;
	half[0] = htobe64(BLOCK_COLUMN(b, uint64_t, hi)[row]);
	half[1] = htobe64(BLOCK_COLUMN(b, uint64_t, hi + 1)[row]);
	memcpy(ip, half, sizeof(ip));
	site = sites_find(t->sites, ip);
	if (!site)
		return;
	if (!block_is_valid(b, zone, row)) {
		BLOCK_COLUMN(b, uint16_t, zone)[row] = t->zones[site->zone];
		block_set_valid(b, zone, row);
	}
	text = sites_name(t->sites, site);
	/* without room in the arena the flow goes without the name */
	if (text && !block_is_valid(b, name, row))
		(void)block_put_text(b, name, row, text, (uint32_t)strlen(text));
}

void enrich_block(struct enrich *e, struct block *b)
{
	const struct table *t = __atomic_load_n(&e->now, __ATOMIC_ACQUIRE);

	if (!t)
		return;
	for (uint32_t row = 0; row < b->rows; row++) {
		add_site(t, b, row, true);
		add_site(t, b, row, false);
	}
}
