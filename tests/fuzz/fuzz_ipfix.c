// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_ipfix.c - messages of a hostile exporter, one after another into the same store of templates;
 * and any flow record, which must come back from what is written.
 * Covers: common/ipfix_read.c common/ipfix_flow.c common/ipfix_put.c common/ipfix_write.c
 * Options: -max_len=16384
 */
#include <stdlib.h>
#include <string.h>

#include "common/ipfix.h"
#include "random_flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ipfix_templates *store;
static struct ipfix_lists lists;

static void touch(const struct flow_str *s)
{
	volatile char sum = 0;

	for (uint32_t i = 0; i < s->len; i++)
		sum += s->s[i];
}

static int look(void *arg, const struct ipfix_record *rec)
{
	struct flow_record r;

	for (unsigned int i = 0; i < rec->t->n; i++)
		touch(&(struct flow_str){(const char *)rec->v[i].p, rec->v[i].len});
	if (ipfix_to_flow(store, rec, &lists, &r))
		return 0;
	if (flow_has(&r, FF_TLS_SNI))
		touch(&r.tls_sni);
	if (flow_has(&r, FF_TLS_ALPN))
		touch(&r.tls_alpn);
	for (uint32_t i = 0; flow_has(&r, FF_HTTP_HOSTS) && i < r.http_hosts.n; i++)
		touch(&r.http_hosts.v[i]);
	for (uint32_t i = 0; flow_has(&r, FF_DNS_QUERIES) && i < r.dns_queries.n; i++)
		touch(&r.dns_queries.v[i].qname);
	*(unsigned int *)arg += 1;
	return 0;
}

/* Messages by the length in their header. */
static void read_all(const uint8_t *data, size_t size)
{
	unsigned int flows = 0;
	struct ipfix_reader reader = {.t = store, .fn = look, .arg = &flows};

	while (size >= IPFIX_HEADER) {
		struct ipfix_header h;

		if (ipfix_read_header(data, size, &h) || h.len > size)
			break;
		ipfix_read(&reader, data, h.len);
		data += h.len;
		size -= h.len;
	}
	ipfix_read(&reader, data, size);
}

/* A record from the bytes as seed: written and read again, as many flows and packets. */
static void write_and_read(const uint8_t *data, size_t size)
{
	static uint8_t templates[IPFIX_MESSAGE_MAX], flows[IPFIX_MESSAGE_MAX];
	static struct random_flow f;
	struct ipfix_cfg cfg = {.pen = 32473, .domain = 1};
	struct ipfix_used used, want;
	struct ipfix_msg m, t;
	unsigned int n = 0;
	struct ipfix_reader reader = {.t = store, .fn = look, .arg = &n};
	uint64_t seed;

	if (size < sizeof(seed) + 1)
		return;
	memcpy(&seed, data, sizeof(seed));
	cfg.form = (uint8_t)(2 + data[8] % 6);
	random_flow(&f, &seed);
	ipfix_begin(&m, flows, 512 + data[8] * 8u, &used);
	if (ipfix_put_flow(&cfg, &m, &f.r) < 0)
		return;
	ipfix_finish(&cfg, flows, m.len, 0, 0);
	want = used;
	ipfix_begin(&t, templates, sizeof(templates), NULL);
	if (ipfix_put_templates(&cfg, &t, &want))
		abort();
	ipfix_finish(&cfg, templates, t.len, 0, 0);
	if (ipfix_read(&reader, templates, t.len) || ipfix_read(&reader, flows, m.len) ||
	    n != m.records)
		abort();
}

/* Options templates, one record of each with numbers and texts from the bytes, and templates taken back,
 * into a message of any size: what fitted is read again without complaint.
 */
static void announce_and_read(const uint8_t *data, size_t size)
{
	static uint8_t buf[IPFIX_MESSAGE_MAX];
	struct ipfix_cfg cfg = {.pen = 32473, .domain = 1};
	struct ipfix_arg args[16];
	struct ipfix_used used = {}, want;
	unsigned int n = 0, put = 0;
	struct ipfix_reader reader = {.t = store, .fn = look, .arg = &n};
	struct ipfix_msg m;

	if (size < 2)
		return;
	cfg.form = (uint8_t)(2 + data[0] % 6);
	for (unsigned int i = 0; i < 16; i++)
		args[i] = (struct ipfix_arg){.number = data[i % size] * 0x0101010101010101ULL,
					     .text = {(const char *)data,
						      (uint32_t)(size / (i + 1))}};
	used.bits[data[1] % (IPFIX_FLOW_TEMPLATES / 64)] = data[0] * 0x0101010101010101ULL;
	ipfix_begin(&m, buf, size % 5 ? 16384 : 64 + data[1] * 2u, NULL);
	for (enum ipfix_option o = 0; o < _IPFIX_OPT_MAX; o++) {
		if (ipfix_put_option_template(&cfg, &m, o))
			break;
		put += !ipfix_put_option(&cfg, &m, o, args);
	}
	want = used;
	if (!ipfix_put_templates(&cfg, &m, &want))
		ipfix_put_withdrawal(&cfg, &m, &used);
	ipfix_finish(&cfg, buf, m.len, 0, 0);
	if (ipfix_read(&reader, buf, m.len) || m.records != put)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	store = ipfix_templates_new(32473, 8192);
	if (!store)
		return 0;
	read_all(data, size);
	store = ipfix_templates_free(store);
	store = ipfix_templates_new(32473, 8192);
	if (store)
		write_and_read(data, size);
	store = ipfix_templates_free(store);
	store = ipfix_templates_new(32473, 8192);
	if (store)
		announce_and_read(data, size);
	store = ipfix_templates_free(store);
	return 0;
}
