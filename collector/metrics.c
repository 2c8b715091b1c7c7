// SPDX-License-Identifier: Apache-2.0
/*
 * metrics.c - the running collector in Prometheus' text format. Exporters are labels: an operator has
 * tens of them, and their number is bounded.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collector/api/api.h"
#include "collector/enrich/enrich.h"
#include "collector/eve/eve.h"
#include "collector/nodes/nodes.h"
#include "collector/serving.h"
#include "collector/metrics_text.h"
#include "collector/serving_rules.h"
#include "common/num_text.h"

#ifndef WEIR_COMMIT
#define WEIR_COMMIT "unknown"
#endif

static void put_agent(FILE *out, const char *name, const struct ingest *g, const struct exporter *e)
{
	char address[IP_TEXT], agent[EXPORTER_NAME];

	ip_text(e->address, 0, address);
	ingest_exporter_name(g, e, agent);
	fprintf(out, "%s{agent=\"", name);
	metrics_label(out, *agent ? agent : address);
	fprintf(out, "\",address=\"%s\",domain=\"%u\"", address, e->domain);
}

/* One sample of every exporter. */
static void put_exporters(FILE *out, const struct ingest *g, const char *name, enum ingest_count c)
{
	for (const struct exporter *e = ingest_exporters(g, NULL); e; e = ingest_exporters(g, e)) {
		put_agent(out, name, g, e);
		fprintf(out, "} %" PRIu64 "\n", exporter_counted(e, c));
	}
}

/* Those of a class that are not 0, by reason. */
static void put_reasons(FILE *out, const struct ingest *g, const char *name,
			enum ingest_class class)
{
	for (const struct exporter *e = ingest_exporters(g, NULL); e; e = ingest_exporters(g, e))
		for (unsigned int i = 0; i < _IC_MAX; i++) {
			const uint64_t n = exporter_counted(e, (enum ingest_count)i);

			if (!n || ingest_counts[i].class != class)
				continue;
			put_agent(out, name, g, e);
			fprintf(out, ",reason=\"%s\"} %" PRIu64 "\n", ingest_counts[i].name, n);
		}
}

static void put_ingest(FILE *out, const struct serving *v)
{
	const struct ingest *g = v->ingest;

	metrics_head(out, "weir_collector_ingest_records_total", "counter",
		     "Flow records taken in.");
	put_exporters(out, g, "weir_collector_ingest_records_total", IC_RECORDS);
	metrics_head(out, "weir_collector_ingest_bytes_total", "counter",
		     "Octets of exporters' messages.");
	put_exporters(out, g, "weir_collector_ingest_bytes_total", IC_OCTETS);
	metrics_head(out, "weir_collector_ingest_lost_total", "counter",
		     "What did not come in, by reason; units as in weir-collector(8).");
	put_reasons(out, g, "weir_collector_ingest_lost_total", ICC_LOST);
	metrics_head(out, "weir_collector_ingest_malformed_total", "counter",
		     "Messages that contradict themselves, by reason.");
	put_reasons(out, g, "weir_collector_ingest_malformed_total", ICC_MALFORMED);
	metrics_head(out, "weir_collector_exporter_skew_seconds", "gauge",
		     "Receiver's clock less the exporter's, the least of the last minute or two.");
	for (const struct exporter *e = ingest_exporters(g, NULL); e; e = ingest_exporters(g, e)) {
		int64_t skew_us;

		if (!exporter_skew(e, &skew_us))
			continue;
		put_agent(out, "weir_collector_exporter_skew_seconds", g, e);
		fprintf(out, "} %.6f\n", (double)skew_us / 1e6);
	}
	metrics_head(out, "weir_collector_kernel_drops_total", "counter",
		     "Datagrams that a socket had no room for.");
	for (uint32_t i = 0; i < v->listeners; i++) {
		struct ingest_listener_stats st;

		ingest_listener_stats(g, i, &st);
		fprintf(out,
			"weir_collector_kernel_drops_total{listener=\"%u\",port=\"%u\"} %" PRIu64
			"\n",
			i, ingest_port(g, i), st.kernel_drops);
	}
}

