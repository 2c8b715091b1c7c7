// SPDX-License-Identifier: Apache-2.0
/*
 * answer_capture.c - `capture`: packets of before and to come as blocks of a pcapng file, after a first
 * line of JSON that says so. It ends when the client shuts its side down: then with what was there by then,
 * and a block of totals for each interface.
 */
#include <endian.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "common/packet_record.h"
#include "common/peer.h"
#include "loader/capture/pcapng.h"
#include "loader/capture/recent.h"
#include "loader/control/control_int.h"
#include "loader/dataplane.h"
#include "loader/iface_table.h"
#include "weir/policy_map.h"

#define IFACES_MAX 1024u
#define LOOK	   512u		     /* packets looked at a step */
#define SETTLE_NS  UINT64_C(5000000) /* no CPU still writes a packet so old */
#define BLOCK_ROOM (PCAPNG_BLOCK_MAX + RECENT_LEN_MAX)

struct capture_iface {
	uint32_t netns, ifindex;
	char name[IFACE_NAME_MAX];
	uint64_t seen, taken;
};

struct capture_view {
	struct recent_reader *reader;
	uint32_t snaplen;
	uint64_t end_ns; /* monotonic; 0: the client still listens */
	uint32_t ifaces, totals_done;
	struct capture_iface iface[IFACES_MAX];
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
	return client_room(cl, BLOCK_ROOM) ? (uint8_t *)cl->out + cl->out_len : NULL;
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
	v->snaplen = cl->q.snaplen ?: RECENT_LEN_MAX;
	cl->capture = v;
	cl->doing = CLIENT_CAPTURE;
	client_put(cl, head, sizeof(head) - 1);
	put_block(cl, pcapng_section(block_room(cl), "weir " WEIR_VERSION, "Linux"));
}

/* The number of the packet's interface in the file, made known there when it is new; -1: too many. */
static int iface_of(struct control_server *c, struct client *cl, const struct recent_record *h)
{
	struct capture_view *v = cl->capture;
	struct iface_row row;
	uint32_t i = 0;

	while (i < v->ifaces &&
	       (v->iface[i].ifindex != h->ifindex || v->iface[i].netns != h->netns))
		i++;
	if (i == IFACES_MAX)
		return -1;
	if (i < v->ifaces)
		return (int)i;
	if (!iface_table_find(c->env.ifaces, h->netns, h->ifindex, &row))
		snprintf(row.name, sizeof(row.name), "%u", h->ifindex);
	v->iface[i] = (struct capture_iface){.netns = h->netns, .ifindex = h->ifindex};
	snprintf(v->iface[i].name, sizeof(v->iface[i].name), "%s", row.name);
	put_block(cl, pcapng_interface(block_room(cl), row.name, v->snaplen));
	v->ifaces++;
	return (int)i;
}

/* Whether it matches, by what its headers say. */
static bool wanted(const struct client *cl, const struct recent_packet *p,
		   const struct capture_iface *i)
{
	static const struct parse_cfg outer;
	struct flow_record r = {};
	struct pkt k = {};

	if (!cl->q.filter)
		return true;
	if (parse_frame(p->bytes, p->head.len, p->head.wire_len, &outer, &k))
		return false;
	if (p->head.tci)
		k.key.vlan[0] = p->head.tci & 0x0fff;
	packet_record(&k, &r);
	r.packets = r.out.packets = 1;
	r.bytes = r.out.bytes;
	flow_set_counts(&r);
	r.ifindex = p->head.ifindex;
	r.iface = (struct flow_str){i->name, (uint32_t)strlen(i->name)};
	flow_set(&r, FF_IFACE);
	if (p->head.verdict) {
		r.verdict = p->head.verdict == VERDICT_RESET ? FLOW_REFUSE : FLOW_DROP;
		flow_set(&r, FF_VERDICT);
	}
	return filter_match(cl->q.filter, &r);
}

static void put_packet(struct control_server *c, struct client *cl, const struct recent_packet *p,
		       int iface)
{
	const struct recent_record *h = &p->head;
	const uint16_t tag[2] = {htobe16(0x8100), htobe16(h->tci & ~RECENT_VLAN)};
	const struct pcapng_packet out = {
		.iface = (uint32_t)iface,
		.ns = h->ns + (uint64_t)c->env.dp->wall_offset_ns,
		.wire_len = h->wire_len,
		.len = h->len < cl->capture->snaplen ? h->len : cl->capture->snaplen,
		.bytes = p->bytes,
		.tag = h->tci ? (const uint8_t *)tag : NULL,
		.direction = h->hook == HOOK_TC_EGRESS ? 2 : 1,
		/* what the program returned for a reset is of the reset, not of this packet */
		.verdict_by = h->verdict == VERDICT_DROP ? h->hook == HOOK_XDP ? 2 : 1 : 0,
		.verdict = h->hook == HOOK_XDP ? XDP_DROP : TC_ACT_SHOT,
		.comment = h->verdict == VERDICT_RESET ? "weir: answered with a reset" : NULL,
	};

	put_block(cl, pcapng_packet(block_room(cl), &out));
	cl->capture->iface[iface].taken++;
	cl->sent++;
}

static void put_totals(struct control_server *c, struct client *cl)
{
	struct capture_view *v = cl->capture;

	while (v->totals_done < v->ifaces && block_room(cl)) {
		const struct capture_iface *i = &v->iface[v->totals_done];
		const struct pcapng_totals t = {
			.iface = v->totals_done,
			.ns = control_wall_ns(),
			.received = i->seen,
			/* of which interface those were that nobody read is not known: it is said once */
			.dropped = v->totals_done ? 0 : recent_lost(v->reader),
			.taken = i->taken,
		};

		put_block(cl, pcapng_totals(block_room(cl), &t));
		v->totals_done++;
	}
	if (v->totals_done < v->ifaces)
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
		int iface;

		/* an interface's block and a packet's */
		if (!client_room(cl, 2 * BLOCK_ROOM))
			return false;
		if (!recent_next(v->reader, until, &p)) {
			if (v->end_ns && until == v->end_ns)
				put_totals(c, cl);
			return false;
		}
		iface = iface_of(c, cl, &p.head);
		if (iface < 0)
			continue;
		v->iface[iface].seen++;
		if (wanted(cl, &p, &v->iface[iface]))
			put_packet(c, cl, &p, iface);
	}
	return true;
}
