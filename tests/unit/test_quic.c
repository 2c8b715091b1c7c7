/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_quic.c - the published vectors, and every version that is known or is not.
 */
#include <errno.h>
#include <string.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "quic_rig.h"

TestSuite(quic, .init = qr_setup, .fini = qr_teardown);

/* ---- published vectors ---- */

/* ClientHello of RFC 9001 appendix A.2 and RFC 9369 appendix A.2 as a CRYPTO frame. */
static const char vector_crypto[] =
	"060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868"
	"04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"
	"616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
	"04616c706e000500050100000000003300260024001d00209370b2c9caa47fba"
	"baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400"
	"0d0010000e0403050306030203080408050806002d00020101001c0002400100"
	"3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
	"75300901100f088394c8f03e51570806048000ffff";

struct vector {
	uint32_t version;
	const char *keys[2][3];
	const char *client_header;
	const char *client_start; /* of the protected packet */
	const char *client_end;
	const char *server; /* the whole protected packet */
};

static const struct vector vectors[] = {
	{
		.version = V1,
		.keys = {{"1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c",
			  "9f50449e04a0e810283a1e9933adedd2"},
			 {"cf3a5331653c364c88f0f379b6067e37", "0ac1493ca1905853b0bba03e",
			  "c206b8d9b9f0f37644430b490eeaa314"}},
		.client_header = "c300000001088394c8f03e5157080000449e00000002",
		.client_start = "c000000001088394c8f03e5157080000449e7b9aec34"
				"d1b1c98dd7689fb8ec11d242b123dc9b",
		.client_end = "e221af44860018ab0856972e194cd934",
		.server = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a"
			  "5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3"
			  "dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84"
			  "022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4"
			  "2158407dd074ee",
	},
	{
		.version = V2,
		.keys = {{"8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f",
			  "45b95e15235d6f45a6b19cbcb0294ba9"},
			 {"82db637861d55e1d011f19ea71d5d2a7", "dd13c276499c0249d3310652",
			  "edf6d05c83121201b436e16877593c3a"}},
		.client_header = "d36b3343cf088394c8f03e5157080000449e00000002",
		.client_start = "d76b3343cf088394c8f03e5157080000449ea0c95e82"
				"ffe67b6abcdb4298b485dd04de806071",
		.client_end = "a18b2faa745b6fe189cf772a9f84cbfc",
		.server = "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698"
			  "baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17"
			  "f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2"
			  "c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8"
			  "4bed8521e2e140",
	},
};

static int same(const void *p, const char *hex)
{
	static struct build_bytes o;

	o.len = 0;
	build_hex(&o, hex);
	return memcmp(p, o.b, o.len) == 0;
}

Test(quic, derives_the_keys_of_rfc_9001_and_9369_appendix_a)
{
	for (unsigned int i = 0; i < 2; i++) {
		const struct vector *v = &vectors[i];
		struct quic_cid cid = {.len = 8, .b = CID};

		for (unsigned int side = 0; side < 2; side++) {
			struct quic_keys k;

			cr_assert(eq(int,
				     quic_keys_derive(qr_quic.crypto, quic_version_find(v->version),
						      &cid, side, &k),
				     0));
			cr_expect(same(k.key, v->keys[side][0]));
			cr_expect(same(k.iv, v->keys[side][1]));
			cr_expect(same(k.hp, v->keys[side][2]));
		}
	}
}

