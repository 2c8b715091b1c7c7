// SPDX-License-Identifier: Apache-2.0
/*
 * health.c - what load balancers ask: is this weir one to send packets to? 200, or 503 and why. Any path, by GET, HEAD
 * or OPTIONS; a check that only connects is answered by health.refuse.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "loader/control/control_int.h"
#include "loader/control/counters.h"
#include "loader/dataplane.h"
#include "loader/iface_table.h"
#include "weir/counters.h"

#define BACKLOG 16

/* Packets that no record has, whatever the reason; those that sampling leaves out are wanted. */
static uint64_t lost_now(const struct control_server *c)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < counter_rows_n; i++)
		if (i != CNT_SAMPLED_OUT && !strcmp(counter_rows[i].class, "LOST"))
			n += dataplane_counter(c->env.dp, i);
	return n;
}

static bool is_attached(const struct iface_table *t)
{
	struct iface_row row;

	for (unsigned int i = 0; i < IFACE_ROWS; i++)
		if (iface_table_get(t, i, &row) && row.attached)
			return true;
	return false;
}

/* "": it is healthy. */
static const char *why_bad(const struct control_server *c)
{
	const struct health *h = &c->health;

	if (!__atomic_load_n(&c->env.ifaces->started, __ATOMIC_RELAXED))
		return "starting";
	if (!is_attached(c->env.ifaces))
		return "attached to no interface";
	if (h->lost_ns && c->now_ns - h->lost_ns < c->cfg.health_window_ns)
		return "packets are lost: no room for their flows";
	return "";
}

/* A listening socket that is shut down refuses, and can listen again at the same port (tcp(7), listen(2)). */
static void refuse(struct control_server *c, bool bad)
{
	if (bad == c->health.refusing)
		return;
	c->health.refusing = bad;
	if (bad ? shutdown(c->fds.health, SHUT_RDWR) : listen(c->fds.health, BACKLOG))
		log_warn("health.listen", "can't be %s", bad ? "closed" : "opened again");
}

void health_look(struct control_server *c)
{
	struct health *h = &c->health;
	uint64_t lost;

	if (c->fds.health < 0)
		return;
	lost = lost_now(c);
	c->now_ns = control_mono_ns();
	if (lost != h->lost && h->begun)
		h->lost_ns = c->now_ns;
	h->lost = lost;
	h->begun = true;
	if (c->cfg.health_refuse)
		refuse(c, *why_bad(c) != '\0');
}

/* The request's method, and all of its head is there? 0: not yet, or a status. */
static int parse(const char *text, size_t len)
{
	static const char *const methods[] = {"GET ", "HEAD ", "OPTIONS "};
	const char *end = text + len;

	for (const char *nl = text; (nl = memchr(nl, '\n', (size_t)(end - nl)));) {
		nl++;
		if (nl < end && *nl == '\r')
			nl++;
		if (nl < end && *nl == '\n')
			goto complete;
	}
	return len >= HTTP_MAX ? 431 : 0;
complete:
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (len > strlen(methods[i]) && !memcmp(text, methods[i], strlen(methods[i])))
			return 200;
	return 405;
}

void health_take(struct control_server *c, struct client *cl)
{
	const bool head = cl->in_len > 4 && !memcmp(cl->in, "HEAD", 4);
	int status = parse(cl->in, cl->in_len);
	const char *why = "";
	char text[320];

	if (!status)
		return;
	health_look(c);
	c->stats.health_checks++;
	if (status == 200) {
		why = why_bad(c);
		status = *why ? 503 : 200;
	}
	c->stats.health_bad += status == 503;
	if (!*why)
		why = status == 200 ? "ok" : "want GET, HEAD or OPTIONS";
	client_put(cl, text,
		   (size_t)snprintf(
			   text, sizeof(text),
			   "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
			   "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s%s",
			   status,
			   status == 200   ? "OK"
			   : status == 503 ? "Service Unavailable"
					   : "Method Not Allowed",
			   strlen(why) + 1, head ? "" : why, head ? "" : "\n"));
	client_finish(c, cl);
}

void control_leave(const struct control_fds *fds)
{
	if (fds->health >= 0)
		(void)shutdown(fds->health, SHUT_RDWR); /* refusing already is as good */
}
