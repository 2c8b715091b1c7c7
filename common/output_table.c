// SPDX-License-Identifier: Apache-2.0
/*
 * output_table.c - a record as a line for people: time, who talks to whom, protocol, flags, name,
 * packets, bytes, duration, and the state where it is worth a word. Column widths follow what has
 * been seen, within what the terminal has. Text from the network never reaches the terminal raw.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/flow_text.h"
#include "common/flow_words.h"
#include "common/num_text.h"
#include "common/output_int.h"

#define ENDS_MIN  32u
#define PROTO_MIN 4u
#define NAME_MIN  12u
#define NAME_WIDE 24u /* where lines may be as long as they are: at first */
#define NAME_TEXT 255u

enum style { STYLE_NONE, STYLE_DIM, STYLE_NAME, STYLE_BAD };

struct line {
	char *p;
	size_t n;
	bool color;
};

static void put(struct line *l, const char *s, size_t len)
{
	memcpy(l->p + l->n, s, len);
	l->n += len;
}

/* Characters, as a terminal counts them: wide ones are taken for one. */
static unsigned int width_of(const char *s, size_t len)
{
	unsigned int w = 0;

	for (size_t i = 0; i < len; i++)
		w += ((unsigned char)s[i] & 0xc0) != 0x80;
	return w;
}

static void spaces(struct line *l, unsigned int n)
{
	while (n--)
		l->p[l->n++] = ' ';
}

static void put_styled(struct line *l, const char *s, size_t len, enum style style)
{
	static const char *const start[] = {"", "\033[2m", "\033[36m", "\033[33m"};
	const bool on = l->color && style != STYLE_NONE && len;

	if (on)
		put(l, start[style], strlen(start[style]));
	put(l, s, len);
	if (on)
		put(l, "\033[0m", 4);
}

static void put_left(struct line *l, const char *s, unsigned int width, enum style style)
{
	const size_t len = strlen(s);
	const unsigned int w = width_of(s, len);

	put_styled(l, s, len, style);
	spaces(l, w < width ? width - w : 0);
}

static void put_right(struct line *l, const char *s, unsigned int width)
{
	const unsigned int w = (unsigned int)strlen(s);

	spaces(l, w < width ? width - w : 1);
	put(l, s, w);
}

static size_t endpoint_text(const struct flow_record *r, bool src, char *buf)
{
	const enum flow_field port = src ? FF_SRC_PORT : FF_DST_PORT;
	const bool brackets = r->family == 6 && flow_has(r, port);
	size_t n = 0;

	if (brackets)
		buf[n++] = '[';
	if (flow_has(r, src ? FF_SRC_IP : FF_DST_IP))
		n += ip_text(src ? r->src_ip : r->dst_ip, r->family, buf + n);
	else
		buf[n++] = '*';
	if (brackets)
		buf[n++] = ']';
	if (flow_has(r, port)) {
		buf[n++] = ':';
		n += u64_text(src ? r->src_port : r->dst_port, buf + n);
	}
	buf[n] = 0;
	return n;
}

static void ends_text(const struct flow_record *r, char *buf, size_t cap)
{
	char src[IP_TEXT + 8], dst[IP_TEXT + 8];

	if (!r->family && r->reason != FLOW_DROPPED) {
		snprintf(buf, cap, "ethertype 0x%04x", r->ethertype);
		return;
	}
	endpoint_text(r, true, src);
	endpoint_text(r, false, dst);
	snprintf(buf, cap, "%s > %s", src, dst);
}

/* "S....": the letters of the flags seen, filled up to five. */
static void flags_text(const struct flow_record *r, char *buf)
{
	size_t n;

	buf[0] = 0;
	if (!flow_has(r, FF_TCP_FLAGS))
		return;
	tcp_flags_word(r->tcp_flags, buf);
	for (n = strlen(buf); n < 5; n++)
		buf[n] = '.';
	buf[n] = 0;
}

