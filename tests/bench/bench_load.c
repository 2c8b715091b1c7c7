// SPDX-License-Identifier: Apache-2.0
/*
 * bench_load.c - sends flow records at a rate, over UDP or TCP, to 127.0.0.1 only, and says what it
 * sent, as JSON. usage: bench_load PORT [-p udp|tcp] [-f ipfix|v9|v5] [-r FLOWS/S] [-s SECONDS]
 *        [-n FLOWS] [-m OCTETS] [-x SEED]
 * Without -r as fast as it goes; -s and -n bound it (10 seconds).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/scan.h"
#include "load.h"

#define PREPARED    4096u
#define BATCH	    16u
#define SECONDS_MAX 600u
#define LAST	    2u
#define LAST_US	    300000
#define ROOM_S	    30u /* that the other side may take to read what it has */

static struct {
	enum load_format format;
	bool tcp;
	uint64_t rate, seconds, flows, octets, seed, port;
} want = {.seconds = 10, .octets = 1420, .seed = 1, .flows = UINT64_MAX};

static struct load_sums sums;
static uint64_t again; /* times the socket had no room */
static uint64_t sent;  /* messages, those of templates too */
static int64_t ended_us;

static int64_t now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int connect_to(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)want.port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, want.tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	int size = 1 << 20;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return -errno;
	return fd;
}

static int send_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		const ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && (errno == ENOBUFS || errno == EAGAIN)) {
			again++;
			continue;
		}
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_templates(struct load *l, int fd)
{
	const uint8_t *p;
	const uint32_t len = load_templates(l, now_us(CLOCK_REALTIME), &p);

	sent += !!len;
	return len ? send_all(fd, p, len) : 0;
}

/* UDP: many datagrams with one call. */
static int send_batch(struct load *l, int fd)
{
	struct mmsghdr m[BATCH] = {};
	struct iovec v[BATCH];
	const int64_t now = now_us(CLOCK_REALTIME);

	for (unsigned int i = 0; i < BATCH; i++) {
		uint32_t len;

		v[i].iov_base = (void *)(uintptr_t)load_next(l, now, &len, &sums);
		v[i].iov_len = len;
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	sent += BATCH;
	for (unsigned int i = 0; i < BATCH;) {
		int n;

		if (want.tcp) {
			n = send_all(fd, v[i].iov_base, v[i].iov_len);
			if (n)
				return n;
			i++;
			continue;
		}
		n = sendmmsg(fd, m + i, BATCH - i, 0);
		if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
			return -errno;
		i += n > 0 ? (unsigned int)n : 0;
	}
	return 0;
}

static void pause_until(int64_t due_us)
{
	const struct timespec t = {due_us / 1000000, due_us % 1000000 * 1000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* Do sockets of the port, as far as they are this host's, have what was not read yet? */
static bool waiting(void)
{
	FILE *f = fopen("/proc/net/udp", "re");
	char line[256], port[16];
	bool any = false;

	snprintf(port, sizeof(port), ":%04X ", (unsigned int)want.port);
	while (f && fgets(line, sizeof(line), f)) {
		const char *local = strstr(line, port), *queue = strstr(line, " 07 ");

		/* LOCAL REMOTE STATE TX:RX */
		if (!local || !queue || local > queue)
			continue;
		queue = strchr(queue + 4, ':');
		any |= queue && strncmp(queue, ":00000000", 9) != 0;
	}
	if (f)
		fclose(f);
	return any;
}

/* A number behind the last ones shows whether they came, once the other side has room for it. */
static int send_last(struct load *l, int fd)
{
	int r = 0;

	for (unsigned int i = 0; i < ROOM_S * 1000000 / LAST_US && waiting(); i++)
		pause_until(now_us(CLOCK_MONOTONIC) + LAST_US);
	for (unsigned int i = 0; i < LAST && !r; i++) {
		pause_until(now_us(CLOCK_MONOTONIC) + LAST_US);
		r = send_templates(l, fd);
	}
	return r;
}

static int run(struct load *l, int fd)
{
	const int64_t start = now_us(CLOCK_MONOTONIC),
		      end = start + (int64_t)want.seconds * 1000000;
	int64_t now = start, told = start - 2000000;
	int r = 0;

	while (!r && now < end && sums.flows < want.flows) {
		const int64_t due = want.rate ? start + (int64_t)(sums.flows * 1000000 / want.rate)
					      : now;

		/* a stream's templates once; a datagram may be lost */
		if (now - told >= 1000000 && (!want.tcp || told < start)) {
			r = send_templates(l, fd);
			told = now;
		}
		if (due > now + 200)
			pause_until(due);
		r = r ?: send_batch(l, fd);
		now = now_us(CLOCK_MONOTONIC);
	}
	ended_us = now;
	return r || want.tcp ? r : send_last(l, fd);
}

static int option(int o, const char *v)
{
	static const char *const formats[_LOAD_FORMATS] = {"ipfix", "v9", "v5"};

	switch (o) {
	case 'p':
		want.tcp = !strcmp(v, "tcp");
		return !want.tcp && strcmp(v, "udp") != 0;
	case 'f':
		for (unsigned int i = 0; i < _LOAD_FORMATS; i++)
			if (!strcmp(v, formats[i])) {
				want.format = i;
				return 0;
			}
		return 1;
	case 'r':
		return scan_u64(v, 0, 100000000, &want.rate);
	case 's':
		return scan_u64(v, 1, SECONDS_MAX, &want.seconds);
	case 'n':
		return scan_u64(v, 1, UINT64_MAX, &want.flows);
	case 'm':
		return scan_u64(v, 512, 65000, &want.octets);
	case 'x':
		return scan_u64(v, 0, UINT32_MAX, &want.seed);
	default:
		return 1;
	}
}

int main(int argc, char **argv)
{
	struct load *l;
	struct rusage u;
	int64_t start;
	int o, fd, r;

	while ((o = getopt(argc, argv, "p:f:r:s:n:m:x:")) != -1)
		if (option(o, optarg)) {
			fprintf(stderr, "bench_load: -%c %s\n", o, optarg ? optarg : "?");
			return 2;
		}
	if (optind != argc - 1 || scan_u64(argv[optind], 1, UINT16_MAX, &want.port))
		return 2;
	start = now_us(CLOCK_REALTIME);
	l = load_new(&(struct load_cfg){.format = want.format,
					.octets = (uint32_t)want.octets,
					.messages = PREPARED,
					.seed = want.seed,
					.now_us = start});
	fd = l ? connect_to() : -ENOMEM;
	if (fd < 0) {
		fprintf(stderr, "bench_load: port %u: %s\n", (unsigned int)want.port,
			strerror(-fd));
		return 1;
	}
	start = now_us(CLOCK_MONOTONIC);
	r = run(l, fd);
	getrusage(RUSAGE_SELF, &u);
	printf("{\"flows\":%llu,\"messages\":%llu,\"octets\":%llu,\"packets\":%llu,\"bytes\":%llu,"
	       "\"names\":%llu,\"seconds\":%.3f,\"again\":%llu,\"sent\":%llu,\"cpu_s\":%.3f}\n",
	       (unsigned long long)sums.flows, (unsigned long long)sums.messages,
	       (unsigned long long)sums.octets, (unsigned long long)sums.packets,
	       (unsigned long long)sums.bytes, (unsigned long long)sums.names,
	       (double)(ended_us - start) / 1e6, (unsigned long long)again,
	       (unsigned long long)sent,
	       (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	if (r)
		fprintf(stderr, "bench_load: %s\n", strerror(-r));
	close(fd);
	load_free(l);
	return r ? 1 : 0;
}
