// SPDX-License-Identifier: Apache-2.0
/*
 * test_ipfix.c - IPFIX: what is written is read again, octets are as RFC 7011 draws them, and
 * messages that contradict themselves are refused.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix.h"
#include "common/output.h"
#include "random_flow.h"

TestSuite(ipfix, .timeout = 120);

static const struct ipfix_cfg biflow = {.pen = 55555, .domain = 7, .form = 7};
static const struct ipfix_cfg uniflow = {.pen = 32473, .domain = 7, .form = 6};
static uint8_t buf[IPFIX_MESSAGE_MAX], announce[IPFIX_MESSAGE_MAX];
static struct ipfix_used used;
static struct ipfix_reader reader;
#define counts reader.counts
static struct output *json;

/* The record as JSON, without what is not exported. */
static void text_of(struct flow_record *r, char *to)
{
	static const enum flow_field not [] = {FF_IFACE, FF_NODE};
	ssize_t n;

	for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
		r->present[not [i] / 64] &= ~(UINT64_C(1) << not [i] % 64);
	n = output_text(json, r, to);
	cr_assert(gt(i64, n, 0));
	to[n - 1] = 0;
}

struct seen {
	const struct ipfix_templates *t;
	char text[64][32768];
	struct flow_record r[64];
	uint32_t n;
	uint32_t options;
};

static int collect(void *arg, const struct ipfix_record *rec)
{
	struct seen *s = arg;
	static struct ipfix_lists lists;
	struct flow_record r;

	if (ipfix_to_flow(s->t, rec, &lists, &r)) {
		s->options++;
		return 0;
	}
	s->r[s->n] = r;
	text_of(&r, s->text[s->n++]);
	return 0;
}

/* A message of what is used, then the data message. */
static void read_back(struct ipfix_templates *t, const struct ipfix_cfg *cfg, struct ipfix_msg *m,
		      struct seen *s)
{
	struct ipfix_msg a;
	struct ipfix_used want = used;

	ipfix_begin(&a, announce, sizeof(announce), NULL);
	cr_assert(zero(int, ipfix_put_templates(cfg, &a, &want)));
	ipfix_finish(cfg, announce, a.len, 1, 0);
	ipfix_finish(cfg, buf, m->len, 1, 0);
	s->t = t;
	s->n = 0;
	reader.t = t;
	reader.fn = collect;
	reader.arg = s;
	cr_assert(zero(int, ipfix_read(&reader, announce, a.len)));
	cr_assert(zero(int, ipfix_read(&reader, buf, m->len)));
	cr_assert(eq(u32, s->n + s->options, m->records));
}

Test(ipfix, every_flow_comes_back)
{
	struct ipfix_templates *t = ipfix_templates_new(55555, 65536);
	static struct random_flow f;
	static struct seen s;
	static char want[32768];
	uint64_t state = 1;

	cr_assert(zero(int, output_new("json", 1, &json)));
	for (unsigned int i = 0; i < 20000; i++) {
		struct ipfix_msg m;

		random_flow(&f, &state);
		ipfix_begin(&m, buf, sizeof(buf), &used);
		cr_assert(zero(int, ipfix_put_flow(&biflow, &m, &f.r)));
		read_back(t, &biflow, &m, &s);
		cr_assert(eq(u32, s.n, 1));
		text_of(&f.r, want);
		cr_assert(eq(str, s.text[0], want), "record %u", i);
		cr_assert(eq(u32, s.r[0].ifindex, f.r.ifindex));
		cr_assert(eq(u8, s.r[0].out.tcp_flags, f.r.out.tcp_flags));
	}
	ipfix_templates_free(t);
	output_free(json);
}

Test(ipfix, one_way_records_add_up_to_the_flow)
{
	struct ipfix_templates *t = ipfix_templates_new(32473, 65536);
	static struct random_flow f;
	static struct seen s;
	uint64_t state = 99;

	cr_assert(zero(int, output_new("json", 1, &json)));
	for (unsigned int i = 0; i < 5000; i++) {
		struct ipfix_msg m;
		const struct flow_record *r = &f.r;

		random_flow(&f, &state);
		ipfix_begin(&m, buf, sizeof(buf), &used);
		cr_assert(zero(int, ipfix_put_flow(&uniflow, &m, r)));
		read_back(t, &uniflow, &m, &s);
		cr_assert(eq(u32, s.n, r->in.packets && r->out.packets ? 2 : 1));
		cr_assert(eq(u64, s.r[0].packets + (s.n > 1 ? s.r[1].packets : 0), r->packets));
		cr_assert(eq(u64, s.r[0].bytes + (s.n > 1 ? s.r[1].bytes : 0), r->bytes));
		cr_assert(zero(u64, s.r[0].in.packets));
		if (s.n == 2) {
			cr_assert(zero(int, memcmp(s.r[1].src_ip, r->dst_ip, 16)));
			cr_assert(eq(u16, s.r[1].dst_port, r->src_port));
			cr_assert(eq(u8, s.r[1].out.tcp_flags, r->in.tcp_flags));
		}
	}
	ipfix_templates_free(t);
	output_free(json);
}

