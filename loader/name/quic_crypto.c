/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_crypto.c - keys of QUIC Initial packets, and opening them.
 *
 * HKDF is written out over one cached HMAC context: EVP_KDF looks its digest up by name in every
 * derivation, which costs more than the derivation. All outputs here fit in one HMAC block.
 */
#include "loader/name/quic_crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define HP_SAMPLE_LEN 16u
#define PN_LEN_MAX    4u
#define LABEL_MAX     32u

struct quic_crypto {
	EVP_MAC *mac;
	EVP_MAC_CTX *hmac;
	EVP_CIPHER *ecb;
	EVP_CIPHER *gcm;
	EVP_CIPHER_CTX *hp;
	EVP_CIPHER_CTX *aead;
};

static const struct quic_version versions[] = {
	{/* RFC 9001 section 5.2; drafts 33 and 34 have the same salt */
	 .first = 0x00000001,
	 .last = 0x00000001,
	 .salt = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		  0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}},
	{.first = 0xff000021, .last = 0xff000022, .salt = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
							   0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
							   0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}},
	{/* RFC 9369 section 3.3.1 */
	 .first = 0x6b3343cf,
	 .last = 0x6b3343cf,
	 .v2 = 1,
	 .salt = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		  0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9}},
	{/* draft-ietf-quic-v2 before the number was assigned */
	 .first = 0x709a50c4,
	 .last = 0x709a50c4,
	 .v2 = 1,
	 .salt = {0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d,
		  0x62, 0xca, 0x57, 0x04, 0x06, 0xea, 0x7a, 0xe3, 0xe5, 0xd3}},
	{/* draft-ietf-quic-tls-29 to -32, section 5.2 */
	 .first = 0xff00001d,
	 .last = 0xff000020,
	 .salt = {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
		  0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99}},
	{/* drafts 23 to 28 */
	 .first = 0xff000017,
	 .last = 0xff00001c,
	 .salt = {0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
		  0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02}},
	{/* mvfst's numbers for draft 27 */
	 .first = 0xfaceb002,
	 .last = 0xfaceb002,
	 .salt = {0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
		  0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02}},
	{/* draft 22 */
	 .first = 0xff000016,
	 .last = 0xff000016,
	 .salt = {0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
		  0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a}},
	{/* mvfst's number for draft 22 */
	 .first = 0xfaceb001,
	 .last = 0xfaceb001,
	 .salt = {0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
		  0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a}},
	{/* Google's Q050: an IETF Initial around gQUIC frames and a CHLO */
	 .first = 0x51303530,
	 .last = 0x51303530,
	 .gquic_frames = 1,
	 .chlo = 1,
	 .salt = {0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94,
		  0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45}},
	{/* T050, T051: the same with TLS */
	 .first = 0x54303530,
	 .last = 0x54303530,
	 .gquic_frames = 1,
	 .salt = {0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80,
		  0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60, 0x48, 0x83, 0x10}},
	{.first = 0x54303531,
	 .last = 0x54303531,
	 .gquic_frames = 1,
	 .salt = {0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50,
		  0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d}},
};

const struct quic_version *quic_version_find(uint32_t version)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (version >= versions[i].first && version <= versions[i].last)
			return &versions[i];
	}
	return NULL;
}

void quic_crypto_free(struct quic_crypto *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->aead);
	EVP_CIPHER_CTX_free(c->hp);
	EVP_CIPHER_free(c->gcm);
	EVP_CIPHER_free(c->ecb);
	EVP_MAC_CTX_free(c->hmac);
	EVP_MAC_free(c->mac);
	free(c);
}

static int quic_crypto_load(struct quic_crypto *c)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	c->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	c->ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	c->gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	if (!c->mac || !c->ecb || !c->gcm)
		return -EIO;
	c->hmac = EVP_MAC_CTX_new(c->mac);
	c->hp = EVP_CIPHER_CTX_new();
	c->aead = EVP_CIPHER_CTX_new();
	if (!c->hmac || !c->hp || !c->aead)
		return -ENOMEM;
	if (EVP_MAC_CTX_set_params(c->hmac, params) != 1 ||
	    EVP_EncryptInit_ex2(c->hp, c->ecb, NULL, NULL, NULL) != 1 ||
	    EVP_DecryptInit_ex2(c->aead, c->gcm, NULL, NULL, NULL) != 1)
		return -EIO;
	return 0;
}

