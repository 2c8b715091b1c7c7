// SPDX-License-Identifier: Apache-2.0
/*
 * output.c - gathering and writing of lines; see output.h. The formats are in output_*.c.
 */
#include "common/output.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/output_int.h"
#include "common/scan.h"
#include "common/term.h"

#define BUF_SIZE	(3 * OUTPUT_LINE_MAX)
#define COLUMNS_DEFAULT 100u
#define COLUMNS_MIN	60u
#define COLUMNS_MAX	1000u

static const struct {
	const char *name;
	ssize_t (*fn)(struct output *o, const struct flow_record *r, char *buf);
} formats[] = {
	{"table", output_table},
	{"json", output_json},
	{"eve", output_eve},
	{"csv", output_csv},
};

static void look_at_terminal(struct output *o)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	const char *env =
		getenv("COLUMNS"); /* POSIX: what the user prefers; elsewhere than a terminal */
	uint64_t columns;

	o->columns = COLUMNS_DEFAULT;
	if (env && !scan_u64(env, COLUMNS_MIN, COLUMNS_MAX, &columns))
		o->columns = columns;
	if (!isatty(o->fd))
		return;
	o->color = !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
	o->terminal = true;
	o->columns = term_columns(o->fd, o->columns);
}

int output_new(const char *format, int fd, struct output **ret)
{
	struct output *o;
	size_t i = 0;
	int r;

	while (strcmp(formats[i].name, format)) {
		if (++i == sizeof(formats) / sizeof(formats[0]))
			return -EINVAL;
	}
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->fd = fd;
	o->format = formats[i].fn;
	o->buf = malloc(BUF_SIZE);
	r = o->buf ? community_new(&o->community) : -ENOMEM;
	if (r < 0) {
		output_free(o);
		return r;
	}
	for (unsigned int f = 0; f < _FF_MAX; f++) {
		const char *dot = strchr(flow_fields[f].path, '.');

		o->group_len[f] = dot ? (uint8_t)(dot - flow_fields[f].path) : 0;
	}
	look_at_terminal(o);
	o->len = output_header(o, o->buf);
	*ret = o;
	return 0;
}

void output_added(struct output *o)
{
	o->added = true;
	o->len = output_header(o, o->buf);
}

void output_free(struct output *o)
{
	if (!o)
		return;
	community_free(o->community);
	free(o->buf);
	free(o);
}

void output_style(struct output *o, bool color, unsigned int columns)
{
	o->color = color;
	if (columns)
		o->columns = columns < COLUMNS_MIN ? COLUMNS_MIN : columns;
}

void output_wide(struct output *o)
{
	o->columns = COLUMNS_MAX;
	o->wide = true;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};

			if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
				return -errno;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int output_flush(struct output *o)
{
	if (!o->error && o->len)
		o->error = write_all(o->fd, o->buf, o->len);
	o->len = 0;
	return o->error;
}

ssize_t output_text(struct output *o, const struct flow_record *r, char *buf)
{
	struct flow_record less;
	ssize_t n = o->format(o, r, buf);

	if (n != -ENOSPC)
		return n;
	/* Longer than names can be: what is certain goes out, without the lists. */
	less = *r;
	less.present[FF_DNS_QUERIES / 64] &= ~(UINT64_C(1) << FF_DNS_QUERIES % 64);
	less.present[FF_DNS_ANSWERS / 64] &= ~(UINT64_C(1) << FF_DNS_ANSWERS % 64);
	less.present[FF_HTTP_HOSTS / 64] &= ~(UINT64_C(1) << FF_HTTP_HOSTS % 64);
	return o->format(o, &less, buf);
}

size_t output_header(const struct output *o, char *buf)
{
	return o->format == output_csv ? output_csv_header(o, buf) : 0;
}

int output_flow(struct output *o, const struct flow_record *r)
{
	ssize_t n;

	if (o->error)
		return o->error;
	if (BUF_SIZE - o->len < OUTPUT_LINE_MAX && output_flush(o) < 0)
		return o->error;
	n = output_text(o, r, o->buf + o->len);
	if (n < 0)
		return (int)n;
	o->len += (size_t)n;
	return 0;
}

size_t text_clean(struct flow_str s, char *to, size_t cap)
{
	size_t n = 0, i = 0;

	while (i < s.len) {
		unsigned int len = utf8_len(s.s + i, s.len - i);
		const char *from = s.s + i;
		unsigned char c = (unsigned char)*from;
		bool control = c < 0x20 || c == 0x7f ||
			       (len == 2 && c == 0xc2 && (unsigned char)from[1] < 0xa0);

		i += len ? len : 1;
		if (!len || control) {
			from = "\xef\xbf\xbd";
			len = 3;
		}
		if (len > cap - n)
			break;
		memcpy(to + n, from, len);
		n += len;
	}
	return n;
}