Test(quic, reads_the_hellos_of_rfc_9001_and_9369_appendix_a)
{
	static struct build_bytes header, payload, packet, server;

	for (unsigned int i = 0; i < 2; i++) {
		const struct vector *v = &vectors[i];
		struct build_keys k;
		struct build_seal s = {.keys = &k, .header = &header, .pn = 2, .pn_len = 4};

		header.len = payload.len = packet.len = server.len = 0;
		build_keys(v->version, CID, 8, 0, &k);
		build_hex(&header, v->client_header);
		build_hex(&payload, vector_crypto);
		while (payload.len < 1162)
			build_u8(&payload, 0);
		build_seal(&packet, &s, &payload);
		/* The tag covers all of it: this is the published packet. */
		cr_assert(eq(sz, packet.len, 1200));
		cr_assert(same(packet.b, v->client_start));
		cr_assert(same(packet.b + 1184, v->client_end));

		cr_assert(eq(int, qr_feed(&packet, 1), QUIC_CLIENT_HELLO));
		cr_expect(eq(str, qr_sni(&qr_found.hello), "example.com"));
		cr_expect(eq(u32, qr_flow.version, v->version));
		cr_expect(eq(u8, qr_flow.client_dir, 1));

		build_hex(&server, v->server);
		cr_assert(eq(int, qr_feed(&server, 0), QUIC_SERVER_HELLO));
		cr_expect(eq(u16, hello_read_server(&qr_found.server, &qr_scratch), 0x0304));
		qr_forget();
	}
}

/* ---- versions ---- */

Test(quic, opens_every_version_whose_salt_is_known)
{
	static const uint32_t tls[] = {V1,	   V2,	       0x709a50c4, 0xff000016,
				       0xff000017, 0xff00001c, 0xff00001d, 0xff000020,
				       0xff000021, 0xff000022, 0xfaceb001, 0xfaceb002};
	static struct build_bytes d;

	for (unsigned int i = 0; i < sizeof(tls) / sizeof(tls[0]); i++) {
		d.len = 0;
		qr_initial(&d, &(struct build_initial){.version = tls[i], .odcid = CID},
			   "a.example");
		cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO), "version %x", tls[i]);
		cr_expect(eq(str, qr_sni(&qr_found.hello), "a.example"));
		qr_forget();
	}
}

/* Google's frames: CRYPTO is 8, PING 7. */
static void google_initial(struct build_bytes *o, uint32_t version, const struct build_bytes *msg)
{
	static struct build_bytes frames;

	frames.len = 0;
	build_u8(&frames, 7);
	build_u8(&frames, 8);
	build_u8(&frames, 0);
	build_be(&frames, 0x4000 | msg->len, 2);
	build_raw(&frames, msg->b, msg->len);
	build_initial(o, &(struct build_initial){.version = version, .odcid = CID}, &frames);
}

Test(quic, reads_the_chlo_of_q050)
{
	static struct build_bytes chlo, d;
	struct gquic_piece name;
	uint32_t need;

	build_chlo(&chlo, "q050.example", 900);
	google_initial(&d, 0x51303530, &chlo);
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CHLO));
	cr_assert(eq(int, gquic_chlo(qr_found.hello.msg, qr_found.hello.len, &need, &name), 0));
	cr_assert(eq(u32, name.len, 12));
	cr_expect(memcmp(name.data, "q050.example", 12) == 0);
}

Test(quic, reads_the_hello_of_t050_and_t051)
{
	static struct build_bytes d;

	for (uint32_t v = 0x54303530; v <= 0x54303531; v++) {
		d.len = 0;
		google_initial(&d, v, qr_hello("t05x.example", 0));
		cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO));
		cr_expect(eq(str, qr_sni(&qr_found.hello), "t05x.example"));
		qr_forget();
	}
}

/* Q024 has private flags and counts little-endian, Q043 is as the specification ends, Q046 has the
 * form bit of the IETF.
 */
static void gquic_packet(struct build_bytes *o, const char *version, unsigned int offset,
			 const struct build_bytes *piece)
{
	int big = strcmp(version, "Q039") >= 0;

	if (strcmp(version, "Q046") == 0) {
		build_u8(o, 0xc3);
		build_raw(o, version, 4);
		build_u8(o, 0x50);
		build_raw(o, CID, 8);
		build_be(o, 1, 4);
	} else {
		build_u8(o, 0x0d);
		build_raw(o, CID, 8);
		build_raw(o, version, 4);
		build_u8(o, 1);
	}
	build_raw(o, "hashhashhash", 12);
	if (strcmp(version, "Q033") <= 0)
		build_u8(o, 0);
	build_u8(o, offset ? 0xa4 : 0xa0);
	build_u8(o, 1);
	if (offset)
		build_be(o, big ? offset : __builtin_bswap16((uint16_t)offset), 2);
	build_be(o, big ? piece->len : __builtin_bswap16((uint16_t)piece->len), 2);
	build_raw(o, piece->b, piece->len);
}

