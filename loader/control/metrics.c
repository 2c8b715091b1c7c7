// SPDX-License-Identifier: Apache-2.0
/*
 * metrics.c - Prometheus text (exposition format 0.0.4). No label has a value that traffic chooses:
 * interfaces, exports and reasons are all there are.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/policy.h"
#include "loader/control/control_int.h"
#include "loader/policy/watch.h"
#include "loader/control/counters.h"
#include "loader/dataplane.h"
#include "loader/drain.h"
#include "loader/export/sink.h"
#include "loader/iface_table.h"
#include "loader/ledger.h"
#include "loader/merge.h"
#include "loader/source_loss.h"
#include "weir/counters.h"

#ifndef WEIR_COMMIT
#define WEIR_COMMIT "unknown"
#endif

struct text {
	char *buf;
	size_t len, cap;
	bool full;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->cap - t->len)
		t->full = true;
	else
		t->len += (size_t)n;
}

static void head(struct text *t, const char *name, const char *type, const char *help)
{
	put(t, "# HELP weir_%s %s\n# TYPE weir_%s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line end are escaped. */
static const char *label(const char *s, char *buf, size_t cap)
{
	size_t n = 0;

	for (; *s && n + 3 < cap; s++) {
		if (*s == '\\' || *s == '"' || *s == '\n')
			buf[n++] = '\\';
		buf[n++] = *s == '\n' ? 'n' : *s;
	}
	buf[n] = 0;
	return buf;
}

/* ---- interfaces ---- */

static void put_ifaces(struct control_server *c, struct text *t, const char *name, const char *help,
		       size_t member)
{
	struct iface_row row;
	char buf[2 * IFACE_NAME_MAX];

	head(t, name, "counter", help);
	for (unsigned int i = 0; i < IFACE_ROWS; i++) {
		const struct iface_total *total;
		uint64_t v = 0;

		if (!iface_table_get(c->env.ifaces, i, &row) || !row.attached)
			continue;
		total = iface_total(c, row.number);
		if (total)
			memcpy(&v, (const char *)total + member, sizeof(v));
		put(t, "weir_%s{iface=\"%s\"} %" PRIu64 "\n", name,
		    label(row.name, buf, sizeof(buf)), v);
	}
}

static void put_frames(struct control_server *c, struct text *t)
{
	static const struct {
		const char *hook, *direction;
		unsigned int frames, bytes;
	} hooks[] = {
		{"xdp", "ingress", CNT_XDP_FRAMES, CNT_XDP_BYTES},
		{"tc", "ingress", CNT_TC_INGRESS_FRAMES, CNT_TC_INGRESS_BYTES},
		{"tc", "egress", CNT_TC_EGRESS_FRAMES, CNT_TC_EGRESS_BYTES},
	};

	head(t, "frames_total", "counter", "Frames that entered the programs.");
	for (size_t i = 0; i < 3; i++)
		put(t, "weir_frames_total{hook=\"%s\",direction=\"%s\"} %" PRIu64 "\n",
		    hooks[i].hook, hooks[i].direction,
		    dataplane_counter(c->env.dp, hooks[i].frames));
	head(t, "frame_bytes_total", "counter", "Bytes of those frames, Ethernet header included.");
	for (size_t i = 0; i < 3; i++)
		put(t, "weir_frame_bytes_total{hook=\"%s\",direction=\"%s\"} %" PRIu64 "\n",
		    hooks[i].hook, hooks[i].direction,
		    dataplane_counter(c->env.dp, hooks[i].bytes));
}

/* ---- counters of one class ---- */

static void put_class(struct control_server *c, struct text *t, const char *class, const char *name,
		      const char *help)
{
	head(t, name, "counter", help);
	for (unsigned int i = 0; i < counter_rows_n; i++)
		if (!strcmp(counter_rows[i].class, class))
			put(t, "weir_%s{reason=\"%s\"} %" PRIu64 "\n", name, counter_rows[i].name,
			    dataplane_counter(c->env.dp, i));
}

/* Bytes are no packets. */
static void put_lost(struct control_server *c, struct text *t)
{
	static const unsigned int packets[] = {CNT_LOST_PACKETS, CNT_BUSY_PACKETS, CNT_SAMPLED_OUT,
					       CNT_CPU_OUT_OF_RANGE};

	head(t, "packets_lost_total", "counter",
	     "Packets that were parsed, but are in no flow record.");
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
		put(t, "weir_packets_lost_total{reason=\"%s\"} %" PRIu64 "\n",
		    counter_rows[packets[i]].name, dataplane_counter(c->env.dp, packets[i]));
}