int quic_crypto_new(struct quic_crypto **ret)
{
	struct quic_crypto *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	r = quic_crypto_load(c);
	if (r < 0) {
		quic_crypto_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct span {
	const uint8_t *p;
	size_t len;
};

static int hmac(struct quic_crypto *c, struct span key, struct span data,
		uint8_t out[QUIC_SECRET_LEN])
{
	size_t n = 0;

	if (EVP_MAC_init(c->hmac, key.p, key.len, NULL) != 1 ||
	    EVP_MAC_update(c->hmac, data.p, data.len) != 1 ||
	    EVP_MAC_final(c->hmac, out, &n, QUIC_SECRET_LEN) != 1 || n != QUIC_SECRET_LEN)
		return -EIO;
	return 0;
}

/* RFC 8446 section 7.1 over RFC 5869 section 2.3: empty context, at most one block of output. */
static int expand_label(struct quic_crypto *c, const uint8_t secret[QUIC_SECRET_LEN],
			const char *label, uint8_t *out, size_t out_len)
{
	size_t n = strnlen(label, LABEL_MAX);
	uint8_t block[QUIC_SECRET_LEN];
	uint8_t info[5 + LABEL_MAX];
	int r;

	info[0] = 0;
	info[1] = (uint8_t)out_len;
	info[2] = (uint8_t)n;
	memcpy(info + 3, label, n);
	info[3 + n] = 0;
	info[4 + n] = 1;
	r = hmac(c, (struct span){secret, QUIC_SECRET_LEN}, (struct span){info, 5 + n}, block);
	if (r < 0)
		return r;
	memcpy(out, block, out_len);
	return 0;
}

int quic_keys_derive(struct quic_crypto *c, const struct quic_version *v,
		     const struct quic_cid *dcid, enum quic_side side, struct quic_keys *ret)
{
	static const char *const side_label[2] = {"tls13 client in", "tls13 server in"};
	static const char *const label[2][3] = {
		{"tls13 quic key", "tls13 quic iv", "tls13 quic hp"},
		{"tls13 quicv2 key", "tls13 quicv2 iv", "tls13 quicv2 hp"},
	};
	const char *const *l = label[v->v2];
	uint8_t initial[QUIC_SECRET_LEN];
	uint8_t secret[QUIC_SECRET_LEN];

	if (hmac(c, (struct span){v->salt, sizeof(v->salt)}, (struct span){dcid->b, dcid->len},
		 initial) < 0 ||
	    expand_label(c, initial, side_label[side], secret, sizeof(secret)) < 0 ||
	    expand_label(c, secret, l[0], ret->key, sizeof(ret->key)) < 0 ||
	    expand_label(c, secret, l[1], ret->iv, sizeof(ret->iv)) < 0 ||
	    expand_label(c, secret, l[2], ret->hp, sizeof(ret->hp)) < 0)
		return -EIO;
	return 0;
}

/* RFC 9000 appendix A.3 */
static uint64_t pn_decode(uint64_t expected, uint64_t truncated, unsigned int bits)
{
	uint64_t win = 1ull << bits;
	uint64_t pn = (expected & ~(win - 1)) | truncated;

	if (pn + win / 2 <= expected && pn < (1ull << 62) - win)
		return pn + win;
	if (pn > expected + win / 2 && pn >= win)
		return pn - win;
	return pn;
}

static int aead_open(struct quic_crypto *c, const struct quic_keys *k, const struct quic_sealed *p,
		     uint8_t *out, struct quic_opened *ret)
{
	size_t hdr = (size_t)(ret->payload - out);
	size_t n = p->len - hdr - QUIC_TAG_LEN;
	uint8_t tag[QUIC_TAG_LEN];
	uint8_t nonce[12];
	int len = 0;

	memcpy(nonce, k->iv, sizeof(nonce));
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(ret->pn >> (8 * i));
	memcpy(tag, p->data + hdr + n, sizeof(tag));
	if (EVP_DecryptInit_ex2(c->aead, NULL, k->key, nonce, NULL) != 1 ||
	    EVP_DecryptUpdate(c->aead, NULL, &len, out, (int)hdr) != 1 ||
	    EVP_DecryptUpdate(c->aead, out + hdr, &len, p->data + hdr, (int)n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c->aead, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1 ||
	    EVP_DecryptFinal_ex(c->aead, out + hdr + n, &len) != 1)
		return -EBADMSG;
	ret->len = n;
	return 0;
}

int quic_open(struct quic_crypto *c, const struct quic_keys *k, const struct quic_sealed *p,
	      uint8_t *out, struct quic_opened *ret)
{
	uint8_t mask[HP_SAMPLE_LEN + 16];
	uint64_t truncated = 0;
	unsigned int pn_len;
	int len = 0;

	/* The sample is taken as if the packet number had its full length. */
	if (p->len < p->pn_off + PN_LEN_MAX + HP_SAMPLE_LEN)
		return -EBADMSG;
	if (EVP_EncryptInit_ex2(c->hp, NULL, k->hp, NULL, NULL) != 1 ||
	    EVP_EncryptUpdate(c->hp, mask, &len, p->data + p->pn_off + PN_LEN_MAX, HP_SAMPLE_LEN) !=
		    1)
		return -EBADMSG;

	memcpy(out, p->data, p->pn_off + PN_LEN_MAX);
	out[0] ^= mask[0] & 0x0f;
	pn_len = (out[0] & 3u) + 1;
	for (unsigned int i = 0; i < pn_len; i++) {
		out[p->pn_off + i] ^= mask[1 + i];
		truncated = truncated << 8 | out[p->pn_off + i];
	}
	ret->pn = pn_decode(p->expected_pn, truncated, 8 * pn_len);
	ret->payload = out + p->pn_off + pn_len;
	return aead_open(c, k, p, out, ret);
}
