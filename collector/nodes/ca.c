// SPDX-License-Identifier: Apache-2.0
#include "collector/nodes/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define YEARS_S	 (INT64_C(3653) * 86400) /* ten: of the authority and of its server's */
#define BEFORE_S INT64_C(86400)		 /* clocks differ */
#define US_PER_S INT64_C(1000000)

struct ca {
	EVP_PKEY *key;
	X509 *cert;
	X509_STORE *store;
};

static int fail(char *error, const char *what)
{
	const unsigned long e = ERR_get_error();
	const char *why = e ? ERR_reason_error_string(e) : NULL;

	snprintf(error, CA_ERROR, "%.140s: %.80s", what, why ? why : strerror(errno));
	ERR_clear_error();
	return -EIO;
}

static EVP_PKEY *new_key(void)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

/* ---- certificates ---- */

struct wanted {
	const char *name;
	const char *usage;    /* extKeyUsage; NULL: an authority */
	int64_t from_s, to_s; /* since 1970 */
	EVP_PKEY *key;
};

static int add_extension(X509 *x, const X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx(&ctx, (X509 *)(uintptr_t)issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok;
}

static int set_head(X509 *x, const struct wanted *w)
{
	unsigned char serial[16];
	ASN1_INTEGER *number;
	BIGNUM *n;
	int ok;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return 0;
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and of one length */
	n = BN_bin2bn(serial, sizeof(serial), NULL);
	number = n ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
	ok = number && X509_set_version(x, X509_VERSION_3) && X509_set_serialNumber(x, number) &&
	     ASN1_TIME_set(X509_getm_notBefore(x), w->from_s) &&
	     ASN1_TIME_set(X509_getm_notAfter(x), w->to_s) &&
	     X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
					(const unsigned char *)w->name, -1, -1, 0) &&
	     X509_set_pubkey(x, w->key);
	ASN1_INTEGER_free(number);
	BN_free(n);
	return ok;
}

/* @by: NULL: by itself. */
static X509 *make(const struct wanted *w, const struct ca *by)
{
	X509 *x = X509_new();
	const X509 *issuer = by ? by->cert : x;
	int ok = x && set_head(x, w) && X509_set_issuer_name(x, X509_get_subject_name(issuer));

	ok = ok &&
	     add_extension(x, issuer, NID_basic_constraints,
			   w->usage ? "critical,CA:FALSE" : "critical,CA:TRUE,pathlen:0") &&
	     add_extension(x, issuer, NID_key_usage,
			   w->usage ? "critical,digitalSignature" : "critical,keyCertSign") &&
	     (!w->usage || add_extension(x, issuer, NID_ext_key_usage, w->usage)) &&
	     X509_sign(x, by ? by->key : w->key, EVP_sha256());
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

static int64_t asn1_us(const ASN1_TIME *t)
{
	struct tm tm = {};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * US_PER_S : 0;
}

static int hash_key(EVP_PKEY *key, uint8_t ret[CA_HASH])
{
	unsigned char *der = NULL;
	const int n = i2d_PUBKEY(key, &der);

	if (n <= 0)
		return -EIO;
	SHA256(der, (size_t)n, ret);
	OPENSSL_free(der);
	return 0;
}

/* ---- files ---- */

static int write_file(const char *path, mode_t mode, int (*put)(BIO *out, const struct ca *ca),
		      const struct ca *ca)
{
	char next[PATH_MAX];
	int fd, r = 0;
	BIO *out;

	snprintf(next, sizeof(next), "%.4000s.new", path);
	fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	out = BIO_new_fd(fd, BIO_NOCLOSE);
	if (!out || put(out, ca) != 1 || fsync(fd))
		r = -EIO;
	BIO_free(out);
	close(fd);
	return r ?: rename(next, path) ? -errno : 0;
}

static int put_key(BIO *out, const struct ca *ca)
{
	return PEM_write_bio_PKCS8PrivateKey(out, ca->key, NULL, NULL, 0, NULL, NULL);
}

static int put_cert(BIO *out, const struct ca *ca)
{
	return PEM_write_bio_X509(out, ca->cert);
}

static int make_ca(struct ca *ca, const char *key, const char *cert)
{
	const int64_t now = time(NULL);
	struct wanted w = {.name = "weir nodes", .from_s = now - BEFORE_S, .to_s = now + YEARS_S};

	ca->key = w.key = new_key();
	ca->cert = ca->key ? make(&w, NULL) : NULL;
	if (!ca->cert)
		return -EIO;
	/* the key last: where it is, the rest is too */
	return write_file(cert, 0644, put_cert, ca) ?: write_file(key, 0600, put_key, ca);
}

static int load(struct ca *ca, const char *key, const char *cert)
{
	BIO *k = BIO_new_file(key, "re"), *c = BIO_new_file(cert, "re");

	if (k)
		ca->key = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);
	if (c)
		ca->cert = PEM_read_bio_X509(c, NULL, NULL, NULL);
	BIO_free(k);
	BIO_free(c);
	return ca->key && ca->cert && X509_check_private_key(ca->cert, ca->key) == 1 ? 0 : -EIO;
}

int ca_open(const char *dir, char *error, struct ca **ret)
{
	char key[PATH_MAX], cert[PATH_MAX];
	struct ca *ca = calloc(1, sizeof(*ca));
	int r;

	if (!ca)
		return -ENOMEM;
	snprintf(key, sizeof(key), "%.4000s/ca.key", dir);
	snprintf(cert, sizeof(cert), "%.4000s/ca.pem", dir);
	if (mkdir(dir, 0750) && errno != EEXIST)
		r = fail(error, dir);
	else if (access(key, F_OK))
		r = make_ca(ca, key, cert) ? fail(error, key) : 0;
	else
		r = load(ca, key, cert) ? fail(error, key) : 0;
	if (!r) {
		ca->store = X509_STORE_new();
		if (!ca->store || X509_STORE_add_cert(ca->store, ca->cert) != 1)
			r = -ENOMEM;
	}
	if (r)
		ca_close(ca);
	else
		*ret = ca;
	return r;
}

