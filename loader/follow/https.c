// SPDX-License-Identifier: Apache-2.0
#include "loader/follow/https.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PORT "4741"
#define PIECE	     16384u

struct https {
	SSL_CTX *ctx;
	SSL *ssl;
	X509 *authority;
	int fd;
	char host[256];
	struct http_reply reply;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_port(const char *s)
{
	return *s && strlen(s) <= 5 && strspn(s, "0123456789") == strlen(s);
}

static bool is_host(const char *s)
{
	return *s && strlen(s) < 256 && !strpbrk(s, "/@?#% ");
}

int https_url(char *text, const char **ret_host, const char **ret_port)
{
	char *host = text, *end;

	if (strncmp(text, "https://", 8) != 0)
		return -EINVAL;
	host += 8;
	if (*host && host[strlen(host) - 1] == '/')
		host[strlen(host) - 1] = '\0';
	end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":");
	if (!end)
		return -EINVAL;
	if (*host == '[') {
		host++;
		*end++ = '\0';
	}
	*ret_port = DEFAULT_PORT;
	if (*end == ':') {
		*end++ = '\0';
		*ret_port = end;
	} else if (*end) {
		return -EINVAL;
	}
	*ret_host = host;
	return is_host(host) && is_port(*ret_port) ? 0 : -EINVAL;
}

/* ---- TCP ---- */

static int ready(int fd, short events, int64_t until)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		const int64_t left = until - now_ms();
		const int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return 0;
		if (!n)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int connect_one(const struct addrinfo *a, int64_t until)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = 0, one = 1;
	socklen_t len = sizeof(r);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen)) {
		r = errno == EINPROGRESS ? ready(fd, POLLOUT, until) : -errno;
		if (!r && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &r, &len) || r))
			r = r ? -r : -errno;
	}
	if (r) {
		close(fd);
		return r;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* slower without */
	return fd;
}

static int connect_any(const struct https_cfg *cfg, int64_t until, char *error)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	int fd = getaddrinfo(cfg->host, cfg->port, &hints, &list) ? -EHOSTUNREACH : -EADDRNOTAVAIL;

	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = connect_one(a, until);
	if (list)
		freeaddrinfo(list);
	if (fd < 0)
		snprintf(error, HTTPS_ERROR, "%.120s port %.8s: %s", cfg->host, cfg->port,
			 strerror(-fd));
	return fd;
}

/* ---- TLS ---- */

static int failed(char *error, const char *what)
{
	const unsigned long e = ERR_get_error();
	const char *why = e ? ERR_reason_error_string(e) : NULL;

	snprintf(error, HTTPS_ERROR, "%.140s: %.80s", what, why ? why : "no reason given");
	ERR_clear_error();
	return -EPROTO;
}

/* Where OpenSSL has not done it: until it can go on. Return: 0 again, -errno. */
static int again(struct https *h, int result, int64_t until)
{
	switch (SSL_get_error(h->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return ready(h->fd, POLLIN, until);
	case SSL_ERROR_WANT_WRITE:
		return ready(h->fd, POLLOUT, until);
	case SSL_ERROR_ZERO_RETURN:
		return -ECONNRESET;
	case SSL_ERROR_SYSCALL:
		return errno ? -errno : -ECONNRESET;
	default:
		return -EPROTO;
	}
}

static X509 *read_authority(const char *path)
{
	BIO *b = BIO_new_file(path, "re");
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;

	BIO_free(b);
	return x;
}

/* The certificate of those the other side has shown whose digest the token has. */
static X509 *find_pinned(const STACK_OF(X509) * chain, const uint8_t *pin)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *x = sk_X509_value(chain, i);
		unsigned char digest[EVP_MAX_MD_SIZE];
		unsigned int n = 0;

		if (X509_digest(x, EVP_sha256(), digest, &n) == 1 && n == 32 &&
		    !CRYPTO_memcmp(digest, pin, 32)) {
			X509_up_ref(x);
			return x;
		}
	}
	return NULL;
}

/* Is it of the authority, and a server's? Its name and its dates mean nothing here. */
static int verify(struct https *h, char *error)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *peer = SSL_get1_peer_certificate(h->ssl);
	int r = -EACCES;

	if (store && ctx && peer && X509_STORE_add_cert(store, h->authority) == 1 &&
	    X509_STORE_CTX_init(ctx, store, peer, NULL) == 1 &&
	    X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER) == 1) {
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
		r = X509_verify_cert(ctx) == 1 ? 0 : -EACCES;
	}
	if (r)
		snprintf(error, HTTPS_ERROR,
			 "%.120s is not the collector that is trusted here: its certificate is of "
			 "another authority",
			 h->host);
	X509_free(peer);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return r;
}

