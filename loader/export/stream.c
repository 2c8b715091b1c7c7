// SPDX-License-Identifier: Apache-2.0
/*
 * stream.c - IPFIX over TCP and TLS (RFC 7011 section 10.4). A message leaves the queue or the spool
 * when the collector's kernel has confirmed its octets, or, with acknowledge, when the collector
 * has said that it is stored; until then a broken connection sends it again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ack.h"
#include "loader/export/ipfix_sink.h"
#include "loader/export/spool.h"

#define FLIGHTS	      4096u		       /* messages sent and not confirmed, at most */
#define CONFIRM_NS    (20 * UINT64_C(1000000)) /* how often the kernel is asked */
#define ACK_WAIT_NS   (5 * EXPORT_NS_PER_S)
#define DISK_RETRY_NS EXPORT_NS_PER_S

/* At the end: flows, the last options, then all templates are taken back. */
enum stage { STAGE_RUN, STAGE_OPTIONS, STAGE_WITHDRAW, STAGE_END, STAGE_DONE };

/* A message between writing and confirmation. */
struct flight {
	uint64_t end; /* offset in the stream */
	uint32_t sequence_end;
	bool spooled;
	struct spool_item item;
};

struct stream {
	struct ipfix_out o;  /* first */
	struct spool *spool; /* NULL = none */
	struct ack_reader acks;
	uint8_t *read_buf; /* a message of the spool */
	/* the message being written */
	const uint8_t *p;
	uint32_t len, done;
	bool own; /* templates, options: nothing to confirm */
	struct flight next;
	/* a message that waits for its templates */
	bool have_read;
	struct spool_item read;
	struct flight *flights; /* ring */
	uint32_t head, tail;
	uint64_t disk_ns; /* when to try the disk again */
	bool was_up;
	bool waiting_ack; /* connected, and nothing is sent before the first acknowledgement */
	bool options_due;
	enum stage stage;
};

static bool is_acked(const struct sink *s)
{
	return s->cfg->acknowledge;
}

static int stream_open(struct sink *s, char *reterr)
{
	struct stream *t = calloc(1, sizeof(*t));
	struct spool_numbers numbers = {};
	int r;

	if (!t)
		return -ENOMEM;
	s->out = t;
	r = ipfix_sink_open(s, &t->o, reterr);
	if (r)
		return r;
	t->flights = calloc(FLIGHTS, sizeof(*t->flights));
	t->read_buf = malloc(IPFIX_MESSAGE_MAX);
	if (!t->flights || !t->read_buf)
		return -ENOMEM;
	if (!*s->cfg->spool)
		return 0;
	r = spool_new(s, &t->o.say.cfg, &t->spool, &numbers, reterr);
	if (!r && is_acked(s) && numbers.start_ms) {
		t->o.say.start_ms = numbers.start_ms;
		t->o.sequence = numbers.sequence;
	}
	return r;
}

static void stream_close(struct sink *s)
{
	struct stream *t = s->out;

	if (t) {
		spool_free(t->spool);
		free(t->flights);
		free(t->read_buf);
	}
	ipfix_sink_close(s, t ? &t->o : NULL);
}

/* ---- the connection ---- */

static void forget_session(struct sink *s)
{
	struct stream *t = s->out;

	t->p = NULL;
	t->head = t->tail = 0;
	t->have_read = false;
	s->held = 0;
	s->n.connected = false;
	if (t->spool)
		spool_rewind(t->spool);
}

static void lost_connection(struct sink *s, uint64_t now, const char *why, int err)
{
	struct stream *t = s->out;

	conn_down(&t->o.conn, now, why, err);
	sink_error(s, t->o.conn.error, 0);
	forget_session(s);
}

static void came_up(struct sink *s, uint64_t now)
{
	struct stream *t = s->out;

	if (t->was_up)
		sink_add(&s->n.reconnects, 1);
	t->was_up = true;
	s->n.connected = true;
	announce_reset(&t->o.say);
	announce_reset(&t->o.say_other);
	ack_reset(&t->acks);
	t->waiting_ack = is_acked(s);
	t->options_due = true;
	t->o.refresh_ns = now + s->cfg->refresh_ns;
	t->o.ifaces_ns = now + IFACES_NS;
	if (t->stage > STAGE_OPTIONS)
		t->stage = STAGE_OPTIONS;
}

/* ---- confirmation ---- */

static void confirm_one(struct sink *s, const struct flight *f)
{
	struct stream *t = s->out;

	if (f->spooled) {
		spool_confirm(t->spool, &f->item);
		return;
	}
	sink_sent(s, f->item.flows, f->item.len);
	queue_pop(&s->q);
	s->held--;
}

