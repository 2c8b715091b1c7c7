/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_build.c - hellos, QUIC packets, DTLS records and ring events for the tests of loader/name.
 */
#include "name_build.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

static void must(int ok)
{
	if (!ok)
		abort();
}

void build_raw(struct build_bytes *o, const void *p, size_t n)
{
	must(n <= BUILD_MAX - o->len);
	memcpy(o->b + o->len, p, n);
	o->len += n;
}

void build_be(struct build_bytes *o, uint64_t v, unsigned int bytes)
{
	while (bytes--)
		build_u8(o, (uint8_t)(v >> (8 * bytes)));
}

void build_u8(struct build_bytes *o, unsigned int v)
{
	uint8_t b = (uint8_t)v;

	build_raw(o, &b, 1);
}

static unsigned int nibble(char c)
{
	return c <= '9' ? (unsigned int)(c - '0') : (unsigned int)(c - 'a' + 10);
}

void build_hex(struct build_bytes *o, const char *hex)
{
	for (; *hex; hex += 2)
		build_u8(o, nibble(hex[0]) << 4 | nibble(hex[1]));
}

static void zeros(struct build_bytes *o, size_t n)
{
	while (n--)
		build_u8(o, 0);
}

/* Write @v over two bytes that were left for it. */
static void patch16(struct build_bytes *o, size_t at, size_t v)
{
	o->b[at] = (uint8_t)(v >> 8);
	o->b[at + 1] = (uint8_t)v;
}

static void put_sni(struct build_bytes *o, const char *sni)
{
	size_t n;

	if (!sni)
		return;
	n = strlen(sni);
	build_be(o, 0, 2);
	build_be(o, n + 5, 2);
	build_be(o, n + 3, 2);
	build_u8(o, 0);
	build_be(o, n, 2);
	build_raw(o, sni, n);
}

static void put_alpn(struct build_bytes *o, const char *alpn)
{
	size_t at = o->len;

	if (!alpn)
		return;
	build_be(o, 16, 2);
	build_be(o, 0, 4);
	while (*alpn) {
		size_t n = strcspn(alpn, ",");

		build_u8(o, (unsigned int)n);
		build_raw(o, alpn, n);
		alpn += n + (alpn[n] == ',');
	}
	patch16(o, at + 2, o->len - at - 4);
	patch16(o, at + 4, o->len - at - 6);
}

static void put_versions(struct build_bytes *o, const uint16_t *v)
{
	unsigned int n = 0;

	while (n < 3 && v[n])
		n++;
	if (n == 0)
		return;
	build_be(o, 43, 2);
	build_be(o, 2 * n + 1, 2);
	build_u8(o, 2 * n);
	for (unsigned int i = 0; i < n; i++)
		build_be(o, v[i], 2);
}

static void put_padding(struct build_bytes *o, size_t start, const struct build_hello *h)
{
	size_t rest = o->len - start + (h->sni_last && h->sni ? strlen(h->sni) + 9 : 0);

	if (h->length < rest + 4)
		return;
	build_be(o, 21, 2);
	build_be(o, h->length - rest - 4, 2);
	zeros(o, h->length - rest - 4);
}

void build_client_hello(struct build_bytes *o, const struct build_hello *h)
{
	size_t start = o->len, ext;

	if (!h->dtls)
		build_be(o, 0x01000000, 4);
	build_be(o, h->legacy ? h->legacy : h->dtls ? 0xfefd : 0x0303, 2);
	for (unsigned int i = 0; i < 32; i++)
		build_u8(o, 0xa0 + i);
	build_u8(o, 0); /* session id */
	if (h->dtls) {
		build_u8(o, h->cookie);
		for (unsigned int i = 0; i < h->cookie; i++)
			build_u8(o, 0xcc);
	}
	build_be(o, 2, 2);
	build_be(o, 0x1301, 2);
	build_be(o, 0x0100, 2); /* null compression */
	ext = o->len;
	build_be(o, 0, 2);
	if (!h->sni_last)
		put_sni(o, h->sni);
	put_alpn(o, h->alpn);
	put_versions(o, h->versions);
	if (h->ech) {
		build_be(o, 0xfe0d, 2);
		build_be(o, 4, 2);
		build_be(o, 0, 4);
	}
	put_padding(o, start, h);
	if (h->sni_last)
		put_sni(o, h->sni);
	patch16(o, ext, o->len - ext - 2);
	if (!h->dtls)
		patch16(o, start + 2, o->len - start - 4);
}

