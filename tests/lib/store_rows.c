// SPDX-License-Identifier: Apache-2.0
/*
 * store_rows.c - see store_rows.h.
 */
#include "store_rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint64_t next(struct rows *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state;
}

static double unit(struct rows *r)
{
	return (double)(next(r) >> 11) / 9007199254740992.0;
}

/* 0 .. n - 1; each ten times as large range is about as frequent as the last. */
static uint64_t skewed(struct rows *r, double n)
{
	return (uint64_t)(exp(unit(r) * log(n + 1)) - 1);
}

void rows_init(struct rows *r, uint64_t seed, int64_t first_end_us, int64_t step_us)
{
	*r = (struct rows){.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1,
			   .end_us = first_end_us,
			   .step_us = step_us,
			   .exporter = 1,
			   .exporters = 1};
}

#define PUT(type, col, value)                                    \
	do {                                                     \
		BLOCK_COLUMN(b, type, col)[row] = (type)(value); \
		block_set_valid(b, col, row);                    \
	} while (0)

static void put_addresses(struct rows *r, struct block *b, uint32_t row)
{
	uint64_t src = skewed(r, 65000), dst = skewed(r, 500000);

	if (next(r) % 10) {
		block_put_ip4(b, BC_SRC_HI, row, 0x0a000000u + (uint32_t)src);
		block_put_ip4(b, BC_DST_HI, row, (uint32_t)(dst * 2654435761u));
		return;
	}
	PUT(uint64_t, BC_SRC_HI, UINT64_C(0x20010db800000000) + src % 256);
	PUT(uint64_t, BC_SRC_LO, src * 2654435761u);
	PUT(uint64_t, BC_DST_HI, UINT64_C(0x2a00145000000000) + dst % 4096);
	PUT(uint64_t, BC_DST_LO, dst * 2654435761u);
}

static void put_counts(struct rows *r, struct block *b, uint32_t row)
{
	uint64_t packets = 1 + (uint64_t)exp(unit(r) * unit(r) * 12);
	uint64_t bytes = packets * (40 + next(r) % 1400), back = packets * 9 / 10 + next(r) % 3;
	uint64_t rate = 1, in_bytes = back * (40 + next(r) % 1400);
	bool both = r->plain || next(r) % 50;

	PUT(uint64_t, BC_OUT_PACKETS, packets);
	PUT(uint64_t, BC_OUT_BYTES, bytes);
	r->out_packets += packets;
	r->out_bytes += bytes;
	if (both) {
		PUT(uint64_t, BC_IN_PACKETS, back);
		PUT(uint64_t, BC_IN_BYTES, in_bytes);
		r->in_packets += back;
		r->in_bytes += in_bytes;
	}
	if (!r->plain && next(r) % 20 == 0) {
		rate = 1 + next(r) % 1000;
		PUT(uint32_t, BC_SAMPLING, rate);
	}
	r->est_bytes += (bytes + (both ? in_bytes : 0)) * rate;
}

static int put_name(struct rows *r, struct block *b, uint32_t row, enum block_column c)
{
	char s[64];
	uint64_t k = skewed(r, 20000);
	int n = snprintf(s, sizeof(s), "%s%llu.example%llu.test", k % 3 ? "www" : "api-cdn-",
			 (unsigned long long)k, (unsigned long long)(k % 997));

	return block_put_text(b, c, row, s, (uint32_t)n);
}

static void put_tcp(struct rows *r, struct block *b, uint32_t row)
{
	PUT(uint8_t, BC_TCP_FLAGS, next(r) % 5 ? 0x1b : 0x13);
	PUT(uint8_t, BC_STATE, next(r) % 5 ? 3 : 2);
	PUT(uint64_t, BC_RTT_CLIENT_US, 100 + skewed(r, 5000));
	PUT(uint64_t, BC_RTT_SERVER_US, 200 + skewed(r, 200000));
	if (next(r) % 30 == 0)
		PUT(uint32_t, BC_OUT_RETRANSMITS, next(r) % 3);
}

static int put_rest(struct rows *r, struct block *b, uint32_t row, uint16_t port)
{
	int e = 0;

	PUT(uint8_t, BC_REASON, 1 + (next(r) % 3 == 0));
	PUT(uint8_t, BC_OUT_TTL_MIN, next(r) % 3 ? 64 : 128);
	PUT(uint8_t, BC_OUT_DSCP, next(r) % 10 ? 0 : 46);
	PUT(uint32_t, BC_IN_IF, 2 + next(r) % 4);
	if (port == 443) {
		e = put_name(r, b, row, BC_TLS_SNI);
		PUT(uint16_t, BC_TLS_VERSION, 0x0304);
	} else if (port == 53) {
		e = put_name(r, b, row, BC_DNS_QNAME);
		PUT(uint16_t, BC_DNS_QTYPE, next(r) % 2 ? 1 : 28);
		PUT(uint64_t, BC_DNS_LATENCY_US, skewed(r, 100000));
	} else if (port == 80) {
		e = put_name(r, b, row, BC_HTTP_HOST);
	}
	if (!e && next(r) % 997 == 0)
		PUT(uint32_t, BC_VNI, next(r) % 16777216);
	if (next(r) % 4 == 0)
		PUT(uint16_t, BC_SRC_ZONE, 1 + next(r) % 2);
	return e;
}

uint32_t rows_fill(struct rows *r, struct block *b, uint32_t n)
{
	uint32_t done;

	for (done = 0; done < n && b->rows < BLOCK_ROWS && BLOCK_TEXT - b->text_len > 256; done++) {
		uint32_t row = b->rows, kind = next(r) % 100;
		uint16_t port = kind < 55   ? 443
				: kind < 70 ? 53
				: kind < 80 ? 80
				: kind < 85 ? 22
					    : (uint16_t)next(r);
		bool tcp = port != 53 && kind < 97;

		PUT(int64_t, BC_START, r->end_us - (int64_t)skewed(r, 60000000));
		PUT(int64_t, BC_END, r->end_us);
		PUT(uint32_t, BC_EXPORTER, r->exporter);
		put_addresses(r, b, row);
		PUT(uint16_t, BC_SRC_PORT, 32768 + next(r) % 28000);
		PUT(uint16_t, BC_DST_PORT, port);
		PUT(uint8_t, BC_PROTO, tcp ? 6 : 17);
		put_counts(r, b, row);
		if (!r->plain && tcp)
			put_tcp(r, b, row);
		if (!r->plain && put_rest(r, b, row, port))
			break;
		b->rows++;
		r->n++;
		r->end_us += r->step_us;
		if (r->n % 30 == 0)
			r->exporter = 1 + r->exporter % r->exporters;
	}
	return done;
}
