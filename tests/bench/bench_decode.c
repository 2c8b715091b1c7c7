// SPDX-License-Identifier: Apache-2.0
/*
 * bench_decode.c - what a receiving thread does with datagrams once it has them: CPU time of decoding into
 * blocks, per flow, in batches as recvmmsg() or recv() gives them. usage: bench_decode [-u|-t] [-f ipfix|v9|v5]
 *        [-k ROUNDS] [-n FLOWS] (1000000 a round)
 *   -u: with receiving them, over a loopback socket that the same thread sends to (not timed)
 *   -t: the same over a TCP connection, as an exporter of IPFIX has it with stream.c
 * Prints the least and the median of the rounds. Nothing is stored.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "collector/block.h"
#include "collector/ingest/decoder.h"
#include "common/ipfix.h"
#include "common/ipfix_get.h"
#include "common/scan.h"
#include "load.h"
#include "measure.h"

#define BATCH	    64u
#define OCTETS	    1420u
#define STRIDE	    (65536u + 24u * 64u) /* udp.c's */
#define PREPARED    4096u
#define STREAM_ROOM (256u << 10) /* stream.c's */
#define ROUNDS_MAX  99u

static const char *const formats[_LOAD_FORMATS] = {"ipfix", "v9", "v5"};

enum means { MEMORY, UDP, TCP };

static const char *const received[] = {
	[MEMORY] = "", [UDP] = "received", [TCP] = "received by tcp"};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct rig {
	struct load *l;
	struct decoder *d;
	struct block_pool *pool;
	struct exporters *exporters;
	uint8_t *buf;
	uint64_t rows;
	enum means means;
	int in, out; /* sockets, if any */
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage from[BATCH];
};

static const struct source from = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10}, .port = 9};

static void drain(struct rig *g)
{
	struct block_pool_stats s;

	for (block_pool_stats(g->pool, &s); s.queued; s.queued--) {
		struct block *b = block_receive(g->pool, 0);

		g->rows += b->rows;
		block_put(g->pool, b);
	}
}

static bool send_stream(const struct rig *g, struct iovec *v, size_t octets)
{
	return writev(g->out, v, BATCH) == (ssize_t)octets;
}

/* What comes is in the buffers, or in the socket. */
static bool give(struct rig *g, uint32_t len[static BATCH], struct load_sums *sums)
{
	const int64_t now = now_us();
	struct mmsghdr m[BATCH] = {0};
	struct iovec v[BATCH];
	size_t octets = 0;

	for (uint32_t k = 0; k < BATCH; k++) {
		const uint8_t *p = load_next(g->l, now, &len[k], sums);

		v[k] = (struct iovec){(void *)(uintptr_t)p, len[k]};
		m[k].msg_hdr = (struct msghdr){.msg_iov = &v[k], .msg_iovlen = 1};
		octets += len[k];
		if (g->means == MEMORY)
			memcpy(g->buf + (size_t)k * STRIDE, p, len[k]);
	}
	if (g->means == TCP)
		return send_stream(g, v, octets);
	return g->means == MEMORY || sendmmsg(g->out, m, BATCH, 0) == (int)BATCH;
}

static bool take(struct rig *g, uint32_t len[static BATCH])
{
	for (uint32_t k = 0; k < BATCH; k++)
		g->msg[k].msg_hdr.msg_namelen = sizeof(g->from[k]);
	if (recvmmsg(g->in, g->msg, BATCH, MSG_DONTWAIT, NULL) != (int)BATCH)
		return false;
	for (uint32_t k = 0; k < BATCH; k++)
		len[k] = g->msg[k].msg_len;
	return true;
}

/* What has come by TCP: a batch of whole messages, one behind the other. */
static bool take_stream(struct rig *g, const uint32_t len[static BATCH], int64_t now)
{
	size_t octets = 0, have = 0, at = 0;

	for (uint32_t k = 0; k < BATCH; k++)
		octets += len[k];
	while (have < octets) {
		const ssize_t n = recv(g->in, g->buf + have, STREAM_ROOM, 0);

		if (n <= 0)
			return false;
		for (have += (size_t)n; have - at >= IPFIX_HEADER;) {
			struct ipfix_header h;

			if (ipfix_read_header(g->buf + at, (uint32_t)(have - at), &h))
				return false;
			if (h.len > have - at)
				break;
			(void)decoder_message(g->d, &from, g->buf + at, h.len, now);
			at += h.len;
		}
		decoder_settle(g->d);
	}
	return at == octets;
}

static bool take_messages(struct rig *g, uint32_t len[static BATCH], int64_t now)
{
	if (g->means == TCP)
		return take_stream(g, len, now);
	if (g->means == UDP && !take(g, len))
		return false;
	for (uint32_t k = 0; k < BATCH; k++)
		(void)decoder_message(g->d, &from, g->buf + (size_t)k * STRIDE, len[k], now);
	decoder_settle(g->d);
	return true;
}

