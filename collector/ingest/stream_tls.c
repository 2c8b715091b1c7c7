// SPDX-License-Identifier: Apache-2.0
/*
 * stream_tls.c - the collector's side of TLS, by OpenSSL: 1.2 at least; with `ca`, only clients that
 * have a certificate signed by it (RFC 7011 section 11.3).
 */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/ingest/ingest_int.h"

struct stream_tls {
	SSL_CTX *ctx;
};

static int bad_file(char *error, const char *key, const char *path)
{
	const unsigned long e = ERR_get_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	snprintf(error, INGEST_ERROR, "%s: %.120s: %.80s", key, path,
		 text ? text : "no reason given");
	ERR_clear_error();
	return -EINVAL;
}

static int read_files(struct stream_tls *t, const struct ingest_listener *l, char *error)
{
	if (SSL_CTX_use_certificate_chain_file(t->ctx, l->cert) != 1)
		return bad_file(error, "cert", l->cert);
	if (SSL_CTX_use_PrivateKey_file(t->ctx, l->key, SSL_FILETYPE_PEM) != 1)
		return bad_file(error, "key", l->key);
	if (SSL_CTX_check_private_key(t->ctx) != 1)
		return bad_file(error, "key", "does not belong to cert");
	if (!l->ca)
		return 0;
	if (SSL_CTX_load_verify_file(t->ctx, l->ca) != 1)
		return bad_file(error, "ca", l->ca);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

int stream_tls_new(const struct ingest_listener *l, char *error, struct stream_tls **ret)
{
	struct stream_tls *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	if (!l->cert || !l->key) {
		snprintf(error, INGEST_ERROR, "TLS needs cert and key");
		free(t);
		return -EINVAL;
	}
	t->ctx = SSL_CTX_new(TLS_server_method());
	if (!t->ctx) {
		free(t);
		return -ENOMEM;
	}
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(t->ctx,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	r = read_files(t, l, error);
	if (r) {
		stream_tls_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

struct stream_tls *stream_tls_free(struct stream_tls *t)
{
	if (!t)
		return NULL;
	SSL_CTX_free(t->ctx);
	free(t);
	return NULL;
}

void *stream_tls_accept(struct stream_tls *t, int fd)
{
	SSL *ssl = SSL_new(t->ctx);

	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

void stream_tls_close(void *ssl)
{
	SSL_free(ssl);
}

static ssize_t failed(SSL *ssl, int r, bool *ret_write)
{
	*ret_write = false;
	switch (SSL_get_error(ssl, r)) {
	case SSL_ERROR_WANT_WRITE:
		*ret_write = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		ERR_clear_error();
		return -EPROTO;
	}
}

ssize_t stream_tls_read(void *ssl, void *to, size_t room, bool *ret_write)
{
	int r;

	ERR_clear_error();
	r = SSL_read(ssl, to, room < INT_MAX ? (int)room : INT_MAX);
	return r > 0 ? r : failed(ssl, r, ret_write);
}

ssize_t stream_tls_write(void *ssl, const void *from, size_t len, bool *ret_write)
{
	int r;

	ERR_clear_error();
	r = SSL_write(ssl, from, len < INT_MAX ? (int)len : INT_MAX);
	return r > 0 ? r : failed(ssl, r, ret_write);
}