Test(ipfix, a_full_message_is_full_of_whole_records)
{
	struct ipfix_templates *t = ipfix_templates_new(55555, 65536);
	static struct random_flow f;
	static struct seen s;
	uint64_t state = 5;

	cr_assert(zero(int, output_new("json", 1, &json)));
	for (unsigned int i = 0; i < 300; i++) {
		struct ipfix_msg m;
		uint32_t n = 0;
		int r;

		ipfix_begin(&m, buf, 1420, &used);
		do {
			random_flow(&f, &state);
			r = ipfix_put_flow(&biflow, &m, &f.r);
			n += r >= 0;
		} while (r >= 0);
		cr_assert(eq(int, r, -ENOSPC));
		cr_assert(le(u32, m.len, 1420));
		read_back(t, &biflow, &m, &s);
		cr_assert(eq(u32, s.n, n));
	}
	ipfix_templates_free(t);
	output_free(json);
}

Test(ipfix, what_does_not_fit_the_smallest_message_is_left_out)
{
	static char path[5000];
	struct flow_record r = {.family = 4, .proto = 6};
	struct ipfix_msg m;

	memset(path, 'x', sizeof(path));
	r.http_path = (struct flow_str){path, 400};
	flow_set(&r, FF_PROTO);
	flow_set(&r, FF_HTTP_PATH);
	ipfix_begin(&m, buf, 512, &used);
	cr_assert(eq(int, ipfix_put_flow(&biflow, &m, &r), 1));
	cr_assert(eq(int, ipfix_put_flow(&biflow, &m, &r), -ENOSPC), "not with one before it");
	cr_assert(eq(u32, m.records, 1));
}

/* RFC 7011 figures F, I, N: octet by octet. */
Test(ipfix, octets_are_as_the_rfc_draws_them)
{
	static const uint8_t header[] = {0, 10, 0, 16 + 4 + 22, 0x5a, 0, 0, 1,
					 0, 0,	0, 5,		0,    0, 0, 7};
	static const uint8_t options[] = {
		0,    3,     0,	   22 + 4,		  /* set */
		1,    1 + 4, 0,	   2,	   0, 1,	  /* id 257 + 4, 2 fields, 1 scope */
		0x80, 20,    0xff, 0xff,   0, 0, 0xd9, 3, /* counterName, variable, 55555 */
		0x80, 21,    0,	   8,	   0, 0, 0xd9, 3, /* counterTotalCount */
	};
	struct ipfix_msg m;

	ipfix_begin(&m, buf, 512, NULL);
	cr_assert(zero(int, ipfix_put_option_template(&biflow, &m, IPFIX_OPT_COUNTER)));
	ipfix_finish(&biflow, buf, m.len, 0x5a000001, 5);
	cr_assert(eq(u32, m.len, 16 + 26));
	cr_assert(zero(int, memcmp(buf, header, sizeof(header))));
	cr_assert(zero(int, memcmp(buf + 16, options, sizeof(options))));
}

static int count_only(void *arg, const struct ipfix_record *r)
{
	(void)r;
	++*(unsigned int *)arg;
	return 0;
}

/* Messages by hand: header filled in, the rest is the case. */
static int read_octets(struct ipfix_templates *t, const uint8_t *sets, size_t len,
		       unsigned int *records)
{
	uint8_t msg[300] = {0, 10, 0, (uint8_t)(16 + len)};

	memcpy(msg + 16, sets, len);
	*records = 0;
	reader.t = t;
	reader.fn = count_only;
	reader.arg = records;
	return ipfix_read(&reader, msg, 16 + len);
}

#define READ(...)                                                                              \
	read_octets(t, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), \
		    &records)

