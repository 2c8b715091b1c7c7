/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_rig.h - one flow in front of quic_feed(), for the tests of loader/name/quic.c.
 */
#ifndef WEIR_TESTS_QUIC_RIG_H
#define WEIR_TESTS_QUIC_RIG_H

#include "loader/name/hello.h"
#include "loader/name/quic.h"
#include "name_build.h"

#define V1	     0x00000001u
#define V2	     0x6b3343cfu
#define CID	     "\x83\x94\xc8\xf0\x3e\x51\x57\x08" /* of RFC 9001 appendix A */
#define CHROME_HELLO 1750u

extern struct name_pool qr_pool;
extern struct quic qr_quic;
extern struct quic_flow qr_flow;
extern struct quic_found qr_found;
extern struct hello_buf qr_scratch;

void qr_setup(void);
void qr_teardown(void);

/* Start over with the same counters. */
void qr_forget(void);

int qr_feed(const struct build_bytes *d, unsigned int dir);
int qr_feed_cut(const struct build_bytes *d, unsigned int dir, uint32_t wire_len);

/* Server name of a ClientHello, "-" if there's none. */
char *qr_sni(const struct handshake *h);

/* A ClientHello of @length bytes (0: as short as may be) with the name at its end. */
const struct build_bytes *qr_hello(const char *name, size_t length);

/* A whole ClientHello in one Initial. */
void qr_initial(struct build_bytes *o, const struct build_initial *b, const char *name);

#endif