static void confirm(struct sink *s)
{
	struct stream *t = s->out;
	const uint32_t before = t->tail;
	uint64_t confirmed = 0;

	if (t->head == t->tail)
		return;
	if (!is_acked(s))
		confirmed = conn_confirmed(&t->o.conn);
	for (; t->tail != t->head; t->tail++) {
		const struct flight *f = &t->flights[t->tail % FLIGHTS];

		if (is_acked(s) ? !ack_covers(&t->acks, f->sequence_end) : confirmed < f->end)
			break;
		confirm_one(s, f);
	}
	if (is_acked(s) && t->tail != before)
		conn_proved(&t->o.conn);
	if (t->spool)
		spool_tidy(t->spool, t->head == t->tail && !t->have_read && (!t->p || t->own));
}

static uint32_t sequence_end(const uint8_t *msg, const struct spool_item *item)
{
	struct ipfix_header h = {};

	(void)ipfix_read_header(msg, IPFIX_HEADER, &h); /* the spool has looked at it */
	return h.sequence + item->records;
}

/* What the collector had stored before the connection broke. */
static void skip_stored(struct sink *s)
{
	struct stream *t = s->out;

	t->waiting_ack = false;
	while (spool_next(t->spool, t->read_buf, &t->read)) {
		t->have_read = !ack_covers(&t->acks, sequence_end(t->read_buf, &t->read));
		if (t->have_read)
			return;
		spool_confirm(t->spool, &t->read);
	}
}

/* Return: 0 or -errno: the connection is of no use any more. */
static int receive(struct sink *s)
{
	struct stream *t = s->out;
	uint8_t buf[1024];

	for (;;) {
		ssize_t n = conn_read(&t->o.conn, buf, sizeof(buf));

		if (n == -EAGAIN)
			break;
		if (n <= 0)
			return n ? (int)n : -ECONNRESET;
		if (is_acked(s) &&
		    ack_feed(&t->acks, buf, (size_t)n, (uint32_t)s->cfg->domain, t->o.say.start_ms))
			return -EPROTO;
	}
	if (t->waiting_ack && t->acks.any)
		skip_stored(s);
	return 0;
}

/* ---- what to write next ---- */

static void write_own(struct stream *t, const struct ipfix_msg *m)
{
	t->p = m->buf;
	t->len = m->len;
	t->done = 0;
	t->own = true;
}

static bool next_options(struct sink *s)
{
	struct stream *t = s->out;
	struct ipfix_msg m;

	ipfix_begin(&m, t->o.buf, t->o.cap, NULL);
	if (!announce_options(&t->o.say, &m)) {
		t->options_due = false;
		return false;
	}
	ipfix_number_options(&t->o, &m);
	write_own(t, &m);
	return true;
}

/* @sequence: of the message that they go before. */
static bool next_templates(struct sink *s, struct announce *say, const struct ipfix_used *used,
			   uint32_t sequence)
{
	struct stream *t = s->out;
	struct ipfix_msg m;

	ipfix_begin(&m, t->o.buf, t->o.cap, NULL);
	if (!announce_templates(say, &m, used))
		return false;
	ipfix_finish(&t->o.say.cfg, m.buf, m.len, (uint32_t)(export_wall_ns() / EXPORT_NS_PER_S),
		     sequence);
	write_own(t, &m);
	return true;
}

static void write_flight(struct stream *t, const uint8_t *p, const struct flight *f)
{
	t->p = p;
	t->len = f->item.len;
	t->done = 0;
	t->own = false;
	t->next = *f;
}

/* Return: false: nothing to write now. */
static bool next_spooled(struct sink *s)
{
	struct stream *t = s->out;
	struct announce *say = &t->o.say_other; /* settings were others when it was written */
	struct flight f = {.spooled = true};
	struct ipfix_used used;
	uint8_t form;
	struct ipfix_header h;

	if (!t->have_read)
		t->have_read = spool_next(t->spool, t->read_buf, &t->read);
	if (!t->have_read)
		return false;
	form = ipfix_used_of(t->read_buf, t->read.len, &used);
	if (form == t->o.say.cfg.form)
		say = &t->o.say;
	else if (form != say->cfg.form)
		announce_reset(say);
	say->cfg.form = form;
	if (ipfix_read_header(t->read_buf, t->read.len, &h))
		h = (struct ipfix_header){.sequence = t->o.sequence};
	if (next_templates(s, say, &used, is_acked(s) ? h.sequence : t->o.sequence))
		return true;
	f.item = t->read;
	f.sequence_end = sequence_end(t->read_buf, &t->read);
	if (!is_acked(s) && h.len) {
		/* numbered as what it is in this session; the time stays that of its export */
		ipfix_finish(&t->o.say.cfg, t->read_buf, t->read.len, h.export_s, t->o.sequence);
		t->o.sequence += t->read.records;
	}
	write_flight(t, t->read_buf, &f);
	t->have_read = false;
	return true;
}

