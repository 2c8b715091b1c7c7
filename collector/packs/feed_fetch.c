// SPDX-License-Identifier: Apache-2.0
/*
 * feed_fetch.c - a feed's octets: by HTTP with libcurl, no more than asked for and no longer than allowed, or from a
 * file. Certificates are checked, redirections are not followed.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/curl_handle.h"
#include "collector/packs/feed.h"

static int bad(char *why, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int bad(char *why, int r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, FEED_WHY, fmt, args);
	va_end(args);
	for (char *s = why; *s; s++) /* it may be the other side's words */
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			*s = '?';
	return r;
}

/* ---- HTTP ---- */

struct taking {
	struct feed_body *b;
	size_t cap, max;
	bool large, no_memory;
};

static size_t on_body(char *s, size_t one, size_t n, void *arg)
{
	struct taking *t = arg;
	char *more;
	size_t cap;

	(void)one; /* always 1 */
	t->large |= n > t->max - t->b->len;
	if (t->large)
		return 0; /* that ends it */
	if (t->b->len + n + 1 > t->cap) {
		cap = (t->b->len + n) * 2 + 4096;
		more = realloc(t->b->bytes, cap);
		t->no_memory = !more;
		if (!more)
			return 0;
		t->b->bytes = more;
		t->cap = cap;
	}
	memcpy(t->b->bytes + t->b->len, s, n);
	t->b->len += n;
	return n;
}

/* "Name: value" of a header; what is no plain text is left out. */
static void keep(const char *s, size_t n, const char *name, char to[FEED_TAG])
{
	const size_t len = strlen(name);

	if (n <= len || strncasecmp(s, name, len) != 0)
		return;
	for (s += len, n -= len; n && (*s == ' ' || *s == '\t'); s++)
		n--;
	while (n && (s[n - 1] == '\r' || s[n - 1] == '\n' || s[n - 1] == ' '))
		n--;
	to[0] = 0;
	if (n >= FEED_TAG)
		return;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || (unsigned char)s[i] >= 0x7f)
			return;
	memcpy(to, s, n);
	to[n] = 0;
}

static size_t on_header(char *s, size_t one, size_t n, void *arg)
{
	struct taking *t = arg;

	(void)one; /* always 1 */
	keep(s, n, "etag:", t->b->etag);
	keep(s, n, "last-modified:", t->b->modified);
	return n;
}

/* What is known already (RFC 9110 section 13.1). Return: 0, -ENOMEM. */
static int ask_for_news(const struct feed_state *st, struct curl_slist **ret)
{
	char line[FEED_TAG + 32];
	struct curl_slist *list = NULL, *more;

	*ret = NULL;
	if (!st->good_us || (!*st->etag && !*st->modified))
		return 0;
	if (*st->etag)
		snprintf(line, sizeof(line), "If-None-Match: %s", st->etag);
	else
		snprintf(line, sizeof(line), "If-Modified-Since: %s", st->modified);
	more = curl_slist_append(list, line);
	if (!more)
		return -ENOMEM;
	*ret = more;
	return 0;
}

static int judge(CURL *c, CURLcode code, const struct taking *t, char *why)
{
	long status = 0;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	if (t->no_memory || code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	if (t->large)
		return bad(why, FEED_LARGE, "it is larger than %zu octets", t->max);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return -ECANCELED;
	if (code != CURLE_OK)
		return bad(why, FEED_FETCH, "%s", curl_easy_strerror(code));
	t->b->same = status == 304;
	if (status == 200 || status == 304)
		return FEED_GOOD;
	if (status >= 300 && status < 400)
		return bad(why, FEED_FETCH, "HTTP %ld: redirections are not followed", status);
	return bad(why, FEED_FETCH, "HTTP %ld", status);
}

static int fetch_url(const struct pack_feed *f, const struct feed_state *st, const bool *stop,
		     struct feed_body *ret, char *why)
{
	const struct curl_handle_cfg cfg = {
		.timeout_ms = f->timeout_ns / 1000000, .ca = f->ca, .stop = stop};
	struct taking t = {.b = ret, .max = f->max_bytes};
	struct curl_slist *headers = NULL;
	CURL *c = curl_handle(&cfg);
	CURLcode code;
	int r = c ? ask_for_news(st, &headers) : -ENOMEM;

	if (!r) {
		curl_easy_setopt(c, CURLOPT_URL, f->url);
		curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
		curl_easy_setopt(c, CURLOPT_USERAGENT, "weir-collector/" WEIR_VERSION);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
		curl_easy_setopt(c, CURLOPT_WRITEDATA, &t);
		curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(c, CURLOPT_HEADERDATA, &t);
		code = curl_easy_perform(c);
		r = judge(c, code, &t, why);
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(c);
	return r;
}

/* ---- files ---- */

static int read_all(int fd, const struct pack_feed *f, struct feed_body *ret)
{
	ssize_t n = 1;

	ret->bytes = malloc(f->max_bytes + 1);
	if (!ret->bytes)
		return -ENOMEM;
	while (n > 0 && ret->len <= f->max_bytes) {
		n = read(fd, ret->bytes + ret->len, f->max_bytes + 1 - ret->len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			ret->len += (size_t)n;
	}
	return n < 0 ? -errno : ret->len > f->max_bytes ? -E2BIG : 0;
}

static int read_file(const struct pack_feed *f, const struct feed_state *st, struct feed_body *ret,
		     char *why)
{
	const int fd = open(f->file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat info;
	int r = 0;

	if (fd < 0)
		return bad(why, FEED_FETCH, "%s", strerror(errno));
	if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
		close(fd);
		return bad(why, FEED_FETCH, "it is no plain file");
	}
	snprintf(ret->etag, sizeof(ret->etag), "%llu-%lld-%lld.%09ld",
		 (unsigned long long)info.st_ino, (long long)info.st_size,
		 (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
	ret->same = st->good_us && !strcmp(st->etag, ret->etag);
	if (!ret->same)
		r = read_all(fd, f, ret);
	close(fd);
	if (r == -E2BIG)
		return bad(why, FEED_LARGE, "it is larger than %llu octets",
			   (unsigned long long)f->max_bytes);
	return r && r != -ENOMEM ? bad(why, FEED_FETCH, "%s", strerror(-r)) : r;
}

int feed_fetch(const struct pack_feed *f, const struct feed_state *st, const bool *stop,
	       struct feed_body *ret, char *why)
{
	int r;

	*ret = (struct feed_body){};
	why[0] = 0;
	r = f->url ? fetch_url(f, st, stop, ret, why) : read_file(f, st, ret, why);
	if (!r && !ret->bytes)
		ret->bytes = calloc(1, 1);
	if (!r && !ret->bytes)
		r = -ENOMEM;
	if (r) {
		free(ret->bytes);
		ret->bytes = NULL;
	}
	return r;
}
