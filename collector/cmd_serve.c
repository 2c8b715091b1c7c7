// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_serve.c - `weir-collector serve`: receivers, store and endpoint put together; signals.
 * Blocks go from the receivers through the pool's queue to the store's writer, whose word of what is
 * durable goes back to the receivers.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "collector/api/api.h"
#include "collector/command.h"
#include "collector/enrich/enrich.h"
#include "collector/eve/eve.h"
#include "collector/local_store.h"
#include "collector/nodes/captures.h"
#include "collector/serving.h"
#include "collector/serving_rules.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/notify.h"

#define NS_PER_MS     UINT64_C(1000000)
#define LISTENERS_MAX 64u

static int cmd_serve(int argc, char **argv);

const struct cli_command collector_command_serve = {
	.name = "serve",
	.help = "take in flows, store them, answer questions",
	.doc = "Runs until SIGTERM or SIGINT; everything taken in is durable then. SIGHUP takes over what "
	       "has changed in the configuration and can change.",
	.options = collector_options,
	.examples =
		"weir-collector serve\n"
		"weir-collector serve --listen-udp 0.0.0.0:4739 --store /srv/flows --keep 90d\n",
	.run = cmd_serve,
};

/* ---- listeners ---- */

struct listeners {
	struct ingest_listener v[LISTENERS_MAX];
	uint32_t n;
};

static void add_listeners(struct listeners *l, const struct settings *s, enum collector_setting id,
			  enum ingest_transport transport)
{
	const struct setting_value *v = &s->v[id];

	for (uint32_t i = 0; i < v->n && l->n < LISTENERS_MAX; i++) {
		struct ingest_listener *x = &l->v[l->n];
		struct address a;

		if (!strcmp(v->list[i], "none"))
			continue;
		*x = (struct ingest_listener){.transport = transport};
		if (transport == INGEST_DIR) {
			x->dir = v->list[i];
		} else if (!address_parse(v->list[i], &a)) {
			memcpy(&x->address, &a.sa, a.len);
			x->cert = collector_path(s, CSET_TLS_CERT);
			x->key = collector_path(s, CSET_TLS_KEY);
			x->ca = collector_path(s, CSET_TLS_CA);
		}
		l->n++;
	}
}

static int op_exporter(void *arg, const struct store_exporter *e, uint32_t *ret_id,
		       uint32_t *ret_stream)
{
	const struct serving *v = arg;

	return store_exporter(v->store, e, ret_id, ret_stream);
}

static int op_committed(void *arg, uint32_t stream, uint64_t epoch, uint64_t *ret_to)
{
	const struct serving *v = arg;

	return store_committed(v->store, stream, epoch, ret_to);
}

static int op_interface(void *arg, uint32_t exporter, uint32_t index, struct flow_str name)
{
	const struct serving *v = arg;

	return store_interface(v->store, exporter, index, name);
}

static void op_before_send(void *arg, struct block *b)
{
	const struct serving *v = arg;

	enrich_block(v->enrich, b);
	eve_block(v->eve, b);
	serving_rules_offer(serving_rules_runner(v->rules), b);
}

static const struct ingest_ops ops = {
	.exporter = op_exporter,
	.committed = op_committed,
	.interface = op_interface,
	.before_send = op_before_send,
};

static int open_ingest(struct serving *v)
{
	static struct listeners l;
	const struct settings *s = v->settings;
	const struct collector_exporters *x = &collector_own(s)->exporters;
	struct ingest_override *overrides = calloc(x->n + 1, sizeof(*overrides));
	char error[INGEST_ERROR] = "", state[4096];
	struct ingest_cfg cfg = {
		.listeners = l.v,
		.overrides = overrides,
		.overrides_n = x->n,
		.pool = v->pool,
		.ops = &ops,
		.arg = v,
		.state = state,
		.threads = (uint32_t)collector_bound(s, CSET_LISTEN_THREADS),
		.rcvbuf = (uint32_t)settings_num(s, CSET_LISTEN_BUFFER),
	};
	struct ingest *g;
	int r;

	if (!overrides)
		return -ENOMEM;
	for (uint32_t i = 0; i < x->n; i++) {
		memcpy(overrides[i].address, x->v[i].address, 16);
		overrides[i].name = x->v[i].name;
		overrides[i].sampling = x->v[i].sampling;
	}
	add_listeners(&l, s, CSET_LISTEN_UDP, INGEST_UDP);
	add_listeners(&l, s, CSET_LISTEN_TCP, INGEST_TCP);
	add_listeners(&l, s, CSET_LISTEN_TLS, INGEST_TLS);
	add_listeners(&l, s, CSET_LISTEN_DIRECTORIES, INGEST_DIR);
	v->listeners = cfg.listeners_n = l.n;
	snprintf(state, sizeof(state), "%s/templates", settings_text(s, CSET_STORE_DIR));
	r = ingest_new(&cfg, error, &g);
	free(overrides);
	if (r)
		log_error(NULL, "%s", *error ? error : strerror(-r));
	else
		__atomic_store_n(&v->ingest, g, __ATOMIC_RELEASE);
	return r;
}

