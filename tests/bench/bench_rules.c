// SPDX-License-Identifier: Apache-2.0
/*
 * bench_rules.c - what rules cost by flow: blocks of flows with a realistic skew through the engine, with the
 * rules that come with weir.
 * usage: bench_rules [--flows N] [--hosts N] [DIRECTORY OF RULES]
 * The same flows come again and again, later each time. Of 200,000 hosts a third of the flows are of a host
 * that has no room; 20,000 have all that they need, as those of the load generator.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/block.h"
#include "collector/rules/engine.h"
#include "collector/rules/rule_files.h"
#include "common/scan.h"
#include "measure.h"

#define BLOCKS 64u
#define BEGIN  (INT64_C(1767225600) * 1000000)

struct bench {
	struct block *blocks[BLOCKS];
	uint64_t state;
	uint64_t hosts;
	uint64_t alerts;
};

static double cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint32_t below(struct bench *b, uint32_t n)
{
	b->state = b->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((b->state >> 33) * n >> 31);
}

/* Few have most: the square of a uniform number. */
static uint32_t skewed(struct bench *b, uint32_t n)
{
	const double u = (double)below(b, 1u << 30) / (1u << 30);

	return (uint32_t)(u * u * u * n);
}

static void put_ip(uint8_t ip[16], uint32_t net, uint32_t host)
{
	const uint32_t v = net + host;

	memset(ip, 0, 16);
	ip[10] = ip[11] = 0xff;
	for (unsigned int i = 0; i < 4; i++)
		ip[12 + i] = (uint8_t)(v >> (24 - 8 * i));
}

static void make_flow(struct bench *b, struct flow_record *r)
{
	static const uint16_t ports[] = {443, 443, 443, 443, 53, 53, 80, 123, 22, 25, 3389, 445};
	static const enum flow_field there[] = {FF_END,	     FF_START,	     FF_SRC_IP,
						FF_DST_IP,   FF_SRC_PORT,    FF_DST_PORT,
						FF_PROTO,    FF_STATE,	     FF_OUT_BYTES,
						FF_IN_BYTES, FF_OUT_PACKETS, FF_IN_PACKETS};
	const bool out = below(b, 10) < 8;

	*r = (struct flow_record){.family = 4};
	put_ip(r->src_ip, out ? 0x0a000000 : 0x50000000, skewed(b, (uint32_t)b->hosts));
	put_ip(r->dst_ip, out ? 0x60000000 : 0x0a000000, skewed(b, (uint32_t)b->hosts));
	r->dst_port = ports[below(b, sizeof(ports) / sizeof(ports[0]))];
	r->src_port = (uint16_t)(32768 + below(b, 28000));
	r->proto = r->dst_port == 53 || r->dst_port == 123 || below(b, 6) == 0 ? 17 : 6;
	r->state = below(b, 20) ? FLOW_CLOSED : FLOW_NO_REPLY;
	r->out.packets = 1 + skewed(b, 500);
	r->in.packets = r->state == FLOW_NO_REPLY ? 0 : 1 + skewed(b, 800);
	r->out.bytes = r->out.packets * (60 + below(b, 900));
	r->in.bytes = r->in.packets * (60 + below(b, 1400));
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		flow_set(r, there[i]);
	if (r->proto != 6)
		return;
	r->tcp_flags = r->state == FLOW_CLOSED ? 0x1b : 2;
	flow_set(r, FF_TCP_FLAGS);
	if (r->dst_port == 443 && r->state == FLOW_CLOSED) {
		r->tls_sni = (struct flow_str){"www.example.com", 15};
		r->tls_offered = 0x0304;
		flow_set(r, FF_TLS_SNI);
		flow_set(r, FF_TLS_OFFERED);
	}
}

static void make_blocks(struct bench *b, struct block_pool *pool)
{
	struct flow_record r;

	for (uint32_t i = 0; i < BLOCKS; i++) {
		b->blocks[i] = block_get(pool);
		do
			make_flow(b, &r);
		while (!block_add_flow(b->blocks[i], &r, 1));
	}
}

/* Block @n of the stream: its flows end within as long as @per_second of them take. */
static void set_time(struct block *b, uint64_t n, uint32_t per_second)
{
	int64_t *ends = BLOCK_COLUMN(b, int64_t, BC_END);

	for (uint32_t i = 0; i < b->rows; i++)
		ends[i] = BEGIN + (int64_t)((n * BLOCK_ROWS + i) * 1000000 / per_second);
}

static void on_alert(void *arg, const struct alert *a)
{
	struct bench *b = arg;

	b->alerts += a->state == ALERT_FIRING;
}

static void put(uint64_t flows, const char *metric, double value)
{
	row_print(&(struct row){.section = "rules",
				.scenario = "all packs",
				.hook = "",
				.flows = (uint32_t)flows,
				.design = "weir",
				.metric = metric,
				.value = value});
}

static void run(struct bench *b, const struct rule_set *set, uint64_t flows)
{
	const struct engine_cfg cfg = {.rules = set, .alert = on_alert, .arg = b};
	struct engine *e;
	double spent = 0, from;
	uint64_t bytes = 0, matched = 0;
	struct engine_rule_stats st;

	if (engine_new(&cfg, &e))
		exit(1);
	b->alerts = 0;
	for (uint64_t n = 0; n * BLOCK_ROWS < flows; n++) {
		struct block *one = b->blocks[n % BLOCKS];

		set_time(one, n, 200000);
		from = cpu();
		engine_block(e, one, 0);
		spent += cpu() - from;
	}
	for (uint32_t i = 0; i < set->n; i++) {
		engine_rule_stats(e, i, &st);
		bytes += st.bytes;
		matched += st.matched;
	}
	put(flows, "cpu s per M flows", spent * 1e6 / (double)flows);
	put(flows, "rules", set->n);
	put(flows, "matched per flow", (double)matched / (double)flows);
	put(flows, "state MiB", (double)bytes / (1 << 20));
	put(flows, "alerts", (double)b->alerts);
	engine_free(e);
}

int main(int argc, char **argv)
{
	static struct bench b = {.state = 1, .hosts = 200000};
	struct rule_files files;
	struct site site;
	uint64_t flows = 8000000;
	struct block_pool *pool = block_pool_new(BLOCKS);

	while (argc > 2 &&
	       ((!strcmp(argv[1], "--flows") && !scan_u64(argv[2], 1, UINT64_MAX, &flows)) ||
		(!strcmp(argv[1], "--hosts") && !scan_u64(argv[2], 1, UINT32_MAX, &b.hosts)))) {
		argc -= 2;
		argv += 2;
	}
	site_init(&site);
	rule_files_init(&files, &site);
	if (!pool || rule_files_read(&files, argc > 1 ? argv[1] : "packaging/rules") ||
	    rule_files_link(&files)) {
		fprintf(stderr, "bench_rules: rules with errors, or no memory\n");
		return 1;
	}
	make_blocks(&b, pool);
	run(&b, &files.set, flows);
	rule_files_done(&files);
	return 0;
}
