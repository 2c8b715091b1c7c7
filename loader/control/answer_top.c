// SPDX-License-Identifier: Apache-2.0
/*
 * answer_top.c - `top`: one line about the interval, one a group, one that ends the answer.
 */
#include <string.h>

#include "loader/control/control_int.h"

static void put_key(struct json *j, const char *key)
{
	json_key(j, key, strlen(key));
}

static void put_count(struct json *j, const char *key, uint64_t n)
{
	put_key(j, key);
	json_u64(j, n);
}

void top_begin(struct control_server *c, struct client *cl)
{
	struct request_error err = {.code = "memory", .at = {1, 1, "out of memory"}};

	if (top_view_new(&cl->q, &cl->view)) {
		client_fail(c, cl, &err);
		return;
	}
	cl->q.filter = NULL; /* the view's now */
}

static void put_head(struct control_server *c, struct client *cl, double seconds, uint32_t rows)
{
	const struct top_sums *s = top_view_sums(cl->view);
	struct json j;

	json_init(&j, c->line, sizeof(c->line));
	json_open(&j, '{');
	put_key(&j, "type");
	json_str(&j, "top", 3);
	put_count(&j, "interval_ms", (uint64_t)(seconds * 1000));
	put_count(&j, "rx_bps", (uint64_t)((double)s->bytes[1] * 8 / seconds));
	put_count(&j, "tx_bps", (uint64_t)((double)s->bytes[0] * 8 / seconds));
	put_count(&j, "rx_pps", (uint64_t)((double)s->packets[1] / seconds));
	put_count(&j, "tx_pps", (uint64_t)((double)s->packets[0] / seconds));
	put_count(&j, "flows", s->flows);
	put_count(&j, "groups", s->groups);
	put_count(&j, "rows", rows);
	json_close(&j, '}');
	client_put_json(cl, &j);
}

/* A client that has not read the last answer gets the next one instead of this. */
void top_answer(struct control_server *c, struct client *cl)
{
	const uint64_t ns = c->live.started_ns - c->live.prev_ns;
	const double seconds = ns ? (double)ns / NS_PER_S : 1;
	uint32_t rows, put = 0;
	int n;

	if (cl->out_len) {
		top_view_clear(cl->view);
		return;
	}
	rows = top_view_sort(cl->view);
	put_head(c, cl, seconds, rows);
	for (uint32_t i = 0; i < rows; i++) {
		n = top_view_row(cl->view, i, seconds, c->line, sizeof(c->line));
		if (n <= 0 || !client_room(cl, (size_t)n + 256))
			break;
		c->line[n] = '\n';
		client_put(cl, c->line, (size_t)n + 1);
		put++;
	}
	client_put(cl, "{\"type\":\"end\"}\n", 15);
	cl->sent += put;
	if (!cl->q.follow) {
		client_finish(c, cl);
		return;
	}
	top_view_clear(cl->view);
}