/* One batch. Return: ns of CPU time, or less than 0. */
static double batch(struct rig *g, struct load_sums *sums)
{
	const int64_t now = now_us();
	uint32_t len[BATCH];
	double before, ns;

	if (!give(g, len, sums))
		return -1;
	before = cpu_ns();
	if (!take_messages(g, len, now))
		return -1;
	ns = cpu_ns() - before;
	drain(g);
	return ns;
}

static bool measure(struct rig *g, const char *name, uint64_t flows, unsigned int rounds)
{
	double v[ROUNDS_MAX], least = 1e9;

	for (unsigned int k = 0; k < rounds; k++) {
		struct load_sums sums = {0};
		double ns = 0;

		while (sums.flows < flows) {
			const double took = batch(g, &sums);

			if (took < 0)
				return false;
			ns += took;
		}
		v[k] = ns / (double)sums.flows;
		least = v[k] < least ? v[k] : least;
	}
	printf("%s: least %.1f, median %.1f ns of CPU per flow\n", name, least, median(v, rounds));
	row_print(&(struct row){"decode", name, received[g->means], 0, "weir", "ns",
				median(v, rounds)});
	return true;
}

static bool open_stream(struct rig *g)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int size = 8 << 20;
	const int listening = socket(AF_INET, SOCK_STREAM, 0);
	bool good;

	g->out = socket(AF_INET, SOCK_STREAM, 0);
	good = listening >= 0 && g->out >= 0 &&
	       !setsockopt(listening, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) &&
	       !setsockopt(g->out, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) &&
	       !bind(listening, (struct sockaddr *)&a, len) && !listen(listening, 1) &&
	       !getsockname(listening, (struct sockaddr *)&a, &len) &&
	       !connect(g->out, (struct sockaddr *)&a, len);
	g->in = good ? accept(listening, NULL, NULL) : -1;
	close(listening);
	return g->in >= 0;
}

static bool open_sockets(struct rig *g)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int size = 8 << 20;

	g->in = socket(AF_INET, SOCK_DGRAM, 0);
	g->out = socket(AF_INET, SOCK_DGRAM, 0);
	for (uint32_t k = 0; k < BATCH; k++) {
		g->iov[k] = (struct iovec){g->buf + (size_t)k * STRIDE, 65536};
		g->msg[k].msg_hdr = (struct msghdr){
			.msg_name = &g->from[k], .msg_iov = &g->iov[k], .msg_iovlen = 1};
	}
	return g->in >= 0 && g->out >= 0 &&
	       !setsockopt(g->in, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) &&
	       !bind(g->in, (struct sockaddr *)&a, len) &&
	       !getsockname(g->in, (struct sockaddr *)&a, &len) &&
	       !connect(g->out, (struct sockaddr *)&a, len);
}

static int run(enum load_format format, uint64_t flows, unsigned int rounds, enum means means)
{
	const struct load_cfg of = {.format = format,
				    .octets = OCTETS,
				    .messages = PREPARED,
				    .seed = 1,
				    .now_us = now_us()};
	struct rig g = {.l = load_new(&of),
			.pool = block_pool_new(8),
			.exporters = exporters_new(NULL, NULL, 16),
			.buf = malloc((size_t)BATCH * STRIDE),
			.means = means,
			.in = -1,
			.out = -1};
	const struct decoder_cfg cfg = {.exporters = g.exporters, .pool = g.pool, .batch = true};
	const uint8_t *p;
	uint32_t len;

	g.d = decoder_new(&cfg);
	if (!g.l || !g.pool || !g.exporters || !g.buf || !g.d)
		return EXIT_FAILURE;
	if ((means == UDP && !open_sockets(&g)) || (means == TCP && !open_stream(&g)))
		return EXIT_FAILURE;
	len = load_templates(g.l, of.now_us, &p);
	if (len)
		(void)decoder_message(g.d, &from, p, len, of.now_us);
	decoder_settle(g.d);
	if (!measure(&g, formats[format], flows, rounds))
		return EXIT_FAILURE;
	decoder_free(g.d);
	drain(&g);
	exporters_free(g.exporters);
	block_pool_free(g.pool);
	load_free(g.l);
	free(g.buf);
	return g.rows >= flows * rounds ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	uint64_t flows = 1000000, rounds = 9;
	int only = -1, o, r = EXIT_SUCCESS;
	enum means means = MEMORY;

	while ((o = getopt(argc, argv, "f:k:n:tu")) != -1) {
		if (o == 'u' || o == 't')
			means = o == 'u' ? UDP : TCP;
		else if (o == 'f')
			for (int f = 0; f < _LOAD_FORMATS; f++)
				only = strcmp(optarg, formats[f]) ? only : f;
		else if (o == 'k' ? scan_u64(optarg, 1, ROUNDS_MAX, &rounds)
				  : scan_u64(optarg, 1, UINT32_MAX, &flows))
			return 2;
	}
	for (int f = 0; f < _LOAD_FORMATS; f++)
		if ((only < 0 || f == only) &&
		    (means != TCP || f == LOAD_IPFIX)) /* no other has it */
			r |= run((enum load_format)f, flows, (unsigned int)rounds, means);
	return r;
}