static void put_store(FILE *out, struct store *s)
{
	struct store_stats st;

	store_stats(s, &st);
	metrics_one(out, "weir_collector_store_flows", "gauge", "Raw flows that are stored.",
		    st.rows);
	metrics_one(out, "weir_collector_store_bytes", "gauge", "Size of all files.", st.bytes);
	metrics_one(out, "weir_collector_store_flows_total", "counter", "Flows made durable.",
		    st.appended);
	metrics_one(out, "weir_collector_store_pending", "gauge",
		    "Flows taken in and not durable yet.", st.pending);
	metrics_one(out, "weir_collector_store_flushes_total", "counter",
		    "Times flows were made durable.", st.flushes);
	metrics_one(out, "weir_collector_store_failed_total", "counter", "Of those, tried again.",
		    st.failed);
	metrics_one(out, "weir_collector_store_late_total", "counter",
		    "Flows that ended before the current partition.", st.late);
	metrics_one(out, "weir_collector_store_partitions", "gauge", "Files of raw flows.",
		    st.partitions);
	metrics_one(out, "weir_collector_store_damaged", "gauge", "Files that could not be opened.",
		    st.damaged);
	metrics_one(out, "weir_collector_store_expired_total", "counter",
		    "Files removed by retention.", st.expired);
}

static void put_pool(FILE *out, struct block_pool *p)
{
	struct block_pool_stats st;

	block_pool_stats(p, &st);
	metrics_one(out, "weir_collector_blocks", "gauge", "Blocks of flows there are.", st.blocks);
	metrics_one(out, "weir_collector_blocks_free", "gauge", "Of those, not in use.", st.free);
	metrics_one(out, "weir_collector_blocks_queued", "gauge",
		    "Of those, waiting for the store.", st.queued);
}

static void put_enrich(FILE *out, struct enrich *e)
{
	struct enrich_stats st;

	enrich_stats(e, &st);
	metrics_head(out, "weir_collector_database_built_seconds", "gauge",
		     "When a database of addresses was made; absent: there is none.");
	if (st.asn_built)
		fprintf(out,
			"weir_collector_database_built_seconds{database=\"asn\"} %" PRIu64 "\n",
			st.asn_built);
	if (st.country_built)
		fprintf(out,
			"weir_collector_database_built_seconds{database=\"country\"} %" PRIu64 "\n",
			st.country_built);
	metrics_one(out, "weir_collector_database_errors_total", "counter",
		    "Lookups that a damaged database could not answer.", st.errors);
	metrics_one(out, "weir_collector_names", "gauge", "Names of servers learnt from flows.",
		    st.names.names);
	metrics_one(out, "weir_collector_names_of_answers_total", "counter",
		    "Addresses of DNS answers whose names were learnt, again too.",
		    st.names.answers);
	metrics_one(out, "weir_collector_names_replaced_total", "counter",
		    "Of those, given up for names of other servers.", st.names.replaced);
}

static void put_queries(FILE *out, struct endpoint *e)
{
	struct endpoint_stats st;

	endpoint_stats(e, &st);
	metrics_one(out, "weir_collector_queries_total", "counter", "Queries that ended.",
		    st.queries);
	metrics_one(out, "weir_collector_queries_failed_total", "counter",
		    "Of those, with an error.", st.failed);
	metrics_one(out, "weir_collector_queries_cancelled_total", "counter",
		    "Of those, because the client went away.", st.cancelled);
	metrics_one(out, "weir_collector_queries_running", "gauge", "Queries at work.", st.running);
	metrics_head(out, "weir_collector_query_seconds_total", "counter",
		     "Time that queries took.");
	fprintf(out, "weir_collector_query_seconds_total %.6f\n", (double)st.query_us / 1e6);
}

char *serving_metrics(void *arg, size_t *ret_len)
{
	const struct serving *v = arg;
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	if (!out)
		return NULL;
	metrics_head(out, "weir_build_info", "gauge", "Which weir-collector this is.");
	fprintf(out, "weir_build_info{program=\"weir-collector\",version=\"%s\",commit=\"%s\"} 1\n",
		WEIR_VERSION, WEIR_COMMIT);
	put_ingest(out, v);
	put_pool(out, v->pool);
	put_store(out, v->store);
	put_enrich(out, v->enrich);
	eve_metrics(v->eve, out);
	serving_rules_metrics(v->rules, out);
	nodes_metrics(v->nodes, out);
	put_queries(out, v->endpoint);
	api_metrics(__atomic_load_n(&v->api, __ATOMIC_ACQUIRE), out);
	return fclose(out) ? NULL : text;
}
