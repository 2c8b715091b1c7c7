// SPDX-License-Identifier: Apache-2.0
/*
 * test_eve_line.c - lines of EVE: what an alert says, what is passed over, what is malformed and why; lines out
 * of pieces; files that are followed while they are renamed, cut and written over.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/eve/eve_line.h"
#include "collector/eve/eve_lines.h"
#include "eve_rig.h"

TestSuite(eve_line, .timeout = 600);

static struct json_t *doc;
static struct eve_alert a;

static const char *read_it(const char *s)
{
	json_decref(doc);
	return eve_counts[eve_read_line(s, strlen(s), &a, &doc)].name;
}

#define HEAD "{\"timestamp\":\"2026-09-21T14:13:20.000001+0000\",\"event_type\":\"alert\","
#define TUPLE \
	"\"src_ip\":\"192.0.2.1\",\"src_port\":1024,\"dest_ip\":\"10.0.0.1\",\"dest_port\":80,\"proto\":\"TCP\","
#define ALERT "\"alert\":{\"signature_id\":5}}"

Test(eve_line, an_alert_says_what_it_is_of)
{
	const struct eve_rig_line l = {
		.ms = 1500,
		.src = "192.0.2.1",
		.dst = "10.0.0.1",
		.src_port = 1024,
		.dst_port = 80,
		.sid = 2019401,
		.severity = 1,
		.more = ",\"community_id\":\"1:abc\",\"later\":{\"unknown\":[1,2,{}]}"};
	char buf[2048];

	cr_assert(eq(str, (char *)read_it(eve_rig_line(&l, buf)), "alerts"));
	cr_expect(eq(u64, a.time_us, EVE_RIG_T0 + 1500000));
	cr_expect(eq(u32, a.sid, 2019401));
	cr_expect(eq(u8, a.severity, 1));
	cr_expect(eq(u32, a.signature.len, 19));
	cr_expect(zero(int, strncmp(a.signature.s, "TEST number 2019401", 19)));
	cr_expect(
		zero(int, strncmp(a.category.s, "A Network Trojan was detected", a.category.len)));
	cr_expect(zero(int, strncmp(a.action.s, "allowed", a.action.len)));
	cr_expect(eq(u16, a.flow.src_port, 1024));
	cr_expect(eq(u8, a.flow.proto, 6));
	cr_expect(eq(u8, a.flow.family, 4));
	cr_expect(eq(u32, a.community_id.len, 5));
	json_decref(doc);
}

struct sample {
	const char *text, *want;
};

Test(eve_line, lines_are_counted_by_what_they_are)
{
	static const struct sample samples[] = {
		{HEAD TUPLE ALERT, "alerts"},
		{"  " HEAD TUPLE ALERT "\r", "alerts"},
		{"{\"timestamp\":\"2026-09-21T16:13:20.000001+02:00\",\"event_type\":\"alert\"," TUPLE
			 ALERT,
		 "alerts"},
		{"{\"timestamp\":\"2026-09-21T14:13:20Z\",\"event_type\":\"alert\"," TUPLE ALERT,
		 "alerts"},
		{HEAD
		 "\"src_ip\":\"2001:db8::1\",\"dest_ip\":\"ff02::1\",\"proto\":\"IPv6-ICMP\",\"icmp_type\":135,"
		 "\"icmp_code\":0," ALERT,
		 "alerts"},
		{HEAD "\"src_ip\":\"192.0.2.1\",\"dest_ip\":\"10.0.0.1\",\"proto\":\"047\"," ALERT,
		 "alerts"},
		{"{\"event_type\":\"flow\",\"flow\":{\"alerted\":true}}", "other"},
		{"{\"event_type\":\"stats\",\"what\":\"alert\"}", "other"},
		{HEAD ALERT, "no_address"},
		{"", "json"},
		{"alert", "json"},
		{"{\"event_type\":\"alert\"", "json"},
		{"[\"alert\"]", "json"},
		{HEAD TUPLE ALERT "x", "json"},
		{"{\"alert\":{\"event_type\":\"alert\"}}", "json"},
		{"{\"event_type\":\"alert\"," TUPLE ALERT, "time"},
		{"{\"timestamp\":\"2026-13-21T14:13:20+0000\",\"event_type\":\"alert\"," TUPLE ALERT,
		 "time"},
		{"{\"timestamp\":1790000000,\"event_type\":\"alert\"," TUPLE ALERT, "time"},
		{HEAD TUPLE "\"alert\":{\"signature\":\"x\"}}", "alert"},
		{HEAD TUPLE "\"alert\":{\"signature_id\":-1}}", "alert"},
		{HEAD TUPLE "\"alert\":{\"signature_id\":4294967296}}", "alert"},
		{HEAD TUPLE "\"alert\":{\"signature_id\":\"5\"}}", "alert"},
		{HEAD TUPLE "\"alert\":{\"signature_id\":5,\"severity\":256}}", "alert"},
		{HEAD TUPLE "\"alert\":{\"signature_id\":5,\"signature\":5}}", "alert"},
		{HEAD TUPLE "\"alert\":5}", "alert"},
		{HEAD "\"src_ip\":\"192.0.2.1\"," ALERT, "address"},
		{HEAD
		 "\"src_ip\":\"192.0.2.1\",\"dest_ip\":\"2001:db8::1\",\"proto\":\"TCP\"," ALERT,
		 "address"},
		{HEAD "\"src_ip\":\"192.0.2\",\"dest_ip\":\"10.0.0.1\",\"proto\":\"TCP\"," ALERT,
		 "address"},
		{HEAD "\"src_ip\":\"192.0.2.1\",\"dest_ip\":\"10.0.0.1\",\"proto\":\"NONE\"," ALERT,
		 "address"},
		{HEAD
		 "\"src_ip\":\"192.0.2.1\",\"dest_ip\":\"10.0.0.1\",\"proto\":\"TCP\",\"src_port\":1," ALERT,
		 "address"},
		{HEAD
		 "\"src_ip\":\"192.0.2.1\",\"dest_ip\":\"10.0.0.1\",\"proto\":\"TCP\",\"src_port\":65536,"
		 "\"dest_port\":80," ALERT,
		 "address"},
	};

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		cr_expect(eq(str, (char *)read_it(samples[i].text), (char *)samples[i].want), "%s",
			  samples[i].text);
	json_decref(doc);
}

Test(eve_line, both_directions_have_the_same_tuple)
{
	static const struct eve_rig_line there = {
		.src = "192.0.2.1", .dst = "10.0.0.1", .src_port = 9, .dst_port = 80};
	static const struct eve_rig_line back = {
		.src = "10.0.0.1", .dst = "192.0.2.1", .src_port = 80, .dst_port = 9};
	uint8_t tuple[COMMUNITY_TUPLE];
	char buf[2048];

	cr_assert(eq(str, (char *)read_it(eve_rig_line(&there, buf)), "alerts"));
	memcpy(tuple, a.tuple, sizeof(tuple));
	cr_assert(eq(str, (char *)read_it(eve_rig_line(&back, buf)), "alerts"));
	cr_expect(zero(int, memcmp(tuple, a.tuple, sizeof(tuple))));
	json_decref(doc);
}

Test(eve_line, long_texts_end_before_a_character_that_does_not_fit)
{
	char *text = malloc(2000), *line = malloc(3000);

	memset(text, 'x', EVE_TEXT_MAX - 1);
	snprintf(text + EVE_TEXT_MAX - 1, 16, "\xc3\xa4yz");
	snprintf(line, 3000, HEAD TUPLE "\"alert\":{\"signature_id\":5,\"signature\":\"%s\"}}",
		 text);
	cr_expect(eq(str, (char *)read_it(line), "alerts"));
	cr_expect(eq(u32, a.signature.len, EVE_TEXT_MAX - 1));
	json_decref(doc);
	free(text);
	free(line);
}

/* ---- lines ---- */