/* ---- alerts of an IDS ---- */

#define DURABLE_MS 60000u /* store.flush, and as much again for a disk that is slow */

static void op_offer(void *arg, struct block *b)
{
	const struct serving *v = arg;

	serving_rules_offer(serving_rules_runner(v->rules), b);
}

static int open_eve(struct serving *v)
{
	const struct settings *s = v->settings;
	const struct setting_value *files = &s->v[CSET_EVE_FILES];
	char state[4096];
	const struct eve_cfg cfg = {
		.files = (const char *const *)files->list,
		.files_n = files->n == 1 && !strcmp(files->list[0], "none") ? 0 : files->n,
		.stream = collector_path(s, CSET_EVE_STREAM),
		.datagram = collector_path(s, CSET_EVE_DATAGRAM),
		.group = settings_text(s, CSET_EVE_GROUP),
		.mode = (unsigned int)settings_num(s, CSET_EVE_MODE),
		.window_ms = settings_num(s, CSET_EVE_WINDOW) / NS_PER_MS,
		.skew_us = settings_num(s, CSET_EVE_SKEW) / 1000,
		.waiting = (uint32_t)settings_num(s, CSET_EVE_WAITING),
		.history = settings_num(s, CSET_EVE_HISTORY),
		.durable_ms = settings_num(s, CSET_STORE_FLUSH) / NS_PER_MS + DURABLE_MS,
		.state = state,
		.pool = v->pool,
		.store = v->store,
		.offer = op_offer,
		.arg = v,
	};

	snprintf(state, sizeof(state), "%s/eve.state", settings_text(s, CSET_STORE_DIR));
	return eve_open(&cfg, &v->eve);
}

/* ---- store ---- */

static void on_committed(void *arg, uint32_t stream, uint64_t epoch, uint64_t to)
{
	struct serving *v = arg;
	struct ingest *g = __atomic_load_n(&v->ingest, __ATOMIC_ACQUIRE);

	if (g)
		ingest_committed(g, stream, epoch, to);
}

static void on_complaint(void *arg, const char *message)
{
	(void)arg;
	log_warn("store", "%s", message);
}

static int open_store(struct serving *v)
{
	char error[STORE_ERROR] = "";
	struct store_cfg cfg;
	int r;

	local_store_cfg(v->settings, &cfg);
	cfg.pool = v->pool;
	cfg.committed = on_committed;
	cfg.complain = on_complaint;
	cfg.arg = v;
	r = store_open(&cfg, error, &v->store);
	if (r)
		log_error(cfg.dir, "%s", *error ? error : strerror(-r));
	return r;
}

/* ---- endpoint ---- */

