// SPDX-License-Identifier: Apache-2.0
/*
 * serving.c - the running collector as a status object.
 */
#include "collector/serving.h"

#include <string.h>
#include <time.h>

#include "collector/api/api.h"
#include "collector/enrich/enrich.h"
#include "collector/eve/eve.h"
#include "collector/nodes/nodes.h"
#include "collector/serving_rules.h"
#include "common/num_text.h"

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void put_u64(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void put_time(json_t *o, const char *key, uint64_t us)
{
	char text[TIME_TEXT];

	if (!us)
		return;
	time_text(us * 1000, text);
	json_object_set_new(o, key, json_string(text));
}

/* ---- exporters ---- */

static json_t *formats_of(uint32_t bits)
{
	static const char *const names[_INGEST_FORMATS] = {
		[INGEST_IPFIX] = "ipfix",	[INGEST_NETFLOW9] = "netflow9",
		[INGEST_NETFLOW5] = "netflow5", [INGEST_SFLOW5] = "sflow5",
		[INGEST_FILE] = "file",
	};
	json_t *list = json_array();

	for (unsigned int i = 0; i < _INGEST_FORMATS; i++)
		if (bits >> i & 1)
			json_array_append_new(list, json_string(names[i]));
	return list;
}

/* Counts that are not 0, by name. */
static json_t *counts_of(const struct exporter *e, enum ingest_class class)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < _IC_MAX; i++) {
		const uint64_t n = exporter_counted(e, (enum ingest_count)i);

		if (n && ingest_counts[i].class == class)
			put_u64(o, ingest_counts[i].name, n);
	}
	return o;
}

static json_t *exporter_status(const struct ingest *g, const struct exporter *e)
{
	json_t *o = json_object();
	char text[EXPORTER_NAME];
	int64_t skew_us;

	ip_text(e->address, 0, text);
	json_object_set_new(o, "address", json_string(text));
	put_u64(o, "domain", e->domain);
	ingest_exporter_name(g, e, text);
	if (*text)
		json_object_set_new(o, "name", json_string(text));
	json_object_set_new(o, "formats",
			    formats_of(__atomic_load_n(&e->formats, __ATOMIC_RELAXED)));
	json_object_set_new(o, "counts", counts_of(e, ICC_PLAIN));
	json_object_set_new(o, "lost", counts_of(e, ICC_LOST));
	json_object_set_new(o, "malformed", counts_of(e, ICC_MALFORMED));
	put_u64(o, "not_sent", __atomic_load_n(&e->not_sent, __ATOMIC_RELAXED));
	put_u64(o, "gaps", __atomic_load_n(&e->gaps, __ATOMIC_RELAXED));
	put_u64(o, "reordered", __atomic_load_n(&e->reordered, __ATOMIC_RELAXED));
	put_u64(o, "restarts", __atomic_load_n(&e->restarts, __ATOMIC_RELAXED));
	put_u64(o, "sampling", __atomic_load_n(&e->rate, __ATOMIC_RELAXED));
	if (exporter_skew(e, &skew_us))
		json_object_set_new(o, "skew_us", json_integer(skew_us));
	put_time(o, "seen", __atomic_load_n(&e->seen_us, __ATOMIC_RELAXED));
	return o;
}

/* ---- the rest ---- */

static json_t *listener_status(const struct ingest *g, uint32_t i)
{
	struct ingest_listener_stats st;
	json_t *o = json_object();

	ingest_listener_stats(g, i, &st);
	put_u64(o, "port", ingest_port(g, i));
	put_u64(o, "datagrams", st.datagrams);
	put_u64(o, "octets", st.octets);
	put_u64(o, "kernel_drops", st.kernel_drops);
	put_u64(o, "rcvbuf", st.rcvbuf);
	put_u64(o, "connections", st.connections);
	put_u64(o, "refused", st.refused);
	put_u64(o, "open", st.open);
	put_u64(o, "files", st.files);
	return o;
}

