// SPDX-License-Identifier: Apache-2.0
/*
 * show.c - rules and what became of them, for people and for programs.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "common/num_text.h"
#include "common/units.h"
#include "loader/policy/client.h"

#define MATCH_MAX 512u
#define JSON_MAX  8192u

const char *policy_duration(uint64_t s, char buf[32])
{
	static const struct {
		uint64_t s;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};

	if (s == UINT64_MAX)
		return "never";
	for (size_t i = 0; i < 3; i++) {
		if (s < units[i].s)
			continue;
		snprintf(buf, 32, "%" PRIu64 "%c%" PRIu64 "%c", s / units[i].s, units[i].unit,
			 s % units[i].s / units[i + 1].s, units[i + 1].unit);
		return buf;
	}
	snprintf(buf, 32, "%" PRIu64 "s", s);
	return buf;
}

/* The entry and the conditions, in the words of filters. */
static void match_text(const struct policy_shown *s, char buf[MATCH_MAX])
{
	FILE *out = fmemopen(buf, MATCH_MAX, "w");

	memset(buf, 0, MATCH_MAX);
	if (!out)
		return;
	switch (s->type) {
	case POLICY_ADDR:
		policy_print_addr(out, &s->entry.addr);
		break;
	case POLICY_ADDR_PORT:
		policy_print_addr_port(out, &s->entry.addr_port);
		break;
	case POLICY_FLOW:
		policy_print_flow(out, &s->entry.flow);
		break;
	case POLICY_NAME:
		policy_print_name(out, &s->entry.name);
		break;
	}
	if (s->entries > 1)
		fprintf(out, " or %u others", s->entries - 1);
	if (s->type && s->rule.match.have)
		fputs(" and ", out);
	if (!s->type && s->rule.key != RULE_BY_NONE)
		fputs("nothing yet: the agent decides", out);
	else if (!s->type || s->rule.match.have)
		policy_print_rule(out, NULL, &s->rule);
	fclose(out);
}

static const char *action_text(const struct policy_shown *s, char buf[80])
{
	FILE *out = fmemopen(buf, 80, "w");

	memset(buf, 0, 80);
	if (!out)
		return "?";
	fputs(policy_action_word(s->rule.action), out);
	if (s->rule.action == POLICY_LIMIT) {
		putc(' ', out);
		policy_print_limit(out, &s->rule);
	}
	if (s->rule.flags & RULE_SHADOW)
		fputs(" shadow", out);
	fclose(out);
	return buf;
}

/* "4m10s", since then; "-": never. */
static const char *since(uint64_t at, char buf[32])
{
	const uint64_t now = (uint64_t)time(NULL);

	return at ? policy_duration(at < now ? now - at : 0, buf) : "-";
}

static void show_row(const struct policy_shown *s, FILE *out)
{
	const bool shadow = s->rule.flags & RULE_SHADOW;
	const char *issuer = (const char *)s->issuer;
	char match[MATCH_MAX], action[80], ends[32], last[32], bytes[32];

	match_text(s, match);
	fprintf(out, "%4u  %-16s  %-48s  %11" PRIu64 "  %9s  %7" PRIu64 "  %7s  %7s  %s%s%s\n",
		s->rule.number, action_text(s, action), match,
		(uint64_t)(shadow ? s->would_packets : s->packets),
		units_si(shadow ? s->would_bytes : s->bytes, bytes),
		(uint64_t)(shadow ? s->would_flows : s->flows), since(s->last, last),
		policy_duration(s->expires, ends), s->rule.origin,
		strcmp(issuer, POLICY_LOCAL) ? "@" : "",
		strcmp(issuer, POLICY_LOCAL) ? issuer : "");
}

void policy_show_table(const struct policy_result *r, FILE *out)
{
	if (r->reply.n)
		fprintf(out, "%4s  %-16s  %-48s  %11s  %9s  %7s  %7s  %7s  %s\n", "ID", "ACTION",
			"MATCH", "HITS", "BYTES", "FLOWS", "LAST", "EXPIRES", "FROM");
	for (uint32_t i = 0; i < r->reply.n; i++)
		show_row(&r->shown[i], out);
}

/* ---- JSON ---- */

static void key(struct json *j, const char *name)
{
	json_key(j, name, strlen(name));
}

static void text(struct json *j, const char *name, const char *s)
{
	key(j, name);
	json_str(j, s, strlen(s));
}

static void number(struct json *j, const char *name, uint64_t v)
{
	key(j, name);
	json_u64(j, v);
}

static void when(struct json *j, const char *name, uint64_t s)
{
	char buf[TIME_TEXT];

	if (!s)
		return;
	time_text(s * 1000000000, buf);
	text(j, name, buf);
}

static void counters(struct json *j, const struct policy_shown *s)
{
#define COUNTED(member, metric, help) number(j, #member, s->member);
#include "weir/policy_counts.def"
#undef COUNTED
	when(j, "last", s->last);
	if (s->type && s->entry_packets) {
		number(j, "entry_packets", s->entry_packets);
		number(j, "entry_bytes", s->entry_bytes);
		number(j, "entry_flows", s->entry_flows);
		when(j, "entry_last", s->entry_last);
	}
}