static uint32_t query_timeout(const struct settings *s)
{
	const uint64_t ms = collector_bound(s, CSET_QUERY_TIMEOUT) / NS_PER_MS;

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static int open_endpoint(struct serving *v)
{
	const struct settings *s = v->settings;
	const char *path = collector_path(s, CSET_CONTROL_SOCKET);
	const struct listen_local local = {
		.path = path,
		.group = settings_text(s, CSET_CONTROL_GROUP),
		.mode = (unsigned int)settings_num(s, CSET_CONTROL_MODE),
		.option = "--control-socket",
	};
	struct endpoint_cfg cfg = {
		.socket = -1,
		.http = -1,
		.clients = (uint32_t)settings_num(s, CSET_QUERY_MAX),
		.timeout_ms = query_timeout(s),
		.store = v->store,
		.dir = settings_text(s, CSET_STORE_DIR),
		.lists = enrich_lists(v->enrich),
		.status = serving_status,
		.metrics = serving_metrics,
		.ask = serving_ask,
		.backtest = serving_backtest,
		.fetch = serving_fetch,
		.arg = v,
	};
	struct address a;
	int r = path ? listen_local(&local, &cfg.socket) : 0;

	if (!r && !settings_is_word(s, CSET_METRICS_LISTEN)) {
		r = address_parse(settings_text(s, CSET_METRICS_LISTEN), &a);
		r = r ?: listen_tcp(&a, "metrics.listen", &cfg.http);
	}
	r = r ?: endpoint_start(&cfg, &v->endpoint);
	if (r) {
		if (cfg.socket >= 0)
			close(cfg.socket);
		if (cfg.http >= 0)
			close(cfg.http);
	}
	return r;
}

/* ---- nodes ---- */

static int op_resync(void *arg, int64_t above)
{
	const struct serving *v = arg;

	return serving_rules_resync(v->rules, above);
}

static int op_decided(void *arg, const struct node_decision *d)
{
	struct serving *v = arg;

	return serving_rules_decided(v->rules, d);
}

static void op_published(void *arg)
{
	struct serving *v = arg;
	struct nodes *n = __atomic_load_n(&v->nodes, __ATOMIC_ACQUIRE);

	if (n)
		nodes_published(n);
}

static uint32_t op_canaries(void *arg)
{
	struct serving *v = arg;

	return nodes_canaries(__atomic_load_n(&v->nodes, __ATOMIC_ACQUIRE));
}

static struct nodes_cfg nodes_settings(const struct settings *s)
{
	const struct setting_value *canary = &s->v[CSET_NODES_CANARY];

	return (struct nodes_cfg){
		.dir = settings_text(s, CSET_STORE_DIR),
		.issuer = settings_text(s, CSET_POLICY_ISSUER),
		.canary = (const char *const *)canary->list,
		.canary_n = canary->n,
		.certificate_us = settings_num(s, CSET_NODES_CERTIFICATE) / 1000,
		.return_us = settings_num(s, CSET_NODES_RETURN) / 1000,
		.max = (uint32_t)settings_num(s, CSET_NODES_MAX),
		.resync = op_resync,
		.decided = op_decided,
	};
}

static int open_nodes(struct serving *v)
{
	struct nodes_cfg cfg = nodes_settings(v->settings);
	char error[NODES_ERROR] = "";
	struct nodes *n = NULL;
	struct address a;
	int r;

	if (settings_is_word(v->settings, CSET_NODES_LISTEN))
		return 0;
	cfg.arg = v;
	cfg.listen = &a;
	r = address_parse(settings_text(v->settings, CSET_NODES_LISTEN), &a);
	r = r ?: nodes_open(&cfg, error, &n);
	if (r)
		log_error("nodes", "%s", *error ? error : strerror(-r));
	__atomic_store_n(&v->nodes, n, __ATOMIC_RELEASE);
	if (n) /* what was made in between */
		nodes_published(n);
	return r;
}

/* ---- reload ---- */

static void apply_reload(struct serving *v, struct settings *now)
{
	const struct settings *was = v->settings;
	char name[64];

	for (unsigned int id = settings_changed(was, now, 0); id < _CSET_MAX;
	     id = settings_changed(was, now, id + 1)) {
		if (collector_settings.table[id].flags & SF_RELOAD)
			continue;
		log_warn(setting_name(&collector_settings, id, name, sizeof(name)),
			 "has changed, which takes a restart; it stays '%s'",
			 settings_text(was, id));
		settings_keep(now, was, id);
	}
	log_set_level((enum log_level)settings_num(now, CSET_LOG_LEVEL));
	endpoint_set_timeout(v->endpoint, query_timeout(now));
	enrich_reload(v->enrich, now);
	serving_rules_reload(v->rules, now);
	if (v->nodes) {
		const struct nodes_cfg cfg = nodes_settings(now);

		nodes_reload(v->nodes, &cfg);
	}
}

static void reload(struct serving *v)
{
	static struct config_errors errs;
	struct settings *now;

	errs.count = 0;
	notify_send(v->notify, "RELOADING=1");
	if (settings_load(&collector_settings, v->args, &now, &errs)) {
		settings_print_errors(&collector_settings, v->args, &errs, stderr);
		log_error(NULL, "reload: nothing has changed, the configuration has errors");
	} else {
		struct settings *was = v->settings;

		apply_reload(v, now);
		v->settings = now;
		settings_free(was);
		log_info(NULL, "configuration reloaded");
	}
	notify_send(v->notify, "READY=1");
}

/* ---- life ---- */

static void wait_for_signals(struct serving *v, int signals, uint64_t watchdog_ns)
{
	const int wait_ms = watchdog_ns ? (int)(watchdog_ns / NS_PER_MS / 2) : -1;
	struct pollfd p = {.fd = signals, .events = POLLIN};
	struct signalfd_siginfo info;

	for (;;) {
		p.revents = 0;
		if (poll(&p, 1, wait_ms) < 0 && errno != EINTR)
			return;
		if (watchdog_ns)
			notify_send(v->notify, "WATCHDOG=1");
		if (!(p.revents & POLLIN) ||
		    read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (info.ssi_signo != SIGHUP)
			return;
		reload(v);
	}
}

/* Asked when something is to be done about an address, which is seldom. */
static bool is_ours(const uint8_t ip[16])
{
	struct ifaddrs *list, *i;
	bool yes = false;

	if (getifaddrs(&list))
		return false;
	for (i = list; i && !yes; i = i->ifa_next) {
		uint8_t own[16] = {[10] = 0xff, 0xff};

		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET6)
			memcpy(own,
			       &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr,
			       16);
		else if (i->ifa_addr->sa_family == AF_INET)
			memcpy(own + 12,
			       &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr,
			       4);
		else
			continue;
		yes = !memcmp(own, ip, sizeof(own));
	}
	freeifaddrs(list);
	return yes;
}

static bool is_agent(void *arg, const uint8_t ip[16])
{
	const struct serving *v = arg;
	const struct ingest *g = __atomic_load_n(&v->ingest, __ATOMIC_ACQUIRE);

	if (is_ours(ip))
		return true;
	for (const struct exporter *e = g ? ingest_exporters(g, NULL) : NULL; e;
	     e = ingest_exporters(g, e))
		if (!memcmp(e->address, ip, 16))
			return true;
	return false;
}

static int start(struct serving *v)
{
	const struct serving_rules_agents agents = {is_agent, op_published, op_canaries, v};
	int r;

	v->pool = block_pool_new((uint32_t)settings_num(v->settings, CSET_STORE_BLOCKS));
	if (!v->pool)
		return -ENOMEM;
	r = open_store(v);
	r = r ?: enrich_new(v->settings, v->store, &v->enrich);
	r = r ?: serving_rules_open(v->settings, v->pool, &agents, &v->rules);
	r = r ?: open_nodes(v);
	r = r ?: open_eve(v);
	r = r ?: open_ingest(v);
	r = r ?: open_endpoint(v);
	r = r ?: ingest_start(v->ingest);
	return r ?: serving_api_open(v);
}

/* Everything that came in becomes durable. */
static void stop(struct serving *v)
{
	const char *path = collector_path(v->settings, CSET_CONTROL_SOCKET);

	fetch_stop(v->nodes);
	api_stop(v->api); /* it asks all the others */
	if (v->ingest)
		ingest_stop(v->ingest);
	if (v->endpoint && path)
		unlink(path);
	endpoint_stop(v->endpoint);
	api_close(v->api);
	v->api = NULL;
	v->eve = eve_close(v->eve);
	nodes_stop(v->nodes); /* asks the rules for policies, and hears of theirs */
	serving_rules_close(v->rules);
	v->rules = NULL;
	nodes_close(v->nodes);
	v->nodes = NULL;
	if (v->pool)
		block_close(v->pool);
	if (v->store)
		store_close(v->store);
	if (v->ingest)
		ingest_free(v->ingest);
	enrich_free(v->enrich);
	if (v->pool)
		block_pool_free(v->pool);
}

static void announce(const struct serving *v)
{
	struct store_stats st;

	store_stats(v->store, &st);
	log_at(LEVEL_INFO, NULL,
	       LOG_FIELDS(LOG_STR("udp", settings_text(v->settings, CSET_LISTEN_UDP)),
			  LOG_STR("tcp", settings_text(v->settings, CSET_LISTEN_TCP)),
			  LOG_STR("api", settings_text(v->settings, CSET_API_LISTEN)),
			  LOG_STR("store", settings_text(v->settings, CSET_STORE_DIR)),
			  LOG_NUM("flows", st.rows)),
	       "ready");
}

static int serve(struct serving *v)
{
	uint64_t watchdog_ns = 0;
	sigset_t set;
	int signals, r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* Before the first thread, so that all have it. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		return EXIT_FAILED;
	v->notify = notify_open(&watchdog_ns);
	r = start(v);
	if (!r) {
		announce(v);
		notify_send(v->notify, "READY=1");
		wait_for_signals(v, signals, watchdog_ns);
		notify_send(v->notify, "STOPPING=1");
	}
	stop(v);
	close(signals);
	return r ? local_store_status(r) : EXIT_OK;
}

static int cmd_serve(int argc, char **argv)
{
	static struct settings_args args;
	static struct config_errors errs;
	struct cli c = {.cmd = &collector_command_serve, .argc = argc, .argv = argv};
	struct serving v = {.args = &args, .notify = -1};
	struct timespec now;
	int id, rc;

	while ((id = cli_next(&c)) != CLI_END) {
		if (id == CLI_STOP)
			return c.status;
		if (settings_option(&args, id, c.arg))
			return cli_error(&c, "more than %u options", SETTINGS_ARGS_MAX);
	}
	if (settings_load(&collector_settings, &args, &v.settings, &errs)) {
		settings_print_errors(&collector_settings, &args, &errs, stderr);
		return EXIT_USAGE;
	}
	log_init((enum log_format)settings_num(v.settings, CSET_LOG_FORMAT),
		 (enum log_level)settings_num(v.settings, CSET_LOG_LEVEL));
	clock_gettime(CLOCK_REALTIME, &now);
	v.started_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	rc = serve(&v);
	settings_free(v.settings);
	return rc;
}
