// SPDX-License-Identifier: Apache-2.0
/*
 * bench_enrich.c - CPU time of what is added to flows, per million of them: nothing configured, learnt
 * names alone, databases of 60,000 networks beside them; over skewed flows and over ones whose every
 * source is new. usage: bench_enrich [BLOCKS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/enrich/block_facts.h"
#include "collector/enrich/mmdb.h"
#include "common/scan.h"
#include "mmdb_make.h"
#include "store_rows.h"

#define NETWORKS 60000u
#define CIDR	 24u

struct sources {
	void *asn, *country;
};

static void find(void *arg, struct facts *f, uint32_t n, const struct facts_sink *to)
{
	const struct sources *s = arg;

	/* no store is there to be told names */
	(void)to;
	mmdb_asn.find(s->asn, f, n, NULL);
	mmdb_country.find(s->country, f, n, NULL);
}

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int make_databases(struct sources *s)
{
	char path[] = "/tmp/weir-bench-enrich.XXXXXX", error[FACTS_ERROR];
	static struct mmdb_network v[NETWORKS];
	static char cidr[NETWORKS][CIDR];
	int fd = mkstemp(path), r;

	if (fd < 0)
		return -1;
	close(fd);
	for (uint32_t i = 0; i < NETWORKS; i++) {
		snprintf(cidr[i], CIDR, "%u.%u.%u.0/24", i % 220 + 1, i / 220 % 256, i * 7 % 256);
		v[i] = (struct mmdb_network){cidr[i], 64496 + i, NULL, "CZ"};
	}
	r = mmdb_make(path, v, NETWORKS);
	r = r ?: mmdb_asn.open(path, &s->asn, error);
	r = r ?: mmdb_country.open(path, &s->country, error);
	unlink(path);
	return r;
}

/* A server has one name, as most have. */
static void name_by_address(struct block *b)
{
	char name[64];

	for (uint32_t row = 0; row < b->rows; row++) {
		int n;

		if (!block_is_valid(b, BC_TLS_SNI, row))
			continue;
		n = snprintf(name, sizeof(name), "www%u.example.test",
			     (uint32_t)BLOCK_COLUMN(b, uint64_t, BC_DST_LO)[row] % 20000);
		(void)!block_put_text(b, BC_TLS_SNI, row, name, (uint32_t)n);
	}
}

static void measure(struct block_pool *pool, struct sources *s, bool fresh, uint32_t blocks)
{
	const struct block_facts_cfg cfg = {
		.find = find, .arg = s, .names = 65536, .keep_us = INT64_MAX / 4};
	struct block_facts *learnt = block_facts_new(&cfg), *all = block_facts_new(&cfg);
	double t[3] = {0};
	struct rows rows;
	uint64_t n = 0;

	rows_init(&rows, 7, INT64_C(1700000000000000), 20);
	for (uint32_t i = 0; i < blocks && learnt && all; i++) {
		struct block *b = block_get(pool);
		double a;

		rows_fill(&rows, b, BLOCK_ROWS);
		name_by_address(b);
		for (uint32_t row = 0; fresh && row < b->rows; row++)
			BLOCK_COLUMN(b, uint64_t, BC_SRC_LO)
		[row] = 0xffff00000000 | (uint32_t)((n + row) * 2654435761u);
		a = cpu_s();
		block_facts_add(learnt, b, 1, false);
		t[0] += cpu_s() - a;
		a = cpu_s();
		block_facts_add(all, b, 1, true);
		t[1] += cpu_s() - a;
		n += b->rows;
		block_put(pool, b);
	}
	printf("{\"bench\":\"enrich\",\"flows\":\"%s\",\"names_cpu_s_per_m\":%.4f,"
	       "\"all_cpu_s_per_m\":%.4f}\n",
	       fresh ? "new sources" : "skewed", t[0] * 1e6 / (double)n, t[1] * 1e6 / (double)n);
	block_facts_free(learnt);
	block_facts_free(all);
}

int main(int argc, char **argv)
{
	struct block_pool *pool = block_pool_new(2);
	struct sources s = {0};
	uint64_t blocks = 100;

	if (!pool || (argc > 1 && scan_u64(argv[1], 1, 100000, &blocks)) || make_databases(&s)) {
		fprintf(stderr, "usage: bench_enrich [BLOCKS]\n");
		return EXIT_FAILURE;
	}
	measure(pool, &s, false, (uint32_t)blocks);
	measure(pool, &s, true, (uint32_t)blocks);
	mmdb_asn.close(s.asn);
	mmdb_country.close(s.country);
	block_pool_free(pool);
	return EXIT_SUCCESS;
}
