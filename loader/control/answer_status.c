// SPDX-License-Identifier: Apache-2.0
/*
 * answer_status.c - `status`: one object about interfaces, flows, losses and exports.
 */
#include <string.h>

#include "common/flow_words.h"
#include "common/num_text.h"
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

#define SOURCES_SHOWN 128u

_Static_assert(IFACE_TOTALS >= 2 * IFACE_ROWS, "a place for every interface");

struct iface_total *iface_total(struct control_server *c, uint32_t ifindex)
{
	uint32_t at = ifindex * UINT32_C(2654435761) % IFACE_TOTALS;

	for (unsigned int i = 0; ifindex && i < IFACE_TOTALS; i++) {
		struct iface_total *t = &c->ifaces[(at + i) % IFACE_TOTALS];

		if (!t->ifindex)
			t->ifindex = ifindex;
		if (t->ifindex == ifindex)
			return t;
	}
	return NULL;
}

static void put_key(struct json *j, const char *key)
{
	json_key(j, key, strlen(key));
}

static void put_count(struct json *j, const char *key, uint64_t n)
{
	put_key(j, key);
	json_u64(j, n);
}

static void put_text(struct json *j, const char *key, const char *text)
{
	put_key(j, key);
	json_str(j, text, strlen(text));
}

static void put_time(struct json *j, const char *key, uint64_t wall_ns)
{
	char buf[TIME_TEXT];

	if (!wall_ns)
		return;
	time_text(wall_ns, buf);
	put_text(j, key, buf);
}

static void put_iface(struct control_server *c, struct json *j, const struct iface_row *row)
{
	static const char *const roles[] = {"uplink", "veth", "mirror"};
	const struct iface_total *t = iface_total(c, row->number);
	static const struct iface_total none;

	t = t ?: &none;
	json_open(j, '{');
	put_text(j, "name", row->name);
	put_count(j, "ifindex", row->number);
	put_key(j, "attached");
	json_bool(j, row->attached);
	put_text(j, "mode", row->mode);
	put_text(j, "role", row->role < _ROLE_MAX ? roles[row->role] : "?");
	put_time(j, "since", row->since_ns);
	put_count(j, "packets", t->packets);
	put_count(j, "bytes", t->bytes);
	put_count(j, "pps", t->pps);
	put_count(j, "bps", t->bps);
	put_count(j, "flows", t->flows);
	json_close(j, '}');
}

static void put_ifaces(struct control_server *c, struct json *j)
{
	struct iface_row row;

	put_key(j, "interfaces");
	json_open(j, '[');
	for (unsigned int i = 0; i < IFACE_ROWS; i++)
		if (iface_table_get(c->env.ifaces, i, &row) && row.attached)
			put_iface(c, j, &row);
	json_close(j, ']');
}

/* Other network namespaces than weir's own. */
static void put_namespaces(struct control_server *c, struct json *j)
{
	const struct iface_table *t = c->env.ifaces;

	put_key(j, "namespaces");
	json_open(j, '{');
	put_count(j, "watched", __atomic_load_n(&t->netns, __ATOMIC_RELAXED));
	put_count(j, "gone", __atomic_load_n(&t->netns_gone, __ATOMIC_RELAXED));
	json_close(j, '}');
}

static void put_flows(struct control_server *c, struct json *j)
{
	const struct merge_stats *m = merge_stats(c->env.merge);

	put_key(j, "flows");
	json_open(j, '{');
	put_count(j, "live", merge_flows(c->env.merge));
	put_count(j, "capacity", c->env.dp->cfg.flows);
	put_count(j, "begun", m->flows);
	put_count(j, "records", m->records);
	put_count(j, "elsewhere_packets", m->elsewhere_packets);
	put_count(j, "elsewhere_bytes", m->elsewhere_bytes);
	put_count(j, "copied_packets", m->copied_packets);
	put_count(j, "copied_bytes", m->copied_bytes);
	put_count(j, "kept", c->history.next - c->history.first);
	json_close(j, '}');
}

static void put_source(struct json *j, const struct source_loss *s)
{
	char buf[IP_TEXT > WORD_TEXT ? IP_TEXT : WORD_TEXT];

	json_open(j, '{');
	if (s->type != TUN_NONE) {
		ip_text(s->addr, 0, buf);
		put_text(j, "src", buf);
		put_text(j, "type", tunnel_word(s->type, buf));
		put_count(j, "vni", s->vni);
	}
	put_count(j, "packets", s->packets);
	if (s->unknown) {
		put_text(j, "loss", "unknown");
		put_text(j, "why", s->unknown);
	} else {
		put_text(j, "loss", "estimated");
		put_count(j, "sent", s->sent);
		put_count(j, "lost", s->lost);
		put_key(j, "lost_share");
		json_f64(j, s->sent ? (double)s->lost / (double)s->sent : 0);
		put_count(j, "restarts", s->restarts);
	}
	json_close(j, '}');
}

