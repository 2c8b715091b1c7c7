// SPDX-License-Identifier: Apache-2.0
/*
 * datagram.c - IPFIX over UDP (RFC 7011 section 10.3): templates and options again and again, and
 * no way to know what arrives. Sent means given to the network; a datagram that came back as
 * refused is taken off that again, as far as the kernel tells.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loader/export/ipfix_sink.h"

#define BATCH	 32u
#define PAUSE_NS 2000000u /* of sending, whose messages may go at once */

struct datagram {
	struct ipfix_out o; /* first */
	uint32_t last;	    /* flows of the datagram before */
	uint64_t paced_ns;  /* monotonic: up to when messages have been spent */
};

static int datagram_open(struct sink *s, char *reterr)
{
	struct datagram *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	s->out = d;
	return ipfix_sink_open(s, &d->o, reterr);
}

static void datagram_close(struct sink *s)
{
	ipfix_sink_close(s, s->out);
}

/* That the one before was refused is told when the next is sent; that one is not sent then. */
static bool was_refused(struct sink *s, int err)
{
	struct datagram *d = s->out;

	if (err != ECONNREFUSED)
		return false;
	sink_error(s, "send", err);
	s->n.connected = false;
	sink_add(&s->n.sent, -(uint64_t)d->last);
	sink_add(&s->n.lost[LOSS_REFUSED], d->last);
	d->last = 0;
	return true;
}

/* One message of our own, numbered. Return: false: not now. */
static bool send_own(struct sink *s, struct ipfix_msg *m)
{
	struct datagram *d = s->out;
	ssize_t n;

	do
		n = send(d->o.conn.fd, m->buf, m->len, MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || was_refused(s, errno)));
	if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return false;
	if (n < 0) {
		sink_error(s, "send", errno);
		return true;
	}
	sink_add(&s->n.messages, 1);
	sink_add(&s->n.bytes, (uint64_t)n);
	return true;
}

/* Templates that these messages need. Return: false: not now. */
static bool announce(struct sink *s, const struct ipfix_used *used)
{
	struct datagram *d = s->out;
	struct ipfix_msg m;

	for (;;) {
		struct ipfix_used before = d->o.say.done;

		ipfix_begin(&m, d->o.buf, d->o.cap, NULL);
		if (!announce_templates(&d->o.say, &m, used))
			return true;
		ipfix_number(&d->o, m.buf, m.len, 0);
		if (!send_own(s, &m)) {
			d->o.say.done = before;
			return false;
		}
	}
}

static bool options(struct sink *s)
{
	struct datagram *d = s->out;
	struct ipfix_msg m;

	for (;;) {
		const struct ipfix_out before = d->o;

		ipfix_begin(&m, d->o.buf, d->o.cap, NULL);
		if (!announce_options(&d->o.say, &m))
			return true;
		ipfix_number_options(&d->o, &m);
		if (!send_own(s, &m)) {
			d->o = before; /* this one again */
			return false;
		}
	}
}

/* Return: false: not now. */
static bool refresh(struct sink *s, uint64_t now)
{
	struct datagram *d = s->out;
	struct ipfix_used known = d->o.say.done;

	if (now >= d->o.refresh_ns) {
		memset(&d->o.say.done, 0, sizeof(known));
		if (!announce(s, &known)) {
			d->o.say.done = (struct ipfix_used){}; /* all again */
			return false;
		}
		if (!options(s))
			return false;
		d->o.refresh_ns = now + s->cfg->refresh_ns;
		d->o.ifaces_ns = now + IFACES_NS;
	} else if (now >= d->o.ifaces_ns) {
		d->o.ifaces_ns = now + IFACES_NS;
		if (announce_ifaces_changed(&d->o.say))
			return options(s);
	}
	return true;
}

static void drop(struct sink *s, enum export_loss why, int err)
{
	sink_error(s, "send", err);
	sink_lost(s, queue_at(&s->q, 0)->flows, why);
	queue_pop(&s->q);
}

