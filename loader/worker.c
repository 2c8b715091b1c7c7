// SPDX-License-Identifier: Apache-2.0
#include "loader/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/control/control.h"
#include "loader/broker.h"
#include "loader/drain.h"
#include "loader/export/sink.h"
#include "loader/ipc.h"
#include "loader/ledger.h"
#include "loader/merge.h"
#include "loader/pin.h"
#include "loader/policy/tell.h"
#include "loader/policy/watch.h"
#include "loader/sandbox.h"
#include "loader/sighting.h"

#define STOP_NS	  10000000000ull /* for what the exports have yet to write at the end */
#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS 1000000
#define POLL_MS	  10  /* how often the rings are looked at when they were empty */
#define REST_MS	  100 /* the same, when that was so for REST_AFTER looks: then programs wake us */

#define REST_AFTER 20u

struct worker {
	const struct run_cfg *cfg;
	const struct run_cfg *news;
	int broker, ipc;
	uint64_t said_ns; /* when the end was last heard of */
	uint64_t interval_ns;
	struct dataplane *dp;
	struct clock clock;
	struct merge *merge;
	struct names *names;
	struct drain *drain;
	struct iface_table *ifaces;
	struct iface_row row;  /* whose name the record at hand has */
	char rule[TITLE_TEXT]; /* the same */
	struct iface_roles roles;
	struct sightings *sightings;
	struct exports *exports;
	struct teller teller;
	struct watch watch;
	struct control_server *control; /* NULL: neither socket nor metrics */
	struct ledger *ledger;		/* with --pin, else NULL */
	struct drain
		*older[LEDGER_TABLES_MAX - 1]; /* of dp->pin->older[]; NULL: none, or at its end */
	uint64_t counted[WEIR_CNT_SLOTS];      /* dp->counted */
	bool busy;			       /* there is more to do for clients, or to tell */
	bool alone;	    /* with --pin: interfaces are there, and nobody else counts */
	bool superseded;    /* another weir counts, in other tables */
	unsigned int quiet; /* looks at the rings, one after the other, that found nothing */
	uint32_t max_flows; /* of the merge */
	struct export_mark marks[EXPORTS_MAX];
	struct ipc_msg msg;
	struct summary summary;
};

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void deliver(void *arg, const struct flow_record *r)
{
	struct worker *w = arg;

	summary_add(&w->summary, r);
	exports_flow(w->exports, r);
	control_flow(w->control, r);
}

static void emit(void *arg, const struct flow_record *r)
{
	struct worker *w = arg;

	if (w->watch.n)
		watch_record(&w->watch, merge_emitting(w->merge), r);
	if (w->ledger)
		ledger_emit(w->ledger, r); /* delivered when it is certain */
	else
		deliver(w, r);
}

static const char *iface_name(void *arg, uint32_t netns, uint32_t ifindex, uint32_t *ret_number)
{
	struct worker *w = arg;

	if (!iface_table_find(w->ifaces, netns, ifindex, &w->row))
		return NULL;
	*ret_number = w->row.number;
	return w->row.name;
}

static const char *rule_name(void *arg, uint32_t rule, uint32_t generation)
{
	struct worker *w = arg;

	return title_get(&w->ifaces->titles, rule, generation, w->rule) ? w->rule : NULL;
}

static int iface_role(void *arg, const struct flow_key *key)
{
	struct worker *w = arg;

	return iface_roles_get(&w->roles, w->ifaces, key->netns, key->ifindex);
}

static int flow_ended(void *arg, const struct flow_key *key, struct name_result *ret)
{
	return names_flow_end(((struct worker *)arg)->names, key, ret);
}

static int iface_nth(void *arg, unsigned int i, uint32_t *ret_ifindex, char *name)
{
	struct iface_row row;

	if (i >= IFACE_ROWS)
		return -1;
	if (!iface_table_get(((struct worker *)arg)->ifaces, i, &row))
		return 0;
	*ret_ifindex = row.number;
	memcpy(name, row.name, sizeof(row.name));
	return 1;
}

static uint64_t counter_value(void *arg, unsigned int c)
{
	return dataplane_counter(((struct worker *)arg)->dp, (int)c);
}

