// SPDX-License-Identifier: Apache-2.0
#include "loader/core.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/broker.h"
#include "loader/core_int.h"
#include "common/notify.h"
#include "loader/nic.h"
#include "loader/prog_runs.h"
#include "loader/sandbox.h"
#include "loader/summary.h"
#include "loader/worker.h"

#define NS_PER_MS 1000000ull

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	return getenv("WEIR_DEBUG") ? vfprintf(stderr, fmt, ap) : 0;
}

static int fail(int r, const char *what)
{
	/* not EACCES: that is the verifier's word for a program it refuses */
	if (r == -EPERM) {
		log_error(what,
			  "not permitted — needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
		return EXIT_PERM;
	}
	log_error(what, "%s — WEIR_DEBUG=1 shows what the kernel says", strerror(-r));
	return r == -EOPNOTSUPP || r == -ENOTSUP ? EXIT_NOSUPPORT : EXIT_FAILED;
}

uint64_t core_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CORE_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Makes the maps, and loads what the first interface is likely to need: before a weir that is at work is
 * asked to leave. Other programs are loaded when an interface needs them. */
static int load(struct core *c)
{
	struct dataplane_variant v = dataplane_variant_default;
	enum weir_hook ingress = HOOK_XDP;
	int r;

	if (c->cfg.ifaces) {
		v.role = c->cfg.iface[0].role;
		v.sample = c->cfg.iface[0].sample;
		v.decap_depth = c->cfg.iface[0].decap_depth;
		v.veth = nic_is_veth(c->cfg.iface[0].name);
		if (c->cfg.iface[0].hook == HOOK_MODE_TC)
			ingress = HOOK_TC_INGRESS;
	}
	c->cfg.dp.on_demand = true;
	r = dataplane_load(&c->dp, &c->cfg.dp, &v);
	return r ?: dataplane_prepare(&c->dp, &v, 1u << ingress | 1u << HOOK_TC_EGRESS);
}

/* What the worker has open, from 3 on; -1 = none of that kind. */
enum {
	FD_IPC,
	FD_BROKER,
	FD_NAMES,
	FD_SOCKET,
	FD_HTTP,
	FD_HEALTH,
	FD_LOCK,
	FD_EVICTED,
	FD_EVENTS,
	_FD_MAX
};

/* The worker keeps the mappings and these; every other descriptor is closed. */
static void become_worker(struct core *c, int ipc, int broker, int names)
{
	int fd[_FD_MAX] = {
		[FD_IPC] = ipc,
		[FD_BROKER] = broker,
		[FD_NAMES] = names,
		[FD_SOCKET] = c->control.socket,
		[FD_HTTP] = c->control.http,
		[FD_HEALTH] = c->control.health,
		[FD_LOCK] = c->pin.lock, /* held until the last process that writes there is gone */
		[FD_EVICTED] = c->dp.evicted.fd,
		[FD_EVENTS] = c->dp.events.fd,
	};
	struct worker_start start = {
		.cfg = &c->cfg, .news = c->news, .dp = &c->dp, .ifaces = c->places.own.table};

	for (int i = 0; i < _FD_MAX; i++) /* out of the way of others on their way down */
		fd[i] = fd[i] < 0 ? -1 : fcntl(fd[i], F_DUPFD, 64);
	for (int i = 0; i < _FD_MAX; i++) {
		close(3 + i);
		fd[i] = fd[i] < 0 ? -1 : dup2(fd[i], 3 + i);
	}
	syscall(SYS_close_range, 3u + _FD_MAX, ~0u, 0);
	start.ipc = fd[FD_IPC];
	start.broker = fd[FD_BROKER];
	start.names = fd[FD_NAMES];
	c->dp.evicted.fd = fd[FD_EVICTED];
	c->dp.events.fd = fd[FD_EVENTS];
	start.control = (struct control_fds){
		.socket = fd[FD_SOCKET], .http = fd[FD_HTTP], .health = fd[FD_HEALTH]};
	_exit(start.ipc < 0 || start.broker < 0 ? EXIT_FAILED : worker_main(&start));
}

/* Return: the signal, 0 = none. */
static int read_signal(struct core *c)
{
	struct signalfd_siginfo si;

	return read(c->signals, &si, sizeof(si)) == sizeof(si) ? (int)si.ssi_signo : 0;
}

/* The worker's next message, as ipc_recv(); files that it asks for meanwhile are opened, and at the end
 * it is told of signals.
 */
static int hear(struct core *c)
{
	static const struct ipc_msg again = {.type = IPC_STOP, .size = sizeof(again)};
	struct pollfd p[] = {{.fd = c->ipc, .events = POLLIN},
			     {.fd = c->broker, .events = POLLIN},
			     {.fd = c->ending ? c->signals : -1, .events = POLLIN}};

	for (;;) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[2].revents && read_signal(c) != SIGHUP) /* once more: now */
			ipc_send(c->ipc, &again);
		if (p[1].revents && broker_answer(c->broker, c->cfg.exports, c->cfg.n_exports))
			p[1].fd = -1;
		if (p[0].revents)
			return ipc_recv(c->ipc, &c->msg, 1);
	}
}