Test(quic, reads_the_chlo_of_google_s_versions_in_the_clear)
{
	static const char *const versions[] = {"Q024", "Q033", "Q034", "Q039", "Q043", "Q046"};
	static struct build_bytes chlo, d;

	build_chlo(&chlo, "gquic.example", 700);
	for (unsigned int i = 0; i < 6; i++) {
		d.len = 0;
		gquic_packet(&d, versions[i], 0, &chlo);
		cr_assert(eq(int, qr_feed(&d, 0), QUIC_CHLO), "%s", versions[i]);
		cr_expect(eq(int, memcmp(&qr_flow.version, &(uint32_t){0}, 4) != 0, 1));
		cr_expect(eq(int, qr_feed(&d, 0), 0), "told once");
		qr_forget();
	}
}

Test(quic, reads_a_chlo_in_two_packets_and_one_that_follows_a_rejected_one)
{
	static struct build_bytes chlo, a, b, d;

	build_chlo(&chlo, "two.example", 900);
	build_raw(&a, chlo.b, 500);
	build_raw(&b, chlo.b + 500, chlo.len - 500);
	gquic_packet(&d, "Q043", 500, &b);
	cr_assert(eq(int, qr_feed(&d, 0), 0));
	d.len = 0;
	gquic_packet(&d, "Q043", 0, &a);
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CHLO));
	qr_forget();

	d.len = 0;
	gquic_packet(&d, "Q046", 1024, &chlo);
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CHLO));
}

Test(quic, says_that_a_version_is_unknown)
{
	static struct build_bytes d;

	build_u8(&d, 0xc0);
	build_be(&d, 0x1a2a3a4a, 4);
	build_u8(&d, 8);
	build_raw(&d, CID, 8);
	build_u8(&d, 0);
	while (d.len < 1200)
		build_u8(&d, 0x55);
	cr_expect(eq(int, qr_feed(&d, 0), 0));
	cr_expect(eq(u8, qr_flow.reason, NN_QUIC_VERSION));
	cr_expect(eq(u32, qr_flow.version, 0x1a2a3a4a));

	/* Version negotiation ends it: the client comes back with one that is known. */
	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = "newdcid1"}, "b.example");
	memmove(d.b, d.b + 1200, d.len -= 1200);
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO));
	cr_expect(eq(u8, qr_flow.reason, NN_NONE));
	cr_expect(eq(u32, qr_flow.version, V1));
}

Test(quic, takes_no_short_or_random_datagram_for_an_unknown_version)
{
	static struct build_bytes d;

	build_hex(&d, "c01a2a3a4a08");
	build_raw(&d, CID "\0abcdef", 15);
	cr_expect(eq(int, qr_feed(&d, 0), -EPROTO));
	cr_expect(eq(u8, qr_flow.reason, NN_NONE));
	d.len = 0;
	cr_expect(eq(int, qr_feed(&d, 0), -EPROTO));
	build_hex(&d, "4080");
	cr_expect(eq(int, qr_feed(&d, 0), -EPROTO), "short header of a flow not known");
}

Test(quic, ignores_version_negotiation)
{
	static struct build_bytes d;

	build_hex(&d, "80000000000008");
	build_raw(&d, CID, 8);
	build_be(&d, V1, 4);
	cr_expect(eq(int, qr_feed(&d, 1), 0));
	cr_expect(eq(u8, qr_flow.reason, NN_NONE));
}
