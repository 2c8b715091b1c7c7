/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_rig.c - one flow in front of quic_feed(), for the tests of loader/name/quic.c.
 */
#include "quic_rig.h"

#include <string.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

struct name_pool qr_pool = {.limit = 1 << 20};
struct quic qr_quic;
struct quic_flow qr_flow;
struct quic_found qr_found;
struct hello_buf qr_scratch;

void qr_setup(void)
{
	qr_quic.pool = &qr_pool;
	cr_assert(eq(int, quic_crypto_new(&qr_quic.crypto), 0));
}

void qr_teardown(void)
{
	quic_flow_done(&qr_quic, &qr_flow);
	quic_crypto_free(qr_quic.crypto);
	cr_expect(eq(u64, qr_pool.used, 0));
}

void qr_forget(void)
{
	quic_flow_done(&qr_quic, &qr_flow);
	memset(&qr_flow, 0, sizeof(qr_flow));
}

int qr_feed_cut(const struct build_bytes *d, unsigned int dir, uint32_t wire_len)
{
	struct quic_datagram dg = {
		.data = d->b, .len = (uint32_t)d->len, .wire_len = wire_len, .dir = (uint8_t)dir};

	return quic_feed(&qr_quic, &qr_flow, &dg, &qr_found);
}

int qr_feed(const struct build_bytes *d, unsigned int dir)
{
	return qr_feed_cut(d, dir, (uint32_t)d->len);
}

char *qr_sni(const struct handshake *h)
{
	static struct name_tls tls;
	static char text[WEIR_NAME_MAX + 1];

	memset(&tls, 0, sizeof(tls));
	if (hello_read_client(h, &qr_scratch, &tls) != NN_NONE)
		return memcpy(text, "-", 2);
	memcpy(text, tls.sni, tls.sni_len);
	text[tls.sni_len] = '\0';
	return text;
}

const struct build_bytes *qr_hello(const char *name, size_t length)
{
	static struct build_bytes o;
	struct build_hello h = {
		.sni = name, .alpn = "h3", .versions = {0x0304}, .length = length, .sni_last = 1};

	o.len = 0;
	build_client_hello(&o, &h);
	return &o;
}

void qr_initial(struct build_bytes *o, const struct build_initial *b, const char *name)
{
	static struct build_bytes frames;
	const struct build_bytes *h = qr_hello(name, 300);

	frames.len = 0;
	build_crypto_frame(&frames, h, 0, h->len);
	build_initial(o, b, &frames);
}
