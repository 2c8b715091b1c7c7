// SPDX-License-Identifier: Apache-2.0
/*
 * filter_match.c - a compiled filter over a record. No allocation, no recursion; a test looks at one
 * member. A test of an absent field is false, negated or not.
 */
#include <endian.h>
#include <string.h>

#include "common/community_id.h"
#include "common/filter_code.h"
#include "common/flow_text.h"

uint64_t filter_version_rank(uint64_t version)
{
	switch (version) {
	case 0xfeff:
		return 0x0302; /* DTLS 1.0 is TLS 1.1 */
	case 0xfefd:
		return 0x0303;
	case 0xfefc:
		return 0x0304;
	default:
		return version;
	}
}

int filter_string_order(struct flow_str a, struct flow_str b)
{
	const uint32_t n = a.len < b.len ? a.len : b.len;
	const int order = n ? memcmp(a.s, b.s, n) : 0;

	return order ?: (a.len > b.len) - (a.len < b.len);
}

/* ---- numbers and addresses ---- */

static bool in_numbers(const struct filter_numbers *set, uint32_t n, uint64_t v)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;

		if (v < set[mid].lo)
			hi = mid;
		else if (v > set[mid].hi)
			lo = mid + 1;
		else
			return true;
	}
	return false;
}

static bool below(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] < b[0] || (a[0] == b[0] && a[1] < b[1]);
}

static bool in_ips(const struct filter_ips *set, uint32_t n, const uint64_t ip[2])
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;

		if (below(ip, set[mid].lo))
			hi = mid;
		else if (below(set[mid].hi, ip))
			lo = mid + 1;
		else
			return true;
	}
	return false;
}

bool filter_test_number(const struct filter *f, const struct filter_test *t, uint64_t v)
{
	switch (t->type) {
	case TEST_RANGE:
		return v >= t->range.lo && v <= t->range.hi;
	case TEST_VERSION:
		v = filter_version_rank(v);
		return v >= t->range.lo && v <= t->range.hi;
	case TEST_BITS:
		return v & t->range.lo;
	default:
		return in_numbers(f->numbers + t->first, t->n, v);
	}
}

bool filter_test_ip(const struct filter *f, const struct filter_test *t, const uint64_t ip[2])
{
	if (t->type == TEST_IP)
		return ip[0] == t->ip[0] && ip[1] == t->ip[1];
	return in_ips(f->ips + t->first, t->n, ip);
}

/* ---- strings ---- */

/* Order of the @n first bytes of @s, in lower case if @nocase, and @known. */
static int order_bytes(const char *s, const char *known, uint32_t n, bool nocase)
{
	if (!nocase)
		return n ? memcmp(s, known, n) : 0;
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)filter_lower(s[i]);

		if (c != (unsigned char)known[i])
			return c < (unsigned char)known[i] ? -1 : 1;
	}
	return 0;
}

static bool contains(struct flow_str s, struct flow_str known, bool nocase)
{
	if (known.len > s.len)
		return false;
	if (!nocase)
		return !known.len || memmem(s.s, s.len, known.s, known.len);
	for (uint32_t i = 0; i <= s.len - known.len; i++)
		if (!order_bytes(s.s + i, known.s, known.len, true))
			return true;
	return false;
}

static bool in_strings(const struct flow_str *set, uint32_t n, struct flow_str s, bool nocase)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;
		const uint32_t both = s.len < set[mid].len ? s.len : set[mid].len;
		int order = order_bytes(s.s, set[mid].s, both, nocase);

		order = order ?: (s.len > set[mid].len) - (s.len < set[mid].len);
		if (!order)
			return true;
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