void build_server_hello(struct build_bytes *o, unsigned int version, int dtls)
{
	size_t start = o->len;

	if (!dtls)
		build_be(o, 0x02000000, 4);
	build_be(o, dtls ? 0xfefd : 0x0303, 2);
	zeros(o, 32);
	build_u8(o, 0);
	build_be(o, 0x1301, 2);
	build_u8(o, 0);
	if (version) {
		build_be(o, 6, 2);
		build_be(o, 43, 2);
		build_be(o, 2, 2);
		build_be(o, version, 2);
	}
	if (!dtls)
		patch16(o, start + 2, o->len - start - 4);
}

/* ---- QUIC ---- */

static const char *salt_of(uint32_t version)
{
	switch (version) {
	case 0x6b3343cf:
		return "0dede3def700a6db819381be6e269dcbf9bd2ed9";
	case 0x709a50c4:
		return "a707c203a59b47184a1d62ca570406ea7ae3e5d3";
	case 0x51303530:
		return "504574efd066fe2f9d945cfcdbd3a7f0d3b56b45";
	case 0x54303530:
		return "7ff579e5acd072915580304c43a2367c60488310";
	case 0x54303531:
		return "7a4edef4e7ccee5fa4506c19124fc8ccda6e033d";
	case 0xff000016:
	case 0xfaceb001:
		return "7fbcdb0e7c66bbe9193a96cd21519ebd7a02644a";
	case 0xff000017 ... 0xff00001c:
	case 0xfaceb002:
		return "c3eef712c72ebb5a11a7d2432bb46365bef9f502";
	case 0xff00001d ... 0xff000020:
		return "afbfec289993d24c9e9786f19c6111e04390a899";
	default:
		return "38762cf7f55934b34d179ae6a4c80cadccbb7f0a";
	}
}

static int is_v2(uint32_t version)
{
	return version == 0x6b3343cf || version == 0x709a50c4;
}

static void hkdf(int mode, const void *key, size_t key_len, const struct build_bytes *extra,
		 struct build_bytes *out)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_len),
		OSSL_PARAM_construct_octet_string(mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY
							  ? OSSL_KDF_PARAM_SALT
							  : OSSL_KDF_PARAM_INFO,
						  (void *)extra->b, extra->len),
		OSSL_PARAM_construct_end(),
	};

	must(ctx && EVP_KDF_derive(ctx, out->b, out->len, params) == 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void expand_label(const struct build_bytes *secret, const char *label, void *ret, size_t len)
{
	static struct build_bytes info, out;

	info.len = 0;
	build_be(&info, len, 2);
	build_u8(&info, (unsigned int)strlen(label) + 6);
	build_raw(&info, "tls13 ", 6);
	build_raw(&info, label, strlen(label));
	build_u8(&info, 0);
	out.len = len;
	hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, secret->b, secret->len, &info, &out);
	memcpy(ret, out.b, len);
}

void build_keys(uint32_t version, const void *dcid, size_t dcid_len, int server,
		struct build_keys *ret)
{
	static struct build_bytes salt, initial, secret;

	salt.len = 0;
	build_hex(&salt, salt_of(version));
	initial.len = secret.len = 32;
	hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, dcid, dcid_len, &salt, &initial);
	expand_label(&initial, server ? "server in" : "client in", secret.b, 32);
	expand_label(&secret, is_v2(version) ? "quicv2 key" : "quic key", ret->key, 16);
	expand_label(&secret, is_v2(version) ? "quicv2 iv" : "quic iv", ret->iv, 12);
	expand_label(&secret, is_v2(version) ? "quicv2 hp" : "quic hp", ret->hp, 16);
}

static void aead_seal(const struct build_seal *s, const struct build_bytes *payload, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12];
	int n = 0;

	memcpy(nonce, s->keys->iv, 12);
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(s->pn >> (8 * i));
	must(ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, s->keys->key, nonce) == 1);
	must(EVP_EncryptUpdate(ctx, NULL, &n, s->header->b, (int)s->header->len) == 1);
	must(EVP_EncryptUpdate(ctx, out, &n, payload->b, (int)payload->len) == 1);
	must(EVP_EncryptFinal_ex(ctx, out + payload->len, &n) == 1);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + payload->len) == 1);
	EVP_CIPHER_CTX_free(ctx);
}