static int load(struct https *h, const struct https_cfg *cfg, char *error)
{
	h->ctx = SSL_CTX_new(TLS_client_method());
	if (!h->ctx)
		return failed(error, "TLS");
	SSL_CTX_set_min_proto_version(h->ctx, TLS1_3_VERSION);
	SSL_CTX_set_mode(h->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_verify(h->ctx, SSL_VERIFY_NONE, NULL); /* see verify() */
	if (cfg->ca) {
		h->authority = read_authority(cfg->ca);
		if (!h->authority)
			return failed(error, cfg->ca);
	}
	if (!cfg->cert)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(h->ctx, cfg->cert) != 1)
		return failed(error, cfg->cert);
	if (SSL_CTX_use_PrivateKey_file(h->ctx, cfg->key, SSL_FILETYPE_PEM) != 1)
		return failed(error, cfg->key);
	return 0;
}

static int handshake(struct https *h, const struct https_cfg *cfg, int64_t until, char *error)
{
	int n, r = 0;

	h->ssl = SSL_new(h->ctx);
	if (!h->ssl || SSL_set_fd(h->ssl, h->fd) != 1)
		return failed(error, "TLS");
	while (!r) {
		ERR_clear_error();
		errno = 0;
		n = SSL_connect(h->ssl);
		if (n == 1)
			break;
		r = again(h, n, until);
	}
	if (r == -EPROTO)
		return failed(error, "TLS");
	if (r) {
		snprintf(error, HTTPS_ERROR, "%.120s: TLS: %s", h->host, strerror(-r));
		return r;
	}
	if (!h->authority)
		h->authority = find_pinned(SSL_get_peer_cert_chain(h->ssl), cfg->pin);
	if (h->authority)
		return verify(h, error);
	snprintf(error, HTTPS_ERROR, "%.120s is not the collector that has made this token",
		 h->host);
	return -EACCES;
}

int https_open(const struct https_cfg *cfg, int ms, char *error, struct https **ret)
{
	const int64_t until = now_ms() + ms;
	struct https *h = calloc(1, sizeof(*h));
	int r;

	if (!h) {
		snprintf(error, HTTPS_ERROR, "out of memory");
		return -ENOMEM;
	}
	h->fd = -1;
	snprintf(h->host, sizeof(h->host), "%s", cfg->host);
	r = load(h, cfg, error);
	if (!r) {
		h->fd = connect_any(cfg, until, error);
		r = h->fd < 0 ? h->fd : handshake(h, cfg, until, error);
	}
	if (r)
		https_close(h);
	else
		*ret = h;
	return r;
}

void https_close(struct https *h)
{
	if (!h)
		return;
	SSL_free(h->ssl);
	SSL_CTX_free(h->ctx);
	X509_free(h->authority);
	if (h->fd >= 0)
		close(h->fd);
	http_reply_init(&h->reply);
	free(h);
}

char *https_authority(struct https *h)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *data = NULL, *text = NULL;
	long n;

	if (b && PEM_write_bio_X509(b, h->authority) == 1) {
		n = BIO_get_mem_data(b, &data);
		text = n > 0 ? strndup(data, (size_t)n) : NULL;
	}
	BIO_free(b);
	return text;
}

/* ---- questions ---- */

static int write_all(struct https *h, const char *bytes, size_t len, int64_t until)
{
	int r = 0;

	while (len && !r) {
		size_t n = 0;
		int ok;

		ERR_clear_error();
		errno = 0;
		ok = SSL_write_ex(h->ssl, bytes, len, &n);
		if (ok != 1)
			r = again(h, ok, until);
		bytes += n;
		len -= n;
	}
	return r;
}

int https_post_octets(struct https *h, const char *path, const struct https_body *body, int ms)
{
	const int64_t until = now_ms() + ms;
	const size_t len = strlen(body->text);
	char head[512];
	const int n = snprintf(head, sizeof(head),
			       "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
			       "Content-Length: %zu\r\n\r\n",
			       path, h->host, len + body->n);

	http_reply_init(&h->reply);
	return write_all(h, head, (size_t)n, until)
		       ?: write_all(h, body->text, len, until)
		       ?: write_all(h, (const char *)body->octets, body->n, until);
}

int https_post(struct https *h, const char *path, const char *body, int ms)
{
	return https_post_octets(h, path, &(struct https_body){.text = body}, ms);
}

int https_wait(struct https *h, int ms, size_t max, const struct http_reply **ret)
{
	const int64_t until = now_ms() + ms;
	uint8_t piece[PIECE];
	size_t n, used;
	int r = 0;

	while (!r) {
		int ok;

		ERR_clear_error();
		errno = 0;
		ok = SSL_read_ex(h->ssl, piece, sizeof(piece), &n);
		if (ok == 1) {
			r = http_reply_feed(&h->reply, piece, n, max, &used);
			if (r == 1 && used != n)
				r = -EBADMSG; /* an answer to no question */
		} else {
			r = again(h, ok, until);
		}
	}
	if (r == 1)
		*ret = &h->reply;
	return r == -ETIMEDOUT ? 0 : r;
}
