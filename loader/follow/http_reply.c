// SPDX-License-Identifier: Apache-2.0
#include "loader/follow/http_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/scan.h"

#define HEAD_END "\r\n\r\n"

void http_reply_init(struct http_reply *r)
{
	free(r->body);
	r->body = NULL;
	r->status = 0;
	r->date_s = 0;
	r->close = r->in_body = false;
	r->length = r->have = r->head_len = 0;
	r->head[0] = '\0';
}

/* ---- the head ---- */

/* "HTTP/1.1 204 No Content" */
static int read_status(struct http_reply *r, const char *line)
{
	uint64_t v = 0;
	char digits[4];

	if (strncmp(line, "HTTP/1.1 ", 9) != 0 || strlen(line) < 12 ||
	    (line[12] && line[12] != ' '))
		return -EBADMSG;
	memcpy(digits, line + 9, 3);
	digits[3] = '\0';
	if (strspn(digits, "0123456789") != 3 || scan_u64(digits, 100, 599, &v))
		return -EBADMSG;
	r->status = (int)v;
	return 0;
}

/* RFC 9110 section 5.6.7, the one form that is written. */
static int64_t read_date(const char *value)
{
	struct tm tm = {};
	const char *end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);

	return end && !*end ? (int64_t)timegm(&tm) : 0;
}

static int read_field(struct http_reply *r, const char *name, const char *value, bool *length)
{
	uint64_t v;

	if (!strcasecmp(name, "Content-Length")) {
		if (*length || strspn(value, "0123456789") != strlen(value) ||
		    scan_u64(value, 0, SIZE_MAX / 2, &v))
			return -EBADMSG;
		*length = true;
		r->length = v;
	} else if (!strcasecmp(name, "Transfer-Encoding")) {
		return -EBADMSG;
	} else if (!strcasecmp(name, "Date")) {
		r->date_s = read_date(value);
	} else if (!strcasecmp(name, "Connection")) {
		r->close = !strcasecmp(value, "close");
	}
	return 0;
}

static int read_head(struct http_reply *r)
{
	char *rest = r->head, *line = strsep(&rest, "\n");
	bool length = false;
	int rc;

	line[strcspn(line, "\r")] = '\0';
	rc = read_status(r, line);
	while (!rc && rest && (line = strsep(&rest, "\n"))) {
		char *value = strchr(line, ':');

		line[strcspn(line, "\r")] = '\0';
		if (!*line)
			break;
		if (!value || value == line)
			return -EBADMSG;
		*value++ = '\0';
		value += strspn(value, " \t");
		rc = read_field(r, line, value, &length);
	}
	if (!rc && !length && r->status != 204 && r->status != 304)
		return -EBADMSG; /* it would end with the connection */
	if (r->status == 204 || r->status == 304)
		r->length = 0;
	return rc;
}

/* Return: 1 the head is complete. */
static int feed_head(struct http_reply *r, const uint8_t *bytes, size_t len, size_t *ret_used)
{
	const size_t from = r->head_len < 3 ? 0 : r->head_len - 3;
	const size_t room = HTTP_REPLY_HEAD - r->head_len;
	const size_t take = len < room ? len : room;
	const char *end;
	size_t used;

	memcpy(r->head + r->head_len, bytes, take);
	end = memmem(r->head + from, r->head_len + take - from, HEAD_END, 4);
	if (!end) {
		r->head_len += take;
		*ret_used = take;
		return take == room ? -E2BIG : 0;
	}
	used = (size_t)(end + 4 - r->head) - r->head_len;
	r->head_len += used;
	r->head[r->head_len] = '\0';
	*ret_used = used;
	if (strlen(r->head) != r->head_len)
		return -EBADMSG;
	return read_head(r) ?: 1;
}

int http_reply_feed(struct http_reply *r, const uint8_t *bytes, size_t len, size_t max,
		    size_t *ret_used)
{
	size_t take;
	int rc;

	*ret_used = 0;
	if (!r->in_body) {
		rc = feed_head(r, bytes, len, ret_used);
		if (rc <= 0)
			return rc;
		if (r->length > max)
			return -E2BIG;
		r->body = malloc(r->length + 1);
		if (!r->body)
			return -ENOMEM;
		r->body[r->length] = 0;
		r->in_body = true;
	}
	take = len - *ret_used;
	if (take > r->length - r->have)
		take = r->length - r->have;
	memcpy(r->body + r->have, bytes + *ret_used, take);
	r->have += take;
	*ret_used += take;
	return r->have == r->length;
}
