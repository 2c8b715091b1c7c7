// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/backtest_line.h"

#include <errno.h>
#include <string.h>

#include "common/num_text.h"

/* "198.51.100.7", of a pair "198.51.100.7 -> 10.0.0.1". */
static void target_text(const struct backtest_hit *h, char buf[2 * IP_TEXT + 8])
{
	size_t len = ip_text(h->ip[0], 0, buf);

	if (h->scope == RULE_SCOPE_PAIR) {
		memcpy(buf + len, " -> ", 4);
		len += 4 + ip_text(h->ip[1], 0, buf + len + 4);
	}
	buf[len] = 0;
}

static int put(const struct backtest_lines *l, json_t *line)
{
	return line ? l->put(l->arg, line) : -ENOMEM;
}

static int put_rule(const struct backtest_lines *l, uint32_t rule)
{
	const struct rule *r = &l->rules->v[rule];
	const struct backtest_rule *b = &l->found->rules[rule];

	return put(l, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "type",
				"rule", "rule", r->name, "version", r->version, "flows",
				(json_int_t)b->matched, "alerts", (json_int_t)b->alerts, "hits",
				(json_int_t)b->hits, "internal", (json_int_t)b->internal, "exempt",
				(json_int_t)b->exempt, "late", (json_int_t)b->late, "evicted",
				(json_int_t)b->evicted, "acts", r->actions.n > 0));
}

static int put_target(const struct backtest_lines *l, const struct backtest_hit *h)
{
	char target[2 * IP_TEXT + 8], when[TIME_TEXT];

	time_text(h->first_ns, when);
	target_text(h, target);
	return put(l, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:b}", "type", "target",
				"action", rule_action_word(h->action), "scope",
				h->scope == RULE_SCOPE_PAIR ? "pair" : flow_fields[h->scope].path,
				"target", target, "first", when, "alerts", (json_int_t)h->alerts,
				"internal", h->internal, "exempt", h->exempt));
}

static int put_done(const struct backtest_lines *l)
{
	const struct backtest *b = l->found;
	char from[TIME_TEXT], to[TIME_TEXT];
	json_t *line = json_pack("{s:s, s:I, s:I, s:f}", "type", "done", "flows",
				 (json_int_t)b->flows, "unkept", (json_int_t)b->unkept, "seconds",
				 b->seconds);

	if (line && b->flows) {
		time_text(b->from_ns, from);
		time_text(b->to_ns, to);
		json_object_set_new(line, "from", json_string(from));
		json_object_set_new(line, "to", json_string(to));
	}
	return put(l, line);
}

int backtest_lines(const struct backtest_lines *l)
{
	const struct backtest *b = l->found;
	uint32_t h = 0;
	int r = 0;

	/* hits are in the order of the rules */
	for (uint32_t i = 0; i < l->rules->n && !r; i++) {
		const bool told = !l->only || l->only[i];
		uint32_t n = 0;

		if (told)
			r = put_rule(l, i);
		for (; h < b->n_hits && b->hits[h].rule == i; h++)
			if (!r && told && n++ < l->top)
				r = put_target(l, &b->hits[h]);
	}
	return r ?: put_done(l);
}