static bool next_chunk(struct sink *s)
{
	struct stream *t = s->out;
	struct flight f = {};
	struct chunk *c;

	if (queue_waiting(&s->q) <= s->held)
		return false;
	c = queue_at(&s->q, s->held);
	if (next_templates(s, &t->o.say, (struct ipfix_used *)c->used, t->o.sequence))
		return true;
	ipfix_number(&t->o, c->data, c->len, c->records);
	f.item = (struct spool_item){.len = c->len, .flows = c->flows, .records = c->records};
	write_flight(t, c->data, &f);
	s->held++;
	return true;
}

/* Options templates go with the connection. */
static bool next_goodbye(struct sink *s)
{
	struct stream *t = s->out;
	struct ipfix_msg m;

	ipfix_begin(&m, t->o.buf, t->o.cap, NULL);
	if (!ipfix_put_withdrawal(&t->o.say.cfg, &m, &t->o.say.done))
		t->stage = STAGE_END;
	if (m.len == IPFIX_HEADER) /* no flow was sent */
		return false;
	ipfix_number(&t->o, m.buf, m.len, 0);
	write_own(t, &m);
	return true;
}

static bool next_message(struct sink *s)
{
	struct stream *t = s->out;

	if (t->options_due && next_options(s))
		return true;
	if (t->waiting_ack || t->head - t->tail == FLIGHTS)
		return false;
	if (t->spool && (t->have_read || spool_has_more(t->spool)))
		return next_spooled(s);
	if (!is_acked(s) && next_chunk(s))
		return true;
	return t->stage == STAGE_WITHDRAW && next_goodbye(s);
}

/* Return: 0: all written; -EAGAIN; -errno. */
static int write_all(struct sink *s)
{
	struct stream *t = s->out;

	while (t->p || next_message(s)) {
		ssize_t n = conn_write(&t->o.conn, t->p + t->done, t->len - t->done);

		if (n < 0)
			return (int)n;
		t->done += (uint32_t)n;
		if (t->done < t->len)
			continue;
		t->p = NULL;
		sink_add(&s->n.messages, 1);
		if (t->own) {
			sink_add(&s->n.bytes, t->len);
			continue;
		}
		t->next.end = conn_offset(&t->o.conn);
		t->flights[t->head++ % FLIGHTS] = t->next;
	}
	return 0;
}

/* ---- the spool ---- */

/* Return: false: not now. */
static bool spool_chunk(struct sink *s, uint64_t now)
{
	struct stream *t = s->out;
	struct chunk *c = queue_at(&s->q, s->held);
	struct spool_item item = {.len = c->len, .flows = c->flows, .records = c->records};
	struct spool_numbers n = {.start_ms = t->o.say.start_ms};
	const uint32_t before = t->o.sequence;
	int r;

	ipfix_number(&t->o, c->data, c->len, c->records);
	n.sequence = t->o.sequence;
	r = spool_append(t->spool, c->data, &item, (struct ipfix_used *)c->used, &n);
	if (!r) {
		queue_pop(&s->q);
		atomic_store(&s->blocked, LOSS_QUEUE_FULL);
		return true;
	}
	t->o.sequence = before;
	sink_error(s, "spool", -r);
	atomic_store(&s->blocked, r == -ENOSPC || r == -EDQUOT ? LOSS_DISK_FULL : LOSS_IO_ERROR);
	t->disk_ns = now + DISK_RETRY_NS;
	return false;
}

/*
 * To disk goes: with acknowledge all; else what comes while the collector is away, and while the
 * spool is being read what the queue has no room for.
 */
static void fill_spool(struct sink *s, uint64_t now)
{
	struct stream *t = s->out;
	const bool up = t->o.conn.state == CONN_UP;
	uint32_t leave = 0;

	if (!t->spool || now < t->disk_ns || (up && s->held))
		return;
	if (up && !is_acked(s)) {
		if (spool_is_empty(t->spool))
			return;
		leave = s->q.n / 2;
	}
	while (queue_waiting(&s->q) > leave && spool_chunk(s, now))
		;
}

/* ---- the loop ---- */

static void refresh(struct sink *s, uint64_t now)
{
	struct stream *t = s->out;

	if (now >= t->o.refresh_ns) {
		t->options_due = true;
		t->o.refresh_ns = now + s->cfg->refresh_ns;
	} else if (now >= t->o.ifaces_ns) {
		t->o.ifaces_ns = now + IFACES_NS;
		t->options_due |= announce_ifaces_changed(&t->o.say);
	}
}

static void earliest(uint64_t *wake, uint64_t ns)
{
	if (ns && (!*wake || ns < *wake))
		*wake = ns;
}