static int open_by_core(void *arg, unsigned int sink, uint32_t what, uint32_t n)
{
	return broker_ask(((struct worker *)arg)->broker, sink, what, n);
}

/* The end waits for receivers: said once a second, and cut short when the core is told to stop again. */
static bool hurry(void *arg, uint64_t waiting, uint64_t left_ns)
{
	struct worker *w = arg;
	const uint64_t now = mono_ns();

	if (ipc_recv(w->ipc, &w->msg, 0) == 1 && w->msg.type == IPC_STOP)
		return true;
	if (!w->said_ns)
		w->said_ns = now;
	if (now - w->said_ns < NS_PER_S)
		return false;
	w->said_ns = now;
	log_info("exports",
		 "%" PRIu64 " records wait for their receivers, for %" PRIu64
		 " s at most; a second signal (Ctrl-C) gives them up",
		 waiting, left_ns / NS_PER_S);
	return false;
}

static int exports_init(struct worker *w, const char *node)
{
	struct export_env env = {
		.arg = w,
		.hurry = hurry,
		.file = open_by_core,
		.iface = iface_nth,
		.counter = counter_value,
		.node = node,
		.labels = w->cfg->labels,
		.sampling = w->cfg->sample,
	};
	char why[EXPORT_ERR_MAX];
	int r;

	if (w->ledger) {
		memcpy(w->marks, ledger_done(w->ledger)->note, sizeof(w->marks));
		env.resume = w->marks;
		env.n_resume = EXPORTS_MAX;
		env.resume_start = ledger_done(w->ledger)->out_no;
		env.resume_end = w->ledger->now.out_no;
	}
	r = exports_new(w->cfg->exports, w->cfg->n_exports, &env, &w->exports, why);

	if (r)
		log_error(NULL, "%s", why);
	return r;
}

uint32_t worker_flows(const struct run_cfg *cfg)
{
	return cfg->dp.flows * 2;
}

static int control_init(struct worker *w, const struct control_fds *fds, const char *node)
{
	const struct control_env env = {
		.merge = w->merge,
		.drain = w->drain,
		.dp = w->dp,
		.ifaces = w->ifaces,
		.exports = w->exports,
		.ledger = w->ledger,
		.watch = &w->watch,
		.node = node,
		.flows_max = w->max_flows,
	};

	if (fds->socket < 0 && fds->http < 0 && fds->health < 0)
		return 0;
	return control_new(&w->cfg->control, fds, &env, &w->control);
}

/* Tell the ledger how far the sinks are. */
static void confirm(void *arg)
{
	struct worker *w = arg;
	struct export_mark marks[EXPORTS_MAX] = {};
	uint64_t no = UINT64_MAX;

	if (!w->ledger)
		return;
	for (unsigned int i = 0; i < exports_n(w->exports); i++) {
		exports_mark(w->exports, i, &marks[i]);
		if (marks[i].no < no)
			no = marks[i].no;
	}
	ledger_confirm(w->ledger, no, marks, sizeof(marks));
}

static int ledger_init(struct worker *w, struct merge_cfg *cfg)
{
	const struct pin *p = w->dp->pin;
	static struct ledger ledger;
	int r;

	if (!p)
		return 0;
	cfg->max_flows = p->max_flows;
	r = ledger_open(&ledger, p->ledger, p->max_flows, p->part, p->olders + 1);
	if (r)
		return r;
	ledger.deliver = deliver;
	ledger.ask = confirm;
	ledger.arg = w;
	w->ledger = &ledger;
	cfg->ledger = &ledger;
	return 0;
}

/* ---- tables of earlier weirs ---- */

static int older_init(struct worker *w)
{
	struct pin *p = w->dp->pin;
	int r = 0;

	for (unsigned int i = 0; !r && p && i < p->olders; i++) {
		r = drain_new(&p->older[i].dp, w->merge, w->names, &w->older[i]);
		if (!r)
			drain_use_ledger(w->older[i], w->ledger, &w->ledger->part[i + 1]);
	}
	return r;
}

