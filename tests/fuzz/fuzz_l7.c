// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_l7.c - the readers of first payload bytes, on any bytes, at any place of the ring.
 * Input: what to read (1 byte), where in the ring (2 bytes), then the payload.
 *
 * Covers: bpf/l7_buf.h bpf/l7_class.h bpf/l7_tls.h bpf/l7_http.h bpf/l7_dns.h
 * Options: -max_len=4200
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "l7.h"

#define CHECK(cond)              \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(const struct l7_msg *m, __u32 off, __u32 len)
{
	CHECK(off <= m->len && len <= m->len - off);
}

static void check_tls(const __u8 *buf, struct l7_msg *m, int raw)
{
	enum l7_result r = raw ? l7_tls_handshake(buf, m, 0) : l7_tls(buf, m);

	if (r == L7_MORE)
		CHECK(m->need > m->len && m->need <= L7_BUF_SIZE);
	if (r == L7_LONG)
		CHECK(m->need > L7_BUF_SIZE);
	if (r == L7_SPLIT)
		CHECK(m->need <= WEIR_L7_USER_MAX);
	if (r != L7_OK)
		return;
	CHECK(m->need <= m->len && m->name_len <= WEIR_NAME_MAX && m->version <= 0x0304);
	CHECK(m->offered < 32 && m->ech <= 2);
	within(m, m->name_off, m->name_len);
	within(m, m->alpn_off, m->alpn_len);
}

static void check_http(const __u8 *buf, struct l7_msg *m)
{
	enum l7_result r = l7_http(buf, m);

	if (r == L7_MORE)
		CHECK(m->need == m->len + 1);
	if (r != L7_OK)
		return;
	CHECK(m->need <= m->len && m->need && m->method_len && m->method_len <= WEIR_METHOD_MAX);
	CHECK(m->name_len <= WEIR_NAME_MAX && !m->found == !m->name_len);
	within(m, m->name_off, m->name_len);
	within(m, m->path_off, m->path_len);
}

static void check_dns(const __u8 *buf, struct l7_msg *m, int tcp)
{
	enum l7_result r = l7_dns(buf, m, tcp);

	if (r == L7_MORE)
		CHECK(m->need > m->len);
	if (r != L7_OK)
		return;
	CHECK(m->name_len <= L7_QNAME_MAX);
	within(m, m->name_off, m->name_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of this size exactly: what reads beyond it is found */
	__u8 *buf = malloc(L7_BUF_SIZE + L7_BUF_PAD), head[L7_HEAD] = {};
	struct l7_msg m;

	if (!buf || size < 3) {
		free(buf);
		return 0;
	}
	memset(buf, 0xa5, L7_BUF_SIZE);
	memset(&m, 0xff, sizeof(m));
	m.start = data[1] << 8 | data[2];
	m.len = size - 3 < L7_BUF_SIZE ? size - 3 : L7_BUF_SIZE;
	for (__u32 i = 0; i < m.len; i++)
		buf[(m.start + i) % L7_BUF_SIZE] = data[3 + i];
	l7_mirror(buf);
	memcpy(head, data + 3, m.len < L7_HEAD ? m.len : L7_HEAD);
	l7_classify(head, m.len < L7_HEAD ? m.len : L7_HEAD);
	l7_classify_datagram(head, m.len < L7_HEAD ? m.len : L7_HEAD, m.len);
	switch (data[0] % 5) {
	case 0:
		check_tls(buf, &m, 0);
		break;
	case 1:
		check_tls(buf, &m, 1);
		break;
	case 2:
		check_http(buf, &m);
		break;
	default:
		check_dns(buf, &m, data[0] % 5 == 4);
	}
	free(buf);
	return 0;
}
