// SPDX-License-Identifier: Apache-2.0
/*
 * outlet_stream.c - syslog and lines over TCP and TLS. libcurl looks the name up and connects, TLS is OpenSSL's.
 *
 * A connection carries one batch. What was read at its other end is known by the way it closes: our end of
 * data is answered by theirs once they have read all; a receiver that goes away before has the kernel answer
 * by a reset. So a batch counts as told when the connection has closed in order (RFC 6587 section 3.1 has no
 * acknowledgement of its own; RFC 5425 section 4.4 makes the receiver answer close_notify).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/notify/outlet_int.h"

#define SLICE_MS 200 /* how long a wait may keep us from stopping */

struct stream {
	struct outlet *o;
	CURL *curl;
	SSL_CTX *ctx;
	SSL *ssl; /* NULL: plain */
	int fd;
	int64_t until_ms;
};

static bool is_tls(const struct channel_cfg *cfg)
{
	return cfg->scheme == SCHEME_SYSLOG_TLS || cfg->scheme == SCHEME_TLS;
}

/* Return: 0, -ETIMEDOUT, -ECANCELED; said. */
static int wait_io(const struct stream *s, short events)
{
	struct pollfd p = {.fd = s->fd, .events = events};

	for (;;) {
		if (__atomic_load_n(s->o->stop, __ATOMIC_RELAXED))
			return outlet_say(s->o, -ECANCELED, "stopped");
		if (outlet_now_ms() >= s->until_ms)
			return outlet_say(s->o, -ETIMEDOUT, "no answer in time");
		if (poll(&p, 1, SLICE_MS) > 0)
			return 0;
	}
}

/* ---- TLS ---- */

/* Why it went wrong: the certificate, or OpenSSL's word. */
static int tls_failed(const struct stream *s)
{
	const long verify = s->ssl ? SSL_get_verify_result(s->ssl) : X509_V_OK;
	const unsigned long e = ERR_get_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	if (verify != X509_V_OK)
		return outlet_say(s->o, -EPROTO, "TLS: the receiver's certificate: %s",
				  X509_verify_cert_error_string(verify));
	return outlet_say(s->o, -EPROTO, "TLS: %s", text ?: "the connection ended");
}

static int read_files(struct stream *s)
{
	char *const *text = s->o->cfg->text;
	const char *ca = text[CKEY_ca];

	if (*ca ? SSL_CTX_load_verify_file(s->ctx, ca) != 1
		: SSL_CTX_set_default_verify_paths(s->ctx) != 1)
		return outlet_say(s->o, -EINVAL, "%.150s: no certificates can be read",
				  *ca ? ca : "the system");
	if (!*text[CKEY_cert])
		return 0;
	if (SSL_CTX_use_certificate_chain_file(s->ctx, text[CKEY_cert]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(s->ctx, text[CKEY_key], SSL_FILETYPE_PEM) != 1)
		return outlet_say(s->o, -EINVAL, "%.100s, %.100s: no certificate with its key",
				  text[CKEY_cert], text[CKEY_key]);
	return 0;
}

/* A name goes into the hello too; an address does not (RFC 6066 section 3). */
static int expect_name(struct stream *s)
{
	const char *host = s->o->cfg->host;
	struct in6_addr any;

	if (inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), host);
	return SSL_set1_host(s->ssl, host) && SSL_set_tlsext_host_name(s->ssl, host);
}

/* What to wait for after OpenSSL did not do all. Return: 0 again, 1 the other side's end, -errno; said. */
static int tls_again(const struct stream *s, int r)
{
	const int why = SSL_get_error(s->ssl, r), error = errno;

	if (why == SSL_ERROR_WANT_READ)
		return wait_io(s, POLLIN);
	if (why == SSL_ERROR_WANT_WRITE)
		return wait_io(s, POLLOUT);
	if (why == SSL_ERROR_ZERO_RETURN)
		return 1;
	if (why == SSL_ERROR_SYSCALL)
		return outlet_say(s->o, -EIO, "%s", strerror(error ?: ECONNRESET));
	/* an end without close_notify, in order all the same: many do so */
	if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return 1;
	return tls_failed(s);
}

