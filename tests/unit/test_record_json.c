// SPDX-License-Identifier: Apache-2.0
/*
 * test_record_json.c - a record written as JSON and read again is the same record; what is not a
 * record is refused with the member's name.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "common/output.h"
#include "common/record_json.h"
#include "filter_rig.h"

static struct record_reader *reader;
static struct output *out;
static char first[OUTPUT_LINE_MAX], second[OUTPUT_LINE_MAX];

static void setup(void)
{
	reader = record_reader_new();
	cr_assert(reader != NULL);
	cr_assert(eq(int, output_new("json", 1, &out), 0));
}

static void teardown(void)
{
	record_reader_free(reader);
	output_free(out);
}

TestSuite(record_json, .init = setup, .fini = teardown);

static void there_and_back(const struct flow_record *r)
{
	char why[RECORD_JSON_ERROR] = "";
	struct flow_record again;
	ssize_t n = output_text(out, r, first), m;
	json_t *obj = json_loadb(first, (size_t)n, 0, NULL);

	cr_assert(obj != NULL, "%.*s", (int)n, first);
	cr_assert(eq(int, record_read(reader, obj, &again, why), 0), "%s", why);
	cr_expect(eq(u64, again.present[0], r->present[0]));
	cr_expect(eq(u64, again.present[1], r->present[1]));
	m = output_text(out, &again, second);
	cr_expect(n == m && !memcmp(first, second, (size_t)n), "%.*s\n%.*s", (int)n, first, (int)m,
		  second);
	json_decref(obj);
}

Test(record_json, reads_what_is_written)
{
	struct flow_record frame = {};

	there_and_back(filter_rig_tls());
	there_and_back(filter_rig_dns());
	frame.ethertype = 0x88cc;
	flow_set(&frame, FF_ETHERTYPE);
	there_and_back(&frame);
}

Test(record_json, names_the_member_that_is_wrong)
{
	static const struct {
		const char *json, *want;
	} rows[] = {
		{"[]", "no JSON object"},
		{"{\"src\":{\"ip\":\"10.0.0\"}}", "src.ip is not as it should be"},
		{"{\"src\":{\"port\":65536}}", "src.port is not as it should be"},
		{"{\"src\":{\"port\":-1}}", "src.port is not as it should be"},
		{"{\"src\":{\"port\":\"1\"}}", "src.port is not as it should be"},
		{"{\"proto\":\"tcpp\"}", "proto is not as it should be"},
		{"{\"proto\":6}", "proto is not as it should be"},
		{"{\"start\":\"yesterday\"}", "start is not as it should be"},
		{"{\"tcp\":{\"flags\":\"SX\"}}", "tcp.flags is not as it should be"},
		{"{\"tls\":{\"sni\":1}}", "tls.sni is not as it should be"},
		{"{\"tls\":{\"alpn\":\"h2\"}}", "tls.alpn is not as it should be"},
		{"{\"tls\":{\"alpn\":[1]}}", "tls.alpn is not as it should be"},
		{"{\"http\":{\"hosts\":[1]}}", "http.hosts is not as it should be"},
		{"{\"vlan\":[1,2,3]}", "vlan is not as it should be"},
		{"{\"vlan\":[4096]}", "vlan is not as it should be"},
		{"{\"dns\":{\"queries\":[{\"qname\":\"a\"}]}}",
		 "dns.queries is not as it should be"},
		{"{\"dns\":{\"queries\":[{\"qname\":\"a\",\"qtype\":\"A\",\"latency_us\":-1}]}}",
		 "dns.queries is not as it should be"},
		{"{\"dns\":{\"queries\":{}}}", "dns.queries is not as it should be"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[RECORD_JSON_ERROR] = "";
		json_t *obj = json_loads(rows[i].json, 0, NULL);
		struct flow_record r;

		cr_assert(obj != NULL, "%s", rows[i].json);
		cr_expect(ne(int, record_read(reader, obj, &r, why), 0), "%s", rows[i].json);
		cr_expect(eq(str, why, (char *)rows[i].want), "%s", rows[i].json);
		json_decref(obj);
	}
}

Test(record_json, passes_over_members_it_does_not_know)
{
	json_t *obj =
		json_loads("{\"proto\":\"tcp\",\"later\":{\"x\":1},\"tls\":{\"y\":2}}", 0, NULL);
	char why[RECORD_JSON_ERROR];
	struct flow_record r;

	cr_assert(eq(int, record_read(reader, obj, &r, why), 0));
	cr_expect(eq(u8, r.proto, 6));
	cr_expect(not(flow_has(&r, FF_TLS_SNI)));
	json_decref(obj);
}
