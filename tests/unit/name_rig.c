/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_rig.c - one struct names and one event, for the tests of loader/name/name.c.
 */
#include "name_rig.h"

#include <stddef.h>
#include <string.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

struct names *nr_names;
struct name_result nr;
struct ev_payload nr_ev;

void nr_setup(void)
{
	cr_assert(eq(int, names_new(NULL, &nr_names), 0));
}

void nr_limits(uint32_t flows, uint64_t bytes)
{
	struct name_limits l = {.flows = flows, .bytes = bytes, .stale_ns = 1000};

	names_free(nr_names);
	cr_assert(eq(int, names_new(&l, &nr_names), 0));
}

void nr_teardown(void)
{
	struct name_result late;

	while (names_next(nr_names, &late))
		;
	names_free(nr_names);
}

int nr_sni_is(const char *name)
{
	return nr.tls.sni_len == strlen(name) && memcmp(nr.tls.sni, name, nr.tls.sni_len) == 0;
}

int nr_feed(void)
{
	return name_feed(nr_names, &nr_ev.h, offsetof(struct ev_payload, data) + nr_ev.len, &nr);
}

int nr_end(void)
{
	return names_flow_end(nr_names, &nr_ev.h.key, &nr);
}

const struct name_stats *nr_stats(void)
{
	return names_stats(nr_names);
}

void nr_quic(unsigned int flow, const char *name, size_t off, size_t len)
{
	static struct build_bytes hello, frames, d;
	struct build_hello h = {.sni = name, .alpn = "h3", .versions = {0x0304}, .length = 1600};

	hello.len = frames.len = d.len = 0;
	build_client_hello(&hello, &h);
	build_crypto_frame(&frames, &hello, off, len ? len : hello.len - off);
	build_initial(&d, &(struct build_initial){.version = 1, .odcid = "initialx", .pn = off},
		      &frames);
	build_event(&nr_ev, EV_DATAGRAM, flow, 0);
	build_event_data(&nr_ev, 0, d.b, d.len);
}