/* Counters go on over tables. */
static void count_older(struct worker *w)
{
	if (!w->ledger)
		return;
	memcpy(w->counted, w->ledger->now.counters, sizeof(w->counted));
	for (unsigned int i = 0; i < w->dp->pin->olders; i++)
		for (unsigned int c = 0; w->older[i] && c < WEIR_CNT_SLOTS; c++)
			w->counted[c] += dataplane_counter(&w->dp->pin->older[i].dp, c);
	w->dp->counted = w->counted;
}

/* Tables that have been read to the end: counters and all that was read of them are in the ledger. */
static void forget_tables(struct worker *w, struct ledger_part *part, const struct dataplane *dp)
{
	uint64_t counters[WEIR_CNT_SLOTS] = {};

	for (unsigned int c = 0; c < WEIR_CNT_SLOTS; c++)
		for (int i = 0; i < dp->cpus; i++)
			counters[c] += dp->counters[i].v[c];
	ledger_end(w->ledger, part, counters);
}

/* Nothing comes there any more: what is left is read, and they are forgotten. */
static void end_older(struct worker *w, unsigned int i, int ipc)
{
	struct pin *p = w->dp->pin;

	if (!drain_to_the_end(w->older[i], &w->clock))
		return;
	w->msg = (struct ipc_msg){
		.type = IPC_ENDED, .size = sizeof(w->msg), .tables = p->part[i + 1].id};
	forget_tables(w, &w->ledger->part[i + 1], &p->older[i].dp);
	drain_free(w->older[i]);
	w->older[i] = NULL;
	pin_older_unmap(p, i);
	count_older(w);
	ipc_send(ipc, &w->msg);
}

static void drain_older(struct worker *w)
{
	struct pin *p = w->dp->pin;

	for (unsigned int i = 0; p && i < p->olders; i++)
		if (w->older[i])
			drain_scan(w->older[i], &w->clock);
}

static bool reads_older(const struct worker *w)
{
	for (unsigned int i = 0; i < LEDGER_TABLES_MAX - 1; i++)
		if (w->older[i])
			return true;
	return false;
}

static unsigned int read_rings(struct worker *w)
{
	struct pin *p = w->dp->pin;
	unsigned int n = drain_rings(w->drain);

	for (unsigned int i = 0; p && i < p->olders; i++)
		n += w->older[i] ? drain_rings(w->older[i]) : 0;
	return n;
}

static void set_clock(struct worker *w)
{
	uint64_t tick, wall;

	dataplane_now(w->dp, &tick, &wall);
	clock_set(&w->clock, tick, wall);
}

static int worker_init(struct worker *w, const struct control_fds *fds)
{
	struct merge_cfg cfg = merge_cfg_default;
	static char node[256];
	int r;

	if (*w->cfg->node)
		snprintf(node, sizeof(node), "%s", w->cfg->node);
	else
		gethostname(node, sizeof(node) - 1);
	cfg.max_flows = worker_flows(w->cfg);
	cfg.active_ns = w->cfg->active_ns;
	cfg.idle_ns = w->cfg->idle_ns;
	cfg.syn_ns = w->cfg->syn_ns;
	cfg.clock = &w->clock;
	cfg.node = node;
	cfg.labels = w->cfg->labels;
	cfg.iface = iface_name;
	cfg.rule = rule_name;
	cfg.emit = emit;
	cfg.arg = w;
	w->clock.tick_ns = w->dp->tick_ns;
	set_clock(w);
	r = ledger_init(w, &cfg);
	w->max_flows = cfg.max_flows;
	r = r ?: merge_new(&cfg, &w->merge);
	r = r ?: names_new(NULL, &w->names);
	r = r ?: drain_new(w->dp, w->merge, w->names, &w->drain);
	r = r ?: exports_init(w, node);
	r = r ?: control_init(w, fds, node);
	if (r)
		return r;
	merge_on_end(w->merge, flow_ended, w);
	w->teller.table = w->ifaces;
	w->teller.merge = w->merge;
	w->watch.board = &w->ifaces->agents;
	w->watch.merge = w->merge;
	drain_on_name(w->drain, tell_name, &w->teller);
	if (w->ledger)
		drain_use_ledger(w->drain, w->ledger, &w->ledger->part[0]);
	r = older_init(w);
	count_older(w);
	return r;
}