static int start_tls(struct stream *s)
{
	int r, again;

	ERR_clear_error();
	s->ctx = SSL_CTX_new(TLS_client_method());
	if (!s->ctx)
		return outlet_say(s->o, -ENOMEM, "out of memory");
	SSL_CTX_set_min_proto_version(s->ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(s->ctx,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, NULL);
	r = read_files(s);
	if (r)
		return r;
	s->ssl = SSL_new(s->ctx);
	if (!s->ssl || expect_name(s) != 1 || SSL_set_fd(s->ssl, s->fd) != 1)
		return outlet_say(s->o, -ENOMEM, "out of memory");
	while ((r = SSL_connect(s->ssl)) != 1) {
		again = tls_again(s, r);
		if (again)
			return again < 0 ? again : tls_failed(s);
	}
	return 0;
}

/* ---- the connection ---- */

static int open_stream(struct stream *s)
{
	const struct channel_cfg *cfg = s->o->cfg;
	curl_socket_t fd = CURL_SOCKET_BAD;
	char url[320];
	CURLcode code;

	s->curl = outlet_curl(s->o);
	if (!s->curl)
		return outlet_say(s->o, -ENOMEM, "out of memory");
	snprintf(url, sizeof(url), strchr(cfg->host, ':') ? "http://[%s]:%u" : "http://%s:%u",
		 cfg->host, cfg->port);
	curl_easy_setopt(s->curl, CURLOPT_URL, url);
	curl_easy_setopt(s->curl, CURLOPT_CONNECT_ONLY, 1L); /* the rest is ours */
	code = curl_easy_perform(s->curl);
	if (code != CURLE_OK)
		return outlet_curl_failed(s->o, code);
	curl_easy_getinfo(s->curl, CURLINFO_ACTIVESOCKET, &fd);
	s->fd = (int)fd;
	if (s->fd < 0)
		return outlet_say(s->o, -EIO, "no connection");
	return is_tls(cfg) ? start_tls(s) : 0;
}

static int write_plain(const struct stream *s, const char *text, size_t len, size_t *ret_n)
{
	const ssize_t n = send(s->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	*ret_n = n > 0 ? (size_t)n : 0;
	if (n >= 0 || errno == EINTR)
		return 0;
	return errno == EAGAIN ? wait_io(s, POLLOUT)
			       : outlet_say(s->o, -EIO, "%s", strerror(errno));
}

static int write_tls(const struct stream *s, const char *text, size_t len, size_t *ret_n)
{
	int r;

	*ret_n = 0;
	ERR_clear_error();
	r = SSL_write_ex(s->ssl, text, len, ret_n);
	if (r == 1)
		return 0;
	r = tls_again(s, r);
	return r == 1 ? outlet_say(s->o, -EIO, "it closed the connection") : r;
}

static int write_all(const struct stream *s, const char *text, size_t len)
{
	size_t n;
	int r = 0;

	for (; len && !r; text += n, len -= n)
		r = s->ssl ? write_tls(s, text, len, &n) : write_plain(s, text, len, &n);
	return r;
}

/* What the other side still says. Return: 1 its end, 0 more may come, -errno; said. */
static int read_plain(const struct stream *s)
{
	char drop[512];
	const ssize_t n = recv(s->fd, drop, sizeof(drop), MSG_DONTWAIT);

	if (n > 0 || (n < 0 && errno == EINTR))
		return 0;
	if (!n)
		return 1;
	return errno == EAGAIN ? wait_io(s, POLLIN) : outlet_say(s->o, -EIO, "%s", strerror(errno));
}

static int read_tls(const struct stream *s)
{
	char drop[512];
	int n;

	ERR_clear_error();
	n = SSL_read(s->ssl, drop, sizeof(drop));
	return n > 0 ? 0 : tls_again(s, n);
}

/* Says that this was all, and waits for the same word. */
static int close_stream(const struct stream *s)
{
	char why[OUTLET_SAID];
	int r = 0;

	if (s->ssl)
		SSL_shutdown(s->ssl);
	shutdown(s->fd, SHUT_WR);
	while (!r)
		r = s->ssl ? read_tls(s) : read_plain(s);
	if (r == 1)
		return 0;
	snprintf(why, sizeof(why), "%s", s->o->said);
	return outlet_say(s->o, r, "%.150s: it may not have read everything", why);
}

int outlet_stream(struct outlet *o, const struct notice *v, uint32_t n)
{
	struct stream s = {.o = o,
			   .fd = -1,
			   .until_ms = outlet_now_ms() +
				       (int64_t)(o->cfg->num[CKEY_timeout] / 1000000)};
	size_t len = 0;
	char *text = outlet_text(o, v, n, &len);
	int r = text ? open_stream(&s) : outlet_say(o, -ENOMEM, "out of memory");

	r = r ?: write_all(&s, text, len);
	r = r ?: close_stream(&s);
	SSL_free(s.ssl);
	SSL_CTX_free(s.ctx);
	curl_easy_cleanup(s.curl);
	free(text);
	return r ?: outlet_say(o, 0, "%u taken, and the connection closed in order", n);
}