Test(ipfix, templates_padding_withdrawal)
{
	struct ipfix_templates *t = ipfix_templates_new(1, 100);
	unsigned int records;

	memset(&counts, 0, sizeof(counts));
	cr_assert(zero(int, READ(1, 0, 0, 8, 1, 2, 3, 4)), "data before its template");
	cr_assert(eq(u64, counts.no_template, 1));
	cr_assert(zero(int, READ(0, 2, 0, 16, 1, 0, 0, 2, 0, 8, 0, 4, 0, 4, 0, 1)));
	cr_assert(eq(u64, counts.templates, 1));
	cr_assert(zero(int, READ(1, 0, 0, 4 + 10 + 2, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0, 0)));
	cr_assert(eq(u32, records, 2));
	cr_assert(zero(int, READ(0, 2, 0, 8, 1, 0, 0, 0)), "withdrawn");
	cr_assert(eq(u64, counts.withdrawn, 1));
	cr_assert(zero(int, READ(1, 0, 0, 9, 1, 2, 3, 4, 5)));
	cr_assert(eq(u32, records, 0));
	cr_assert(zero(int, READ(0, 3, 0, 18, 1, 1, 0, 2, 0, 1, 0, 149, 0, 4, 1, 44, 0xff, 0xff)));
	cr_assert(zero(int, READ(1, 1, 0, 12, 0, 0, 0, 1, 3, 'a', 'b', 'c')));
	cr_assert(eq(u32, records, 1));
	cr_assert(zero(int, READ(0, 3, 0, 8, 0, 3, 0, 0)), "all options templates withdrawn");
	cr_assert(eq(ptr, (void *)ipfix_templates_find(t, 257), NULL));
	cr_assert(zero(int, READ(0, 7, 0, 5, 1)), "reserved set");
	cr_assert(eq(u64, counts.reserved, 1));
	ipfix_templates_free(t);
}

Test(ipfix, contradictions_are_refused)
{
	struct ipfix_templates *t = ipfix_templates_new(1, 4);
	unsigned int records;

	memset(&counts, 0, sizeof(counts));
	cr_expect(eq(int, READ(0, 2, 0), -EBADMSG), "half a set header");
	cr_expect(eq(int, READ(0, 2, 0, 3), -EBADMSG), "set shorter than its header");
	cr_expect(eq(int, READ(0, 2, 0, 9, 1, 0, 0, 1), -EBADMSG), "set longer than the message");
	cr_expect(eq(int, READ(0, 2, 0, 8, 1, 0, 0, 1), -EBADMSG), "field missing");
	cr_expect(eq(int, READ(0, 2, 0, 12, 1, 0, 0, 1, 0x80, 1, 0, 4), -EBADMSG), "no enterprise");
	cr_expect(eq(int, READ(0, 2, 0, 12, 0, 9, 0, 1, 0, 1, 0, 4), -EBADMSG), "id below 256");
	cr_expect(eq(int, READ(0, 3, 0, 14, 1, 0, 0, 1, 0, 0, 0, 1, 0, 4), -EBADMSG), "no scope");
	cr_expect(eq(int, READ(0, 3, 0, 14, 1, 0, 0, 1, 0, 2, 0, 1, 0, 4), -EBADMSG), "scope > n");
	cr_expect(eq(u64, counts.malformed, 8));
	cr_expect(zero(int, READ(0, 2, 0, 12, 1, 0, 0, 1, 0, 1, 0, 0)), "records of no octets");
	cr_expect(eq(u64, counts.refused, 1));
	cr_expect(zero(int, READ(0, 2, 0, 12, 1, 0, 0, 1, 0, 82, 0xff, 0xff)));
	cr_expect(eq(int, READ(1, 0, 0, 7, 3, 'a', 'b'), -EBADMSG), "string beyond the set");
	cr_expect(eq(int, READ(1, 0, 0, 6, 255, 0), -EBADMSG), "half a length");
	cr_expect(zero(int, READ(1, 0, 0, 9, 255, 0, 2, 'a', 'b')));
	cr_expect(eq(u32, records, 1));
	cr_expect(zero(int, READ(0, 2, 0, 24, 1, 1, 0, 4, 0, 1, 0, 4, 0, 2, 0, 4, 0, 3, 0, 4, 0, 4,
				 0, 4)));
	cr_expect(eq(u64, counts.refused, 2), "more fields than the store takes");
	cr_expect(eq(int, ipfix_read(&reader, (const uint8_t[16]){0, 9, 0, 16}, 16), -EBADMSG),
		  "version 9");
	cr_expect(eq(int, ipfix_read(&reader, (const uint8_t[16]){0, 10, 0, 17}, 16), -EBADMSG),
		  "length is not the message's");
	ipfix_templates_free(t);
}

Test(ipfix, types_of_our_elements_are_told)
{
	struct ipfix_arg args[IPFIX_TYPE_ARGS];
	unsigned int n = 0;

	while (ipfix_type_args(&biflow, n, args)) {
		cr_expect(eq(u64, args[0].number, 55555));
		cr_expect(gt(u32, args[7].text.len, 3));
		n++;
	}
	cr_assert(eq(u32, n, 32));
}