static json_t *store_status(struct store *s)
{
	struct store_stats st;
	json_t *o = json_object();

	store_stats(s, &st);
	put_u64(o, "rows", st.rows);
	put_u64(o, "bytes", st.bytes);
	put_u64(o, "appended", st.appended);
	put_u64(o, "pending", st.pending);
	put_u64(o, "flushes", st.flushes);
	put_u64(o, "failed", st.failed);
	put_u64(o, "late", st.late);
	put_u64(o, "partitions", st.partitions);
	put_u64(o, "damaged", st.damaged);
	put_u64(o, "expired", st.expired);
	put_u64(o, "cold", st.cold);
	put_time(o, "first", st.first_us);
	put_time(o, "last", st.last_us);
	if (st.days_left_x10)
		json_object_set_new(o, "days_left", json_real((double)st.days_left_x10 / 10));
	return o;
}

static json_t *pool_status(struct block_pool *p)
{
	struct block_pool_stats st;
	json_t *o = json_object();

	block_pool_stats(p, &st);
	put_u64(o, "blocks", st.blocks);
	put_u64(o, "free", st.free);
	put_u64(o, "queued", st.queued);
	put_u64(o, "sent", st.sent);
	put_u64(o, "refused", st.refused);
	return o;
}

/* When a database was made; absent: there is none. */
static void put_built(json_t *o, const char *key, uint64_t built_s)
{
	char text[TIME_TEXT];

	if (!built_s)
		return;
	time_text(built_s * 1000000000, text);
	json_object_set_new(o, key, json_string(text));
}

static json_t *enrich_status(struct enrich *e)
{
	struct enrich_stats st;
	json_t *o = json_object();

	enrich_stats(e, &st);
	json_object_set_new(o, "sites", json_boolean(st.sites));
	put_built(o, "asn_built", st.asn_built);
	put_built(o, "country_built", st.country_built);
	put_u64(o, "errors", st.errors);
	put_u64(o, "names", st.names.names);
	put_u64(o, "names_of_answers", st.names.answers);
	put_u64(o, "names_replaced", st.names.replaced);
	put_u64(o, "names_too_long", st.names.too_long);
	return o;
}

static json_t *query_status(struct endpoint *e)
{
	struct endpoint_stats st;
	json_t *o = json_object();

	endpoint_stats(e, &st);
	put_u64(o, "done", st.queries);
	put_u64(o, "failed", st.failed);
	put_u64(o, "cancelled", st.cancelled);
	put_u64(o, "refused", st.refused);
	put_u64(o, "running", st.running);
	put_u64(o, "us", st.query_us);
	return o;
}

json_t *serving_status(void *arg)
{
	const struct serving *v = arg;
	json_t *o = json_object(), *exporters = json_array(), *listeners = json_array();

	json_object_set_new(o, "version", json_string(WEIR_VERSION));
	put_time(o, "time", (uint64_t)now_us());
	put_time(o, "started", (uint64_t)v->started_us);
	for (uint32_t i = 0; i < v->listeners; i++)
		json_array_append_new(listeners, listener_status(v->ingest, i));
	json_object_set_new(o, "listeners", listeners);
	for (const struct exporter *e = ingest_exporters(v->ingest, NULL); e;
	     e = ingest_exporters(v->ingest, e))
		json_array_append_new(exporters, exporter_status(v->ingest, e));
	json_object_set_new(o, "exporters", exporters);
	json_object_set_new(o, "pool", pool_status(v->pool));
	json_object_set_new(o, "store", store_status(v->store));
	json_object_set_new(o, "enrich", enrich_status(v->enrich));
	json_object_set_new(o, "eve", eve_status(v->eve));
	json_object_set_new(o, "rules", serving_rules_status(v->rules));
	json_object_set_new(o, "alerts", serving_rules_alerts(v->rules));
	json_object_set_new(o, "decisions", serving_rules_decisions(v->rules));
	json_object_set_new(o, "nodes", nodes_status(__atomic_load_n(&v->nodes, __ATOMIC_ACQUIRE)));
	json_object_set_new(o, "channels", serving_rules_channels(v->rules));
	json_object_set_new(o, "queries", query_status(v->endpoint));
	json_object_set_new(o, "api", api_status(__atomic_load_n(&v->api, __ATOMIC_ACQUIRE)));
	return o;
}
