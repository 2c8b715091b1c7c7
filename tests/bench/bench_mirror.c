// SPDX-License-Identifier: Apache-2.0
/*
 * bench_mirror.c - frames sent out of several devices in turn, round after round, from one CPU on which everything that
 * becomes of them is done too: bench_mirror [-n ROUNDS] [-p FRAMES] [-s BYTES] DEV...
 * Prints `DEV NS SENT` for each: the round that took least, in ns a frame by the clock (what else the machine does only
 * adds), and the frames of all rounds. The devices are tests/bench/mirror's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/scan.h"
#include "tests/bench/measure.h"
#include "tests/unit/packets.h"

#define DEVICES 16
#define BATCH	64u

struct device {
	const char *name;
	int fd;
	double least;
	uint64_t sent;
};

static struct packet frame;

static int open_device(struct device *d)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET,
				.sll_ifindex = (int)if_nametoindex(d->name)};
	const int on = 1;

	d->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* hears nothing */
	if (d->fd < 0 || !a.sll_ifindex || bind(d->fd, (struct sockaddr *)&a, sizeof(a)) ||
	    setsockopt(d->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)))
		return -errno;
	return 0;
}

/* Return: ns a frame; below 0: -errno. */
static double send_round(struct device *d, uint64_t frames)
{
	struct iovec iov = {frame.b, frame.len};
	struct mmsghdr m[BATCH] = {};
	struct timespec from, to;
	uint64_t sent = 0;

	for (unsigned int i = 0; i < BATCH; i++)
		m[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
	clock_gettime(CLOCK_MONOTONIC, &from);
	while (sent < frames) {
		const int n = sendmmsg(d->fd, m, BATCH, 0);

		if (n < 0 && errno != ENOBUFS)
			return -errno;
		sent += n > 0 ? (uint64_t)n : 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	d->sent += sent;
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
	       (double)sent;
}

static void make_frame(uint32_t bytes)
{
	pk_eth(&frame);
	pk_ip4(&frame, IP4(10, 97, 0, 1), IP4(10, 98, 0, 1));
	pk_udp(&frame, 7000, 9);
	pk_payload(&frame, bytes - frame.len);
	pk_end(&frame);
}

struct plan {
	struct device dev[DEVICES];
	uint64_t rounds, frames, bytes;
	int n;
};

static int take_words(struct plan *p, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "n:p:s:")) > 0)
		if (opt == '?' || scan_u64(optarg, 1, 1000000,
					   opt == 'n'	? &p->rounds
					   : opt == 'p' ? &p->frames
							: &p->bytes))
			return 2;
	if (p->bytes < 60 || p->bytes > 2000)
		return 2;
	for (; optind < argc && p->n < DEVICES; optind++, p->n++) {
		p->dev[p->n] = (struct device){.name = argv[optind]};
		if (!open_device(&p->dev[p->n]))
			continue;
		fprintf(stderr, "bench_mirror: %s: %s\n", argv[optind], strerror(errno));
		return 1;
	}
	return 0;
}

static int go_round(struct plan *p, bool warm)
{
	for (int k = 0; k < p->n; k++) {
		const double ns = send_round(&p->dev[k], p->frames);

		if (ns < 0)
			return 1;
		if (!warm && (p->dev[k].least <= 0 || ns < p->dev[k].least))
			p->dev[k].least = ns;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct plan p = {.rounds = 40, .frames = 20000, .bytes = 64};
	int rc = take_words(&p, argc, argv);

	make_frame((uint32_t)p.bytes);
	rc = rc ?: pin_cpu(1);
	for (uint64_t i = 0; i <= p.rounds && !rc; i++)
		rc = go_round(&p, !i);
	for (int k = 0; k < p.n && !rc; k++)
		printf("%s %.1f %llu\n", p.dev[k].name, p.dev[k].least,
		       (unsigned long long)p.dev[k].sent);
	return rc != 0;
}