static void put_flows(struct control_server *c, struct text *t)
{
	const struct merge_stats *m = merge_stats(c->env.merge);

	head(t, "flows_active", "gauge", "Flows that have not ended.");
	put(t, "weir_flows_active %" PRIu32 "\n", merge_flows(c->env.merge));
	head(t, "flows_total", "counter", "Flows begun.");
	put(t, "weir_flows_total %" PRIu64 "\n", m->flows);
	head(t, "records_total", "counter", "Flow records written.");
	put(t, "weir_records_total %" PRIu64 "\n", m->records);
	head(t, "elsewhere_packets_total", "counter",
	     "Packets in no record of this interface: the flow is counted on another one.");
	put(t, "weir_elsewhere_packets_total %" PRIu64 "\n", m->elsewhere_packets);
	head(t, "elsewhere_bytes_total", "counter", "IP bytes of those packets.");
	put(t, "weir_elsewhere_bytes_total %" PRIu64 "\n", m->elsewhere_bytes);
	head(t, "copied_packets_total", "counter",
	     "Packets in records that another record has too: mirrored more than once.");
	put(t, "weir_copied_packets_total %" PRIu64 "\n", m->copied_packets);
	head(t, "copied_bytes_total", "counter", "IP bytes of those packets.");
	put(t, "weir_copied_bytes_total %" PRIu64 "\n", m->copied_bytes);
	head(t, "map_entries", "gauge", "Entries of a table in use.");
	put(t, "weir_map_entries{map=\"flows\"} %" PRIu32 "\n", merge_flows(c->env.merge));
	head(t, "map_capacity", "gauge", "Entries that a table has room for.");
	put(t, "weir_map_capacity{map=\"flows\"} %" PRIu32 "\n", c->env.dp->cfg.flows);
	head(t, "drain_scans_total", "counter", "Times that the flow cache was read.");
	put(t, "weir_drain_scans_total %" PRIu64 "\n", drain_stats(c->env.drain)->scans);
}

/* Of all sources together: who they are is in `weir status`. */
static void put_sources(struct control_server *c, struct text *t)
{
	const struct source_loss_sum sum = source_loss_sum(c->env.dp);
	static const struct {
		const char *name, *type, *help;
		size_t member;
	} rows[] = {
#define ROW(name, type, member, help) {name, type, help, offsetof(struct source_loss_sum, member)}
		ROW("sources_known", "gauge", known,
		    "Senders of opened tunnels whose numbers tell of losses."),
		ROW("sources_unknown", "gauge", unknown, "Those of whose losses nothing is known."),
		ROW("source_packets_total", "counter", packets, "Packets that came from both."),
		ROW("source_unknown_packets", "gauge", unknown_packets,
		    "Packets of those of whose losses nothing is known."),
		ROW("source_sent_packets", "gauge", sent, "Packets sent, as their numbers say."),
		ROW("source_lost_packets", "gauge", lost, "Packets of these that have not come."),
		ROW("source_restarts", "gauge", restarts, "Times that numbers began anew."),
#undef ROW
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t v;

		memcpy(&v, (const char *)&sum + rows[i].member, sizeof(v));
		head(t, rows[i].name, rows[i].type, rows[i].help);
		put(t, "weir_%s %" PRIu64 "\n", rows[i].name, v);
	}
}

static void put_pin(struct control_server *c, struct text *t)
{
	if (!c->env.ledger)
		return;
	head(t, "unguarded_records_total", "counter",
	     "Records that a kill could have lost: no room to keep them until exports had them.");
	put(t, "weir_unguarded_records_total %" PRIu64 "\n", c->env.ledger->head->unguarded);
}

/* Only where the kernel measures it. */
static void put_programs(struct control_server *c, struct text *t)
{
	static const char *const progs[_HOOK_MAX] = {"xdp", "tc_ingress", "tc_egress"};
	const struct prog_runs *p = c->env.ifaces->programs;

	if (!__atomic_load_n(&c->env.ifaces->programs_measured, __ATOMIC_RELAXED))
		return;
	head(t, "bpf_run_seconds_total", "counter",
	     "Time that programs ran, as the kernel has it.");
	for (unsigned int i = 0; i < _HOOK_MAX; i++) {
		const uint64_t ns = __atomic_load_n(&p[i].ns, __ATOMIC_RELAXED);

		put(t, "weir_bpf_run_seconds_total{prog=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n",
		    progs[i], ns / NS_PER_S, ns % NS_PER_S);
	}
	head(t, "bpf_runs_total", "counter", "Times that they ran while that was measured.");
	for (unsigned int i = 0; i < _HOOK_MAX; i++)
		put(t, "weir_bpf_runs_total{prog=\"%s\"} %" PRIu64 "\n", progs[i],
		    __atomic_load_n(&p[i].runs, __ATOMIC_RELAXED));
}

