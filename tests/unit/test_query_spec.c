// SPDX-License-Identifier: Apache-2.0
/*
 * test_query_spec.c - questions as pairs of text: what they come to, and what is said of mistakes.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/query/spec.h"

#define NOW_US INT64_C(1790000000000000)

static struct spec s, again;
static char why[SPEC_ERROR];

static int set(const char *key, const char *value)
{
	return spec_set(&s, key, value, why);
}

static void begin(void)
{
	spec_init(&s, SPEC_TOP, NOW_US);
	*why = 0;
}

TestSuite(query_spec, .init = begin);

Test(query_spec, an_hour_of_bytes_packets_and_flows_when_nothing_is_said)
{
	cr_assert(eq(int, spec_finish(&s, why), 0));
	cr_assert(eq(i64, s.to_us, NOW_US));
	cr_assert(eq(i64, s.from_us, NOW_US - INT64_C(3600000000)));
	cr_assert(eq(u32, s.n_measures, 3));
	cr_assert(eq(u32, s.top, 10));
}

static void same_again(void *arg, const char *key, const char *value)
{
	(void)arg;
	cr_assert(eq(int, spec_set(&again, key, value, why), 0), "%s=%s: %s", key, value, why);
}

Test(query_spec, says_itself_again)
{
	cr_assert(eq(int, set("filter", "tls.sni suffix \"example.test\""), 0));
	cr_assert(eq(int, set("by", "src.ip/24/48,tls.sni"), 0));
	cr_assert(eq(int, set("measure", "p95(rtt.server_us),distinct(dst.ip)"), 0));
	cr_assert(eq(int, set("order", "flows:asc"), 0));
	cr_assert(eq(int, set("top", "25"), 0));
	cr_assert(eq(int, set("last", "1h30m"), 0));
	cr_assert(eq(int, set("step", "90s"), 0));
	cr_assert(eq(int, set("dedup", "yes"), 0));
	cr_assert(eq(int, spec_finish(&s, why), 0));
	spec_init(&again, SPEC_TOP, 0);
	spec_each(&s, same_again, NULL);
	cr_assert(eq(int, spec_finish(&again, why), 0));
	cr_assert(eq(int, memcmp(&s, &again, sizeof(s)), 0));
}

struct mistake {
	const char *key, *value, *says;
};

Test(query_spec, mistakes_are_told_with_the_nearest_word)
{
	static const struct mistake mistakes[] = {
		{"by", "tls.snii", "unknown field 'tls.snii', did you mean 'tls.sni'?"},
		{"by", "src.ip,src.ip", "twice"},
		{"by", "src.ip,,proto", "empty"},
		{"by", "http.hosts", "one flow has several"},
		{"by", "proto/8", "no prefix"},
		{"by", "src.ip/129", "prefix length"},
		{"by", "src.ip,dst.ip,proto,state,node", "more than 4"},
		{"measure", "byte", "did you mean 'bytes'?"},
		{"measure", "distinct", "wants a field"},
		{"measure", "bytes(src.ip)", "takes no field"},
		{"measure", "avg(tls.sni)", "no number"},
		{"measure", "distinct(labels)", "several"},
		{"measure", "p95(bytes", "wants a field"},
		{"order", "bytes:up", ":asc or :desc"},
		{"top", "0", "from 1"},
		{"last", "10", "such as"},
		{"from", "yesterday", "such as 20"},
		{"step", "10ms", "1s or more"},
		{"dedup", "1", "yes or no"},
		{"filter", "tls.sni sufix \"x\"",
		 "col 9: no operator 'sufix', did you mean 'suffix'?"},
		{"cursor", "1;DROP", "no cursor"},
		{"what", "pie", "top or flows"},
	};

	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		const struct mistake *m = &mistakes[i];

		begin();
		cr_assert(eq(int, set(m->key, m->value), -EINVAL), "%s=%s", m->key, m->value);
		cr_assert(strstr(why, m->says) != NULL, "%s=%s: %s", m->key, m->value, why);
	}
	cr_assert(eq(int, set("colour", "red"), -ENOENT));
}

Test(query_spec, what_does_not_go_together)
{
	cr_assert(eq(int, set("to", "2020-01-01T00:00:00Z"), 0));
	cr_assert(eq(int, spec_finish(&s, why), -EINVAL));
	begin();
	cr_assert(eq(int, set("last", "365d"), 0));
	cr_assert(eq(int, set("step", "1s"), 0));
	cr_assert(eq(int, spec_finish(&s, why), -EINVAL));
	spec_init(&s, SPEC_FLOWS, NOW_US);
	cr_assert(eq(int, set("by", "proto"), 0));
	cr_assert(eq(int, spec_finish(&s, why), -EINVAL));
}
