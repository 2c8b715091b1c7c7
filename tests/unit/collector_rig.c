// SPDX-License-Identifier: Apache-2.0
#include "collector_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/ipfix.h"
#include "common/ipfix_get.h"
#include "common/ack.h"

struct session {
	struct collector *c;
	struct ipfix_reader flows, options; /* domains 1 and 0 */
	uint8_t buf[2 * IPFIX_MESSAGE_MAX];
	size_t have;
};

static int store(void *arg, const struct ipfix_record *rec)
{
	static _Thread_local struct ipfix_lists lists;
	struct session *s = arg;
	struct collector *c = s->c;
	struct flow_record r;
	uint32_t i;

	if (ipfix_to_flow(s->flows.t, rec, &lists, &r))
		return 0;
	i = (uint32_t)r.src_ip[13] << 16 | (uint32_t)r.src_ip[14] << 8 | r.src_ip[15];
	if (i < RIG_FLOWS_MAX)
		c->seen[i]++;
	c->packets += r.packets;
	c->bytes += r.bytes;
	c->records++;
	return 0;
}

static void acknowledge(struct session *s)
{
	struct collector *c = s->c;
	uint8_t ack[ACK_BYTES];

	if (!c->acks || (c->deaf && c->records >= c->deaf))
		return;
	ack_put(ack, 1, c->next, c->start_ms);
	(void)send(c->fd, ack, sizeof(ack), MSG_NOSIGNAL); /* it may be gone */
}

/* Options of domain 0: which numbering it is. */
static int look_for_start(void *arg, const struct ipfix_record *rec)
{
	struct session *s = arg;
	struct collector *c = s->c;

	for (unsigned int i = 0; i < rec->t->n; i++) {
		uint64_t v;

		if (rec->t->f[i].pen || rec->t->f[i].element != 160)
			continue;
		v = get_number(rec->v[i].p, rec->v[i].len);
		if (c->start_ms != v)
			c->next = 0;
		c->start_ms = v;
		acknowledge(s);
	}
	return 0;
}

static void message(struct session *s, const uint8_t *p, uint32_t len)
{
	struct collector *c = s->c;
	uint64_t before = s->flows.counts.records;
	struct ipfix_header h;

	cr_assert(zero(int, ipfix_read_header(p, len, &h)));
	if (!h.domain) {
		cr_expect(zero(int, ipfix_read(&s->options, p, len)));
		return;
	}
	if (c->acks && (int32_t)(h.sequence - c->next) < 0) {
		struct ipfix_reader again = {.t = s->flows.t};

		ipfix_read(&again, p, len);
		c->duplicates += again.counts.records;
		return;
	}
	cr_expect(zero(int, ipfix_read(&s->flows, p, len)));
	if (s->flows.counts.records == before)
		return;
	c->next = h.sequence + (uint32_t)(s->flows.counts.records - before);
	acknowledge(s);
}

/* Return: false: the connection is over. */
static bool receive(struct session *s)
{
	ssize_t n = recv(s->c->fd, s->buf + s->have, sizeof(s->buf) - s->have, 0);
	size_t at = 0;

	if (n <= 0)
		return false;
	s->have += (size_t)n;
	while (s->have - at >= IPFIX_HEADER) {
		uint32_t len = get16(s->buf + at + 2);

		if (len < IPFIX_HEADER || s->have - at < len)
			break;
		message(s, s->buf + at, len);
		at += len;
	}
	memmove(s->buf, s->buf + at, s->have - at);
	s->have -= at;
	return true;
}

static void serve(struct collector *c)
{
	static _Thread_local struct session s;

	memset(&s, 0, sizeof(s));
	s.c = c;
	s.flows = (struct ipfix_reader){ipfix_templates_new(32473, 65536), {0}, store, &s};
	s.options =
		(struct ipfix_reader){ipfix_templates_new(32473, 65536), {0}, look_for_start, &s};
	while (!c->stop) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN};

		if (poll(&p, 1, 20) > 0 && !receive(&s))
			break;
	}
	c->malformed += s.flows.counts.malformed + s.options.counts.malformed;
	c->no_template += s.flows.counts.no_template + s.options.counts.no_template;
	ipfix_templates_free(s.flows.t);
	ipfix_templates_free(s.options.t);
}

static void *run(void *arg)
{
	struct collector *c = arg;

	while (!c->stop) {
		struct pollfd p = {.fd = c->listener, .events = POLLIN};

		if (poll(&p, 1, 20) <= 0)
			continue;
		c->fd = accept(c->listener, NULL, NULL);
		if (c->fd < 0)
			continue;
		c->connections++;
		serve(c);
		close(c->fd);
	}
	return NULL;
}

void collector_start(struct collector *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(c->port)};
	socklen_t len = sizeof(a);
	int one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(ge(int, c->listener, 0));
	setsockopt(c->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert(zero(int, bind(c->listener, (struct sockaddr *)&a, sizeof(a))), "%d", errno);
	cr_assert(zero(int, listen(c->listener, 4)));
	cr_assert(zero(int, getsockname(c->listener, (struct sockaddr *)&a, &len)));
	c->port = ntohs(a.sin_port);
	c->stop = false;
	cr_assert(zero(int, pthread_create(&c->thread, NULL, run, c)));
}

void collector_kill(struct collector *c)
{
	struct linger now = {1, 0};

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	c->stop = true;
	pthread_join(c->thread, NULL);
	close(c->listener);
}

uint32_t collector_missing(const struct collector *c, uint32_t n)
{
	uint32_t missing = 0;

	for (uint32_t i = 0; i < n; i++)
		missing += !c->seen[i];
	return missing;
}

uint32_t collector_doubled(const struct collector *c, uint32_t n)
{
	uint32_t doubled = 0;

	for (uint32_t i = 0; i < n; i++)
		doubled += c->seen[i] > 1;
	return doubled;
}

bool collector_wait(const struct collector *c, uint64_t records)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	for (int i = 0; i < 30000 && c->records < records; i++)
		nanosleep(&pause, NULL);
	return c->records >= records;
}
