// SPDX-License-Identifier: Apache-2.0
/*
 * server.c - clients of the socket and of the metrics: who is there, what they have sent, what waits
 * for them. See control.h and docs/control.md.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/peer.h"
#include "loader/control/control_int.h"
#include "loader/control/counters.h"

static void sweep_ended(struct control_server *c);
static void news(void *arg, const struct flow_record *r, const struct live_news *n);

uint64_t control_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t control_wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* jansson would open a file for it, which the worker may not. */
static void seed_json(void)
{
	size_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) || !seed)
		seed = 1;
	json_object_seed(seed);
}

int control_new(const struct control_cfg *cfg, const struct control_fds *fds,
		const struct control_env *env, struct control_server **ret)
{
	struct control_server *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	c->fds = *fds;
	c->env = *env;
	c->uid = geteuid();
	c->cfg.capture_gid = peer_group(cfg->capture_group);
	c->started_wall_ns = control_wall_ns();
	c->now_ns = control_mono_ns();
	for (unsigned int i = 0; i < CLIENTS_ALL; i++)
		c->clients[i].fd = -1;
	live_init(&c->live, env->merge, env->flows_max, news, c);
	counter_rows_init();
	seed_json();
	r = output_new("json", -1, &c->output);
	r = r ?: history_init(&c->history, cfg->history);
	if (r) {
		control_free(c);
		return r;
	}
	health_look(c); /* what was lost before is no news */
	*ret = c;
	return 0;
}

/* ---- one client ---- */

static void client_forget_request(struct client *cl)
{
	top_view_free(cl->view);
	cl->view = NULL;
	cl->capture = capture_view_free(cl->capture);
	cl->q.filter = filter_free(cl->q.filter);
}

static void client_close(struct client *cl)
{
	client_forget_request(cl);
	if (cl->fd >= 0)
		close(cl->fd);
	free(cl->in);
	free(cl->out);
	*cl = (struct client){.fd = -1};
}

void control_free(struct control_server *c)
{
	if (!c)
		return;
	for (unsigned int i = 0; i < CLIENTS_ALL; i++)
		client_close(&c->clients[i]);
	live_done(&c->live);
	history_done(&c->history);
	output_free(c->output);
	free(c);
}

bool client_room(const struct client *cl, size_t n)
{
	return n <= OUT_BYTES - cl->out_len;
}

void client_put(struct client *cl, const char *s, size_t n)
{
	memcpy(cl->out + cl->out_len, s, n);
	cl->out_len += n;
}

bool client_put_json(struct client *cl, struct json *j)
{
	size_t len;

	if (json_end(j, &len) || !client_room(cl, len + 1))
		return false;
	client_put(cl, j->buf, len);
	client_put(cl, "\n", 1);
	return true;
}

static void put_key(struct json *j, const char *key)
{
	json_key(j, key, strlen(key));
}

static void put_text(struct json *j, const char *key, const char *text)
{
	put_key(j, key);
	json_str(j, text, strlen(text));
}

void client_finish(struct control_server *c, struct client *cl)
{
	client_forget_request(cl);
	cl->q.follow = false;
	cl->since_ns = c->now_ns;
	cl->doing = cl->http ? CLIENT_LEAVING : CLIENT_READING;
}

void client_fail(struct control_server *c, struct client *cl, const struct request_error *e)
{
	struct json j;

	c->stats.bad_requests++;
	json_init(&j, c->line, sizeof(c->line));
	json_open(&j, '{');
	put_text(&j, "type", "error");
	put_text(&j, "code", e->code);
	put_text(&j, "message", e->at.message);
	put_key(&j, "line");
	json_u64(&j, e->at.line);
	put_key(&j, "column");
	json_u64(&j, e->at.column);
	json_close(&j, '}');
	client_put_json(cl, &j);
	client_finish(c, cl);
	cl->doing = CLIENT_LEAVING;
}

/* ---- requests ---- */

static void want_sweeps(struct control_server *c)
{
	c->wanted_ns = c->now_ns;
	live_want(&c->live, true); /* without memory, answers have no rates: they say interval 0 */
}

/* Answer when so many more sweeps are complete. */
static void after_sweeps(struct control_server *c, struct client *cl, enum client_doing doing,
			 unsigned int n)
{
	want_sweeps(c);
	cl->doing = doing;
	cl->sweep = c->live.sweeps + n + c->live.sweeping;
	cl->since_ns = c->now_ns;
}

