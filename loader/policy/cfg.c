// SPDX-License-Identifier: Apache-2.0
/*
 * cfg.c - the settings of [policy] as the core wants them: prefixes, keys from files, seconds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/policy/host.h"
#include "loader/settings.h"

#define NS_PER_S  UINT64_C(1000000000)
#define KEY_BYTES 4096u
#define KEY_PATH  ENFORCE_KEY_PATH

static int wrong(const struct settings *s, enum setting_id id, const char *item, const char *why)
{
	char name[64], origin[300];

	fprintf(stderr, "weir: %s '%s' (%s): %s\n",
		setting_name(&weir_settings, id, name, sizeof(name)), item,
		setting_origin(s, id, origin, sizeof(origin)), why);
	return -EINVAL;
}

static int prefixes(const struct settings *s, enum setting_id id, struct guard_prefixes *ret)
{
	const struct setting_value *v = &s->v[id];

	ret->n = 0;
	for (uint32_t i = 0; i < v->n; i++) {
		struct policy_list list = {};
		const struct policy_addr *a;
		unsigned int line;
		const char *why;

		if (policy_scan_list(v->list[i], strlen(v->list[i]), &list, &line, &why) ||
		    list.names || list.items.n != 1) {
			free(list.items.at);
			return wrong(s, id, v->list[i], "want an address or a network");
		}
		if (ret->n == GUARD_PREFIXES_MAX) {
			free(list.items.at);
			return wrong(s, id, v->list[i], "more than 256");
		}
		a = (const void *)list.items.at;
		memcpy(ret->v[ret->n].addr, a->addr, 16);
		ret->v[ret->n++].bits = a->bits;
		free(list.items.at);
	}
	return 0;
}

/* ---- keys ---- */

/* Return: 0, -EINVAL: it is none, -E2BIG, -errno. */
static int add_key(struct enforce_cfg *cfg, const char *path)
{
	char pem[KEY_BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, pem, sizeof(pem));
	const int err = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -err;
	if (cfg->n_keys == ENFORCE_KEYS_MAX)
		return -E2BIG;
	if (policy_read_public(pem, (size_t)n, cfg->keys + cfg->n_keys * POLICY_KEY))
		return -EINVAL;
	cfg->n_keys++;
	return 0;
}

static bool is_pub(const char *name)
{
	const size_t len = strlen(name);

	return name[0] != '.' && len > 4 && !strcmp(name + len - 4, ".pub");
}

/* All *.pub of a directory; one that is not there has none. */
static int add_keys_in(struct enforce_cfg *cfg, const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *x;
	char path[KEY_PATH + 256];
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (x = readdir(d))) {
		if (!is_pub(x->d_name))
			continue;
		snprintf(path, sizeof(path), "%.*s%s", (int)KEY_PATH - 1, dir, x->d_name);
		r = add_key(cfg, path);
	}
	closedir(d);
	return r;
}

static int add_item(struct enforce_cfg *cfg, const char *item)
{
	return item[strlen(item) - 1] == '/' ? add_keys_in(cfg, item) : add_key(cfg, item);
}

void enforce_read_keys(struct enforce_cfg *cfg)
{
	for (unsigned int i = 0; i < cfg->n_key_dirs; i++) {
		const int r = add_keys_in(cfg, cfg->key_dirs[i]);

		if (r)
			log_warn("policy", "%s: %s", cfg->key_dirs[i],
				 r == -EINVAL ? "a file is no ed25519 public key in PEM"
					      : strerror(-r));
	}
}

static int keys(const struct settings *s, struct enforce_cfg *ret)
{
	const struct setting_value *v = &s->v[SET_POLICY_KEYS];
	int r;

	ret->n_keys = ret->n_key_dirs = 0;
	for (uint32_t i = 0; i < v->n; i++) {
		const char *item = v->list[i];

		if (!*item)
			continue;
		if (item[strlen(item) - 1] == '/' && ret->n_key_dirs < ENFORCE_KEY_DIRS) {
			if (strlen(item) >= KEY_PATH)
				return wrong(s, SET_POLICY_KEYS, item, "too long");
			snprintf(ret->key_dirs[ret->n_key_dirs++], KEY_PATH, "%s", item);
		}
		r = add_item(ret, item);
		if (r)
			return wrong(
				s, SET_POLICY_KEYS, item,
				r == -E2BIG ? "more than 16 keys"
				: r == -EINVAL
					? "no ed25519 public key in PEM, as 'weir policy keygen' makes"
					: strerror(-r));
	}
	return 0;
}

int policy_host_cfg(const struct settings *s, struct enforce_cfg *ret)
{
	int r = prefixes(s, SET_POLICY_NEVER_BLOCK, &ret->guard.never);

	r = r ?: prefixes(s, SET_POLICY_ADMIN, &ret->guard.admin);
	r = r ?: prefixes(s, SET_POLICY_INTERNAL, &ret->guard.internal);
	r = r ?: keys(s, ret);
	if (r)
		return r;
	ret->guard.admin_sessions = settings_num(s, SET_POLICY_ADMIN_SESSIONS);
	ret->guard.rate = (uint32_t)settings_num(s, SET_POLICY_RATE);
	ret->guard.breaker = settings_is_word(s, SET_POLICY_BREAKER)
				     ? 0
				     : (uint32_t)settings_num(s, SET_POLICY_BREAKER);
	snprintf(ret->group, sizeof(ret->group), "%s", settings_text(s, SET_POLICY_GROUP));
	ret->state[0] = '\0';
	if (!settings_is_word(s, SET_POLICY_STATE)) {
		if (strlen(settings_text(s, SET_POLICY_STATE)) >= sizeof(ret->state))
			return wrong(s, SET_POLICY_STATE, settings_text(s, SET_POLICY_STATE),
				     "too long");
		snprintf(ret->state, sizeof(ret->state), "%s", settings_text(s, SET_POLICY_STATE));
	}
	ret->lease_s = (uint32_t)(settings_num(s, SET_POLICY_LEASE) / NS_PER_S);
	ret->expires_max_s = settings_num(s, SET_POLICY_MAX_DURATION) / NS_PER_S;
	ret->block_quic = settings_num(s, SET_POLICY_BLOCK_QUIC);
	return 0;
}
