// SPDX-License-Identifier: Apache-2.0
/*
 * inject.c - inject [-c] IFACE CAPTURE: sends the frames of a capture, one after the other, as fast
 * as they go. -c: each from another CPU, so that the two directions of a flow, and the segments of
 * one hello, are seen on different ones. Prints the number of frames.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/capture_file.h"
#include "raw.h"

/* Go on, on CPU @n of those that this process may use. */
static int move_to_cpu(const cpu_set_t *allowed, unsigned int n)
{
	unsigned int left = n % CPU_COUNT(allowed);
	cpu_set_t one;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, allowed) || left--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
	}
	return -EINVAL;
}

static int send_frames(struct capture *c, int fd, bool spread, unsigned int *ret_sent)
{
	struct capture_frame f;
	cpu_set_t allowed;
	int r;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return -errno;
	while ((r = capture_next(c, &f)) == 1) {
		if (spread)
			r = move_to_cpu(&allowed, *ret_sent);
		if (r < 0)
			return r;
		if (send(fd, f.data, f.caplen, 0) != (ssize_t)f.caplen)
			return -errno;
		++*ret_sent;
	}
	return r;
}

int main(int argc, char **argv)
{
	bool spread = argc == 4 && !strcmp(argv[1], "-c");
	struct capture *c = NULL;
	unsigned int sent = 0;
	int fd, r;

	if (argc != 3 + spread) {
		fputs("usage: inject [-c] IFACE CAPTURE\n", stderr);
		return 2;
	}
	fd = raw_open(argv[1 + spread], false);
	r = fd < 0 ? fd : capture_open(argv[2 + spread], &c);
	r = r ? r : send_frames(c, fd, spread, &sent);
	if (r)
		fprintf(stderr, "inject: %s\n", strerror(-r));
	else
		printf("%u\n", sent);
	capture_free(c);
	return r ? 1 : 0;
}
