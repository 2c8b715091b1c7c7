// SPDX-License-Identifier: Apache-2.0
/*
 * tls.c - TLS to a collector, both sides authenticated, by OpenSSL; files are read once, before the
 * sandbox. TLS 1.2 at least; the collector's certificate must be signed by `ca` and bear
 * `server_name` (RFC 7011 section 11.3).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/export/conn.h"

struct tls {
	SSL_CTX *ctx;
	SSL *ssl;
	char name[256];
};

/* What OpenSSL says is wrong, in its words without its numbers. */
static void reason(char *why, size_t cap, const char *what)
{
	unsigned long e = ERR_get_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	snprintf(why, cap, "%s: %s", what, text ? text : "no reason given");
	ERR_clear_error();
}

static int bad_file(const struct export_cfg *cfg, const char *key, const char *path, char *reterr)
{
	char why[128];

	reason(why, sizeof(why), key);
	snprintf(reterr, EXPORT_ERR_MAX, "export %s: %.100s: %.100s", cfg->name, path, why);
	return -EINVAL;
}

static int read_files(struct tls *t, const struct export_cfg *cfg, char *reterr)
{
	if (SSL_CTX_load_verify_file(t->ctx, cfg->ca) != 1)
		return bad_file(cfg, "ca", cfg->ca, reterr);
	if (!*cfg->cert)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(t->ctx, cfg->cert) != 1)
		return bad_file(cfg, "cert", cfg->cert, reterr);
	if (SSL_CTX_use_PrivateKey_file(t->ctx, cfg->key, SSL_FILETYPE_PEM) != 1)
		return bad_file(cfg, "key", cfg->key, reterr);
	if (SSL_CTX_check_private_key(t->ctx) != 1)
		return bad_file(cfg, "key", "does not belong to cert", reterr);
	return 0;
}

int tls_new(const struct export_cfg *cfg, struct tls **ret, char *reterr)
{
	struct tls *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	snprintf(t->name, sizeof(t->name), "%s", cfg->server_name);
	tzset(); /* reads /etc/localtime now, and not when a certificate's dates are looked at */
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (!t->ctx) {
		free(t);
		return -ENOMEM;
	}
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(t->ctx,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	r = read_files(t, cfg, reterr);
	if (r) {
		tls_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	free(t);
}

/* A name goes into the hello too; an address does not (RFC 6066 section 3). */
static int expect_name(struct tls *t)
{
	struct in6_addr any;
	bool address = inet_pton(AF_INET, t->name, &any) == 1 ||
		       inet_pton(AF_INET6, t->name, &any) == 1;

	if (address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), t->name);
	return SSL_set1_host(t->ssl, t->name) && SSL_set_tlsext_host_name(t->ssl, t->name);
}

int tls_start(struct tls *t, int fd)
{
	SSL_free(t->ssl);
	t->ssl = SSL_new(t->ctx);
	if (!t->ssl || expect_name(t) != 1 || SSL_set_fd(t->ssl, fd) != 1)
		return -ENOMEM;
	SSL_set_connect_state(t->ssl);
	return 0;
}

int tls_handshake(struct tls *t, bool *want_read, char *why, size_t cap)
{
	int r, err;
	long verify;

	ERR_clear_error();
	r = SSL_do_handshake(t->ssl);
	if (r == 1) {
		*want_read = false;
		return 0;
	}
	err = SSL_get_error(t->ssl, r);
	if (err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE) {
		*want_read = err == SSL_ERROR_WANT_READ;
		return -EAGAIN;
	}
	verify = SSL_get_verify_result(t->ssl);
	if (verify != X509_V_OK)
		snprintf(why, cap, "TLS: collector's certificate: %s",
			 X509_verify_cert_error_string(verify));
	else
		reason(why, cap, "TLS");
	return -EPROTO;
}

static ssize_t failed(struct tls *t, int r, bool *want_read)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		*want_read = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return errno ? -errno : -ECONNRESET;
	default:
		return -EPROTO;
	}
}

ssize_t tls_write(struct tls *t, const void *p, size_t len, bool *want_read)
{
	size_t n;
	int r;

	*want_read = false;
	ERR_clear_error();
	r = SSL_write_ex(t->ssl, p, len, &n);
	if (r == 1)
		return (ssize_t)n;
	r = (int)failed(t, r, want_read);
	return r ? r : -ECONNRESET;
}

ssize_t tls_read(struct tls *t, void *p, size_t len)
{
	bool want_read;
	size_t n;
	int r;

	ERR_clear_error();
	r = SSL_read_ex(t->ssl, p, len, &n);
	return r == 1 ? (ssize_t)n : failed(t, r, &want_read);
}

uint64_t tls_octets(const struct tls *t)
{
	return t->ssl ? BIO_number_written(SSL_get_wbio(t->ssl)) : 0;
}

void tls_end(struct tls *t, bool clean)
{
	if (clean && t->ssl)
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	t->ssl = NULL;
	ERR_clear_error();
}