/* From here on they wait to be read. The worker inherits that: only the core is told to stop. */
static void hold_signals(struct core *c)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC);
}

static int start_worker(struct core *c)
{
	int fds[2], broker[2], names[2];

	if (c->signals < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, broker) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, names))
		return -errno;
	fflush(NULL);
	c->worker = fork();
	if (c->worker < 0)
		return -errno;
	if (!c->worker)
		become_worker(c, fds[1], broker[1], names[1]);
	close(fds[1]);
	close(broker[1]);
	close(names[1]);
	c->ipc = fds[0];
	c->broker = broker[0];
	c->names = names[0];
	return hear(c) == 1 && c->msg.type == IPC_READY ? 0 : -ECHILD;
}

/* ---- what happens while it runs ---- */

/* The watchdog hears of us only as long as the worker drains. */
static void feed_watchdog(struct core *c)
{
	uint64_t progress = __atomic_load_n(&c->places.own.table->progress, __ATOMIC_RELAXED);

	if (!c->watchdog_ns || progress == c->fed_at)
		return;
	c->fed_at = progress;
	notify_send(c->notify, "WATCHDOG=1\n");
}

static void tell_status(struct core *c, const char *state)
{
	notify_send(c->notify, "%sSTATUS=%u interfaces\n", state, places_count(&c->places));
}

/* Milliseconds until something is to be done that nobody wakes us for; -1 = nothing. */
static int next_ms(const struct core *c)
{
	const int policy = policy_host_ms(&c->policy);
	uint64_t now = core_ns(), in = UINT64_MAX;

	if (c->stop_at_ns)
		in = c->stop_at_ns > now ? c->stop_at_ns - now : 0;
	if (policy >= 0 && (uint64_t)policy * NS_PER_MS < in)
		in = (uint64_t)policy * NS_PER_MS;
	if (c->watchdog_ns && c->watchdog_ns / 4 < in)
		in = c->watchdog_ns / 4;
	if (c->measured && PROG_RUNS_MS * NS_PER_MS < in)
		in = PROG_RUNS_MS * NS_PER_MS;
	if (places_ms(&c->places) >= 0 && (uint64_t)places_ms(&c->places) * NS_PER_MS < in)
		in = (uint64_t)places_ms(&c->places) * NS_PER_MS;
	if (in == UINT64_MAX)
		return -1;
	return in / NS_PER_MS < INT32_MAX ? (int)((in + NS_PER_MS - 1) / NS_PER_MS) : INT32_MAX;
}

/* Everything that can change while it runs. The rest has been said by cfg.reload. */
static void reload(struct core *c)
{
	notify_send(c->notify, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
		    (unsigned long long)(core_ns() / 1000));
	memset(c->news, 0, sizeof(*c->news));
	if (!c->cfg.reload || c->cfg.reload(c->news)) {
		iface_table_reloaded(c->places.own.table, true);
		log_warn("reload", "the settings stay as they are");
	} else {
		struct ipc_msg m = {.type = IPC_RELOAD, .size = sizeof(m)};

		memcpy(c->cfg.iface, c->news->iface, sizeof(c->cfg.iface));
		c->places.own.wants = c->cfg.ifaces = c->news->ifaces;
		c->places.own.pick = c->cfg.pick = c->news->pick;
		c->places.own.pick_arg = c->cfg.pick_arg = c->news->pick_arg;
		if (c->news->n_exports != c->cfg.n_exports ||
		    memcmp(c->news->exports, c->cfg.exports, sizeof(c->cfg.exports)))
			log_warn("reload", "exports have changed, which takes a restart");
		places_change(&c->places);
		c->cfg.mirrors = c->news->mirrors;
		mirror_host_configure(&c->mirror, &c->cfg.mirrors);
		recorder_reload(&c->recorder, &c->news->recorder.disk);
		ipc_send(c->ipc, &m);
		iface_table_reloaded(c->places.own.table, false);
		log_info(NULL, "reloaded, %u interfaces", places_count(&c->places));
	}
	tell_status(c, "READY=1\n");
}