static void sent(struct sink *s, unsigned int n)
{
	struct datagram *d = s->out;

	for (; n; n--) {
		struct chunk *c = queue_at(&s->q, 0);

		sink_sent(s, c->flows, c->len);
		sink_add(&s->n.messages, 1);
		d->last = c->flows;
		queue_pop(&s->q);
	}
	s->n.connected = true;
}

/* How many of the next @max messages have their templates announced. */
static unsigned int announced(struct sink *s, uint32_t max)
{
	uint32_t waiting = queue_waiting(&s->q);
	unsigned int n = 0;

	if (waiting < max)
		max = waiting;
	while (n < max && n < BATCH && announce(s, (struct ipfix_used *)queue_at(&s->q, n)->used))
		n++;
	return n;
}

/* Return: messages that left the queue, or -1: not now. */
static int send_batch(struct sink *s, uint32_t max)
{
	struct datagram *d = s->out;
	unsigned int n = announced(s, max);
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	uint32_t before[BATCH];
	int r;

	if (!n)
		return -1;
	memset(msgs, 0, sizeof(msgs));
	for (unsigned int i = 0; i < n; i++) {
		struct chunk *c = queue_at(&s->q, i);

		before[i] = d->o.sequence;
		ipfix_number(&d->o, c->data, c->len, c->records);
		iov[i] = (struct iovec){c->data, c->len};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	r = sendmmsg(d->o.conn.fd, msgs, n, MSG_DONTWAIT);
	if (r > 0)
		sent(s, (unsigned int)r);
	if (r < (int)n) /* numbered, but not sent */
		d->o.sequence = before[r > 0 ? r : 0];
	if (r >= 0)
		return r;
	if (errno == EINTR || was_refused(s, errno))
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS)
		return -1;
	drop(s, errno == EMSGSIZE ? LOSS_TOO_LONG : LOSS_REFUSED, errno);
	return 1;
}

/* Messages that may go now; what was not used up lately is kept for one pause. */
static uint32_t allowance(struct sink *s, uint64_t now)
{
	struct datagram *d = s->out;

	if (now - d->paced_ns > PAUSE_NS)
		d->paced_ns = now - PAUSE_NS;
	return (uint32_t)((now - d->paced_ns) * s->cfg->rate / EXPORT_NS_PER_S);
}

static void datagram_work(struct sink *s, uint64_t now)
{
	struct datagram *d = s->out;
	uint32_t may = allowance(s, now);
	bool go = refresh(s, now);

	while (go && may && queue_waiting(&s->q)) {
		const int n = send_batch(s, may);

		go = n >= 0;
		if (n > 0) {
			d->paced_ns += (uint64_t)n * EXPORT_NS_PER_S / s->cfg->rate;
			may -= (uint32_t)n;
		}
	}
	s->drained = go && !queue_waiting(&s->q);
	s->fd = d->o.conn.fd;
	s->events = go ? 0 : POLLOUT;
	s->wake_ns = d->o.refresh_ns < d->o.ifaces_ns ? d->o.refresh_ns : d->o.ifaces_ns;
	if (!go || queue_waiting(&s->q))
		s->wake_ns = now + 1000000; /* ENOBUFS: poll() does not tell when it is over */
}

static void datagram_abandon(struct sink *s)
{
	for (; queue_waiting(&s->q); queue_pop(&s->q))
		sink_lost(s, queue_at(&s->q, 0)->flows, LOSS_SHUTDOWN);
}

/* The last word: statistics that include all of it. */
static bool datagram_idle(struct sink *s)
{
	if (queue_waiting(&s->q))
		return false;
	return options(s);
}

const struct sink_ops sink_datagram_ops = {
	.open = datagram_open,
	.close = datagram_close,
	.encode = ipfix_sink_encode,
	.work = datagram_work,
	.abandon = datagram_abandon,
	.idle = datagram_idle,
};
