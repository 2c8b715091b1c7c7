/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_name_captures.c - names in the UDP payloads of public captures, against what an independent
 * dissector found (facts.jsonl), whatever the order of arrival.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "loader/name/name.h"
#include "name_captures.h"

#define FOUND_MAX 64u

static struct captured cap;
static struct captured mixed;

struct seen {
	unsigned int n;
	struct name_result r[FOUND_MAX];
};

static struct seen seen;

static void keep(const struct name_result *r)
{
	if (seen.n < FOUND_MAX)
		seen.r[seen.n++] = *r;
}

static void run(const struct captured *c)
{
	struct name_result r;
	struct names *n;

	seen.n = 0;
	cr_assert(eq(int, names_new(NULL, &n), 0));
	for (size_t i = 0; i < c->n; i++) {
		const struct ev_payload *e = &c->ev[i];

		if (name_feed(n, &e->h, offsetof(struct ev_payload, data) + e->len, &r) == 1)
			keep(&r);
		while (names_next(n, &r))
			keep(&r);
	}
	for (size_t i = 0; i < c->n; i++) {
		if (names_flow_end(n, &c->ev[i].h.key, &r))
			keep(&r);
	}
	cr_expect(eq(u64, names_memory(n), 0));
	names_free(n);
}

static const struct name_result *find(unsigned int kind, unsigned int proto, const char *name)
{
	for (unsigned int i = 0; i < seen.n; i++) {
		const struct name_result *r = &seen.r[i];

		if (r->kind != kind || r->proto != proto)
			continue;
		if (!name || (r->tls.sni_len == strlen(name) &&
			      memcmp(r->tls.sni, name, r->tls.sni_len) == 0))
			return r;
	}
	return NULL;
}

/* Datagrams in another order: 0 as captured, 1 backwards, else shuffled among @window neighbours. */
static void reorder(unsigned int how)
{
	uint64_t x = how * 0x9e3779b97f4a7c15ull + 1;

	memcpy(&mixed, &cap, sizeof(mixed));
	for (size_t i = 0; how == 1 && i < cap.n; i++)
		mixed.ev[i] = cap.ev[cap.n - 1 - i];
	for (size_t i = 0; how > 1 && i + 1 < cap.n; i++) {
		size_t left = cap.n - i < 8 ? cap.n - i : 8, k;
		struct ev_payload e;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		k = i + x % left;
		e = mixed.ev[i];
		mixed.ev[i] = mixed.ev[k];
		mixed.ev[k] = e;
	}
}

static int skip(void)
{
	if (captures_folder())
		return 0;
	cr_skip_test("no captures: set WEIR_PCAPS");
	return 1;
}

Test(name_captures, every_recorded_quic_name_is_found_in_any_order)
{
	char file[512], name[WEIR_NAME_MAX + 1];
	unsigned int files = 0, names = 0;
	const char *fact;

	if (skip())
		return;
	while ((fact = captures_next_fact())) {
		if (!fact_string(fact, "quic_sni", 0, name, sizeof(name)))
			continue;
		cr_assert(fact_string(fact, "file", 0, file, sizeof(file)) != NULL);
		cr_assert(eq(int, captures_read(file, &cap), 0), "%s", file);
		files++;
		for (unsigned int how = 0; how < 12; how++) {
			reorder(how);
			run(&mixed);
			for (unsigned int i = 0;
			     fact_string(fact, "quic_sni", i, name, sizeof(name)); i++) {
				names += how == 0;
				cr_expect(find(NAME_TLS_CLIENT, L7P_QUIC, name) != NULL,
					  "%s: %s, order %u", file, name, how);
			}
		}
	}
	cr_expect(ge(u32, files, 16), "files with QUIC names");
	cr_expect(ge(u32, names, 24));
}

/* What the dissector's facts leave out: Google's QUIC, DTLS. Read with it frame by frame. */
static const struct {
	const char *file;
	unsigned int proto;
	const char *sni;     /* "": a hello without one */
	unsigned int client; /* highest offered */
	unsigned int server; /* negotiated, 0 = none seen */
	uint32_t quic;
} others[] = {
	{"tcpdump/tests/gquic.pcap", L7P_QUIC, "clientservices.googleapis.com", 0, 0, 0x51303436},
	{"suricata-verify/tests/quic-alerts/input.pcap", L7P_QUIC, "clients1.google.com", 0, 0,
	 0x51303436},
	{"arkime/tests/pcap/quic43.pcap", L7P_QUIC, "r3---sn-n4v7knl6.googlevideo.com", 0, 0,
	 0x51303433},
	{"arkime/tests/pcap/quic34.pcap", L7P_QUIC, "ssl.gstatic.com", 0, 0, 0x51303334},
	{"arkime/tests/pcap/quic24-wireshark.pcap", L7P_QUIC, "www.google.fr", 0, 0, 0x51303234},
	{"arkime/tests/pcap/arkime_synthetic.pcap", L7P_QUIC, "zerolen.example", 0, 0, 0x51303433},
	{"arkime/tests/pcap/arkime_synthetic.pcap", L7P_DTLS, "test.example.com", 0xfefd, 0, 0},
	{"arkime/tests/pcap/wireshark-dtls12.pcap", L7P_DTLS, "", 0xfefd, 0xfefd, 0},
	{"zeek/testing/btest/Traces/tls/dtls13-cid.pcap", L7P_DTLS, "", 0xfefc, 0xfefc, 0},
	{"zeek/testing/btest/Traces/tls/dtls13-wolfssl.pcap", L7P_DTLS, "", 0xfefc, 0xfefc, 0},
	{"zeek/testing/btest/Traces/tls/dtls1_0.pcap", L7P_DTLS, "", 0xfeff, 0xfeff, 0},
};

Test(name_captures, google_s_quic_and_dtls_are_read_in_any_order)
{
	if (skip())
		return;
	for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		cr_assert(eq(int, captures_read(others[i].file, &cap), 0), "%s", others[i].file);
		for (unsigned int how = 0; how < 12; how++) {
			const struct name_result *r;

			reorder(how);
			run(&mixed);
			r = find(NAME_TLS_CLIENT, others[i].proto, others[i].sni);
			cr_assert(r != NULL, "%s: %s, order %u", others[i].file, others[i].sni,
				  how);
			cr_expect(eq(u16, r->tls.version, others[i].client));
			cr_expect(eq(u32, r->quic_version, others[i].quic));
			r = find(NAME_TLS_SERVER, others[i].proto, NULL);
			cr_assert(eq(int, r != NULL, others[i].server != 0), "%s", others[i].file);
			if (r)
				cr_expect(eq(u16, r->tls.version, others[i].server));
		}
	}
}

Test(name_captures, most_servers_of_quic_are_read_too)
{
	char file[512];
	unsigned int servers = 0;
	const char *fact;

	if (skip())
		return;
	while ((fact = captures_next_fact())) {
		const struct name_result *r;

		if (!strstr(fact, "\"quic_sni\""))
			continue;
		cr_assert(fact_string(fact, "file", 0, file, sizeof(file)) != NULL);
		cr_assert(eq(int, captures_read(file, &cap), 0));
		run(&cap);
		r = find(NAME_TLS_SERVER, L7P_QUIC, NULL);
		if (!r)
			continue;
		servers++;
		cr_expect(eq(u16, r->tls.version, 0x0304));
	}
	cr_expect(ge(u32, servers, 11), "captures in which the server's first flight is whole");
}