void build_seal(struct build_bytes *o, const struct build_seal *s,
		const struct build_bytes *payload)
{
	size_t pn_at = o->len + s->header->len - s->pn_len, start = o->len;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t mask[32];
	int n = 0;

	build_raw(o, s->header->b, s->header->len);
	must(payload->len + 16 <= BUILD_MAX - o->len);
	aead_seal(s, payload, o->b + o->len);
	o->len += payload->len + 16;
	must(ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), NULL, s->keys->hp, NULL) == 1);
	must(EVP_EncryptUpdate(ctx, mask, &n, o->b + pn_at + 4, 16) == 1);
	EVP_CIPHER_CTX_free(ctx);
	o->b[start] ^= mask[0] & 0x0f;
	for (unsigned int i = 0; i < s->pn_len; i++)
		o->b[pn_at + i] ^= mask[1 + i];
}

void build_initial(struct build_bytes *o, const struct build_initial *b,
		   const struct build_bytes *frames)
{
	static struct build_bytes header, payload;
	unsigned int pn_len = b->pn_len ? b->pn_len : 4;
	const char *dcid = b->dcid ? b->dcid : b->odcid;
	size_t fixed = 1 + 4 + 1 + strlen(dcid) + 1 + 2 + b->token + 2 + pn_len + 16;
	struct build_keys keys;
	struct build_seal seal = {.keys = &keys, .header = &header, .pn = b->pn, .pn_len = pn_len};

	payload.len = header.len = 0;
	if (b->pad_to > fixed + frames->len)
		zeros(&payload, b->pad_to - fixed - frames->len);
	build_raw(&payload, frames->b, frames->len);
	if (payload.len < 4)
		zeros(&payload, 4);

	build_u8(&header, 0xc0 | (is_v2(b->version) ? 0x10u : 0) | (pn_len - 1));
	build_be(&header, b->version, 4);
	build_u8(&header, (unsigned int)strlen(dcid));
	build_raw(&header, dcid, strlen(dcid));
	build_u8(&header, 0);
	build_be(&header, 0x4000 | b->token, 2);
	zeros(&header, b->token);
	build_be(&header, 0x4000 | (pn_len + payload.len + 16), 2);
	build_be(&header, b->pn, pn_len);
	build_keys(b->version, b->odcid, strlen(b->odcid), b->server, &keys);
	build_seal(o, &seal, &payload);
}

void build_crypto_frame(struct build_bytes *o, const struct build_bytes *stream, size_t off,
			size_t len)
{
	build_u8(o, 6);
	build_be(o, 0x80000000u | off, 4);
	build_be(o, 0x4000 | len, 2);
	build_raw(o, stream->b + off, len);
}

/* ---- DTLS, gQUIC, events ---- */

void build_dtls_record(struct build_bytes *o, const struct build_dtls *d)
{
	build_u8(o, 22);
	build_be(o, d->version, 2);
	build_be(o, d->epoch, 2);
	build_be(o, d->off, 6);
	build_be(o, d->len + 12, 2);
	build_u8(o, d->type);
	build_be(o, d->body->len, 3);
	build_be(o, d->seq, 2);
	build_be(o, d->off, 3);
	build_be(o, d->len, 3);
	build_raw(o, d->body->b + d->off, d->len);
}

static void le32(struct build_bytes *o, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		build_u8(o, v >> (8 * i) & 0xff);
}

void build_chlo(struct build_bytes *o, const char *sni, size_t pad)
{
	uint32_t n = (uint32_t)strlen(sni);

	build_raw(o, "CHLO\x03\0\0\0", 8);
	build_raw(o, "PAD\0", 4);
	le32(o, (uint32_t)pad);
	build_raw(o, "SNI\0", 4);
	le32(o, (uint32_t)pad + n);
	build_raw(o, "VER\0", 4);
	le32(o, (uint32_t)pad + n + 4);
	for (size_t i = 0; i < pad; i++)
		build_u8(o, '-');
	build_raw(o, sni, n);
	build_raw(o, "Q043", 4);
}

void build_event(struct ev_payload *ev, unsigned int kind, unsigned int flow, unsigned int dir)
{
	memset(ev, 0, sizeof(*ev));
	ev->h.kind = (uint8_t)kind;
	ev->h.dir = (uint8_t)dir;
	ev->h.tick = 7;
	ev->h.time_ns = 1000000000ull;
	ev->h.key.addr[0][15] = 1;
	ev->h.key.addr[1][15] = 2;
	ev->h.key.vni = flow;
}

void build_event_data(struct ev_payload *ev, uint32_t offset, const void *data, size_t len)
{
	size_t n = len < WEIR_DATAGRAM_MAX ? len : WEIR_DATAGRAM_MAX;

	ev->offset = offset;
	ev->len = (uint16_t)n;
	ev->orig_len = (uint16_t)len;
	memcpy(ev->data, data, n);
}
