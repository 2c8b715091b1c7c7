// SPDX-License-Identifier: Apache-2.0
/*
 * answer_flows.c - `flows`: records that are kept, those to come, or those that have not ended. A
 * client has a place in the history and goes on from there as fast as it reads; what the ring has
 * overwritten by then is counted and said.
 */
#include <string.h>

#include "loader/control/control_int.h"

#define LOOK 2048u /* records looked at a step */
#define SEND 128u  /* records written a step */

static void put_count(struct json *j, const char *key, uint64_t n)
{
	json_key(j, key, strlen(key));
	json_u64(j, n);
}

static void put_end(struct control_server *c, struct client *cl)
{
	struct json j;

	json_init(&j, c->line, sizeof(c->line));
	json_open(&j, '{');
	json_key(&j, "type", 4);
	json_str(&j, "end", 3);
	put_count(&j, "records", cl->sent);
	put_count(&j, "lost", cl->lost);
	json_close(&j, '}');
	client_put_json(cl, &j);
	client_finish(c, cl);
}

static void put_lost(struct control_server *c, struct client *cl, uint64_t n)
{
	struct json j;

	cl->lost += n;
	c->stats.lost += n;
	json_init(&j, c->line, sizeof(c->line));
	json_open(&j, '{');
	json_key(&j, "type", 4);
	json_str(&j, "lost", 4);
	put_count(&j, "records", n);
	json_close(&j, '}');
	client_put_json(cl, &j);
}

static bool wanted(const struct control_server *c, const struct client *cl,
		   const struct flow_record *r)
{
	if (cl->q.since_ns && control_wall_ns() > r->end_ns &&
	    control_wall_ns() - r->end_ns > cl->q.since_ns)
		return false;
	(void)c;
	return filter_match(cl->q.filter, r);
}

/* Return: false: it does not fit any record's JSON, which only its own length explains. */
static void put_record(struct control_server *c, struct client *cl, const struct flow_record *r)
{
	const ssize_t n = output_text(c->output, r, c->line);

	if (n <= 0)
		return;
	client_put(cl, c->line, (size_t)n);
	cl->sent++;
}

void flows_begin(struct control_server *c, struct client *cl)
{
	cl->wanted = cl->q.last;
	cl->back = c->history.next;
	cl->at = c->history.next;
	if (cl->q.last == REQUEST_LAST) {
		cl->at = c->history.first;
		cl->wanted = 0;
	}
}

/* From the newest down, until so many have been found as are wanted. */
static bool look_back(struct control_server *c, struct client *cl)
{
	for (unsigned int i = 0; i < LOOK && cl->wanted; i++) {
		if (cl->back <= c->history.first) {
			cl->wanted = 0;
			break;
		}
		cl->back--;
		if (!wanted(c, cl, history_get(&c->history, cl->back)))
			continue;
		cl->at = cl->back;
		cl->wanted--;
	}
	return true;
}

bool flows_step(struct control_server *c, struct client *cl)
{
	unsigned int looked = 0, sent = 0;

	if (cl->wanted)
		return look_back(c, cl);
	if (cl->at < c->history.first && client_room(cl, OUTPUT_LINE_MAX)) {
		put_lost(c, cl, c->history.first - cl->at);
		cl->at = c->history.first;
	}
	while (cl->at < c->history.next && looked < LOOK && sent < SEND) {
		const struct flow_record *r = history_get(&c->history, cl->at);

		if (!client_room(cl, OUTPUT_LINE_MAX))
			return false; /* goes on when it has read */
		looked++;
		cl->at++;
		if (!wanted(c, cl, r))
			continue;
		put_record(c, cl, r);
		sent++;
	}
	if (cl->at < c->history.next)
		return true;
	if (!cl->q.follow && client_room(cl, OUTPUT_LINE_MAX))
		put_end(c, cl);
	return false;
}

/* ---- flows that have not ended ---- */

void flows_live(struct control_server *c, struct client *cl, const struct flow_record *r)
{
	if (cl->sent == cl->q.limit || !filter_match(cl->q.filter, r))
		return;
	if (client_room(cl, 2 * OUTPUT_LINE_MAX))
		put_record(c, cl, r);
	else
		cl->lost++;
}

void flows_live_end(struct control_server *c, struct client *cl)
{
	put_end(c, cl);
}