/* ---- policies ---- */

struct rule_metric {
	const char *name, *type, *help;
	size_t member; /* offset in struct board_row */
};

static void put_rules(struct text *t, const struct policy_state *s, const struct rule_metric *m)
{
	head(t, m->name, m->type, m->help);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct board_row *row = &s->row[i];
		char rule[160], issuer[80];
		uint64_t v;

		memcpy(&v, (const char *)row + m->member, sizeof(v));
		put(t,
		    "weir_%s{rule=\"%s\",issuer=\"%s\",action=\"%s\",shadow=\"%d\"} %" PRIu64 "\n",
		    m->name, label(row->name, rule, sizeof(rule)),
		    label(row->issuer, issuer, sizeof(issuer)), policy_action_word(row->action),
		    row->shadow, v);
	}
}

static const struct rule_metric rule_metrics[] = {
#define COUNTED(member, metric, help) {metric, "counter", help, offsetof(struct board_row, member)},
#include "weir/policy_counts.def"
#undef COUNTED
	{"policy_last_hit_timestamp_seconds", "gauge",
	 "when a rule last acted on a packet, or would have, in seconds since 1970; 0: never",
	 offsetof(struct board_row, last)},
};

static void put_policy(struct control_server *c, struct text *t)
{
	static struct policy_state s;
	struct agent_counts a;

	if (!board_get(&c->env.ifaces->policy, &s) || !s.on)
		return;
	for (size_t i = 0; i < sizeof(rule_metrics) / sizeof(rule_metrics[0]); i++)
		put_rules(t, &s, &rule_metrics[i]);
	head(t, "policy_rules", "gauge", "Rules in force.");
	put(t, "weir_policy_rules %" PRIu32 "\n", s.rules);
	head(t, "policy_decisions", "gauge", "Addresses, names and flows that lead to rules.");
	put(t, "weir_policy_decisions %" PRIu32 "\n", s.decisions);
	head(t, "policy_decisions_max", "gauge", "What there is room for.");
	put(t, "weir_policy_decisions_max %" PRIu32 "\n", s.decisions_max);
	head(t, "policy_enforcing", "gauge", "0: stopped, in shadow, or without a lease.");
	put(t, "weir_policy_enforcing %d\n", s.lease && !s.stopped && !s.breaker);
	watch_counts(c->env.watch, &s, &a);
#define COUNTED(member, metric, help)     \
	head(t, metric, "counter", help); \
	put(t, "weir_" metric " %" PRIu64 "\n", a.member);
#include "loader/policy/agent_counts.def"
#undef COUNTED
#define COUNTED(member, metric, help)     \
	head(t, metric, "counter", help); \
	put(t, "weir_" metric " %" PRIu64 "\n", c->env.ifaces->records.member);
#include "loader/capture/record_counts.def"
#undef COUNTED
#define COUNTED(member, metric, help)     \
	head(t, metric, "counter", help); \
	put(t, "weir_" metric " %" PRIu64 "\n", c->env.ifaces->mirrors.member);
#include "loader/mirror/rule_counts.def"
#undef COUNTED
}

/* ---- files of packets ---- */

static void put_disk(struct control_server *c, struct text *t)
{
	const struct recorder_board *r = &c->env.ifaces->recorder;
	const struct disk_board *d = &c->env.ifaces->disk;

	head(t, "recorder_restarts_total", "counter",
	     "Times that the process that writes packets died, and another was started.");
	put(t, "weir_recorder_restarts_total %" PRIu64 "\n",
	    __atomic_load_n(&r->restarts, __ATOMIC_RELAXED));
	head(t, "disk_kept_bytes", "gauge", "Bytes of the disk ring's files and indexes.");
	put(t, "weir_disk_kept_bytes %" PRIu64 "\n",
	    __atomic_load_n(&d->kept_bytes, __ATOMIC_RELAXED));
	head(t, "disk_quota_bytes", "gauge", "What they take at most; 0: there is no disk ring.");
	put(t, "weir_disk_quota_bytes %" PRIu64 "\n",
	    __atomic_load_n(&d->cfg.quota, __ATOMIC_RELAXED));
#define COUNTED(member, metric, help)     \
	head(t, metric, "counter", help); \
	put(t, "weir_" metric " %" PRIu64 "\n", __atomic_load_n(&d->member, __ATOMIC_RELAXED));
#include "loader/capture/disk_counts.def"
#undef COUNTED
}

