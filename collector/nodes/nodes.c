// SPDX-License-Identifier: Apache-2.0
#include "collector/nodes/nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/nodes/nodes_int.h"
#include "common/log.h"
#include "common/policy.h"

#define TICK_MS 200

static int64_t now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t nodes_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

int64_t nodes_wall_us(void)
{
	return now_us(CLOCK_REALTIME);
}

/* ---- policies ---- */

struct image *image_hold(struct image *i)
{
	__atomic_add_fetch(&i->refs, 1, __ATOMIC_RELAXED);
	return i;
}

void image_drop(struct image *i)
{
	if (i && !__atomic_sub_fetch(&i->refs, 1, __ATOMIC_ACQ_REL))
		free(i);
}

static int read_bytes(int fd, uint8_t *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		const ssize_t n = read(fd, to + at, len - at);

		if (n <= 0)
			return -EIO;
		at += (size_t)n;
	}
	return 0;
}

static void describe(struct image *i)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct policy_header h;

	memcpy(&h, i->bytes, sizeof(h));
	i->generation = h.generation;
	i->rules = h.count[POLICY_RULE];
	i->entries = h.count[POLICY_ADDR] + h.count[POLICY_ADDR_PORT] + h.count[POLICY_FLOW] +
		     h.count[POLICY_NAME];
	SHA256(i->bytes, i->len, hash);
	for (unsigned int k = 0; k < sizeof(hash); k++)
		snprintf(i->hash + 2 * k, 3, "%02x", hash[k]);
}

/* NULL: it isn't there, or is no policy. */
static struct image *read_image(const struct nodes *n, const char *name)
{
	char path[PATH_MAX];
	struct image *i = NULL;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%.4000s/policy/%s", n->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && st.st_size >= (off_t)sizeof(struct policy_header) &&
	    st.st_size <= (off_t)POLICY_BYTES_MAX)
		i = malloc(sizeof(*i) + (size_t)st.st_size);
	if (i) {
		*i = (struct image){.refs = 1, .len = (size_t)st.st_size};
		if (read_bytes(fd, i->bytes, i->len) ||
		    memcmp(i->bytes, POLICY_MAGIC, strlen(POLICY_MAGIC)) != 0) {
			free(i);
			i = NULL;
		}
	}
	close(fd);
	if (i)
		describe(i);
	return i;
}

void nodes_published(struct nodes *n)
{
	struct image *plain = read_image(n, "policy.bin"), *canary = read_image(n, "canary.bin");

	pthread_mutex_lock(&n->lock);
	if (plain && canary) {
		image_drop(n->image[0]);
		image_drop(n->image[1]);
		n->image[0] = plain;
		n->image[1] = canary;
	} else {
		image_drop(plain);
		image_drop(canary);
	}
	http_wake(n);
	pthread_mutex_unlock(&n->lock);
}

void nodes_ask_policy(struct nodes *n, uint64_t above)
{
	if ((int64_t)above > n->resync_above)
		n->resync_above = (int64_t)above;
	pthread_cond_signal(&n->more);
}

/* ---- time ---- */

static void *run(void *arg)
{
	struct nodes *n = arg;
	struct timespec until;
	int64_t above;

	pthread_setname_np(pthread_self(), "nodes");
	pthread_mutex_lock(&n->lock);
	while (!n->stop) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += TICK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (n->resync_above < 0)
			pthread_cond_timedwait(&n->more, &n->lock, &until);
		http_wake(n);
		table_save_seen(n);
		above = n->resync_above;
		n->resync_above = -1;
		if (above < 0)
			continue;
		pthread_mutex_unlock(&n->lock);
		if (n->resync(n->arg, above))
			log_error("nodes", "no newer policy could be made");
		pthread_mutex_lock(&n->lock);
	}
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

/* ---- life ---- */

static void take_settings(struct nodes *n, const struct nodes_cfg *cfg)
{
	n->certificate_us = cfg->certificate_us;
	n->return_us = cfg->return_us;
	n->max = cfg->max;
	n->canary_n = 0;
	for (uint32_t i = 0; i < cfg->canary_n && n->canary_n < NODES_CANARY; i++)
		snprintf(n->canary[n->canary_n++], sizeof(n->canary[0]), "%s", cfg->canary[i]);
}

void nodes_reload(struct nodes *n, const struct nodes_cfg *cfg)
{
	pthread_mutex_lock(&n->lock);
	take_settings(n, cfg);
	for (struct node *x = n->first; x; x = x->next)
		table_set_canary(n, x);
	http_wake(n);
	pthread_mutex_unlock(&n->lock);
}

static int open_all(struct nodes *n, const struct nodes_cfg *cfg, char *error)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%.4000s/control.db", cfg->dir);
	r = db_open(path, error, &n->db);
	r = r ?: table_load(n);
	snprintf(path, sizeof(path), "%.4000s/nodes", cfg->dir);
	r = r ?: ca_open(path, error, &n->ca);
	if (r)
		return r;
	n->image[0] = read_image(n, "policy.bin");
	n->image[1] = read_image(n, "canary.bin");
	return http_start(n, cfg->listen, error);
}

int nodes_open(const struct nodes_cfg *cfg, char *error, struct nodes **ret)
{
	struct nodes *n = calloc(1, sizeof(*n));
	pthread_condattr_t attr;
	int r;

	if (!n)
		return -ENOMEM;
	n->last = &n->first;
	n->resync_above = -1;
	n->resync = cfg->resync;
	n->decided = cfg->decided;
	n->arg = cfg->arg;
	snprintf(n->dir, sizeof(n->dir), "%s", cfg->dir);
	snprintf(n->issuer, sizeof(n->issuer), "%.31s", cfg->issuer);
	take_settings(n, cfg);
	pthread_mutex_init(&n->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&n->more, &attr);
	pthread_condattr_destroy(&attr);
	r = open_all(n, cfg, error);
	if (!r && pthread_create(&n->thread, NULL, run, n))
		r = -EAGAIN;
	n->started = !r;
	if (r)
		nodes_close(n);
	else
		*ret = n;
	return r;
}

void nodes_stop(struct nodes *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_signal(&n->more);
	pthread_mutex_unlock(&n->lock);
	if (n->started)
		pthread_join(n->thread, NULL);
	n->started = false;
	http_stop(n);
}

void nodes_close(struct nodes *n)
{
	struct node *x, *next;

	if (!n)
		return;
	nodes_stop(n);
	for (x = n->first; x; x = next) {
		next = x->next;
		free(x);
	}
	image_drop(n->image[0]);
	image_drop(n->image[1]);
	ca_close(n->ca);
	db_close(n->db);
	pthread_cond_destroy(&n->more);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