/* A signal has come. True: it is time to end. */
static bool heard_stop(struct core *c)
{
	int sig = read_signal(c);

	if (sig == SIGHUP)
		reload(c);
	return sig == SIGINT || sig == SIGTERM;
}

/* The worker has said something. True: it has ended, or is about to. */
static bool heard_worker(struct core *c)
{
	if (ipc_recv(c->ipc, &c->msg, 1) != 1 || c->msg.type != IPC_ENDED)
		return true;
	pin_older_drop(&c->pin, c->msg.tables);
	log_info(NULL, "what was counted in the tables of an earlier weir has been read");
	return false;
}

enum { P_SIGNAL, P_WORKER, P_LINKS, P_BROKER, P_HEIRS, P_RECORDER, _P_MAX };

/* Something came from outside. False: it is time to end. */
static bool act_on(struct core *c, const struct pollfd *p)
{
	if (p[P_SIGNAL].revents && heard_stop(c))
		return false;
	if (p[P_HEIRS].revents && core_heard_heir(c))
		return false;
	if (p[P_LINKS].revents)
		places_update(&c->places);
	if (p[P_BROKER].revents)
		broker_answer(c->broker, c->cfg.exports, c->cfg.n_exports);
	if (p[P_RECORDER].revents)
		recorder_gone(&c->recorder);
	return true;
}

/* Until a signal, the end of --duration, or the worker's end. Return 1 if the worker ended. */
static int wait_for_stop(struct core *c)
{
	struct pollfd p[_P_MAX + POLICY_HOST_FDS] = {
		[P_SIGNAL] = {.fd = c->signals, .events = POLLIN},
		[P_WORKER] = {.fd = c->ipc, .events = POLLIN},
		[P_LINKS] = {.fd = c->places.poll_fd, .events = POLLIN},
		[P_BROKER] = {.fd = c->broker, .events = POLLIN},
		[P_HEIRS] = {.fd = c->heirs, .events = POLLIN}};

	for (;;) {
		unsigned int n = places_count(&c->places);
		int r;

		policy_host_poll(&c->policy, p + _P_MAX);
		p[P_RECORDER].fd = c->recorder.fd;
		r = poll(p, _P_MAX + POLICY_HOST_FDS, next_ms(c));
		if (r < 0 && errno != EINTR)
			return 0;
		policy_host_work(&c->policy, p + _P_MAX);
		if (r > 0 && p[P_WORKER].revents && heard_worker(c))
			return 1;
		if (r > 0 && !act_on(c, p))
			return 0;
		if (r == 0 && places_ms(&c->places) >= 0)
			places_update(&c->places);
		if (places_count(&c->places) != n)
			tell_status(c, "");
		feed_watchdog(c);
		if (c->measured)
			prog_runs_read(&c->dp, c->places.own.table);
		if (c->stop_at_ns && core_ns() >= c->stop_at_ns)
			return 0;
	}
}

static void print_summary(struct core *c, const char *names)
{
	c->dp.counted = c->msg.summary.counted;
	if (c->cfg.summary_json) {
		summary_json(&c->msg.summary, &c->dp, stderr);
		return;
	}
	summary_text(&c->msg.summary, &c->dp, stderr);
	log_info(NULL, "%s%s", c->dp.pin ? "still counting on" : "detached", names);
}

/* The worker's account at the end; false: there is none. */
static bool hear_summary(struct core *c, bool heard)
{
	c->ending = true;
	while (!heard || c->msg.type == IPC_ENDED) {
		if (hear(c) != 1)
			return false;
		heard = true;
	}
	return c->msg.type == IPC_SUMMARY;
}