struct got {
	char text[512];
	uint32_t n, long_n;
};

static void on_line(void *arg, const char *s, size_t len)
{
	struct got *g = arg;
	const size_t at = strlen(g->text);

	g->n++;
	g->long_n += !s;
	if (s && at + len + 2 < sizeof(g->text))
		snprintf(g->text + at, sizeof(g->text) - at, "%.*s|", (int)len, s);
}

static void give(struct eve_lines *l, const char *s, const struct eve_sink *to)
{
	size_t room;
	char *p = eve_lines_room(l, &room);

	cr_assert(le(sz, strlen(s), room));
	memcpy(p, s, strlen(s));
	eve_lines_took(l, strlen(s), to);
}

Test(eve_line, lines_come_in_pieces)
{
	struct got g = {};
	const struct eve_sink to = {on_line, &g};
	struct eve_lines l;

	cr_assert(zero(int, eve_lines_init(&l)));
	give(&l, "one\ntw", &to);
	cr_expect(eq(str, g.text, "one|"));
	give(&l, "o", &to);
	give(&l, "\n\nthree\nend", &to);
	cr_expect(eq(str, g.text, "one|two||three|"));
	eve_lines_end(&l, &to);
	cr_expect(eq(str, g.text, "one|two||three|end|"));
	eve_lines_done(&l);
}

