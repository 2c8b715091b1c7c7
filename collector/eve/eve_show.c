// SPDX-License-Identifier: Apache-2.0
/*
 * eve_show.c - sources of EVE in status and metrics.
 */
#include <inttypes.h>

#include "collector/eve/eve_int.h"
#include "collector/metrics_text.h"

static uint64_t counted(struct eve *e, uint32_t source, enum eve_count c)
{
	return __atomic_load_n(&e->sources[source].counts[c], __ATOMIC_RELAXED) +
	       eve_join_count(e->join, source, c);
}

/* Those that are not 0, by name. */
static json_t *counts_of(struct eve *e, uint32_t source, enum eve_class class)
{
	json_t *o = json_object();

	for (unsigned int c = 0; c < _EC_MAX; c++) {
		const uint64_t n = counted(e, source, (enum eve_count)c);

		if (n && eve_counts[c].class == class)
			json_object_set_new(o, eve_counts[c].name, json_integer((json_int_t)n));
	}
	return o;
}

json_t *eve_status(struct eve *e)
{
	json_t *list = json_array(), *o;
	struct eve_join_stats st;

	if (!e) {
		json_decref(list);
		return json_null();
	}
	for (uint32_t i = 0; i < e->n; i++)
		json_array_append_new(list,
				      json_pack("{s:s,s:o,s:o,s:o}", "source", e->sources[i].name,
						"counts", counts_of(e, i, ECC_PLAIN), "lost",
						counts_of(e, i, ECC_LOST), "malformed",
						counts_of(e, i, ECC_MALFORMED)));
	eve_join_stats(e->join, eve_now_ms(), &st);
	o = json_pack("{s:o,s:I,s:I,s:I,s:I}", "sources", list, "waiting", (json_int_t)st.waiting,
		      "remembered", (json_int_t)st.rows, "remembered_bytes", (json_int_t)st.bytes,
		      "remembered_ms", (json_int_t)st.span_ms);
	return o;
}

static void put_class(struct eve *e, FILE *out, const char *name, enum eve_class class)
{
	for (uint32_t i = 0; i < e->n; i++) {
		for (unsigned int c = 0; c < _EC_MAX; c++) {
			if (eve_counts[c].class != class)
				continue;
			fprintf(out, "%s{source=\"", name);
			metrics_label(out, e->sources[i].name);
			fprintf(out, "\",%s=\"%s\"} %" PRIu64 "\n",
				class == ECC_PLAIN ? "what" : "reason", eve_counts[c].name,
				counted(e, i, (enum eve_count)c));
		}
	}
}

void eve_metrics(struct eve *e, FILE *out)
{
	struct eve_join_stats st;

	if (!e)
		return;
	metrics_head(out, "weir_collector_eve_total", "counter",
		     "Lines of EVE and what became of its alerts.");
	put_class(e, out, "weir_collector_eve_total", ECC_PLAIN);
	metrics_head(out, "weir_collector_eve_lost_total", "counter",
		     "Alerts that no flow has, by reason.");
	put_class(e, out, "weir_collector_eve_lost_total", ECC_LOST);
	metrics_head(out, "weir_collector_eve_malformed_total", "counter",
		     "Lines that can't be read, by reason.");
	put_class(e, out, "weir_collector_eve_malformed_total", ECC_MALFORMED);
	eve_join_stats(e->join, eve_now_ms(), &st);
	metrics_one(out, "weir_collector_eve_waiting", "gauge", "Alerts that wait for their flow.",
		    st.waiting);
	metrics_one(out, "weir_collector_eve_remembered_flows", "gauge",
		    "Records kept for alerts that come after them.", st.rows);
	metrics_one(out, "weir_collector_eve_remembered_bytes", "gauge", "Memory of these.",
		    st.bytes);
	metrics_head(out, "weir_collector_eve_remembered_seconds", "gauge",
		     "How far back they go.");
	fprintf(out, "weir_collector_eve_remembered_seconds %.3f\n", (double)st.span_ms / 1e3);
}
