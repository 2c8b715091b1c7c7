// SPDX-License-Identifier: Apache-2.0
#include "collector/notify/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/curl_handle.h"
#include "collector/notify/outlet_int.h"

int outlet_say(struct outlet *o, int r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(o->said, OUTLET_SAID, fmt, args);
	va_end(args);
	for (char *s = o->said; *s; s++) /* it may be the other side's words */
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			*s = '?';
	return r;
}

int64_t outlet_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- libcurl ---- */

CURL *outlet_curl(struct outlet *o)
{
	const struct curl_handle_cfg cfg = {
		.timeout_ms = o->cfg->num[CKEY_timeout] / 1000000,
		.ca = o->cfg->text[CKEY_ca],
		.cert = o->cfg->text[CKEY_cert],
		.key = o->cfg->text[CKEY_key],
		.stop = o->stop,
	};

	return curl_handle(&cfg);
}

int outlet_curl_failed(struct outlet *o, CURLcode code)
{
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return outlet_say(o, -ECANCELED, "stopped");
	return outlet_say(o, code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO, "%s",
			  curl_easy_strerror(code));
}

int outlet_read(struct outlet *o, const char *path, char *buf, size_t cap)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, buf, cap - 1);
		close(fd);
	}
	if (n < 0)
		return outlet_say(o, -EIO, "%.100s: %s", path, strerror(errno));
	buf[n] = 0;
	buf[strcspn(buf, "\r\n")] = 0;
	return *buf ? 0 : outlet_say(o, -EIO, "%.100s: it is empty", path);
}

int outlet_tell(struct outlet *o, const struct notice *v, uint32_t n)
{
	static int (*const ways[_SCHEME_MAX])(struct outlet * o, const struct notice *v,
					      uint32_t n) = {
		[SCHEME_FILE] = outlet_file,	     [SCHEME_SYSLOG_UDP] = outlet_udp,
		[SCHEME_SYSLOG_TCP] = outlet_stream, [SCHEME_SYSLOG_TLS] = outlet_stream,
		[SCHEME_TCP] = outlet_stream,	     [SCHEME_TLS] = outlet_stream,
		[SCHEME_HTTP] = outlet_http,	     [SCHEME_HTTPS] = outlet_http,
		[SCHEME_SMTP] = outlet_mail,	     [SCHEME_SMTPS] = outlet_mail,
	};

	o->said[0] = 0;
	o->wait_s = 0;
	return ways[o->cfg->scheme](o, v, n);
}