Test(eve_line, a_line_that_is_too_long_is_passed_over)
{
	struct got g = {};
	const struct eve_sink to = {on_line, &g};
	struct eve_lines l;
	size_t room;

	cr_assert(zero(int, eve_lines_init(&l)));
	for (unsigned int i = 0; i < 3; i++) {
		char *p = eve_lines_room(&l, &room);

		memset(p, 'x', room);
		eve_lines_took(&l, room, &to);
	}
	give(&l, "xx\nshort\n", &to);
	cr_expect(eq(str, g.text, "short|"));
	cr_expect(eq(u32, g.n, 2));
	cr_expect(eq(u32, g.long_n, 1));
	eve_lines_done(&l);
}

/* ---- files ---- */

static char dir[64], path[96], other[96];

static void dir_new(void)
{
	snprintf(dir, sizeof(dir), "/tmp/weir-eve.XXXXXX");
	cr_assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/eve.json", dir);
	snprintf(other, sizeof(other), "%s/eve.json.1", dir);
}

static void dir_done(void)
{
	unlink(path);
	unlink(other);
	rmdir(dir);
}

static void write_to(const char *to, int flags, const char *s)
{
	int fd = open(to, O_WRONLY | O_CREAT | flags, 0600);

	cr_assert(ge(int, fd, 0));
	cr_assert(eq(int, (int)write(fd, s, strlen(s)), (int)strlen(s)));
	close(fd);
}

static struct got got;
static struct eve_tail tail;
static char changes[32];

/* Until there is no more. */
static const char *follow(void)
{
	static const char letters[] = {[EVE_ROTATED] = 'r', [EVE_TRUNCATED] = 't'};
	const struct eve_sink to = {on_line, &got};
	enum eve_change change;
	bool more;

	got.text[0] = 0;
	do {
		more = eve_tail_read(&tail, &to, &change);
		if (change != EVE_SAME)
			changes[strlen(changes)] = letters[change]; /* zeros behind it */
	} while (more);
	return got.text;
}

static bool open_tail(const struct eve_position *from)
{
	bool gone;

	struct eve_chain chain = {.n = 1};

	if (from)
		chain.v[0] = *from;
	cr_assert(zero(int, eve_tail_open(&tail, path, from ? &chain : NULL, &gone)));
	return gone;
}