static void serve(struct control_server *c, struct client *cl)
{
	c->stats.requests++;
	if (cl->q.command == REQUEST_TOP) {
		top_begin(c, cl);
		if (cl->view)
			after_sweeps(c, cl, CLIENT_TOP, c->live.sweeps ? 1 : 2);
	} else if (cl->q.command == REQUEST_STATUS) {
		after_sweeps(c, cl, CLIENT_STATUS, c->live.sweeps ? 1 : 2);
	} else if (cl->q.command == REQUEST_CAPTURE) {
		capture_begin(c, cl);
	} else if (cl->q.live) {
		after_sweeps(c, cl, CLIENT_LIVE, 1);
	} else {
		cl->doing = CLIENT_FLOWS;
		flows_begin(c, cl);
	}
}

static void take_line(struct control_server *c, struct client *cl, size_t len)
{
	struct request_error err = {};
	struct request q;

	if (request_parse(cl->in, len, &q, &err)) {
		client_fail(c, cl, &err);
		return;
	}
	client_forget_request(cl);
	cl->q = q;
	cl->sent = cl->lost = 0;
	serve(c, cl);
}

static void http_status(struct client *cl, int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {{400, "Bad Request"},
		     {404, "Not Found"},
		     {405, "Method Not Allowed"},
		     {431, "Request Header Fields Too Large"},
		     {503, "Service Unavailable"}};
	char head[256];
	int n;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].status != status)
			continue;
		n = snprintf(head, sizeof(head),
			     "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
			     "%sConnection: close\r\n\r\n%s\n",
			     status, texts[i].text, strlen(texts[i].text) + 1,
			     status == 405 ? "Allow: GET\r\n" : "", texts[i].text);
		client_put(cl, head, (size_t)n);
	}
	cl->doing = CLIENT_LEAVING;
}

static void take_http(struct control_server *c, struct client *cl)
{
	const int status = http_parse(cl->in, cl->in_len);

	if (!status)
		return;
	cl->in_len = 0;
	c->stats.scrapes++;
	if (status == 200)
		after_sweeps(c, cl, CLIENT_METRICS, 1);
	else
		http_status(cl, status);
}

/* The next request waits for the end of the answer, or ends one that would go on for ever. */
static void take_requests(struct control_server *c, struct client *cl)
{
	struct request_error err = {.code = "request", .at = {1, 1, "the line is too long"}};
	char *nl;

	if (cl->http) {
		if (cl->doing == CLIENT_READING)
			(cl->health ? health_take : take_http)(c, cl);
		return;
	}
	while (cl->doing == CLIENT_READING || (cl->doing != CLIENT_LEAVING && cl->q.follow)) {
		nl = memchr(cl->in, '\n', cl->in_len);
		if (!nl)
			break;
		take_line(c, cl, (size_t)(nl - cl->in));
		cl->in_len -= (size_t)(nl + 1 - cl->in);
		memmove(cl->in, nl + 1, cl->in_len);
	}
	if (cl->in_len == REQUEST_MAX && !memchr(cl->in, '\n', cl->in_len))
		client_fail(c, cl, &err);
}

static void client_read(struct control_server *c, struct client *cl)
{
	const size_t max = cl->http ? HTTP_MAX : REQUEST_MAX;
	ssize_t n;

	if (cl->doing == CLIENT_LEAVING || cl->in_len == max)
		return;
	n = recv(cl->fd, cl->in + cl->in_len, max - cl->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* A client may shut its side down and still want the answers. */
		cl->gone = true;
		if (n < 0)
			cl->doing = CLIENT_LEAVING;
		return;
	}
	cl->in_len += (size_t)n;
	take_requests(c, cl);
}

static void client_write(struct control_server *c, struct client *cl)
{
	ssize_t n;

	if (cl->out_done == cl->out_len) {
		cl->moved_ns = c->now_ns;
		return;
	}
	n = send(cl->fd, cl->out + cl->out_done, cl->out_len - cl->out_done,
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		client_close(cl);
		return;
	}
	cl->out_done += (size_t)n;
	cl->moved_ns = c->now_ns;
	if (cl->out_done == cl->out_len)
		cl->out_done = cl->out_len = 0;
}

/* ---- connections ---- */

/* Clients of a kind have places of their own. */
static const struct {
	unsigned int from, to;
} places[CONTROL_LISTENING] = {
	{0, CONTROL_CLIENTS},
	{CONTROL_CLIENTS, CONTROL_CLIENTS + CONTROL_HTTP_CLIENTS},
	{CONTROL_CLIENTS + CONTROL_HTTP_CLIENTS, CLIENTS_ALL},
};

