/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enrich_rig.h - databases and a list made here, an enrich over them, and blocks to try it on.
 */
#ifndef WEIR_TESTS_ENRICH_RIG_H
#define WEIR_TESTS_ENRICH_RIG_H

#include <stdbool.h>
#include "collector/enrich/enrich.h"
#include "mmdb_make.h"
#include "query_rig.h"

#define END_US INT64_C(1700000000000000)
#define SECOND INT64_C(1000000)

/* What both databases begin with. */
#define RIG_NETWORKS 5u
extern const struct mmdb_network rig_networks[RIG_NETWORKS];

struct rig {
	char dir[64], asn[96], country[96], sites[96], conf[96];
	struct query_rig q;
	struct settings_args args;
	struct settings *s;
	struct enrich *e;
};

void write_text(const char *path, const char *text);

/* Settings over the files; @more: lines of [enrich]. */
void configure(struct rig *g, const char *more);

/* False: there is no engine. */
bool open_rig(struct rig *g, const char *more);
void done(struct rig *g);

struct block *take(struct rig *g);

/* A flow of an exporter that tells nothing but its addresses, and perhaps a name. */
void add(struct block *b, const char *src, const char *dst, const char *sni, int64_t end_us);

/* A column's value; 0: none. */
uint64_t number(const struct block *b, enum block_column c, uint32_t row);

/* A column's text; "": none. Good for eight calls. */
const char *text(const struct block *b, enum block_column c, uint32_t row);

#endif
