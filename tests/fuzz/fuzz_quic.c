/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_quic.c - datagrams of a few flows to QUIC names.
 *
 * Op: bit 0 direction, bits 1-2 what to do, bits 3-5 version, bits 6-7 flow. A datagram as it is
 * (0), as captured short (2), frames that are sealed here into an Initial (1: what no fuzzer could
 * guess), an Initial sealed for a client whose connection ID is the first 8 bytes (3).
 *
 * Covers: loader/name/quic.c loader/name/quic_packet.c loader/name/quic_crypto.c loader/name/gquic.c
 * Options: -max_len=8192
 */
#include <openssl/evp.h>
#include "loader/name/quic_crypto.h"
#include "name_fuzz.h"

#define CID_LEN 8u

static const uint32_t versions[8] = {0x00000001, 0x6b3343cf, 0xff00001d, 0x51303530,
				     0x54303530, 0xff000017, 0x709a50c4, 0xfaceb001};

static struct names *names;
static struct quic_crypto *crypto;
static EVP_CIPHER_CTX *gcm;
static EVP_CIPHER_CTX *ecb;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	names = fuzz_names();
	fuzz_must(quic_crypto_new(&crypto) == 0);
	gcm = EVP_CIPHER_CTX_new();
	ecb = EVP_CIPHER_CTX_new();
	fuzz_must(gcm && ecb);
	fuzz_must(EVP_EncryptInit_ex(gcm, EVP_aes_128_gcm(), NULL, NULL, NULL) == 1);
	fuzz_must(EVP_EncryptInit_ex(ecb, EVP_aes_128_ecb(), NULL, NULL, NULL) == 1);
	return 0;
}

/* Packet number 0 in four bytes: the nonce is the IV. */
static size_t seal(uint8_t *out, const struct quic_keys *k, size_t hdr, size_t len)
{
	uint8_t mask[32];
	int n = 0;

	fuzz_must(EVP_EncryptInit_ex(gcm, NULL, NULL, k->key, k->iv) == 1);
	fuzz_must(EVP_EncryptUpdate(gcm, NULL, &n, out, (int)hdr) == 1);
	fuzz_must(EVP_EncryptUpdate(gcm, out + hdr, &n, out + hdr, (int)len) == 1);
	fuzz_must(EVP_EncryptFinal_ex(gcm, out + hdr + len, &n) == 1);
	fuzz_must(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, QUIC_TAG_LEN, out + hdr + len) ==
		  1);
	fuzz_must(EVP_EncryptInit_ex(ecb, NULL, NULL, k->hp, NULL) == 1);
	fuzz_must(EVP_EncryptUpdate(ecb, mask, &n, out + hdr, 16) == 1);
	out[0] ^= mask[0] & 0x0f;
	for (int i = 0; i < 4; i++)
		out[hdr - 4 + i] ^= mask[1 + i];
	return hdr + len + QUIC_TAG_LEN;
}

/* A server's packets have the keys of the client's ID, and go to another one. */
static size_t initial(uint8_t *out, unsigned int op, const uint8_t *cid, struct fuzz_record frames)
{
	const struct quic_version *v = quic_version_find(versions[op >> 3 & 7]);
	uint32_t version = versions[op >> 3 & 7];
	struct quic_cid dcid = {.len = CID_LEN};
	struct quic_keys k;
	size_t hdr = 0, len = frames.len < 1500 ? frames.len : 1500, rest = len + QUIC_TAG_LEN + 4;

	memcpy(dcid.b, cid, CID_LEN);
	fuzz_must(v &&
		  quic_keys_derive(crypto, v, &dcid, op & 1 ? QUIC_SERVER : QUIC_CLIENT, &k) == 0);
	out[hdr++] = v->v2 ? 0xd3 : 0xc3;
	for (int i = 24; i >= 0; i -= 8)
		out[hdr++] = (uint8_t)(version >> i);
	out[hdr++] = CID_LEN;
	memcpy(out + hdr, op & 1 ? (const uint8_t *)"serverid" : cid, CID_LEN);
	hdr += CID_LEN;
	out[hdr++] = 0;
	out[hdr++] = 0;
	out[hdr++] = (uint8_t)(0x40 | rest >> 8);
	out[hdr++] = (uint8_t)rest;
	memset(out + hdr, 0, 4);
	hdr += 4;
	memcpy(out + hdr, frames.data, len);
	return seal(out, &k, hdr, len);
}

static void one(const struct fuzz_record *in)
{
	uint8_t out[WEIR_DATAGRAM_MAX];
	struct fuzz_record frames = *in;
	struct ev_payload ev;

	fuzz_event(&ev, EV_DATAGRAM, in->op);
	switch (in->op >> 1 & 3) {
	case 0:
		fuzz_payload(names, &ev, in->data, in->len);
		return;
	case 2:
		ev.orig_len = 1;
		fuzz_payload(names, &ev, in->data, in->len);
		return;
	case 3:
		if (in->len < CID_LEN)
			return;
		frames.data += CID_LEN;
		frames.len -= CID_LEN;
		fuzz_payload(names, &ev, out, initial(out, in->op, in->data, frames));
		return;
	default:
		fuzz_payload(names, &ev, out,
			     initial(out, in->op, (const uint8_t *)"fuzz-cid", frames));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record rec;

	while (fuzz_next(&data, &size, &rec))
		one(&rec);
	fuzz_finish(names);
	return 0;
}
