// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_mirror.c - mirror sessions from anywhere: as records of fixed size, as targets and filters in words.
 *
 * The first byte chooses: 't' a target, 'b' a budget, 'f' a filter, others records. What words become is
 * always accepted as records; a target that is accepted is written, and read again as the same.
 *
 * Covers: loader/mirror/want.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "loader/mirror/want.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct image {
	struct mirror_want want;
	struct policy_rule rules[MIRROR_RULES];
};

static struct mirror_want plain(void)
{
	return (struct mirror_want){.to = MIRROR_TO_VXLAN,
				    .port = 4789,
				    .sample = 1,
				    .for_s = 1,
				    .rules = 1,
				    .dst = {[10] = 0xff, 0xff, 192, 0, 2, 1},
				    .filter = "x"};
}

static void target(const char *text)
{
	struct mirror_want w = {}, again = {};
	char buf[256] = "";
	const char *why;
	FILE *out;

	if (mirror_want_to(text, &w, &why)) {
		if (!why[0])
			abort();
		return;
	}
	out = fmemopen(buf, sizeof(buf), "w");
	if (!out)
		abort();
	mirror_print_to(out, &w);
	fclose(out);
	if (mirror_want_to(buf, &again, &why) || memcmp(&w, &again, sizeof(w)) != 0)
		abort();
}

static void filter(const char *text)
{
	static struct image i;
	const struct policy_rule *rules;
	const struct mirror_want *w;
	struct policy_error refused;
	struct filter_error err;
	int n = mirror_rules(text, DIR_BOTH, i.rules, &err);

	if (n < 0) {
		if (!err.message[0])
			abort();
		return;
	}
	i.want = plain();
	i.want.rules = (uint32_t)n;
	if (mirror_check(&i, sizeof(i.want) + (size_t)n * sizeof(i.rules[0]), &w, &rules, &refused))
		abort();
}

static void records(const uint8_t *data, size_t size)
{
	static struct image i;
	const struct policy_rule *rules;
	const struct mirror_want *w;
	struct policy_error err;

	if (size > sizeof(i))
		return;
	memcpy(&i, data, size);
	if (mirror_check(&i, size, &w, &rules, &err)) {
		if (!err.text[0])
			abort();
		return;
	}
	if (w != &i.want || rules != i.rules || !w->rules || w->rules > MIRROR_RULES)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[FILTER_TEXT_MAX + 1];
	struct mirror_want w = {};
	size_t n;

	if (!size)
		return 0;
	n = size - 1 < FILTER_TEXT_MAX ? size - 1 : FILTER_TEXT_MAX;
	memcpy(text, data + 1, n);
	text[n] = '\0';
	if (data[0] == 't')
		target(text);
	else if (data[0] == 'b')
		(void)mirror_want_budget(text, &w); /* any answer will do */
	else if (data[0] == 'f')
		filter(text);
	else
		records(data + 1, size - 1);
	return 0;
}
