// SPDX-License-Identifier: Apache-2.0
/*
 * test_drop_sets.c - decisions for nftables and ExaBGP: what is said and what is not, one element for
 * several decisions, what leads from one set to the next.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/drops.h"

#define NOW   UINT64_C(1700000000000000) /* 2023-11-14T22:13:20Z */
#define UNTIL "\"expires\":\"2023-11-14T22:14:20Z\""

static void add(struct drop_set *s, enum drop_form form, const char *json)
{
	json_t *j = json_loads(json, 0, NULL);

	cr_assert(j != NULL, "%s", json);
	cr_assert(eq(int, drops_add(s, form, j, NOW), 0));
	json_decref(j);
}

#define DROP(scope, value, more)                                                               \
	"{\"action\":\"drop\",\"mode\":\"enforce\",\"scope\":\"" scope "\",\"value\":\"" value \
	"\"," UNTIL more "}"

static char text[4096];

static const char *elements(const struct drop_set *s)
{
	FILE *out = fmemopen(text, sizeof(text), "w");
	char *at;

	drops_put_nft(out, s, NOW);
	fclose(out);
	at = strstr(text, "add element");
	return at ?: "";
}

static const char *changes(enum drop_form form, const struct drop_set *was,
			   const struct drop_set *now)
{
	FILE *out = fmemopen(text, sizeof(text), "w");

	text[0] = 0;
	drops_put_changes(out, form, was, now, &(struct drop_hops){"192.0.2.1", "100::1"});
	fclose(out);
	return text;
}

Test(drop_sets, what_acts_is_an_element)
{
	struct drop_set s = {};

	add(&s, DROP_NFT, DROP("src.ip", "192.0.2.9", ""));
	add(&s, DROP_NFT, DROP("src.ip", "2001:db8::9", ""));
	add(&s, DROP_NFT, DROP("dst.ip", "192.0.2.8", ""));
	add(&s, DROP_NFT, DROP("dst.ip", "192.0.2.8", ",\"port\":53"));
	add(&s, DROP_NFT, DROP("pair", "192.0.2.9", ",\"to\":\"10.0.0.1\""));
	drops_settle(&s, NOW);
	cr_assert(eq(str, (char *)elements(&s),
		     "add element inet weir dst4 { 192.0.2.8 timeout 60s }\n"
		     "add element inet weir pair4 { 192.0.2.9 . 10.0.0.1 timeout 60s }\n"
		     "add element inet weir service4 { 192.0.2.8 . 53 timeout 60s }\n"
		     "add element inet weir src4 { 192.0.2.9 timeout 60s }\n"
		     "add element inet weir src6 { 2001:db8::9 timeout 60s }\n"));
	drops_done(&s);
}

Test(drop_sets, what_does_not_act_is_none)
{
	static const char *const rows[] = {
		"{\"action\":\"drop\",\"mode\":\"shadow\",\"scope\":\"src.ip\",\"value\":\"192.0.2.9\"," UNTIL
		"}",
		"{\"action\":\"drop\",\"mode\":\"canary\",\"scope\":\"src.ip\",\"value\":\"192.0.2.9\"," UNTIL
		"}",
		"{\"action\":\"limit\",\"mode\":\"enforce\",\"scope\":\"src.ip\",\"value\":\"192.0.2.9\"," UNTIL
		"}",
		"{\"action\":\"drop\",\"mode\":\"enforce\",\"scope\":\"src.ip\",\"value\":\"192.0.2.9\"}",
		"{\"action\":\"drop\",\"mode\":\"enforce\",\"scope\":\"src.ip\",\"value\":\"192.0.2.9\","
		"\"expires\":\"2023-11-14T22:13:20Z\"}",
		DROP("src.ip", "192.0.2.9; } shutdown", ""),
		DROP("src.ip", "", ""),
		DROP("pair", "192.0.2.9", ",\"to\":\"2001:db8::1\""),
	};
	struct drop_set s = {};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add(&s, DROP_NFT, rows[i]);
		cr_expect(zero(u32, s.n), "%s", rows[i]);
	}
	drops_done(&s);
}

Test(drop_sets, several_decisions_are_one_element_until_the_last_ends)
{
	struct drop_set s = {};

	add(&s, DROP_NFT, DROP("src.ip", "192.0.2.9", ""));
	add(&s, DROP_NFT,
	    "{\"action\":\"drop\",\"mode\":\"enforce\",\"scope\":\"src.ip\",\"value\":\"192.0.2.9\","
	    "\"expires\":\"2023-11-14T22:23:20Z\"}");
	add(&s, DROP_NFT, DROP("src.ip", "192.0.2.9", ""));
	drops_settle(&s, NOW);
	cr_assert(eq(u32, s.n, 1));
	cr_assert(eq(str, (char *)elements(&s),
		     "add element inet weir src4 { 192.0.2.9 timeout 600s }\n"));
	drops_settle(&s, NOW + 600000000);
	cr_assert(zero(u32, s.n));
	drops_done(&s);
}

Test(drop_sets, routes_come_and_go)
{
	struct drop_set was = {}, now = {};

	add(&was, DROP_FLOWSPEC, DROP("src.ip", "192.0.2.1", ""));
	add(&was, DROP_FLOWSPEC, DROP("src.ip", "192.0.2.2", ""));
	add(&now, DROP_FLOWSPEC, DROP("src.ip", "192.0.2.2", ""));
	add(&now, DROP_FLOWSPEC, DROP("dst.ip", "192.0.2.3", ",\"port\":53"));
	add(&now, DROP_FLOWSPEC, DROP("pair", "192.0.2.4", ",\"to\":\"10.0.0.1\""));
	drops_settle(&was, NOW);
	drops_settle(&now, NOW);
	cr_assert(eq(
		str, (char *)changes(DROP_FLOWSPEC, &was, &now),
		"announce flow route { match { destination 192.0.2.3/32; destination-port =53; } then { discard; } }\n"
		"withdraw flow route { match { source 192.0.2.1/32; } }\n"
		"announce flow route { match { source 192.0.2.4/32; destination 10.0.0.1/32; } then { discard; } }\n"));
	cr_assert(eq(str, (char *)changes(DROP_FLOWSPEC, &now, &now), ""));
	drops_done(&was);
	drops_done(&now);
}

Test(drop_sets, a_blackhole_is_for_addresses_alone)
{
	const struct drop_set none = {};
	struct drop_set now = {};

	add(&now, DROP_RTBH, DROP("src.ip", "2001:db8::1", ""));
	add(&now, DROP_RTBH, DROP("dst.ip", "192.0.2.3", ",\"port\":53"));
	add(&now, DROP_RTBH, DROP("pair", "192.0.2.4", ",\"to\":\"10.0.0.1\""));
	drops_settle(&now, NOW);
	cr_assert(eq(str, (char *)changes(DROP_RTBH, &none, &now),
		     "announce route 2001:db8::1/128 next-hop 100::1 community [65535:666]\n"));
	cr_assert(eq(str, (char *)changes(DROP_RTBH, &now, &none),
		     "withdraw route 2001:db8::1/128 next-hop 100::1\n"));
	drops_done(&now);
}
