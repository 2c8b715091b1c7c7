// SPDX-License-Identifier: Apache-2.0
#include "loader/core.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/ipc.h"
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
		fprintf(stderr,
			"weir: %s: not permitted — needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON\n",
			what);
		return EXIT_PERM;
	}
	fprintf(stderr, "weir: %s: %s — WEIR_DEBUG=1 shows what the kernel says\n", what,
		strerror(-r));
	return r == -EOPNOTSUPP || r == -ENOTSUP ? EXIT_NOSUPPORT : EXIT_FAILED;
}

struct core {
	struct run_cfg cfg;
	struct dataplane dp;
	pid_t worker;
	int ipc;
	int signals;
	struct ipc_msg msg;
};

static int find_ifaces(struct core *c)
{
	for (unsigned int i = 0; i < c->cfg.ifaces; i++) {
		struct attachment *a = &c->cfg.iface[i];

		a->ifindex = if_nametoindex(a->ifname);
		if (!a->ifindex) {
			fprintf(stderr, "weir: %s: no such interface\n", a->ifname);
			return -ENODEV;
		}
	}
	return 0;
}

/* The worker keeps the mappings and its socket; every other descriptor is closed. */
static void become_worker(struct core *c, int ipc)
{
	int fd = dup2(ipc, 3);

	syscall(SYS_close_range, 4u, ~0u, 0);
	_exit(fd < 0 ? EXIT_FAILED : worker_main(&c->cfg, &c->dp, fd));
}

static int start_worker(struct core *c)
{
	sigset_t set;
	int fds[2];

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL); /* both: only the core is told to stop */
	signal(SIGPIPE, SIG_IGN);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (c->signals < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	fflush(NULL);
	c->worker = fork();
	if (c->worker < 0)
		return -errno;
	if (!c->worker)
		become_worker(c, fds[1]);
	close(fds[1]);
	c->ipc = fds[0];
	return ipc_recv(c->ipc, &c->msg, 1) == 1 && c->msg.type == IPC_READY ? 0 : -ECHILD;
}

static void announce(const struct core *c, const struct attachment *a)
{
	fprintf(stderr, "weir: %s: %s (ingress) + %s (egress), %u flows [%s]\n", a->ifname,
		a->xdp	 ? c->cfg.hook == HOOK_MODE_GENERIC ? "generic XDP" : "native XDP"
		: a->tcx ? "TCX"
			 : "TC clsact",
		a->tcx ? "TCX" : "TC clsact", c->cfg.dp.flows, a->why);
}

static void detach_all(struct core *c)
{
	for (unsigned int i = 0; i < c->cfg.ifaces; i++)
		attach_done(&c->cfg.iface[i]);
	/* programs on their way through a packet end before this returns */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

static int attach_all(struct core *c)
{
	for (unsigned int i = 0; i < c->cfg.ifaces; i++) {
		struct attachment *a = &c->cfg.iface[i];
		int r;

		a->role = c->cfg.role;
		r = attach_interface(a, &c->dp, c->cfg.hook);
		if (r) {
			fprintf(stderr, "weir: %s\n", a->error);
			detach_all(c);
			return r;
		}
		announce(c, a);
	}
	return 0;
}

/* Until a signal, the end of --duration, or the worker's end. Return 1 if the worker ended. */
static int wait_for_stop(struct core *c)
{
	struct pollfd p[2] = {{.fd = c->signals, .events = POLLIN},
			      {.fd = c->ipc, .events = POLLIN}};
	uint64_t ms = c->cfg.duration_ns / NS_PER_MS;
	int r;

	do
		r = poll(p, 2, ms ? (int)ms : -1);
	while (r < 0 && errno == EINTR);
	return p[1].revents != 0;
}

static void print_summary(struct core *c)
{
	if (c->cfg.summary_json) {
		summary_json(&c->msg.summary, &c->dp, stderr);
		return;
	}
	summary_text(&c->msg.summary, &c->dp, stderr);
	fputs("weir: detached", stderr);
	for (unsigned int i = 0; i < c->cfg.ifaces; i++)
		fprintf(stderr, " %s", c->cfg.iface[i].ifname);
	fputc('\n', stderr);
}

static int stop(struct core *c, int worker_gone)
{
	struct ipc_msg m = {.type = IPC_STOP, .size = sizeof(m)};
	int status = 0;

	detach_all(c);
	if (!worker_gone)
		ipc_send(c->ipc, &m);
	if (ipc_recv(c->ipc, &c->msg, 1) == 1 && c->msg.type == IPC_SUMMARY)
		print_summary(c);
	else
		fputs("weir: the worker ended without an account; flows since its last output are lost\n",
		      stderr);
	waitpid(c->worker, &status, 0);
	if (WIFSIGNALED(status))
		fprintf(stderr, "weir: worker: ended by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static int run(struct core *c)
{
	int r = find_ifaces(c), rc;

	if (r)
		return EXIT_FAILED;
	r = dataplane_load(&c->dp, &c->cfg.dp, c->cfg.role);
	if (r)
		return fail(r, "load programs");
	r = start_worker(c);
	if (r)
		return fail(r, "start worker");
	r = attach_all(c);
	rc = r == -EOPNOTSUPP ? EXIT_NOSUPPORT : r == -EPERM ? EXIT_PERM : EXIT_FAILED;
	if (!r)
		return stop(c, wait_for_stop(c));
	close(c->ipc); /* the worker sees it and ends */
	waitpid(c->worker, NULL, 0);
	return rc;
}

int core_run(const struct run_cfg *cfg)
{
	static struct core c;
	int rc;

	c.cfg = *cfg;
	libbpf_set_print(quiet);
	rc = run(&c);
	dataplane_done(&c.dp);
	return rc;
}
