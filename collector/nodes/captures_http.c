// SPDX-License-Identifier: Apache-2.0
/*
 * captures_http.c - what nodes say of their files of packets, and what they bring of them.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "collector/nodes/captures.h"
#include "collector/nodes/nodes_http.h"

#define TYPE_JSON "application/json"
#define HERE_US	  INT64_C(15000000) /* since it asked: it may be on its way with a piece */

bool http_is_piece(struct nodes *n, struct MHD_Connection *c, const char *url)
{
	struct who who;
	bool yes = false;

	if (strcmp(url, NODE_PATH_PIECE) != 0)
		return false;
	pthread_mutex_lock(&n->lock);
	http_identify(n, c, false, &who);
	yes = !who.code && who.node->asked;
	pthread_mutex_unlock(&n->lock);
	return yes;
}

/* While it waits, libmicrohttpd does not look whether the other side is still there. */
bool captures_is_here(const struct node *x)
{
	const union MHD_ConnectionInfo *info =
		x->fetcher
			? MHD_get_connection_info(x->fetcher->c, MHD_CONNECTION_INFO_CONNECTION_FD)
			: NULL;
	struct pollfd p = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};

	if (x->revoked_us)
		return false;
	if (info && !poll(&p, 1, 0))
		return true;
	return x->fetcher_us && nodes_mono_us() - x->fetcher_us < HERE_US;
}

enum MHD_Result http_captures(struct waiter *w)
{
	char error[NODE_MESSAGE_ERROR] = "";
	struct who who;
	int r;

	http_identify(w->n, w->c, false, &who);
	if (who.code)
		return http_deny(w, &who);
	who.node->fetcher_us = nodes_mono_us();
	r = captures_heard(&(struct who_tells){w->n, who.node->name}, w->body ?: "", w->len, error);
	if (r == -EINVAL)
		return http_problem(w->c, MHD_HTTP_BAD_REQUEST, "request", error);
	if (r == -ENOSPC)
		return http_problem(w->c, MHD_HTTP_FORBIDDEN, "full",
				    "there are as many captures of this node as there may be");
	if (r)
		return http_problem(w->c, MHD_HTTP_SERVICE_UNAVAILABLE, "store",
				    "it can't be written down; try again");
	return http_text(w->c, MHD_HTTP_NO_CONTENT, NULL, NULL);
}

enum MHD_Result http_piece(struct waiter *w)
{
	static __thread struct node_text m;
	const bool has_waited = w->node != NULL;
	char error[NODE_MESSAGE_ERROR];
	struct node_octets octets;
	struct who who;

	http_identify(w->n, w->c, false, &who);
	if (who.code)
		return http_deny(w, &who);
	if (!has_waited) {
		if (node_piece_read(w->body ?: "", w->len, &m, &octets, error))
			return http_problem(w->c, MHD_HTTP_BAD_REQUEST, "request", error);
		who.node->fetcher_us = nodes_mono_us();
		fetch_heard(w->n, who.node, &m, &octets);
	}
	if (!w->n->stop && !w->late && fetch_next(w->n, who.node, &m))
		return http_text(w->c, MHD_HTTP_OK, TYPE_JSON, node_message_write(NODE_WANT, &m));
	if (has_waited || !m.wait_ms || w->n->stop)
		return http_text(w->c, MHD_HTTP_NO_CONTENT, NULL, NULL);
	http_wait(w, who.node, &who.node->fetcher, m.wait_ms);
	return MHD_YES;
}