/* Who sends the tunnels that are opened. */
static void put_sources(struct control_server *c, struct json *j)
{
	static struct source_loss s[SOURCES_SHOWN];
	unsigned int more, n = source_loss_worst(c->env.dp, s, SOURCES_SHOWN, &more);

	put_key(j, "sources");
	json_open(j, '[');
	for (unsigned int i = 0; i < n; i++)
		put_source(j, &s[i]);
	json_close(j, ']');
	put_count(j, "sources_not_shown", more);
}

static void put_pin(struct control_server *c, struct json *j)
{
	if (!c->env.ledger)
		return;
	put_key(j, "pin");
	json_open(j, '{');
	put_count(j, "unguarded", c->env.ledger->head->unguarded);
	json_close(j, '}');
}

static void put_counters(struct control_server *c, struct json *j)
{
	put_key(j, "counters");
	json_open(j, '{');
	for (unsigned int i = 0; i < counter_rows_n; i++)
		put_count(j, counter_rows[i].name, dataplane_counter(c->env.dp, i));
	json_close(j, '}');
}

static void put_losses(struct json *j, const struct export_stats *s)
{
	uint64_t sum = 0;

	for (unsigned int l = 0; l < _LOSS_MAX; l++)
		sum += s->lost[l];
	put_count(j, "lost", sum);
	put_key(j, "lost_by");
	json_open(j, '{');
	for (unsigned int l = 0; l < _LOSS_MAX; l++)
		if (s->lost[l])
			put_count(j, export_loss_name(l, NULL), s->lost[l]);
	json_close(j, '}');
}

static void put_export(struct json *j, const struct export_cfg *cfg, const struct export_stats *s)
{
	char target[EXPORT_PATH_MAX + 64];

	export_cfg_text(cfg, target, sizeof(target));
	json_open(j, '{');
	put_text(j, "name", cfg->name);
	put_text(j, "target", target);
	put_count(j, "taken", s->taken);
	put_count(j, "records", s->sent);
	put_losses(j, s);
	put_count(j, "waiting", s->waiting);
	put_count(j, "bytes", s->bytes);
	put_count(j, "queue_bytes", s->queue_bytes);
	put_count(j, "spool_bytes", s->spool_bytes);
	put_key(j, "connected");
	json_bool(j, s->connected);
	put_time(j, "last_ok", s->last_ok_ns);
	put_time(j, "last_error_at", s->last_error_ns);
	if (s->last_error[0])
		put_text(j, "last_error", s->last_error);
	json_close(j, '}');
}

static void put_exports(struct control_server *c, struct json *j)
{
	struct export_stats s;

	put_key(j, "exports");
	json_open(j, '[');
	for (unsigned int i = 0; c->env.exports && i < exports_n(c->env.exports); i++) {
		exports_stats(c->env.exports, i, &s);
		put_export(j, exports_cfg(c->env.exports, i), &s);
	}
	json_close(j, ']');
}

static void put_rule(struct json *j, const struct board_row *row)
{
	json_open(j, '{');
	put_text(j, "rule", row->name);
	put_text(j, "issuer", row->issuer);
	put_text(j, "action", policy_action_word(row->action));
	put_key(j, "shadow");
	json_bool(j, row->shadow);
#define COUNTED(member, metric, help) put_count(j, #member, row->member);
#include "weir/policy_counts.def"
#undef COUNTED
	put_time(j, "last", row->last * NS_PER_S);
	json_close(j, '}');
}

static void put_agent(const struct control_server *c, const struct policy_state *s, struct json *j)
{
	struct agent_counts a;

	watch_counts(c->env.watch, s, &a);
	put_key(j, "agent");
	json_open(j, '{');
#define COUNTED(member, metric, help) put_count(j, #member, a.member);
#include "loader/policy/agent_counts.def"
#undef COUNTED
	json_close(j, '}');
}