/* What the flow is about, in one expression. */
static size_t name_text(const struct flow_record *r, char *buf, size_t cap)
{
	static const struct {
		enum flow_field field;
		const char *word;
		size_t offset;
	} names[] = {
		{FF_TLS_SNI, "sni=", offsetof(struct flow_record, tls_sni)},
		{FF_HTTP_HOST, "host=", offsetof(struct flow_record, http_host)},
		{FF_DNS_QNAME, "dns=", offsetof(struct flow_record, dns_qname)},
	};
	char word[WORD_TEXT];
	int n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct flow_str s;
		size_t len = strlen(names[i].word);

		if (!flow_has(r, names[i].field))
			continue;
		memcpy(&s, (const char *)r + names[i].offset, sizeof(s));
		memcpy(buf, names[i].word, len);
		return len + text_clean(s, buf + len, cap - len);
	}
	if (flow_has(r, FF_NO_NAME))
		n = snprintf(buf, cap, "(%s)", no_name_word(r->no_name, word));
	else if (flow_has(r, FF_ICMP_TYPE))
		n = snprintf(buf, cap, "type %u code %u", r->icmp_type, r->icmp_code);
	return (size_t)n;
}

static enum style note_style(const struct flow_record *r)
{
	return r->state == FLOW_NEW ? STYLE_NONE : STYLE_BAD;
}

/*
 * Cut to the column's width, the last character an ellipsis, if the column can't grow; pads.
 * @note: has no column of its own and stands before the name; NAME_MIN has room for it
 */
static void put_name(struct line *l, const struct flow_record *r, struct output *o,
		     const char *note)
{
	char buf[3 * NAME_TEXT + 16];
	size_t len = name_text(r, buf, 3 * NAME_TEXT);
	unsigned int w = width_of(buf, len), width = o->name_width;

	put_styled(l, note, strlen(note), note_style(r));
	width -= (unsigned int)strlen(note);
	if (*note && len && width > 2) {
		put(l, ", ", 2);
		width -= 2;
	} else if (*note) {
		len = w = 0;
	}

	if (w > width && o->wide) {
		o->name_width = width = w;
	} else if (w > width) {
		while (w >= width) {
			len--;
			w -= ((unsigned char)buf[len] & 0xc0) != 0x80;
		}
		memcpy(buf + len, "\xe2\x80\xa6", 3);
		len += 3;
		w++;
	}
	put_styled(l, buf, len, STYLE_NAME);
	spaces(l, width - w);
}

/* "812", "3.2 k", "41.2 M": three digits or so, SI. */
static void si_text(uint64_t v, const char *unit, char *buf, size_t cap)
{
	static const char prefix[] = " kMGTPE";
	unsigned int p = 0;
	uint64_t tenths = v * 10;

	if (v > UINT64_MAX / 10)
		tenths = UINT64_MAX;
	if (v < 1000) {
		snprintf(buf, cap, "%llu %s", (unsigned long long)v, unit);
		return;
	}
	while (tenths >= 10000) {
		tenths = tenths / 1000 + (tenths % 1000 >= 500);
		p++;
	}
	snprintf(buf, cap, "%llu.%llu %c%s", (unsigned long long)(tenths / 10),
		 (unsigned long long)(tenths % 10), prefix[p], unit);
}

static void duration_text(uint64_t ns, char *buf, size_t cap)
{
	const unsigned long long cs = ns / 10000000;

	if (cs < 100000)
		snprintf(buf, cap, "%llu.%02llu s", cs / 100, cs % 100);
	else
		snprintf(buf, cap, "%llu s", cs / 100);
}

/* Is all of it in another record too? */
static bool is_copied(const struct flow_record *r)
{
	const uint64_t out = flow_has(r, FF_OUT_COPIED_PACKETS) ? r->out.copied_packets : 0,
		       in = flow_has(r, FF_IN_COPIED_PACKETS) ? r->in.copied_packets : 0;

	return out + in && out + in == r->packets;
}

static const char *state_note(const struct flow_record *r, char *buf)
{
	if (flow_has(r, FF_VERDICT))
		return verdict_word(r->verdict, buf);
	if (is_copied(r))
		return "copied";
	if (!flow_has(r, FF_STATE))
		return "";
	switch (r->state) {
	case FLOW_RESET:
		return "reset";
	case FLOW_NO_REPLY:
		return "no reply";
	case FLOW_ONE_WAY:
		return "one way";
	case FLOW_NEW:
		return "new";
	default:
		return "";
	}
}