static int stop(struct core *c, int worker_gone)
{
	struct ipc_msg m = {.type = IPC_STOP, .size = sizeof(m)};
	char names[1024];
	int status = 0;

	notify_send(c->notify, "STOPPING=1\n");
	control_leave(&c->control);
	places_names(&c->places, names, sizeof(names));
	policy_host_stop(&c->policy);
	mirror_host_stop(&c->mirror);
	places_stop(&c->places);
	core_make_room(c);
	m.tables = c->superseded;
	if (!worker_gone)
		ipc_send(c->ipc, &m);
	if (hear_summary(c, worker_gone && c->msg.type == IPC_SUMMARY))
		print_summary(c, names);
	else
		log_error(NULL,
			  "the worker ended without an account; flows since its last output are "
			  "lost");
	waitpid(c->worker, &status, 0);
	if (WIFSIGNALED(status))
		log_error("worker", "ended by signal %d", WTERMSIG(status));
	else if (c->superseded && !WEXITSTATUS(status))
		pin_remove_tables(c->pin.tables); /* read to the end, and nobody counts there */
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static int exit_code_of(int r)
{
	if (r == -EOPNOTSUPP)
		return EXIT_NOSUPPORT;
	return r == -EPERM ? EXIT_PERM : EXIT_FAILED;
}

/* After the worker was started: end it again. @what: what went wrong, if that has not been said. */
static int give_up(struct core *c, int r, const char *what)
{
	places_stop(&c->places);
	close(c->broker);
	close(c->ipc); /* the worker sees it and ends */
	waitpid(c->worker, NULL, 0);
	return what ? fail(r, what) : exit_code_of(r);
}

/* What is needed before the worker starts, in the end with the lock of --pin held. 0 or exit code. */
static int prepare(struct core *c)
{
	int r = core_open_pin(c);

	r = r ?: load(c);
	if (r && c->pin.error[0]) {
		log_error(NULL, "%s", c->pin.error);
		return exit_code_of(r);
	}
	if (r)
		return fail(r, "load programs");
	if (c->dp.pin && !c->pin.locked && core_take_place(c))
		return EXIT_FAILED;
	hold_signals(c); /* what comes now finds us at work, and another weir gone */
	r = c->dp.pin ? pin_ledger(&c->pin, worker_flows(&c->cfg)) : 0;
	if (r) {
		log_error(NULL, "%s", c->pin.error);
		return exit_code_of(r);
	}
	return control_listen(&c->cfg.control, &c->control) ? EXIT_FAILED : 0;
}

/* Before the worker, and what goes with it, is there. */
static int start_recorder(struct core *c)
{
	const struct recorder_start start = {.cfg = &c->cfg.recorder,
					     .dp = &c->dp,
					     .table = c->places.own.table,
					     .node = c->cfg.node};

	return recorder_start(&c->recorder, &start);
}

static int run(struct core *c)
{
	struct ipc_msg alone = {.type = IPC_ALONE, .size = sizeof(alone)};
	int r;

	if (places_check(c->cfg.iface, c->cfg.ifaces))
		return EXIT_FAILED;
	r = prepare(c);
	if (r)
		return r;
	r = start_recorder(c) ?: start_worker(c);
	if (r)
		return fail(r, "start worker");
	if (c->places.poll_fd < 0) { /* not yet, by core_take_place() */
		core_start_policy(c);
		r = places_start(&c->places);
	}
	if (r)
		return give_up(c, r, NULL);
	policy_host_open(&c->policy, &c->cfg.control, c->names);
	core_in_place(c);
	c->measured = prog_runs_measured(&c->dp);
	core_listen(c);
	r = sandbox_core(c->places.entered);
	if (r)
		return give_up(c, r, "give up privileges");
	__atomic_store_n(&c->places.own.table->started, 1, __ATOMIC_RELAXED);
	if (c->dp.pin)
		ipc_send(c->ipc, &alone);
	if (c->cfg.duration_ns)
		c->stop_at_ns = core_ns() + c->cfg.duration_ns;
	tell_status(c, "READY=1\n");
	return stop(c, wait_for_stop(c));
}

int core_run(const struct run_cfg *cfg)
{
	static struct core c;
	int rc;

	c.cfg = *cfg;
	c.pin.lock = c.pin.starting = c.heirs = c.heir = -1;
	c.places.poll_fd = c.places.mounts = -1;
	c.recorder.fd = -1;
	c.places.own = (struct ifaces){
		.want = c.cfg.iface,
		.wants = c.cfg.ifaces,
		.pick = cfg->pick,
		.pick_arg = cfg->pick_arg,
		.dp = &c.dp,
		.table = iface_table_new(),
		.links_fd = -1,
	};
	c.news = mmap(NULL, sizeof(*c.news), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (c.news == MAP_FAILED)
		return fail(-ENOMEM, "start");
	c.notify = notify_open(&c.watchdog_ns);
	libbpf_set_print(quiet);
	c.control = CONTROL_FDS_NONE;
	c.names = -1;
	rc = c.places.own.table ? run(&c) : fail(-ENOMEM, "start");
	policy_host_stop(&c.policy);
	mirror_host_stop(&c.mirror);
	recorder_stop(&c.recorder);
	control_unlisten(&c.cfg.control, &c.control);
	dataplane_done(&c.dp);
	pin_close(&c.pin);
	iface_table_free(c.places.own.table);
	return rc;
}
