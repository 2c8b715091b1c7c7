// SPDX-License-Identifier: Apache-2.0
/*
 * cfg.c - the settings of [policy] as the core wants them: prefixes, keys from files, seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/policy/host.h"
#include "loader/settings.h"

#define NS_PER_S  UINT64_C(1000000000)
#define KEY_BYTES 4096u

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

static int keys(const struct settings *s, struct enforce_cfg *ret)
{
	const struct setting_value *v = &s->v[SET_POLICY_KEYS];
	char pem[KEY_BYTES];

	ret->n_keys = 0;
	for (uint32_t i = 0; i < v->n; i++) {
		int fd = open(v->list[i], O_RDONLY | O_CLOEXEC | O_NOCTTY);
		ssize_t n = fd < 0 ? -1 : read(fd, pem, sizeof(pem));
		const int err = errno;

		if (fd >= 0)
			close(fd);
		if (n < 0)
			return wrong(s, SET_POLICY_KEYS, v->list[i], strerror(err));
		if (ret->n_keys == ENFORCE_KEYS_MAX)
			return wrong(s, SET_POLICY_KEYS, v->list[i], "more than 16 keys");
		if (policy_read_public(pem, (size_t)n, ret->keys + ret->n_keys * POLICY_KEY))
			return wrong(s, SET_POLICY_KEYS, v->list[i],
				     "no ed25519 public key in PEM, as 'weir policy keygen' makes");
		ret->n_keys++;
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