/* Roles may have changed; with a second interface flows may be seen twice from now on. */
static void look_at_ifaces(struct worker *w)
{
	struct iface_row row;
	unsigned int n = 0;

	memset(&w->roles, 0, sizeof(w->roles));
	for (unsigned int i = 0; i < IFACE_ROWS && n < 2 && !w->sightings; i++)
		n += iface_table_get(w->ifaces, i, &row);
	if (n < 2 || sightings_new(worker_flows(w->cfg), iface_role, w, &w->sightings))
		return; /* no memory: tried again */
	merge_use_sightings(w->merge, w->sightings);
}

/* Return: 0, or why standard output takes nothing more. */
static int drain_all(struct worker *w)
{
	int r;

	look_at_ifaces(w);
	set_clock(w);
	drain_scan(w->drain, &w->clock);
	drain_older(w);
	count_older(w);
	names_tick(w->names, mono_ns());
	merge_tick(w->merge);
	if (w->ledger) {
		w->ledger->now.tick = w->clock.now_tick;
		ledger_commit(w->ledger);
	}
	r = exports_tick(w->exports);
	confirm(w);
	return r;
}

static void report(struct worker *w, int ipc)
{
	w->summary.merge = *merge_stats(w->merge);
	w->summary.names = *names_stats(w->names);
	w->summary.flows = w->summary.merge.flows;
	for (unsigned int i = 0; i < exports_n(w->exports); i++) {
		struct summary_export *e = &w->summary.exports[w->summary.n_exports];

		if (exports_cfg(w->exports, i)->type == EXPORT_STDOUT)
			continue;
		export_cfg_text(exports_cfg(w->exports, i), e->target, sizeof(e->target));
		exports_stats(w->exports, i, &e->stats);
		w->summary.n_exports++;
	}
	if (w->ledger) {
		w->summary.unguarded = w->ledger->head->unguarded;
		w->summary.unguarded_packets = w->ledger->head->unguarded_packets;
		w->summary.undo_full = w->ledger->head->undo_full;
	}
	memcpy(w->summary.counted, w->counted, sizeof(w->counted));
	w->msg = (struct ipc_msg){
		.type = IPC_SUMMARY, .size = sizeof(w->msg), .summary = w->summary};
	ipc_send(ipc, &w->msg);
}

/* What the core has said. False: it is time to end. */
static bool go_on(struct worker *w, int ipc)
{
	int r = ipc_recv(ipc, &w->msg, 0);

	if (r == -EAGAIN)
		return true;
	if (r == 1 && w->msg.type == IPC_ALONE) {
		w->alone = true;
		for (unsigned int i = 0; w->ledger && i < w->dp->pin->olders; i++)
			if (w->older[i])
				end_older(w, i, ipc);
		return true;
	}
	w->superseded = r == 1 && w->msg.type == IPC_STOP && w->msg.tables;
	if (r != 1 || w->msg.type != IPC_RELOAD)
		return false;
	w->interval_ns = w->news->interval_ns;
	merge_set_timeouts(w->merge, w->news->active_ns, w->news->idle_ns, w->news->syn_ns);
	exports_reopen(w->exports);
	return true;
}

/* Nothing has come for a while: sleep until @until, or a program has something in a ring. */
static int rest(struct worker *w, struct pollfd *p, unsigned int n, uint64_t until)
{
	struct control *c = w->dp->control;
	const uint64_t now = mono_ns();
	int ms = until > now ? (int)((until - now) / NS_PER_MS) + 1 : 0, ready;

	p[n++] = (struct pollfd){.fd = w->dp->evicted.fd, .events = POLLIN};
	p[n++] = (struct pollfd){.fd = w->dp->events.fd, .events = POLLIN};
	__atomic_store_n(&c->asleep, 1, __ATOMIC_SEQ_CST);
	/* what came before that was seen woke nobody */
	if (ring_has_more(&w->dp->evicted) || ring_has_more(&w->dp->events))
		ms = 0;
	ready = poll(p, n, ms < REST_MS ? ms : REST_MS);
	__atomic_store_n(&c->asleep, 0, __ATOMIC_RELAXED);
	return ready;
}