bool filter_test_string(const struct filter *f, const struct filter_test *t, struct flow_str s)
{
	const struct flow_str known = f->strings[t->first];

	switch (t->type) {
	case TEST_STRING:
		return s.len == known.len && !order_bytes(s.s, known.s, s.len, t->nocase);
	case TEST_PREFIX:
		return s.len >= known.len && !order_bytes(s.s, known.s, known.len, t->nocase);
	case TEST_SUFFIX:
		return s.len >= known.len &&
		       !order_bytes(s.s + (s.len - known.len), known.s, known.len, t->nocase);
	case TEST_CONTAINS:
		return contains(s, known, t->nocase);
	default:
		return in_strings(f->strings + t->first, t->n, s, t->nocase);
	}
}

/* ---- lists: one element is enough ---- */

static bool test_alpn(const struct filter *f, const struct filter_test *t, struct flow_str wire)
{
	uint32_t i = 0;

	while (i < wire.len) {
		const uint32_t len = (uint8_t)wire.s[i++];

		if (len > wire.len - i)
			break;
		if (filter_test_string(f, t, (struct flow_str){wire.s + i, len}))
			return true;
		i += len;
	}
	return false;
}

static bool test_strings(const struct filter *f, const struct filter_test *t, struct flow_strs strs)
{
	for (uint32_t i = 0; i < strs.n; i++)
		if (filter_test_string(f, t, strs.v[i]))
			return true;
	return false;
}

static bool test_queries(const struct filter *f, const struct filter_test *t,
			 struct flow_queries queries)
{
	for (uint32_t i = 0; i < queries.n; i++)
		if (filter_test_string(f, t, queries.v[i].qname))
			return true;
	return false;
}

static bool test_vlans(const struct filter *f, const struct filter_test *t, const uint16_t *vlan)
{
	for (unsigned int i = 0; i < FLOW_VLANS_MAX && vlan[i]; i++)
		if (filter_test_number(f, t, vlan[i]))
			return true;
	return false;
}

/* ---- one test ---- */

static bool test_member(const struct filter *f, const struct filter_test *t,
			const struct flow_record *r)
{
	const void *member = (const char *)r + t->offset;
	struct flow_queries queries;
	struct flow_strs strs;
	struct flow_str s;
	uint64_t v, ip[2];

	switch (t->data) {
	case FT_IP:
		memcpy(ip, member, sizeof(ip));
		ip[0] = be64toh(ip[0]);
		ip[1] = be64toh(ip[1]);
		return filter_test_ip(f, t, ip);
	case FT_STR:
		memcpy(&s, member, sizeof(s));
		return filter_test_string(f, t, s);
	case FT_ALPN:
		memcpy(&s, member, sizeof(s));
		return test_alpn(f, t, s);
	case FT_STRS:
		memcpy(&strs, member, sizeof(strs));
		return test_strings(f, t, strs);
	case FT_QUERIES:
		memcpy(&queries, member, sizeof(queries));
		return test_queries(f, t, queries);
	case FT_VLAN:
		return test_vlans(f, t, r->vlan);
	default:
		v = flow_number(r, t->field);
		return filter_test_number(f, t, t->divide ? v / 1000 : v);
	}
}

/* Only IP flows have one, and it is computed. */
static bool test_id(const struct filter *f, const struct filter_test *t,
		    const struct flow_record *r)
{
	char id[COMMUNITY_ID_TEXT];
	const struct flow_str s = {id, COMMUNITY_ID_TEXT - 1};

	if (community_id(f->community, r, id))
		return false;
	return in_strings(f->strings + t->first, t->n, s, false) ^ t->negate;
}

bool filter_test(const struct filter *f, const struct filter_test *t, const struct flow_record *r)
{
	const bool there = flow_has(r, t->field);

	if (t->type == TEST_EXISTS)
		return there ^ t->negate;
	if (!there)
		return false;
	if (t->type == TEST_ID)
		return test_id(f, t, r);
	return test_member(f, t, r) ^ t->negate;
}

bool filter_match(const struct filter *f, const struct flow_record *r)
{
	uint32_t at;

	if (!f)
		return true;
	at = f->entry;
	while (at < FILTER_FALSE) {
		const struct filter_test *t = &f->tests[at];

		at = filter_test(f, t, r) ? t->if_true : t->if_false;
	}
	return at == FILTER_TRUE;
}
