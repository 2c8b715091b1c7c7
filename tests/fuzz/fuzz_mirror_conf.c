// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_mirror_conf.c - any bytes as a configuration file, and what its sections of the mirror become: [mirror-filter
 * NAME], [mirror NUMBER], [mirror-target NAME]. A mistake has a line and words; without one every session is one that
 * the core takes, in the order of their numbers, and a target's words are read again as the same.
 *
 * A first byte of '0' is a node that only observes.
 *
 * Covers: loader/settings_mirror.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "loader/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void same_words(const struct mirror_want *w)
{
	struct mirror_want again = {};
	char buf[256] = "";
	const char *why;
	FILE *out = fmemopen(buf, sizeof(buf), "w");

	require(out != NULL);
	mirror_print_to(out, w);
	fclose(out);
	require(!mirror_want_to(buf, &again, &why));
	require(again.to == w->to && again.port == w->port && again.vni == w->vni);
	require(!memcmp(again.dst, w->dst, sizeof(w->dst)));
	require(!memcmp(again.out, w->out, sizeof(w->out)));
}

/* As the core would have it from a command. */
static void is_session(const struct mirror_image *m)
{
	static struct mirror_image i;
	const struct mirror_want *w;
	const struct policy_rule *rules;
	struct policy_error err;

	require(!m->want.for_s && m->want.number && m->want.rules);
	i = *m;
	i.want.for_s = 1;
	require(!mirror_check(&i, sizeof(i.want) + i.want.rules * sizeof(i.rules[0]), &w, &rules,
			      &err));
	same_words(&m->want);
}

static void is_target(const struct mirror_target *t)
{
	size_t n = strnlen((const char *)t->name, sizeof(t->name));

	require(n && n < sizeof(t->name));
	for (; n < sizeof(t->name); n++)
		require(!t->name[n]);
	require(!t->want.rules && !t->want.for_s && t->want.sample);
	same_words(&t->want);
}

static void check(const struct mirror_images *all, const struct config_errors *errs)
{
	for (uint32_t i = 0; i < errs->count && i < CONFIG_ERRORS_MAX; i++)
		require(errs->list[i].line && errs->list[i].text[0]);
	require(all->n <= MIRROR_SESSIONS && all->n_targets <= MIRROR_TARGETS);
	if (errs->count)
		return;
	for (uint32_t i = 0; i < all->n; i++) {
		is_session(&all->at[i]);
		require(!i || all->at[i - 1].want.number < all->at[i].want.number);
	}
	for (uint32_t i = 0; i < all->n_targets; i++)
		is_target(&all->target[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct setting_value v[_SET_MAX];
	static struct mirror_images all;
	struct settings s = {.v = v};
	struct config_errors errs = {};

	v[SET_POLICY_ENTRIES].num = !size || *data != '0';
	if (size && *data == '0') {
		data++;
		size--;
	}
	if (config_parse((const char *)data, size, &s.file, &errs)) {
		config_free(s.file); /* fuzz_config.c's */
		return 0;
	}
	memset(&all, 0, sizeof(all));
	if (!settings_mirror_load(&s, &all, &errs))
		check(&all, &errs);
	config_free(s.file);
	return 0;
}