/* What there is room for beside time, ends, protocol, name and bytes. */
struct layout {
	bool packets;
	bool flags;
	bool duration;
	bool ms;   /* milliseconds of the time */
	bool note; /* the state's word; without room before the name or behind the line */
};

#define BASE (8u + 2 + 2 + 6 + NAME_MIN + 9) /* all but the ends */

static bool room(unsigned int *left, unsigned int want)
{
	if (*left < want)
		return false;
	*left -= want;
	return true;
}

/* Columns get room in the order of their use to a reader; the name has what is left in the end. */
static struct layout lay_out(struct output *o, unsigned int ends, unsigned int proto)
{
	struct layout y = {};
	unsigned int left, extra;

	if (o->ends_width < ENDS_MIN)
		o->ends_width = ENDS_MIN;
	if (o->proto_width < PROTO_MIN)
		o->proto_width = PROTO_MIN;
	if (ends > o->ends_width && BASE + ends <= o->columns)
		o->ends_width = ends;
	ends = ends > o->ends_width ? ends : o->ends_width;
	left = o->columns > BASE + ends ? o->columns - BASE - ends : 0;
	if (proto > o->proto_width && left >= proto - PROTO_MIN)
		o->proto_width = proto;
	left -= left < o->proto_width - PROTO_MIN ? left : o->proto_width - PROTO_MIN;
	y.packets = room(&left, 9);
	y.flags = room(&left, 7);
	y.duration = room(&left, 8);
	extra = left < 12 ? left : 12;
	left -= extra;
	y.ms = room(&left, 4);
	y.note = room(&left, 10);
	if (!o->wide)
		o->name_width = NAME_MIN + extra + left;
	else if (o->name_width < NAME_WIDE)
		o->name_width = NAME_WIDE;
	return y;
}

static void put_numbers(struct line *l, const struct flow_record *r, const struct layout *y)
{
	char text[32];

	if (r->packets < 10000)
		snprintf(text, sizeof(text), "%u pkt", (unsigned int)r->packets);
	else
		si_text(r->packets, "pkt", text, sizeof(text));
	if (y->packets)
		put_right(l, text, 9);
	si_text(r->bytes, "B", text, sizeof(text));
	put_right(l, text, 9);
	if (!y->duration)
		return;
	duration_text(r->end_ns - r->start_ns, text, sizeof(text));
	put_right(l, text, 8);
}

ssize_t output_table(struct output *o, const struct flow_record *r, char *buf)
{
	struct line l = {.p = buf, .color = o->color};
	char ends[2 * (IP_TEXT + 8) + 4];
	char text[FLOW_TEXT];
	char word[WORD_TEXT], other[WORD_TEXT];
	const char *note = state_note(r, word);
	const char *proto = flow_has(r, FF_PROTO) ? proto_word(r->proto, other) : "";
	struct layout y;

	ends_text(r, ends, sizeof(ends));
	y = lay_out(o, (unsigned int)strlen(ends), (unsigned int)strlen(proto));
	time_text(r->start_ns, text);
	text[y.ms ? 23 : 19] = 0;
	put_left(&l, text + 11, 8, STYLE_DIM);
	spaces(&l, 2);
	put_left(&l, ends, o->ends_width, STYLE_NONE);
	spaces(&l, 2);
	put_left(&l, proto, o->proto_width, STYLE_NONE);
	spaces(&l, 2);
	if (y.flags) {
		flags_text(r, text);
		put_left(&l, text, 5, STYLE_NONE);
		spaces(&l, 2);
	}
	y.note |= !o->terminal;
	put_name(&l, r, o, y.note ? "" : note);
	put_numbers(&l, r, &y);
	if (*note && y.note) {
		spaces(&l, 2);
		put_left(&l, note, 0, note_style(r));
	}
	l.p[l.n++] = '\n';
	return (ssize_t)l.n;
}