void policy_show_json(const struct policy_result *r, FILE *out)
{
	for (uint32_t i = 0; i < r->reply.n; i++) {
		const struct policy_shown *s = &r->shown[i];
		char match[MATCH_MAX], action[80], line[JSON_MAX], id[33];
		struct json j;
		size_t len;

		for (unsigned int k = 0; k < 16; k++)
			snprintf(id + 2 * k, 3, "%02x", s->rule.id[k]);
		match_text(s, match);
		json_init(&j, line, sizeof(line));
		json_open(&j, '{');
		number(&j, "number", s->rule.number);
		text(&j, "id", id);
		text(&j, "action", action_text(s, action));
		key(&j, "shadow");
		json_bool(&j, s->rule.flags & RULE_SHADOW);
		text(&j, "match", match);
		number(&j, "entries", s->entries);
		text(&j, "name", (const char *)s->rule.name);
		text(&j, "origin", (const char *)s->rule.origin);
		text(&j, "issuer", (const char *)s->issuer);
		number(&j, "generation", s->issuer_generation);
		if (s->expires != UINT64_MAX)
			number(&j, "expires_s", s->expires);
		counters(&j, s);
		json_close(&j, '}');
		if (!json_end(&j, &len))
			fprintf(out, "%.*s\n", (int)len, line);
	}
}

/* ---- the story ---- */

static const char *ago(uint64_t at, char buf[48])
{
	const uint64_t now = (uint64_t)time(NULL);
	char t[32];

	if (!at)
		return "never";
	if (at >= now)
		return "just now";
	snprintf(buf, 48, "%s ago", policy_duration(now - at, t));
	return buf;
}

static void undo(const struct policy_shown *s, const char *match, FILE *out)
{
	const char *issuer = (const char *)s->issuer;

	if (!strcmp(issuer, POLICY_LOCAL) && strncmp((const char *)s->rule.name, "by hand", 7) != 0)
		match = (const char *)s->rule.name;
	if (!strcmp(issuer, POLICY_LOCAL))
		fprintf(out, "  undo      weir unblock '%s'\n", match);
	else if (*issuer)
		fprintf(out,
			"  undo      weir policy rollback %s, or weir flush %s; for good: where %s "
			"decides\n",
			issuer, issuer, issuer);
}

void policy_show_story(const struct policy_shown *s, const struct policy_reply *reply, FILE *out)
{
	const bool shadow = s->rule.flags & RULE_SHADOW || reply->breaker;
	char match[MATCH_MAX], action[80], t[48], d[32], bytes[32];

	match_text(s, match);
	if (s->rule.action == POLICY_NEVER) {
		fprintf(out, "never blocked%s: %s\n  guard     %s\n",
			s->rule.flags & RULE_FAILSAFE ? " on the failsafe ports" : "", match,
			s->rule.name);
		return;
	}
	fprintf(out, "%s%s: %s\n", action_text(s, action),
		reply->stopped	 ? " (not now: enforcement is stopped)"
		: reply->breaker ? " (counted only: the breaker has acted)"
				 : "",
		match);
	fprintf(out, "  rule      %u '%s'\n  decided   %s%s%s\n", s->rule.number, s->rule.name,
		s->rule.origin, strcmp((const char *)s->issuer, POLICY_LOCAL) ? ", issuer " : "",
		strcmp((const char *)s->issuer, POLICY_LOCAL) ? (const char *)s->issuer : "");
	fprintf(out, "  hits      %" PRIu64 " packets, %s, %" PRIu64 " flows, last %s\n",
		(uint64_t)s->packets, units_si(s->bytes, bytes), (uint64_t)s->flows,
		ago(shadow ? 0 : s->last, t));
	if (s->entry_packets)
		fprintf(out, "  of this   %" PRIu64 " packets, %s, %" PRIu64 " flows, last %s\n",
			(uint64_t)s->entry_packets, units_si(s->entry_bytes, bytes),
			(uint64_t)s->entry_flows, ago(s->entry_last, t));
	if (shadow || s->would_packets)
		fprintf(out, "  would     %" PRIu64 " packets, %s, %" PRIu64 " flows, last %s%s\n",
			(uint64_t)s->would_packets, units_si(s->would_bytes, bytes),
			(uint64_t)s->would_flows, ago(s->last, t),
			shadow ? ": it is in shadow" : "");
	if (s->rule.action == POLICY_LIMIT)
		fprintf(out, "  passed    %" PRIu64 " packets within the limit\n",
			(uint64_t)s->passed);
	if (s->rule.action == POLICY_RESET)
		fprintf(out, "  passed    %" PRIu64 " resets of either side\n",
			(uint64_t)s->passed);
	fprintf(out, "  expires   in %s\n", policy_duration(s->expires, d));
	undo(s, match, out);
}