/* ---- exports ---- */

static void put_export_values(struct control_server *c, struct text *t, const char *name,
			      size_t member)
{
	for (unsigned int i = 0; i < exports_n(c->env.exports); i++) {
		struct export_stats s;
		uint64_t v;
		char buf[64];

		exports_stats(c->env.exports, i, &s);
		memcpy(&v, (const char *)&s + member, sizeof(v));
		put(t, "weir_%s{sink=\"%s\"} %" PRIu64 "\n", name,
		    label(exports_cfg(c->env.exports, i)->name, buf, sizeof(buf)), v);
	}
}

static void put_export_losses(struct control_server *c, struct text *t)
{
	head(t, "export_lost_total", "counter", "Records that an export was given and lost.");
	for (unsigned int i = 0; i < exports_n(c->env.exports); i++) {
		struct export_stats s;
		char buf[64];

		exports_stats(c->env.exports, i, &s);
		label(exports_cfg(c->env.exports, i)->name, buf, sizeof(buf));
		for (unsigned int l = 0; l < _LOSS_MAX; l++)
			put(t, "weir_export_lost_total{sink=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
			    buf, export_loss_name(l, NULL), s.lost[l]);
	}
}

static void put_exports(struct control_server *c, struct text *t)
{
	static const struct {
		const char *name, *type, *help;
		size_t member;
	} rows[] = {
#define ROW(name, type, member, help) {name, type, help, offsetof(struct export_stats, member)}
		ROW("export_records_total", "counter", sent, "Records delivered."),
		ROW("export_bytes_total", "counter", bytes, "Bytes written or sent."),
		ROW("export_waiting_records", "gauge", waiting, "Records that wait."),
		ROW("export_queue_bytes", "gauge", queue_bytes, "Bytes waiting in memory."),
		ROW("export_spool_bytes", "gauge", spool_bytes, "Bytes waiting on disk."),
#undef ROW
	};

	if (!c->env.exports)
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		head(t, rows[i].name, rows[i].type, rows[i].help);
		put_export_values(c, t, rows[i].name, rows[i].member);
	}
	put_export_losses(c, t);
}

int metrics_text(struct control_server *c, char *buf, size_t cap)
{
	struct text t = {.buf = buf, .cap = cap};

	head(&t, "build_info", "gauge", "Which weir this is.");
	put(&t, "weir_build_info{version=\"%s\",commit=\"%s\",libbpf=\"%u.%u\"} 1\n", WEIR_VERSION,
	    WEIR_COMMIT, libbpf_major_version(), libbpf_minor_version());
	head(&t, "start_time_seconds", "gauge", "When it began, in seconds since 1970.");
	put(&t, "weir_start_time_seconds %" PRIu64 "\n", c->started_wall_ns / NS_PER_S);
	put_ifaces(c, &t, "packets_total", "Packets of flows seen on an interface.",
		   offsetof(struct iface_total, packets));
	put_ifaces(c, &t, "bytes_total", "IP bytes of flows seen on an interface.",
		   offsetof(struct iface_total, bytes));
	put_frames(c, &t);
	put_programs(c, &t);
	put_flows(c, &t);
	put_sources(c, &t);
	put_pin(c, &t);
	put_lost(c, &t);
	put_class(c, &t, "SKIPPED", "packets_skipped_total", "Packets that could not be parsed.");
	put_class(c, &t, "NOTED", "packets_noted_total",
		  "Packets in flow records of which something could not be read.");
	put_class(c, &t, "DROPPED", "dropped_total",
		  "Packets, and their bytes, dropped by policy.");
	put_class(c, &t, "NAME", "names_total", "Names read, and names that could not be.");
	put_class(c, &t, "MIRROR", "mirror_total",
		  "Packets for mirror sessions, their bytes, and what became of them.");
	put_policy(c, &t);
	put_disk(c, &t);
	put_exports(c, &t);
	return t.full ? -ENOSPC : (int)t.len;
}
