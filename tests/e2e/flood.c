// SPDX-License-Identifier: Apache-2.0
/*
 * flood.c - many flows, fast: flood [-s] [-n PACKETS] [-t TRAIN] IFACE FLOWS sends PACKETS frames
 * of 64 bytes (default: one for each flow), TRAIN of a flow (1) after TRAIN of another and round again,
 * so that every flow stays active. -s: TCP SYNs (54 bytes) instead of UDP.
 *
 * Prints `FRAMES BYTES IPBYTES` that left. A frame that the interface refused is
 * sent again, so that the number is exact. Bounded by PACKETS.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/scan.h"
#include "raw.h"
#include "tests/unit/packets.h"

#define BATCH	64u
#define RETRIES 100000u

struct flood {
	struct packet frame[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr msg[BATCH];
	uint32_t ip, l4; /* offsets */
	bool syn;
	uint64_t flows, packets, train;
};

static void prepare(struct flood *f)
{
	for (unsigned int i = 0; i < BATCH; i++) {
		struct packet *p = &f->frame[i];

		pk_eth(p);
		f->ip = pk_ip4(p, 0, IP4(10, 98, 0, 1));
		f->l4 = f->syn ? pk_tcp(p, 0, 80, 2) : pk_udp(p, 0, 9);
		if (!f->syn)
			pk_payload(p, 64 - p->len);
		pk_end(p);
		if (!f->syn)
			pk_set16(p, f->l4 + 6, 0); /* UDP: no checksum; it differs by flow */
		f->iov[i] = (struct iovec){.iov_base = p->b, .iov_len = p->len};
		f->msg[i].msg_hdr.msg_iov = &f->iov[i];
		f->msg[i].msg_hdr.msg_iovlen = 1;
	}
}

/* Flow @n: 4,096 source addresses a port. */
static void set_flow(struct flood *f, struct packet *p, uint64_t n)
{
	pk_set32(p, f->ip + 12, IP4(10, 97, 0, 0) + (n & 0xfff));
	pk_set16(p, f->l4, 1024 + (n >> 12));
}

static int send_batch(struct flood *f, int fd, unsigned int n)
{
	unsigned int done = 0, tries = 0;

	while (done < n) {
		int r = sendmmsg(fd, f->msg + done, n - done, 0);

		if (r > 0) {
			done += r;
			tries = 0;
			continue;
		}
		if ((errno != ENOBUFS && errno != EAGAIN && errno != EINTR) || ++tries > RETRIES)
			return -errno;
	}
	return 0;
}

static int run(struct flood *f, int fd)
{
	for (uint64_t i = 0; i < f->packets;) {
		unsigned int n = 0;
		int r;

		for (; n < BATCH && i < f->packets; n++, i++)
			set_flow(f, &f->frame[n], i / f->train % f->flows);
		r = send_batch(f, fd, n);
		if (r)
			return r;
	}
	return 0;
}

static int usage(void)
{
	fputs("usage: flood [-s] [-n PACKETS] [-t TRAIN] IFACE FLOWS\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct flood f = {.train = 1};
	int fd, r, opt;

	while ((opt = getopt(argc, argv, "sn:t:")) != -1) {
		if (opt == 's')
			f.syn = true;
		else if (opt == 't' && !scan_u64(optarg, 1, 1000000, &f.train))
			continue;
		else if (opt != 'n' || scan_u64(optarg, 1, 100000000, &f.packets))
			return usage();
	}
	if (argc - optind != 2 || scan_u64(argv[optind + 1], 1, 64000 << 12, &f.flows))
		return usage();
	if (!f.packets)
		f.packets = f.flows;
	prepare(&f);
	fd = raw_open(argv[optind], true);
	r = fd < 0 ? fd : run(&f, fd);
	if (r) {
		fprintf(stderr, "flood: %s: %s\n", argv[optind], strerror(-r));
		return 1;
	}
	printf("%llu %llu %llu\n", (unsigned long long)f.packets,
	       (unsigned long long)f.packets * f.frame[0].len,
	       (unsigned long long)f.packets * (f.frame[0].len - 14));
	return 0;
}