/* Read the rings, then wait for what is in @p: not at all while there is more to do, else for a moment. */
static int read_and_wait(struct worker *w, struct pollfd *p, unsigned int n, uint64_t until)
{
	bool more = read_rings(w) || w->busy;

	w->quiet = more || reads_older(w) ? 0
					  : w->quiet + 1; /* for rings of those nobody wakes us */
	if (w->quiet > REST_AFTER)
		return rest(w, p, n, until);
	return poll(p, n, more ? 0 : POLL_MS);
}

/* Flows that have changed, long before the drain: agents' rules act within moments. */
static void look_at_flows(struct worker *w)
{
	const uint64_t now = mono_ns();

	if (now < w->watch.look_ns)
		return;
	set_clock(w);
	drain_look(w->drain, &w->clock);
	w->busy |= watch_some(&w->watch);
	watch_looked(&w->watch, now);
}

/* Until the core says stop or is gone, or nobody reads the records any more. */
static void worker_loop(struct worker *w, int ipc)
{
	struct pollfd p[1 + CONTROL_FDS + 2] = {{.fd = ipc, .events = POLLIN}};
	uint64_t next = mono_ns() + w->interval_ns;

	for (;;) {
		const unsigned int n = control_poll(w->control, p + 1);
		/* flows of an earlier weir that are long silent would be told without their interface */
		const bool ours = !w->ledger || w->alone, watched = watch_wanted(&w->watch) && ours;
		int ready;

		set_clock(w);
		ready = read_and_wait(w, p, 1 + n, watched ? watch_until(&w->watch, next) : next);
		if (ready > 0 && p[0].revents && !go_on(w, ipc))
			return;
		w->busy = control_work(w->control, p + 1, ready >= 0 ? n : 0);
		w->busy |= tell_known(&w->teller);
		w->busy |= watch_some(&w->watch);
		__atomic_fetch_add(&w->ifaces->progress, 1, __ATOMIC_RELAXED);
		if (mono_ns() < next || !ours) {
			if (watched)
				look_at_flows(w);
			continue;
		}
		if (drain_all(w))
			return;
		control_tick(w->control);
		next += w->interval_ns;
		if (next < mono_ns())
			next = mono_ns();
	}
}

int worker_main(const struct worker_start *start)
{
	const int ipc = start->ipc;
	static struct worker w;
	int r;

	w.cfg = start->cfg;
	w.news = start->news;
	w.interval_ns = start->cfg->interval_ns;
	w.dp = start->dp;
	w.ifaces = start->ifaces;
	w.dp->titles = &start->ifaces->titles;
	w.broker = start->broker;
	w.ipc = ipc;
	w.teller.fd = start->names;
	w.watch.fd = start->names;
	r = worker_init(&w, &start->control);
	r = r ?: sandbox_enter();
	r = r ?: exports_start(w.exports);
	if (r) {
		log_error("worker", "%s", strerror(-r));
		return 1;
	}
	w.msg = (struct ipc_msg){.type = IPC_READY, .size = sizeof(w.msg)};
	if (ipc_send(ipc, &w.msg))
		return 1;
	if (w.ledger)
		ledger_redeliver(w.ledger);
	worker_loop(&w, ipc);
	exports_finish(w.exports, STOP_NS);
	drain_all(&w);
	drain_rest(w.drain, &w.clock);
	if (w.superseded)
		w.superseded = drain_to_the_end(w.drain, &w.clock);
	merge_flush(w.merge, FLOW_SHUTDOWN);
	if (w.ledger)
		ledger_commit(w.ledger);
	r = exports_stop(w.exports);
	confirm(&w);
	if (w.superseded)
		forget_tables(&w, &w.ledger->part[0], w.dp);
	if (r && r != -EPIPE) /* a reader that goes (head, less) is no error */
		log_error("standard output", "%s; the records since then are lost", strerror(-r));
	report(&w, ipc);
	return r && r != -EPIPE;
}