static void put_captures(const struct control_server *c, struct json *j)
{
	const struct record_counts *n = &c->env.ifaces->records;

	put_key(j, "captures");
	json_open(j, '{');
	put_count(j, "open", __atomic_load_n(&n->open, __ATOMIC_RELAXED));
#define COUNTED(member, metric, help) \
	put_count(j, #member, __atomic_load_n(&n->member, __ATOMIC_RELAXED));
#include "loader/capture/record_counts.def"
#undef COUNTED
	json_close(j, '}');
}

/* The process that writes files of packets; and the disk ring, if there is to be one. */
static void put_recorder(const struct control_server *c, struct json *j)
{
	const struct recorder_board *r = &c->env.ifaces->recorder;
	const struct disk_board *d = &c->env.ifaces->disk;
	const uint64_t quota = __atomic_load_n(&d->cfg.quota, __ATOMIC_RELAXED);

	put_key(j, "recorder");
	json_open(j, '{');
	put_count(j, "pid", (uint64_t)__atomic_load_n(&r->pid, __ATOMIC_RELAXED));
	put_count(j, "restarts", __atomic_load_n(&r->restarts, __ATOMIC_RELAXED));
	json_close(j, '}');
	put_key(j, "disk");
	json_open(j, '{');
	put_count(j, "quota", quota);
	put_count(j, "kept_bytes", __atomic_load_n(&d->kept_bytes, __ATOMIC_RELAXED));
	put_count(j, "kept_files", __atomic_load_n(&d->kept_files, __ATOMIC_RELAXED));
	put_time(j, "oldest", __atomic_load_n(&d->oldest_ns, __ATOMIC_RELAXED));
#define COUNTED(member, metric, help) \
	put_count(j, #member, __atomic_load_n(&d->member, __ATOMIC_RELAXED));
#include "loader/capture/disk_counts.def"
#undef COUNTED
	json_close(j, '}');
}

static void put_mirrors(const struct control_server *c, struct json *j)
{
	const struct mirror_rule_counts *n = &c->env.ifaces->mirrors;

	put_key(j, "mirrors");
	json_open(j, '{');
	put_count(j, "open", __atomic_load_n(&n->open, __ATOMIC_RELAXED));
	put_count(j, "refused", __atomic_load_n(&n->refused, __ATOMIC_RELAXED));
#define COUNTED(member, metric, help) \
	put_count(j, #member, __atomic_load_n(&n->member, __ATOMIC_RELAXED));
#include "loader/mirror/rule_counts.def"
#undef COUNTED
	json_close(j, '}');
}

static void put_policy(struct control_server *c, struct json *j)
{
	static struct policy_state s;

	if (!board_get(&c->env.ifaces->policy, &s) || !s.on)
		return;
	put_key(j, "policy");
	json_open(j, '{');
	put_count(j, "rules", s.rules);
	put_count(j, "rules_max", s.rules_max);
	put_count(j, "decisions", s.decisions);
	put_count(j, "decisions_max", s.decisions_max);
	put_key(j, "stopped");
	json_bool(j, s.stopped);
	put_key(j, "breaker");
	json_bool(j, s.breaker);
	put_key(j, "lease");
	json_bool(j, s.lease);
	put_count(j, "dropped",
		  dataplane_counter(c->env.dp, CNT_DROPPED_PACKETS) +
			  dataplane_counter(c->env.dp, CNT_DROPPED_IN_FLOWS));
	put_agent(c, &s, j);
	put_captures(c, j);
	put_mirrors(c, j);
	put_key(j, "by_rule");
	json_open(j, '[');
	for (uint32_t i = 0; i < s.n; i++)
		put_rule(j, &s.row[i]);
	json_close(j, ']');
	put_count(j, "rules_not_shown", s.more);
	json_close(j, '}');
}

static void put_control(struct control_server *c, struct json *j)
{
	unsigned int clients = 0;

	for (unsigned int i = 0; i < CLIENTS_ALL; i++)
		clients += c->clients[i].doing != CLIENT_FREE;
	put_key(j, "control");
	json_open(j, '{');
	put_count(j, "clients", clients);
	put_count(j, "requests", c->stats.requests);
	put_count(j, "bad_requests", c->stats.bad_requests);
	put_count(j, "refused", c->stats.refused);
	put_count(j, "slow", c->stats.slow);
	put_count(j, "lost", c->stats.lost);
	put_count(j, "scrapes", c->stats.scrapes);
	json_close(j, '}');
}

/* What the other process has said of itself. */
static void put_core(const struct iface_table *t, struct json *j)
{
	const uint64_t refused = __atomic_load_n(&t->refused_ns, __ATOMIC_RELAXED);

	put_key(j, "starting");
	json_bool(j, !__atomic_load_n(&t->started, __ATOMIC_RELAXED));
	if (refused)
		put_time(j, "reload_refused", refused);
}

void status_answer(struct control_server *c, struct client *cl)
{
	/* A node with a thousand interfaces has a long answer: it gets the client's own buffer. */
	const size_t room = OUT_BYTES - cl->out_len;
	struct json j;
	size_t len;

	json_init(&j, cl->out + cl->out_len, room - 1);
	json_open(&j, '{');
	put_text(&j, "type", "status");
	put_count(&j, "v", CONTROL_VERSION);
	put_text(&j, "version", WEIR_VERSION);
	put_text(&j, "node", c->env.node);
	put_time(&j, "since", c->started_wall_ns);
	put_time(&j, "now", control_wall_ns());
	put_core(c->env.ifaces, &j);
	put_ifaces(c, &j);
	put_namespaces(c, &j);
	put_flows(c, &j);
	put_sources(c, &j);
	put_pin(c, &j);
	put_counters(c, &j);
	put_exports(c, &j);
	put_policy(c, &j);
	put_recorder(c, &j);
	put_control(c, &j);
	json_close(&j, '}');
	if (!json_end(&j, &len)) {
		cl->out[cl->out_len + len] = '\n';
		cl->out_len += len + 1;
	}
	client_finish(c, cl);
}
