// SPDX-License-Identifier: Apache-2.0
#include "loader/summary.h"

#include <inttypes.h>
#include <string.h>

#include "weir/counters.h"

enum counter_class {
	CLASS_SEEN,
	CLASS_LOST,
	CLASS_SKIPPED,
	CLASS_NOTED,
	CLASS_DROPPED,
	CLASS_EVENT,
	CLASS_NAME,
	CLASS_MIRROR
};

static const struct {
	const char *name;
	enum counter_class class;
} counters[_CNT_MAX] = {
#define COUNTER(id, cl, help) [CNT_##id] = {#id, CLASS_##cl},
#include "weir/counters.def"
#undef COUNTER
};

void summary_add(struct summary *s, const struct flow_record *r)
{
	s->records++;
	s->packets += r->packets;
	s->bytes += r->bytes;
}

/* 1234567 as 1,234,567 */
static void put_grouped(FILE *out, uint64_t v)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64, v);

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			fputc(',', out);
		fputc(text[i], out);
	}
}

/* IP4_IHL as ip4_ihl */
static void put_lower(FILE *out, const char *s)
{
	for (; *s; s++)
		fputc(*s >= 'A' && *s <= 'Z' ? *s + ('a' - 'A') : *s, out);
}

static uint64_t class_sum(const struct dataplane *dp, enum counter_class class)
{
	uint64_t sum = 0;

	for (int i = 0; i < _CNT_MAX; i++)
		if (counters[i].class == class)
			sum += dataplane_counter(dp, i);
	return sum;
}

static void put_reasons(FILE *out, const struct dataplane *dp, enum counter_class class)
{
	const char *sep = " (";

	for (int i = 0; i < _CNT_MAX; i++) {
		uint64_t v = dataplane_counter(dp, i);

		if (counters[i].class != class || !v)
			continue;
		fputs(sep, out);
		put_lower(out, counters[i].name);
		fputc(' ', out);
		put_grouped(out, v);
		sep = ", ";
	}
	if (*sep == ',')
		fputc(')', out);
}

static void put_export_losses(const struct export_stats *s, FILE *out)
{
	uint64_t sum = 0;
	const char *sep = " (";

	for (unsigned int l = 0; l < _LOSS_MAX; l++)
		sum += s->lost[l];
	put_grouped(out, sum);
	fputs(" lost", out);
	for (unsigned int l = 0; l < _LOSS_MAX; l++) {
		if (!s->lost[l])
			continue;
		fprintf(out, "%s%s ", sep, export_loss_name(l, NULL));
		put_grouped(out, s->lost[l]);
		sep = ", ";
	}
	if (*sep == ',')
		fputc(')', out);
}

static void export_text(const struct summary_export *e, FILE *out)
{
	fprintf(out, "weir: export %s: ", e->target);
	put_grouped(out, e->stats.sent);
	fputs(" records, ", out);
	put_export_losses(&e->stats, out);
	if (e->stats.waiting) {
		fputs(", ", out);
		put_grouped(out, e->stats.waiting);
		fputs(" in the spool", out);
	}
	fputc('\n', out);
}

static void export_json(const struct summary_export *e, FILE *out)
{
	const struct export_stats *s = &e->stats;

	/* the target may hold any byte that a path can: it is in the configuration */
	fprintf(out,
		"{\"taken\":%" PRIu64 ",\"records\":%" PRIu64 ",\"waiting\":%" PRIu64
		",\"replayed\":%" PRIu64 ",\"old_lost\":%" PRIu64 ",\"trimmed\":%" PRIu64
		",\"bytes\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"reconnects\":%" PRIu64,
		s->taken, s->sent, s->waiting, s->replayed, s->old_lost, s->trimmed, s->bytes,
		s->messages, s->reconnects);
	for (unsigned int l = 0; l < _LOSS_MAX; l++)
		fprintf(out, "%s\"%s\":%" PRIu64, l ? "," : ",\"lost\":{",
			export_loss_name(l, NULL), s->lost[l]);
	fputs("}}", out);
}

void summary_text(const struct summary *s, const struct dataplane *dp, FILE *out)
{
	uint64_t lost = dataplane_counter(dp, CNT_LOST_PACKETS) +
			dataplane_counter(dp, CNT_BUSY_PACKETS) +
			dataplane_counter(dp, CNT_CPU_OUT_OF_RANGE);
	uint64_t dropped = dataplane_counter(dp, CNT_DROPPED_PACKETS) +
			   dataplane_counter(dp, CNT_DROPPED_IN_FLOWS);
	uint64_t sampled = dataplane_counter(dp, CNT_SAMPLED_OUT);

	fputs("weir: ", out);
	put_grouped(out, s->packets);
	fputs(" packets, ", out);
	put_grouped(out, s->bytes);
	fputs(" bytes, ", out);
	put_grouped(out, s->flows);
	fputs(" flows, ", out);
	put_grouped(out, lost);
	fputs(" lost, ", out);
	put_grouped(out, class_sum(dp, CLASS_SKIPPED));
	fputs(" not parsed", out);
	put_reasons(out, dp, CLASS_SKIPPED);
	if (dropped) {
		fputs(", ", out);
		put_grouped(out, dropped);
		fputs(" dropped by policy", out);
	}
	if (sampled) {
		fputs(", ", out);
		put_grouped(out, sampled);
		fputs(" passed over by sampling", out);
	}
	if (s->merge.copied_packets) {
		fputs(", ", out);
		put_grouped(out, s->merge.copied_packets);
		fputs(" of them copies", out);
	}
	fputc('\n', out);
	for (unsigned int i = 0; i < s->n_exports; i++)
		export_text(&s->exports[i], out);
}

void summary_json(const struct summary *s, const struct dataplane *dp, FILE *out)
{
	fprintf(out,
		"{\"records\":%" PRIu64 ",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"flows\":%" PRIu64 ",\"counters\":{",
		s->records, s->packets, s->bytes, s->flows);
	for (int i = 0; i < _CNT_MAX; i++) {
		fputs(i ? ",\"" : "\"", out);
		put_lower(out, counters[i].name);
		fprintf(out, "\":%" PRIu64, dataplane_counter(dp, i));
	}
	fprintf(out,
		"},\"pin\":{\"unguarded\":%" PRIu64 ",\"unguarded_packets\":%" PRIu64
		",\"undo_full\":%" PRIu64 "},\"merge\":{",
		s->unguarded, s->unguarded_packets, s->undo_full);
#define PUT_MERGE(name, help) fprintf(out, "\"" #name "\":%" PRIu64 ",", s->merge.name);
	MERGE_STATS(PUT_MERGE)
#undef PUT_MERGE
	fputs("\"v\":1},\"names\":{", out);
#define PUT_NAME(name, help) fprintf(out, "\"" #name "\":%" PRIu64 ",", s->names.name);
	NAME_STATS(PUT_NAME)
#undef PUT_NAME
	fputs("\"v\":1},\"exports\":[", out);
	for (unsigned int i = 0; i < s->n_exports; i++) {
		fputs(i ? "," : "", out);
		export_json(&s->exports[i], out);
	}
	fputs("]}\n", out);
}