enum { FOR_SOCKET, FOR_METRICS, FOR_HEALTH };

static void welcome(struct control_server *c, int fd, unsigned int kind)
{
	const bool http = kind != FOR_SOCKET;
	static const char busy[] = "{\"type\":\"error\",\"code\":\"busy\",\"message\":\"too many "
				   "clients\",\"line\":1,\"column\":1}\n";
	struct client *cl;

	for (unsigned int i = places[kind].from; i < places[kind].to; i++) {
		cl = &c->clients[i];
		if (cl->doing != CLIENT_FREE)
			continue;
		*cl = (struct client){
			.doing = CLIENT_READING,
			.fd = fd,
			.http = http,
			.health = kind == FOR_HEALTH,
			.in = malloc(http ? HTTP_MAX : REQUEST_MAX),
			.out = malloc(OUT_BYTES),
			.since_ns = c->now_ns,
			.moved_ns = c->now_ns,
		};
		if (!cl->in || !cl->out)
			client_close(cl);
		return;
	}
	c->stats.refused++;
	if (!http && send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		c->stats.slow++;
	close(fd);
}

/* False: nobody will come any more. */
static bool accept_all(struct control_server *c, int listening, unsigned int kind)
{
	int fd;

	while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		welcome(c, fd, kind);
	return errno != EINVAL;
}

/* Those who never say what they want, and those who don't take what they asked for. */
static void check_patience(struct control_server *c, struct client *cl)
{
	const bool waits = cl->out_done < cl->out_len;

	if (cl->doing == CLIENT_READING && !waits && c->now_ns - cl->since_ns > REQUEST_NS) {
		client_close(cl);
	} else if (waits && c->now_ns - cl->moved_ns > STUCK_NS) {
		c->stats.slow++;
		client_close(cl);
	} else if (cl->doing == CLIENT_LEAVING && !waits) {
		/* What the client has still sent would reset the connection, and the answer with it. */
		shutdown(cl->fd, SHUT_WR);
		client_close(cl);
	}
}

/* ---- steps ---- */

unsigned int control_poll(struct control_server *c, struct pollfd *p)
{
	unsigned int n = 0;

	if (!c)
		return 0;
	p[n++] = (struct pollfd){.fd = c->fds.socket, .events = POLLIN};
	p[n++] = (struct pollfd){.fd = c->fds.http, .events = POLLIN};
	p[n++] = (struct pollfd){.fd = c->health.refusing ? -1 : c->fds.health, .events = POLLIN};
	for (unsigned int i = 0; i < CLIENTS_ALL; i++) {
		const struct client *cl = &c->clients[i];
		const bool waits = cl->out_done < cl->out_len;

		if (cl->doing == CLIENT_FREE)
			continue;
		c->polled[n - CONTROL_LISTENING] = i;
		p[n++] = (struct pollfd){.fd = cl->fd,
					 .events = (short)((cl->gone ? 0 : POLLIN) |
							   (waits ? POLLOUT : 0))};
	}
	return n;
}

static bool work_client(struct control_server *c, struct client *cl)
{
	bool more = false;

	if (cl->doing == CLIENT_FLOWS)
		more = flows_step(c, cl);
	else if (cl->doing == CLIENT_CAPTURE)
		more = capture_step(c, cl);
	if (cl->doing == CLIENT_READING && cl->in_len)
		take_requests(c, cl);
	if (cl->doing == CLIENT_READING && cl->gone)
		cl->doing = CLIENT_LEAVING;
	if (cl->out_len)
		client_write(c, cl);
	if (cl->doing != CLIENT_FREE)
		check_patience(c, cl);
	return more;
}

static void accept_new(struct control_server *c, const struct pollfd *p)
{
	for (unsigned int kind = 0; kind < CONTROL_LISTENING; kind++)
		if (p[kind].fd >= 0 && p[kind].revents && !accept_all(c, p[kind].fd, kind)) {
			close(p[kind].fd); /* control_leave() */
			c->fds.health = -1;
		}
}

bool control_work(struct control_server *c, const struct pollfd *p, unsigned int n)
{
	bool more = false;

	if (!c)
		return false;
	c->now_ns = control_mono_ns();
	for (unsigned int i = CONTROL_LISTENING; i < n; i++) {
		struct client *cl = &c->clients[c->polled[i - CONTROL_LISTENING]];

		if (p[i].revents & POLLERR || (p[i].revents & POLLHUP && !(p[i].revents & POLLIN)))
			client_close(cl);
		else if (p[i].revents & POLLIN)
			client_read(c, cl);
	}
	if (n)
		accept_new(c, p);
	if (live_step(&c->live))
		sweep_ended(c);
	for (unsigned int i = 0; i < CLIENTS_ALL; i++)
		if (c->clients[i].doing != CLIENT_FREE)
			more |= work_client(c, &c->clients[i]);
	return more || c->live.sweeping;
}

/* ---- flows ---- */

static void news(void *arg, const struct flow_record *r, const struct live_news *n)
{
	struct control_server *c = arg;
	struct iface_total *t = iface_total(c, r->ifindex);

	if (t) {
		t->packets += n->packets[0] + n->packets[1];
		t->bytes += n->bytes[0] + n->bytes[1];
		t->flows_now += n->live;
	}
	if (!c->live.counted)
		return;
	for (unsigned int i = 0; i < CONTROL_CLIENTS; i++) {
		struct client *cl = &c->clients[i];

		if (cl->doing == CLIENT_TOP)
			top_view_add(cl->view, r, n);
		else if (cl->doing == CLIENT_LIVE && n->live && c->live.sweeps + 1 == cl->sweep)
			flows_live(c, cl, r);
	}
}

void control_flow(struct control_server *c, const struct flow_record *r)
{
	if (!c)
		return;
	live_record(&c->live, r);
	if (c->fds.socket >= 0)
		history_add(&c->history, r);
}

static bool somebody_wants_sweeps(const struct control_server *c)
{
	for (unsigned int i = 0; i < CLIENTS_ALL; i++) {
		const enum client_doing d = c->clients[i].doing;

		if (d == CLIENT_TOP || d == CLIENT_STATUS || d == CLIENT_METRICS ||
		    d == CLIENT_LIVE)
			return true;
	}
	return false;
}

void control_tick(struct control_server *c)
{
	if (c)
		health_look(c);
	if (!c || !c->live.counted)
		return;
	c->now_ns = control_mono_ns();
	if (somebody_wants_sweeps(c))
		c->wanted_ns = c->now_ns;
	if (c->now_ns - c->wanted_ns > LINGER_NS)
		live_want(&c->live, false);
	else
		live_begin(&c->live, c->now_ns);
}

static void metrics_answer(struct control_server *c, struct client *cl)
{
	char head[160];
	int n = metrics_text(c, c->line, sizeof(c->line));

	if (n < 0) {
		http_status(cl, 503);
		return;
	}
	client_put(cl, head,
		   (size_t)snprintf(head, sizeof(head),
				    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
				    "Content-Length: %d\r\nConnection: close\r\n\r\n",
				    n));
	client_put(cl, c->line, (size_t)n);
	client_finish(c, cl);
}

static void close_ifaces(struct control_server *c)
{
	const uint64_t ns = c->live.started_ns - c->live.prev_ns;

	for (unsigned int i = 0; i < IFACE_TOTALS; i++) {
		struct iface_total *t = &c->ifaces[i];

		if (!t->ifindex)
			continue;
		t->flows = t->flows_now;
		t->flows_now = 0;
		if (c->live.sweeps > 1 && ns) {
			const double s = (double)ns / NS_PER_S;

			t->bps = (uint64_t)((double)(t->bytes - t->swept_bytes) * 8 / s);
			t->pps = (uint64_t)((double)(t->packets - t->swept_packets) / s);
		}
		t->swept_bytes = t->bytes;
		t->swept_packets = t->packets;
	}
}

static void sweep_ended(struct control_server *c)
{
	close_ifaces(c);
	for (unsigned int i = 0; i < CLIENTS_ALL; i++) {
		struct client *cl = &c->clients[i];
		const bool due = c->live.sweeps >= cl->sweep;

		if (cl->doing == CLIENT_STATUS && due)
			status_answer(c, cl);
		else if (cl->doing == CLIENT_METRICS && due)
			metrics_answer(c, cl);
		else if (cl->doing == CLIENT_LIVE && due)
			flows_live_end(c, cl);
		else if (cl->doing == CLIENT_TOP && due)
			top_answer(c, cl);
		else if (cl->doing == CLIENT_TOP)
			top_view_clear(cl->view);
	}
}
