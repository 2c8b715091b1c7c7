/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_int.h - what the parts of the server share. server.c has the clients and their bytes;
 * answer_*.c fill their buffers; metrics.c writes Prometheus text. Drain thread only.
 */
#ifndef WEIR_LOADER_CONTROL_INT_H
#define WEIR_LOADER_CONTROL_INT_H

#include <stdarg.h>
#include "common/json.h"
#include "common/output.h"
#include "loader/control/control.h"
#include "loader/control/history.h"
#include "loader/control/live.h"
#include "loader/control/request.h"
#include "loader/control/top_view.h"

#define OUT_BYTES    (512u << 10) /* what may wait for a client; several times the longest line */
#define REQUEST_NS   UINT64_C(10000000000) /* for a request to be complete */
#define STUCK_NS     UINT64_C(30000000000) /* a client that reads nothing so long is let go */
#define LINGER_NS    UINT64_C(5000000000)  /* sweeps go on so long after the last wish */
#define NS_PER_S     UINT64_C(1000000000)
#define CLIENTS_ALL  (CONTROL_FDS - CONTROL_LISTENING)
#define IFACE_TOTALS 4096u /* places, a power of two; twice the rows of iface_table.h */

struct capture_view;

enum client_doing {
	CLIENT_FREE,
	CLIENT_READING, /* the request is not complete */
	CLIENT_FLOWS,
	CLIENT_CAPTURE,
	CLIENT_LIVE,   /* flows that have not ended, with the next sweep */
	CLIENT_STATUS, /* waits for a sweep with a rate */
	CLIENT_TOP,
	CLIENT_METRICS, /* waits for a sweep */
	CLIENT_LEAVING, /* closed when its buffer is empty */
};

struct client {
	enum client_doing doing;
	int fd;
	bool http;
	bool health; /* and that: a load balancer's */
	bool gone;   /* closes its side: no more requests */
	char *in;    /* REQUEST_MAX */
	size_t in_len;
	char *out; /* OUT_BYTES */
	size_t out_len, out_done;
	uint64_t since_ns; /* monotonic: connected, or began to wait */
	uint64_t moved_ns; /* monotonic: something was written, or nothing was to be */
	struct request q;
	uint64_t at;	 /* flows: number of the next record */
	uint64_t back;	 /* flows: looking for the last ones, from here down */
	uint32_t wanted; /* flows: of the last ones, still to be found */
	uint64_t sent, lost;
	uint64_t sweep; /* of live.sweeps: answer when it has come so far */
	struct top_view *view;
	struct capture_view *capture;
};

/* What went over an interface, since weir is on it. */
struct iface_total {
	uint32_t ifindex; /* 0 = free */
	uint32_t flows;	  /* live, of the last sweep */
	uint32_t flows_now;
	uint32_t pad;
	uint64_t packets, bytes;
	uint64_t swept_packets, swept_bytes; /* totals at the end of the last sweep */
	uint64_t pps, bps;
};

struct control_stats {
	uint64_t requests;
	uint64_t bad_requests;
	uint64_t refused; /* no place for one more client */
	uint64_t slow;	  /* closed: read nothing for too long */
	uint64_t lost;	  /* records that `flows` clients missed, because they were slow */
	uint64_t scrapes;
	uint64_t health_checks;
	uint64_t health_bad; /* of those, answered with 503 */
};

/* What health.c knows of losses. */
struct health {
	uint64_t lost;	  /* packets and bytes that no record has, all counters of that class */
	uint64_t lost_ns; /* monotonic: when that last grew; 0: never */
	bool begun;	  /* lost has been read */
	bool refusing;
};

struct control_server {
	struct control_cfg cfg;
	struct control_fds fds;
	struct control_env env;
	struct client clients[CLIENTS_ALL];
	unsigned int polled[CLIENTS_ALL]; /* client of each descriptor that is waited for */
	struct history history;
	struct live live;
	struct output *output; /* records as JSON */
	struct iface_total ifaces[IFACE_TOTALS];
	struct control_stats stats;
	struct health health;
	uid_t uid; /* ours */
	uint64_t started_wall_ns;
	uint64_t wanted_ns; /* monotonic: somebody wanted a sweep */
	uint64_t now_ns;    /* monotonic, of this step */
	char line[OUTPUT_LINE_MAX];
};

uint64_t control_mono_ns(void);
uint64_t control_wall_ns(void);

/* ---- server.c ---- */
/* Room for one more line of @n bytes? */
bool client_room(const struct client *cl, size_t n);
/* Append bytes; the caller has asked for room. */
void client_put(struct client *cl, const char *s, size_t n);
/* Append what has been written into @j, and a line end; false: no room, or it did not fit in @j. */
bool client_put_json(struct client *cl, struct json *j);
/* {"type":"error", ...} and no more of this request. */
void client_fail(struct control_server *c, struct client *cl, const struct request_error *e);
/* The answer is complete: the next request may come. */
void client_finish(struct control_server *c, struct client *cl);

/* ---- answer_flows.c: some of what a client waits for. Return: true: there is more at once. ---- */
void flows_begin(struct control_server *c, struct client *cl);
bool flows_step(struct control_server *c, struct client *cl);
void flows_live(struct control_server *c, struct client *cl, const struct flow_record *r);
void flows_live_end(struct control_server *c, struct client *cl);

/* ---- answer_capture.c ---- */
void capture_begin(struct control_server *c, struct client *cl);
bool capture_step(struct control_server *c, struct client *cl);
struct capture_view *capture_view_free(struct capture_view *v);

/* ---- answer_top.c ---- */
void top_begin(struct control_server *c, struct client *cl);
void top_answer(struct control_server *c, struct client *cl);

/* ---- answer_status.c ---- */
void status_answer(struct control_server *c, struct client *cl);
struct iface_total *iface_total(struct control_server *c, uint32_t ifindex);

/* ---- health.c ---- */
/* Have counters of lost packets grown? At least once a drain interval. */
void health_look(struct control_server *c);
/* Answer a check, if it is complete. */
void health_take(struct control_server *c, struct client *cl);

/* ---- metrics.c ---- */
/* Prometheus text into @buf. Return: bytes; -ENOSPC. */
int metrics_text(struct control_server *c, char *buf, size_t cap);

#endif
