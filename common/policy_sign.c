// SPDX-License-Identifier: Apache-2.0
/*
 * policy_sign.c - ed25519 by libcrypto. Of a policy the signature is the last 64 bytes; what is signed are all
 * bytes before it.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/policy.h"

void policy_key_id(const uint8_t public_key[POLICY_KEY], uint8_t ret[8])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256(public_key, POLICY_KEY, hash);
	memcpy(ret, hash, 8);
}

void policy_id(const char *text, uint8_t ret[16])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, strlen(text), hash);
	memcpy(ret, hash, 16);
	ret[14] = ret[15] = 0;
}

bool policy_is_signed(const void *image, size_t len)
{
	static const uint8_t none[POLICY_SIGNATURE];
	const uint8_t *bytes = image;

	return len > POLICY_SIGNATURE &&
	       memcmp(bytes + len - POLICY_SIGNATURE, none, POLICY_SIGNATURE) != 0;
}

int policy_sign_bytes(const void *bytes, size_t len, const uint8_t private_key[POLICY_KEY],
		      uint8_t ret[POLICY_SIGNATURE])
{
	EVP_PKEY *key =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, POLICY_KEY);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = POLICY_SIGNATURE;
	int r = -EIO;

	if (key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(ctx, ret, &n, bytes, len) == 1)
		r = 0;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return r;
}

int policy_sign(uint8_t *image, size_t len, const uint8_t private_key[POLICY_KEY])
{
	struct policy_header *h = (void *)image;
	uint8_t public_key[POLICY_KEY];

	if (policy_public(private_key, public_key))
		return -EIO;
	policy_key_id(public_key, h->key_id);
	return policy_sign_bytes(image, len - POLICY_SIGNATURE, private_key,
				 image + len - POLICY_SIGNATURE);
}

int policy_verify_bytes(const void *bytes, size_t len, const uint8_t signature[POLICY_SIGNATURE],
			const uint8_t public_key[POLICY_KEY])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, POLICY_KEY);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r = -EKEYREJECTED;

	if (key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(ctx, signature, POLICY_SIGNATURE, bytes, len) == 1)
		r = 0;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return r;
}

int policy_verify(const void *image, size_t len, const uint8_t *keys, size_t n)
{
	const struct policy_header *h = image;
	const uint8_t *bytes = image;
	uint8_t id[8];

	if (len < sizeof(*h) + POLICY_SIGNATURE)
		return -EKEYREJECTED;
	for (size_t i = 0; i < n; i++) {
		policy_key_id(keys + i * POLICY_KEY, id);
		if (!memcmp(id, h->key_id, sizeof(id)))
			return policy_verify_bytes(bytes, len - POLICY_SIGNATURE,
						   bytes + len - POLICY_SIGNATURE,
						   keys + i * POLICY_KEY);
	}
	return -ENOKEY;
}

/* ---- keys ---- */

int policy_keygen(uint8_t private_key[POLICY_KEY], uint8_t public_key[POLICY_KEY])
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	size_t a = POLICY_KEY, b = POLICY_KEY;
	int r = -EIO;

	if (key && EVP_PKEY_get_raw_private_key(key, private_key, &a) == 1 &&
	    EVP_PKEY_get_raw_public_key(key, public_key, &b) == 1)
		r = 0;
	EVP_PKEY_free(key);
	return r;
}

int policy_public(const uint8_t private_key[POLICY_KEY], uint8_t public_key[POLICY_KEY])
{
	EVP_PKEY *key =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, POLICY_KEY);
	size_t n = POLICY_KEY;
	const int r = key && EVP_PKEY_get_raw_public_key(key, public_key, &n) == 1 ? 0 : -EIO;

	EVP_PKEY_free(key);
	return r;
}

int policy_read_private(const char *pem, size_t len, uint8_t ret[POLICY_KEY])
{
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
	size_t n = POLICY_KEY;
	int r = -EINVAL;

	if (key && EVP_PKEY_is_a(key, "ED25519") &&
	    EVP_PKEY_get_raw_private_key(key, ret, &n) == 1 && n == POLICY_KEY)
		r = 0;
	EVP_PKEY_free(key);
	BIO_free(in);
	return r;
}

int policy_read_public(const char *pem, size_t len, uint8_t ret[POLICY_KEY])
{
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *key = in ? PEM_read_bio_PUBKEY(in, NULL, NULL, NULL) : NULL;
	size_t n = POLICY_KEY;
	int r = -EINVAL;

	if (key && EVP_PKEY_is_a(key, "ED25519") &&
	    EVP_PKEY_get_raw_public_key(key, ret, &n) == 1 && n == POLICY_KEY)
		r = 0;
	EVP_PKEY_free(key);
	BIO_free(in);
	return r;
}

int policy_write_private(FILE *out, const uint8_t key[POLICY_KEY])
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key, POLICY_KEY);
	int ok = pkey && PEM_write_PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL) == 1;

	EVP_PKEY_free(pkey);
	return ok && !fflush(out) ? 0 : -EIO;
}

int policy_write_public(FILE *out, const uint8_t key[POLICY_KEY])
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, POLICY_KEY);
	int ok = pkey && PEM_write_PUBKEY(out, pkey) == 1;

	EVP_PKEY_free(pkey);
	return ok && !fflush(out) ? 0 : -EIO;
}
