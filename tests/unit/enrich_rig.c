/* SPDX-License-Identifier: Apache-2.0 */
#include "enrich_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"

const struct mmdb_network rig_networks[RIG_NETWORKS] = {
	{"198.51.100.0/24", 64500, "Wide Net", "DE"},
	{"198.51.100.128/25", 64501, "Narrow Net", "CZ"},
	{"203.0.113.0/24", 64502, NULL, "AT"},
	{"2001:db8::/32", 64503, "Six Net", "SK"},
	{"192.0.2.0/24", 0, NULL, "HU"},
};

void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert(f != NULL);
	fputs(text, f);
	fclose(f);
}

void configure(struct rig *g, const char *more)
{
	static struct config_errors errs;
	char text[1024];

	snprintf(text, sizeof(text),
		 "[enrich]\nnames = 65536\nasn = \"%s\"\ncountry = \"%s\"\nsites = \"%s\"\n%s",
		 g->asn, g->country, g->sites, more);
	write_text(g->conf, text);
	g->args.config = g->conf;
	settings_free(g->s);
	cr_assert(eq(int, settings_load(&collector_settings, &g->args, &g->s, &errs), 0));
}

bool open_rig(struct rig *g, const char *more)
{
	*g = (struct rig){.dir = "/tmp/weir-enrich.XXXXXX"};
	if (!store_rig_open(&g->q.store, NULL))
		return false;
	cr_assert(mkdtemp(g->dir) != NULL);
	snprintf(g->asn, sizeof(g->asn), "%s/asn.mmdb", g->dir);
	snprintf(g->country, sizeof(g->country), "%s/country.mmdb", g->dir);
	snprintf(g->sites, sizeof(g->sites), "%s/sites", g->dir);
	snprintf(g->conf, sizeof(g->conf), "%s/conf", g->dir);
	cr_assert(eq(int, mmdb_make(g->asn, rig_networks, RIG_NETWORKS), 0));
	cr_assert(eq(int, mmdb_make(g->country, rig_networks, RIG_NETWORKS), 0));
	write_text(g->sites, "10.0.0.0/8 local\n10.0.0.53 local resolver.example\n");
	configure(g, more);
	cr_assert(eq(int, enrich_new(g->s, g->q.store.s, &g->e), 0));
	return true;
}

void done(struct rig *g)
{
	const char *files[] = {g->asn, g->country, g->sites, g->conf};

	enrich_free(g->e);
	settings_free(g->s);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	rmdir(g->dir);
	store_rig_done(&g->q.store);
}

struct block *take(struct rig *g)
{
	struct block *b = block_get(g->q.store.pool);

	cr_assert(b != NULL);
	return b;
}

void add(struct block *b, const char *src, const char *dst, const char *sni, int64_t end_us)
{
	struct flow_record r = {.end_ns = (uint64_t)end_us * 1000, .family = 4, .proto = 6};

	cr_assert(eq(int, address_ip(src, r.src_ip), 0));
	cr_assert(eq(int, address_ip(dst, r.dst_ip), 0));
	r.out.packets = 1;
	r.out.bytes = 100;
	flow_set(&r, FF_SRC_IP);
	flow_set(&r, FF_DST_IP);
	flow_set(&r, FF_PROTO);
	flow_set(&r, FF_OUT_PACKETS);
	flow_set(&r, FF_OUT_BYTES);
	if (sni) {
		r.tls_sni = (struct flow_str){sni, (uint32_t)strlen(sni)};
		flow_set(&r, FF_TLS_SNI);
	}
	cr_assert(eq(int, block_add_flow(b, &r, 1), 0));
}

uint64_t number(const struct block *b, enum block_column c, uint32_t row)
{
	if (!block_is_valid(b, c, row))
		return 0;
	return block_columns[c].size == 2 ? BLOCK_COLUMN(b, uint16_t, c)[row]
					  : BLOCK_COLUMN(b, uint32_t, c)[row];
}

const char *text(const struct block *b, enum block_column c, uint32_t row)
{
	static char buf[8][256];
	static unsigned int n;
	char *to = buf[n++ % 8];
	const struct block_str *s = &BLOCK_COLUMN(b, struct block_str, c)[row];

	snprintf(to, 256, "%.*s", block_is_valid(b, c, row) ? (int)s->len : 0, b->text + s->at);
	return to;
}