void ca_close(struct ca *ca)
{
	if (!ca)
		return;
	X509_STORE_free(ca->store);
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	free(ca);
}

void ca_pin(const struct ca *ca, uint8_t ret[CA_HASH])
{
	unsigned int n = CA_HASH;

	if (X509_digest(ca->cert, EVP_sha256(), ret, &n) != 1)
		memset(ret, 0, CA_HASH);
}

/* ---- PEM ---- */

static char *text_of(BIO *b)
{
	char *data = NULL, *text;
	const long n = b ? BIO_get_mem_data(b, &data) : 0;

	text = n > 0 ? strndup(data, (size_t)n) : NULL;
	BIO_free(b);
	return text;
}

int ca_server(const struct ca *ca, char **ret_chain, char **ret_key)
{
	struct wanted w = {.name = "weir-collector",
			   .usage = "serverAuth",
			   .from_s = time(NULL) - BEFORE_S,
			   .to_s = asn1_us(X509_get0_notAfter(ca->cert)) / US_PER_S};
	BIO *chain = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
	X509 *x;
	int ok;

	w.key = new_key();
	x = w.key ? make(&w, ca) : NULL;
	ok = x && chain && key && PEM_write_bio_X509(chain, x) == 1 &&
	     PEM_write_bio_X509(chain, ca->cert) == 1 &&
	     PEM_write_bio_PrivateKey(key, w.key, NULL, NULL, 0, NULL, NULL) == 1;
	X509_free(x);
	EVP_PKEY_free(w.key);
	*ret_chain = text_of(chain);
	*ret_key = text_of(key);
	if (ok && *ret_chain && *ret_key)
		return 0;
	free(*ret_chain);
	free(*ret_key);
	return -EIO;
}

/* ---- nodes ---- */

static int issue(const struct ca *ca, const struct wanted *w, struct ca_issued *ret)
{
	X509 *x = make(w, ca);
	BIO *b = x ? BIO_new(BIO_s_mem()) : NULL;
	char *text;
	int r;

	if (b && PEM_write_bio_X509(b, x) != 1) {
		BIO_free(b);
		b = NULL;
	}
	text = text_of(b);
	X509_free(x);
	r = text && strlen(text) <= CA_PEM ? hash_key(w->key, ret->key) : -EIO;
	if (!r) {
		snprintf(ret->pem, sizeof(ret->pem), "%s", text);
		ret->expires_us = w->to_s * US_PER_S;
	}
	free(text);
	ERR_clear_error();
	return r;
}

static struct wanted node_wanted(const struct ca_wish *wish, EVP_PKEY *key)
{
	const int64_t now = time(NULL);

	return (struct wanted){.name = wish->name,
			       .usage = "clientAuth",
			       .from_s = now,
			       .to_s = now + (int64_t)(wish->valid_us / 1000000),
			       .key = key};
}

static bool is_p256(EVP_PKEY *key)
{
	char group[40];
	size_t len;

	return key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       !strcmp(group, "prime256v1");
}

int ca_issue(const struct ca *ca, const char *csr, const struct ca_wish *wish,
	     struct ca_issued *ret, char *error)
{
	BIO *b = BIO_new_mem_buf(csr, -1);
	X509_REQ *q = b ? PEM_read_bio_X509_REQ(b, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = q ? X509_REQ_get0_pubkey(q) : NULL;
	struct wanted w = node_wanted(wish, key);
	int r = -EINVAL;

	if (!q)
		snprintf(error, CA_ERROR, "csr: no certificate request in PEM");
	else if (!is_p256(key))
		snprintf(error, CA_ERROR, "csr: want a key on P-256");
	else if (X509_REQ_verify(q, key) != 1)
		snprintf(error, CA_ERROR, "csr: its signature is wrong");
	else
		r = issue(ca, &w, ret);
	X509_REQ_free(q);
	BIO_free(b);
	ERR_clear_error();
	return r;
}

int ca_issue_again(const struct ca *ca, const struct ca_der *der, const struct ca_wish *wish,
		   struct ca_issued *ret)
{
	const unsigned char *at = der->at;
	X509 *x = d2i_X509(NULL, &at, (long)der->len);
	EVP_PKEY *key = x ? X509_get0_pubkey(x) : NULL;
	const struct wanted w = node_wanted(wish, key);
	const int r = key ? issue(ca, &w, ret) : -EINVAL;

	X509_free(x);
	return r;
}

int ca_check(const struct ca *ca, const struct ca_der *der, struct ca_node *ret)
{
	const unsigned char *at = der->at;
	X509 *x = d2i_X509(NULL, &at, (long)der->len);
	X509_STORE_CTX *ctx = x ? X509_STORE_CTX_new() : NULL;
	int r = -EACCES;

	if (ctx && X509_STORE_CTX_init(ctx, ca->store, x, NULL) == 1 &&
	    X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1) {
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
		if (X509_verify_cert(ctx) == 1 && !hash_key(X509_get0_pubkey(x), ret->key))
			r = 0;
	}
	if (!r) {
		ret->from_us = asn1_us(X509_get0_notBefore(x));
		ret->expires_us = asn1_us(X509_get0_notAfter(x));
	}
	X509_STORE_CTX_free(ctx);
	X509_free(x);
	ERR_clear_error();
	return r;
}