/* Return: 0, or -errno after the connection broke. */
static int exchange(struct sink *s, uint64_t now)
{
	struct stream *t = s->out;
	int r = receive(s);

	if (r) {
		lost_connection(s, now, "collector", -r);
		return r;
	}
	if (t->waiting_ack && now - t->o.conn.since_ns > ACK_WAIT_NS) {
		sink_error(s, "collector does not acknowledge; see 'acknowledge' in the manual", 0);
		t->waiting_ack = false;
	}
	confirm(s);
	refresh(s, now);
	r = write_all(s);
	if (r && r != -EAGAIN) {
		lost_connection(s, now, "send", -r);
		return r;
	}
	confirm(s);
	return 0;
}

static void set_wake(struct sink *s, uint64_t now)
{
	struct stream *t = s->out;
	const bool up = t->o.conn.state == CONN_UP;

	s->fd = t->o.conn.fd;
	s->events = conn_events(&t->o.conn, t->p != NULL);
	s->wake_ns = 0;
	s->drained = up ? !t->p : t->spool != NULL;
	if (t->disk_ns > now) {
		earliest(&s->wake_ns, t->disk_ns);
		s->drained = false;
	}
	if (t->o.conn.state == CONN_DOWN)
		earliest(&s->wake_ns, t->o.conn.retry_ns);
	else if (!up)
		earliest(&s->wake_ns, now + EXPORT_NS_PER_S);
	else
		earliest(&s->wake_ns, t->o.ifaces_ns);
	if (up && t->head != t->tail && (!is_acked(s) || t->head - t->tail == FLIGHTS))
		earliest(&s->wake_ns, now + CONFIRM_NS);
	if (t->head - t->tail == FLIGHTS || t->waiting_ack)
		s->drained = is_acked(s);
	if (atomic_load(&s->x->deadline_ns) && !up && !atomic_load(&s->away))
		earliest(&s->wake_ns, now + CONFIRM_NS);
}

/* Waiting longer for a collector that is away would only put off what is going to happen. A spool that
 * works takes what comes.
 */
static void end_is_near(struct sink *s, uint64_t now)
{
	struct stream *t = s->out;

	if (conn_last_try(&t->o.conn, now) && (!t->spool || t->disk_ns > now))
		atomic_store(&s->away, true);
}

static void stream_work(struct sink *s, uint64_t now)
{
	struct stream *t = s->out;
	int r;

	fill_spool(s, now);
	if (atomic_load(&s->x->deadline_ns))
		end_is_near(s, now);
	r = conn_work(&t->o.conn, now);
	if (r < 0)
		sink_error(s, t->o.conn.error, 0);
	if (r > 0)
		came_up(s, now);
	if (t->o.conn.state == CONN_UP && !exchange(s, now))
		fill_spool(s, now);
	set_wake(s, now);
}

/* ---- the end ---- */

static void stream_abandon(struct sink *s)
{
	struct stream *t = s->out;
	int why = atomic_load(&s->blocked);

	forget_session(s);
	if (why == LOSS_QUEUE_FULL)
		why = LOSS_SHUTDOWN;
	while (t->spool && queue_waiting(&s->q) && spool_chunk(s, export_mono_ns()))
		;
	for (; queue_waiting(&s->q); queue_pop(&s->q))
		sink_lost(s, queue_at(&s->q, 0)->flows, (enum export_loss)why);
}

static bool all_confirmed(const struct sink *s)
{
	const struct stream *t = s->out;

	return !t->p && t->head == t->tail && !queue_waiting(&s->q) &&
	       (!t->spool || spool_is_empty(t->spool));
}

/* First the flows, then the last statistics, then the templates are taken back. */
static bool stream_idle(struct sink *s)
{
	struct stream *t = s->out;
	const bool up = t->o.conn.state == CONN_UP;

	if (!up && atomic_load(&s->away))
		stream_abandon(s);
	if (!up) /* what is on disk will be sent by the next run */
		return !queue_waiting(&s->q);
	if (t->stage == STAGE_RUN && all_confirmed(s)) {
		t->stage = STAGE_OPTIONS;
		t->options_due = true;
	} else if (t->stage == STAGE_OPTIONS && !t->options_due && !t->p) {
		t->stage = STAGE_WITHDRAW;
	} else if (t->stage == STAGE_END && !t->p) {
		t->stage = STAGE_DONE;
	}
	if (t->stage != STAGE_RUN)
		s->wake_ns = 1; /* go on at once */
	return t->stage == STAGE_DONE;
}

const struct sink_ops sink_stream_ops = {
	.open = stream_open,
	.close = stream_close,
	.encode = ipfix_sink_encode,
	.work = stream_work,
	.abandon = stream_abandon,
	.idle = stream_idle,
};