Test(eve_line, a_file_is_followed_from_its_end_and_one_that_comes_later_from_its_begin)
{
	dir_new();
	open_tail(NULL);
	cr_expect(eq(str, (char *)follow(), ""));
	write_to(path, O_APPEND, "first\n12");
	cr_expect(eq(str, (char *)follow(), "first|"));
	write_to(path, O_APPEND, "34\n");
	cr_expect(eq(str, (char *)follow(), "1234|"));
	eve_tail_done(&tail);
	write_to(path, O_APPEND, "half");
	open_tail(NULL);
	write_to(path, O_APPEND, " a line\nthird\n");
	cr_expect(eq(str, (char *)follow(), "third|"));
	cr_expect(eq(str, changes, ""));
	eve_tail_done(&tail);
	dir_done();
}

Test(eve_line, a_file_that_is_renamed_is_read_to_its_end)
{
	dir_new();
	open_tail(NULL);
	write_to(path, O_APPEND, "a\nb\n");
	follow();
	rename(path, other);
	write_to(other, O_APPEND, "c\n");
	cr_expect(eq(str, (char *)follow(), "c|"));
	write_to(path, O_APPEND, ""); /* there, and still nobody writes to it */
	write_to(other, O_APPEND, "d\ne");
	cr_expect(eq(str, (char *)follow(), "d|"));
	write_to(other, O_APPEND, "e\n");
	write_to(path, O_APPEND, "f\n");
	cr_expect(eq(str, (char *)follow(), "ee|f|"));
	cr_expect(eq(str, changes, "r"));
	eve_tail_done(&tail);
	dir_done();
}

Test(eve_line, a_file_that_is_copied_and_cut_begins_anew)
{
	dir_new();
	open_tail(NULL);
	write_to(path, O_APPEND, "a\nb\n");
	follow();
	write_to(path, O_TRUNC, "c\n");
	cr_expect(eq(str, (char *)follow(), "c|"));
	/* cut, and longer than it was before anybody looked */
	write_to(path, O_TRUNC, "dddd\neeee\n");
	cr_expect(eq(str, (char *)follow(), "dddd|eeee|"));
	cr_expect(eq(str, changes, "tt"));
	/* once, however long it stays empty */
	write_to(path, O_TRUNC, "");
	for (int i = 0; i < 3; i++)
		cr_expect(eq(str, (char *)follow(), ""));
	write_to(path, O_APPEND, "f\n");
	cr_expect(eq(str, (char *)follow(), "f|"));
	cr_expect(eq(str, changes, "ttt"));
	eve_tail_done(&tail);
	dir_done();
}

Test(eve_line, it_goes_on_where_it_was)
{
	struct eve_position pos;

	dir_new();
	open_tail(NULL);
	write_to(path, O_APPEND, "a\nb\nhal");
	follow();
	cr_assert(eve_tail_position(&tail, &pos));
	cr_expect(eq(u64, pos.offset, 4));
	eve_tail_done(&tail);
	write_to(path, O_APPEND, "f\nc\n");
	cr_expect(not(open_tail(&pos)));
	cr_expect(eq(str, (char *)follow(), "half|c|"));
	eve_tail_done(&tail);

	/* it was renamed in between, and there is another */
	rename(path, other);
	write_to(path, O_APPEND, "d\n");
	cr_expect(not(open_tail(&pos)));
	cr_expect(eq(str, (char *)follow(), "half|c|d|"));
	eve_tail_done(&tail);

	/* it is gone; the new one is read from its begin */
	unlink(other);
	cr_expect(open_tail(&pos));
	cr_expect(eq(str, (char *)follow(), "d|"));
	eve_tail_done(&tail);
	dir_done();
}

Test(eve_line, a_file_that_was_written_over_is_another)
{
	struct eve_position pos;

	dir_new();
	write_to(path, O_APPEND, "");
	open_tail(NULL);
	write_to(path, O_APPEND, "a\nb\n");
	follow();
	cr_assert(eve_tail_position(&tail, &pos));
	eve_tail_done(&tail);
	write_to(path, O_TRUNC, "x\ny\nz\n");
	cr_expect(open_tail(&pos));
	cr_expect(eq(str, (char *)follow(), "x|y|z|"));
	eve_tail_done(&tail);
	dir_done();
}
