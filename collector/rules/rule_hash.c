// SPDX-License-Identifier: Apache-2.0
/*
 * rule_hash.c - what a rule does, in a number: whether what somebody has approved is still the same.
 */
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/rule.h"

static void put(FILE *out, const char *s)
{
	fprintf(out, "%zu:%s,", s ? strlen(s) : 0, s ?: ""); /* no text is another's beginning */
}

static void put_n(FILE *out, uint64_t n)
{
	fprintf(out, "%llu,", (unsigned long long)n);
}

static void put_action(FILE *out, const struct rule_action *a)
{
	put_n(out, a->type);
	put_n(out, a->scope);
	put_n(out, a->direction);
	put_n(out, a->ttl_ns);
	put_n(out, a->escalate.n);
	for (uint32_t i = 0; i < a->escalate.n; i++)
		put_n(out, a->escalate.ns[i]);
	put(out, a->rate);
	put_n(out, a->pre_ns);
	put_n(out, a->post_ns);
	put_n(out, a->max_bytes);
	put(out, a->to);
}

static void put_rule(FILE *out, const struct rule *r)
{
	put(out, r->where.s);
	put(out, r->having.s);
	put(out, r->exempt_text.s);
	put_n(out, r->window.size_ns);
	put_n(out, r->window.slide_ns);
	put_n(out, r->for_ns);
	put_n(out, r->keep_ns);
	put_n(out, r->evidence.handshake);
	put_n(out, r->by.n);
	for (uint32_t i = 0; i < r->by.n; i++)
		put_n(out, r->by.v[i]);
	put_n(out, r->params.n);
	for (uint32_t i = 0; i < r->params.n; i++) {
		put(out, r->params.v[i].name);
		put(out, r->params.v[i].value);
	}
	put_n(out, r->shared.n);
	for (uint32_t i = 0; i < r->shared.n; i++)
		put(out, r->shared.v[i]);
	put_n(out, r->correlate.rules.n);
	for (uint32_t i = 0; i < r->correlate.rules.n; i++)
		put(out, r->correlate.rules.v[i].s);
	put_n(out, r->correlate.type);
	put_n(out, r->correlate.field);
	put_n(out, r->correlate.within_ns);
	put_n(out, r->actions.n);
	for (uint32_t i = 0; i < r->actions.n; i++)
		put_action(out, &r->actions.v[i]);
}

int rule_hash(const struct rule *r, uint8_t ret[RULE_HASH])
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	put_rule(out, r);
	if (fclose(out)) {
		free(text);
		return -ENOMEM;
	}
	SHA256((const unsigned char *)text, len, ret);
	free(text);
	return 0;
}
