// SPDX-License-Identifier: Apache-2.0
/*
 * answer_capture.c - `capture`: packets of before and to come as blocks of a pcapng file, after a first
 * line of JSON that says so. It ends when the client shuts its side down: then with what was there by then,
 * and a block of totals for each interface.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/peer.h"
#include "loader/capture/blocks.h"
#include "loader/capture/packet_match.h"
#include "loader/control/control_int.h"
#include "loader/dataplane.h"
#include "loader/iface_table.h"

#define LOOK	  512u		    /* packets looked at a step */
#define SETTLE_NS UINT64_C(5000000) /* no CPU still writes a packet so old */

struct capture_view {
	struct recent_reader *reader;
	uint64_t end_ns; /* monotonic; 0: the client still listens */
	uint32_t totals_done;
	struct blocks blocks;
};

struct capture_view *capture_view_free(struct capture_view *v)
{
	if (v)
		recent_close(v->reader);
	free(v);
	return NULL;
}

static void refuse(struct control_server *c, struct client *cl, const char *code,
		   const char *message)
{
	struct request_error e = {.code = code, .at = {.line = 1, .column = 1}};

	snprintf(e.at.message, sizeof(e.at.message), "%s", message);
	client_fail(c, cl, &e);
}

static void put_block(struct client *cl, size_t n)
{
	cl->out_len += n;
}

static uint8_t *block_room(struct client *cl)
{
	return client_room(cl, BLOCKS_ROOM) ? (uint8_t *)cl->out + cl->out_len : NULL;
}

void capture_begin(struct control_server *c, struct client *cl)
{
	static const char head[] = "{\"type\":\"capture\",\"format\":\"pcapng\"}\n";
	const uint64_t from = c->now_ns > cl->q.pre_ns ? c->now_ns - cl->q.pre_ns : 0;
	struct capture_view *v;
	int r;

	/* packets have in them what flows have not: who may have them is asked again */
	if (!peer_may(cl->fd, c->uid, c->cfg.capture_gid, NULL)) {
		refuse(c, cl, "permission",
		       "not permitted: packets are for root, and the group of capture.group");
		return;
	}
	v = calloc(1, sizeof(*v));
	r = v ? recent_open(c->env.dp, from, &v->reader) : -ENOMEM;
	if (r) {
		capture_view_free(v);
		refuse(c, cl, r == -ENOENT ? "off" : "memory",
		       r == -ENOENT ? "it keeps no packets: capture.ring is 0" : strerror(-r));
		return;
	}
	v->blocks = (struct blocks){.table = c->env.ifaces,
				    .wall_ns = c->env.dp->wall_offset_ns,
				    .snaplen = cl->q.snaplen ?: RECENT_LEN_MAX};
	cl->capture = v;
	cl->doing = CLIENT_CAPTURE;
	client_put(cl, head, sizeof(head) - 1);
	put_block(cl, pcapng_section(block_room(cl), "weir " WEIR_VERSION, "Linux", NULL));
}

/* Whether it matches, by what its headers say. */
static bool wanted(const struct client *cl, const struct recent_packet *p,
		   const struct blocks_iface *i)
{
	const struct packet_seen s = {.bytes = p->bytes,
				      .len = p->head.len,
				      .wire_len = p->head.wire_len,
				      .vlan = p->head.tci & 0x0fff,
				      .ifindex = p->head.ifindex,
				      .iface = i->name,
				      .verdict = p->head.verdict};

	return packet_match(cl->q.filter, &s);
}

static void put_totals(struct control_server *c, struct client *cl)
{
	struct capture_view *v = cl->capture;

	for (; v->totals_done < v->blocks.n && block_room(cl); v->totals_done++)
		put_block(cl, blocks_totals(&v->blocks, v->totals_done, recent_lost(v->reader),
					    control_wall_ns(), block_room(cl)));
	if (v->totals_done < v->blocks.n)
		return;
	c->stats.lost += recent_lost(v->reader);
	client_finish(c, cl);
	cl->doing = CLIENT_LEAVING;
}

bool capture_step(struct control_server *c, struct client *cl)
{
	struct capture_view *v = cl->capture;
	uint64_t until = c->now_ns - SETTLE_NS;
	struct recent_packet p;

	if (cl->gone && !v->end_ns)
		v->end_ns = c->now_ns;
	if (v->end_ns && v->end_ns < until)
		until = v->end_ns;
	for (unsigned int i = 0; i < LOOK; i++) {
		size_t len;
		int iface;

		/* an interface's block and a packet's */
		if (!client_room(cl, 2 * BLOCKS_ROOM))
			return false;
		if (!recent_next(v->reader, until, &p)) {
			if (v->end_ns && until == v->end_ns)
				put_totals(c, cl);
			return false;
		}
		iface = blocks_iface(&v->blocks, &p.head, block_room(cl), &len);
		if (iface < 0)
			continue;
		put_block(cl, len);
		if (!wanted(cl, &p, &v->blocks.iface[iface]))
			continue;
		put_block(cl, blocks_packet(&v->blocks, &p, iface, block_room(cl)));
		cl->sent++;
	}
	return true;
}
